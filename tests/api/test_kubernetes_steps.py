"""Risk: a step of type K8S in the whole service leaves a pod behind, after an abort or a death of the service, shows a secret, or takes a token elsewhere."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.real import OWN, PLAIN, Real, real_service
from tests.chaos.service import ServiceProcess
from tests.kubernetes.api_server import TOKEN, FakeCluster

SECRET = "a-word-that-nobody-may-read"


@pytest.fixture
async def cluster() -> AsyncIterator[FakeCluster]:
    async with FakeCluster() as opened:
        yield opened


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, kubernetes_image="tools:1") as running:
        yield running


def scripted(script: str, **more: Any) -> dict[str, Any]:
    """Return a workflow that runs a script in the cluster of its context."""
    return {
        "name": "scripted", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
        "inputs": {"word": {"type": "password", "defaultValue": SECRET}},
        "outputs": {"said": {"type": "string"}, "made": {"type": "number"}},
        "steps": {
            "a": {
                "type": "K8S",
                "inBindings": {
                    "script": {"type": "string", "defaultValue": script}, "WORD": {"type": "password", "exportName": "word"}, **more,
                },
                "outBindings": {"said": {"name": "outputText", "type": "string"}, "made": {"name": "made", "type": "number"}},
            }
        },
    }  # fmt: skip


async def know(client: httpx.AsyncClient, cluster: FakeCluster, devices: str = "127.0.0.1") -> None:
    """Say in the inventory where the cluster is, with a credential that is for `devices`."""
    body = {"name": "cluster", "source": {"kind": "stored", "value": TOKEN}, "roles": ["*"], "workflows": ["*"], "devices": [devices]}
    answer = await client.post(f"{OWN}/credentials", json=body)
    assert answer.status_code == 200, answer.text
    location = {"kubernetes": {"url": cluster.url(""), "token": {"credential": "cluster"}}}
    answer = await client.put(f"{OWN}/inventory/vim-locations/paris", json=location)
    assert answer.status_code in (200, 201), answer.text


async def queue(client: httpx.AsyncClient, document: dict[str, Any]) -> str:
    made = await client.put(f"{PLAIN}/workflow", json=document)
    order = {"workflowId": made.json()["id"], "contextType": "NONE", "context": {"vimLocation": "paris"}}
    queued = await client.put(f"{PLAIN}/workflowExecution", json=order)
    assert queued.status_code == 200, queued.text
    return str(queued.json()["id"])


async def until(client: httpx.AsyncClient, execution: str, text: str) -> dict[str, Any]:
    """Return an execution when it has logged `text`."""
    async with asyncio.timeout(30):
        while True:
            found = await client.get(f"{PLAIN}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
            logs = await client.get(f"{PLAIN}/workflowExecution/{execution}/logs")
            if text in logs.text:
                body: dict[str, Any] = found.json()
                return body


async def until_gone(cluster: FakeCluster) -> None:
    async with asyncio.timeout(20):
        while cluster.everything():
            await cluster.store.news.wait()


async def test_a_script_in_the_cluster_of_the_context_gives_its_outputs_and_shows_no_secret(cluster: FakeCluster, real: Real) -> None:
    await know(real.client, cluster)
    script = 'echo "it is $WORD"; echo "{\\"made\\": 3}" >"$STEPSWITCH_OUTPUT"'
    execution = await queue(real.client, scripted(script))
    await real.ended.wait_for(execution)
    answer = await real.client.get(f"{PLAIN}/workflowExecution/{execution}")
    found = answer.json()
    assert (found["status"], found["outputs"]) == ("COMPLETED", {"said": "it is ********\n", "made": 3}), answer.text
    logs = await real.client.get(f"{PLAIN}/workflowExecution/{execution}/logs")
    assert "it is ********" in logs.text
    assert not [word for word in (SECRET, TOKEN) if word in logs.text + answer.text]
    assert cluster.everything() == []


async def test_a_token_that_is_for_another_cluster_is_not_sent(cluster: FakeCluster, real: Real) -> None:
    await know(real.client, cluster, "192.0.2.7:6443")
    execution = await queue(real.client, scripted("true"))
    await real.ended.wait_for(execution)
    (step,) = (await real.client.get(f"{PLAIN}/workflowExecution/{execution}")).json()["stepExecutions"]
    assert (step["result"], step["error"]["code"]) == ("FAILED", "CREDENTIAL_REFUSED")
    assert cluster.asked == []


async def test_an_abort_ends_the_pod_and_nothing_is_left(cluster: FakeCluster, real: Real) -> None:
    await know(real.client, cluster)
    execution = await queue(real.client, scripted("echo begun; exec sleep 100"))
    await until(real.client, execution, "begun")
    async with asyncio.timeout(10):
        await real.client.post(f"{PLAIN}/workflowExecution/{execution}/abort")
        await real.ended.wait_for(execution)
        await until_gone(cluster)
    assert len(cluster.node.ended) == 1


async def test_an_abort_while_the_cluster_is_away_is_cleaned_up_when_it_is_back(cluster: FakeCluster, real: Real) -> None:
    await know(real.client, cluster)
    execution = await queue(real.client, scripted("echo begun; exec sleep 100"))
    await until(real.client, execution, "begun")
    cluster.denied.add("list pods")
    await real.client.post(f"{PLAIN}/workflowExecution/{execution}/abort")
    await real.ended.wait_for(execution)
    found = await until(real.client, execution, "could not be removed yet")
    assert found["stepExecutions"][0]["cleanupPending"] is True
    assert len(cluster.names("pods")) == 1
    cluster.denied.clear()
    await until_gone(cluster)


async def test_a_pod_of_a_service_that_was_killed_is_removed_by_the_next_one(cluster: FakeCluster, tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", STEPSWITCH_KUBERNETES_IMAGE="tools:1")
    await asyncio.to_thread(service.start)
    try:
        async with httpx.AsyncClient(base_url=service.url, headers=await asyncio.to_thread(service.login), timeout=30) as client:
            await know(client, cluster)
            execution = await queue(client, scripted("echo begun; exec sleep 100"))
            await until(client, execution, "begun")
        await asyncio.to_thread(service.end, signal.SIGKILL)
        assert len(cluster.names("pods")) == 1
        await asyncio.to_thread(service.start)
        await until_gone(cluster)
        found = await asyncio.to_thread(service.get, execution, await asyncio.to_thread(service.login))
        assert (found["stepExecutions"][0]["result"], len(cluster.node.ended)) == ("UNKNOWN", 1), json.dumps(found)
    finally:
        if service.process.poll() is None:
            await asyncio.to_thread(service.end, signal.SIGKILL)
