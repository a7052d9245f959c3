"""Risk: a step of type HTTP in the whole service reaches the service itself, or takes a credential to a host that it is not for."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.real import OWN, PLAIN, Real, real_service
from tests.steps.http_server import HttpServer, reply

WORD = "a-word-that-nobody-may-read"
TOKEN = {"credential": "api"}


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        opened.on("/cells", reply(200, json.dumps({"key": WORD}).encode(), content_type="application/json"))
        yield opened


@pytest.fixture
async def other() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        yield opened


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, http_allowed_networks="127.0.0.1") as running:
        yield running


def asking(url: str, **more: Any) -> dict[str, Any]:
    """Return a workflow with a step that asks the URL that is its input; `more` are inputs of the step."""
    return {
        "name": "ask", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
        "inputs": {"url": {"type": "string", "defaultValue": url}},
        "outputs": {"said": {"type": "string"}, "status": {"type": "number"}},
        "steps": {
            "a": {
                "type": "HTTP",
                "inBindings": {"url": {"type": "string", "exportName": "url"}, **more},
                "outBindings": {"said": {"name": "json", "type": "string"}, "status": {"name": "statusCode", "type": "number"}},
            }
        },
    }  # fmt: skip


async def keep(real: Real, *devices: str) -> None:
    body = {"name": "api", "source": {"kind": "stored", "value": WORD}, "roles": ["*"], "workflows": ["*"], "devices": devices}
    answer = await real.client.post(f"{OWN}/credentials", json=body)
    assert answer.status_code == 200, answer.text


async def run(real: Real, document: dict[str, Any], **assignments: str) -> dict[str, Any]:
    return await real.execute((await real.create(document))["id"], assignments=assignments)


async def test_the_service_cannot_be_asked_by_its_own_steps(tmp_path: Path) -> None:
    async with real_service(tmp_path) as real:
        ended = await run(real, asking(f"{str(real.client.base_url).rstrip('/')}{OWN}/health"))
        step = ended["stepExecutions"][0]
        assert (step["result"], step["error"]["code"]) == ("FAILED", "NETWORK_DENIED")


async def test_a_credential_is_sent_as_a_token_to_the_server_that_it_is_for_and_shown_to_nobody(real: Real, server: HttpServer) -> None:
    await keep(real, f"{server.host}:{server.port}")
    document = asking(server.url("/cells?a=b"), bearerToken={"type": "password", "defaultValue": TOKEN})
    ended = await run(real, document)
    assert (ended["status"], ended["outputs"]) == ("COMPLETED", {"said": '{"key": "********"}', "status": 200})
    assert server.asked[0].header("authorization") == f"Bearer {WORD}"
    assert WORD not in json.dumps(ended)
    assert f"used for {server.host}:{server.port} by step a" in json.dumps(ended)


async def test_no_url_takes_a_credential_elsewhere(real: Real, server: HttpServer, other: HttpServer) -> None:
    await keep(real, f"{server.host}:{server.port}")
    document = asking(server.url("/cells"), bearerToken={"type": "password", "defaultValue": TOKEN})
    workflow, here, there = (await real.create(document))["id"], f"127.0.0.1:{server.port}", f"127.0.0.1:{other.port}"
    order = {"workflowId": workflow, "contextType": "NONE"}
    for url in (
        f"http://{there}/",
        f"http://localhost:{server.port}/",
        f"http://{there}/#{here}",
        f"http://{there}/?@{here}/",
        f"http://{there}/@{here}",
    ):
        refused = await real.client.put(f"{PLAIN}/workflowExecution", json={**order, "assignments": {"url": url}})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "CREDENTIAL_REFUSED")
    for url in (
        f"http://{here}@{there}/",
        f"http://{there}\\@{here}/",
        f"http://2130706433:{other.port}/",
        f" http://{there}/",
        f"//{there}/",
    ):
        ended = await real.execute(workflow, assignments={"url": url})
        assert ended["stepExecutions"][0]["error"]["code"] in {"CREDENTIAL_REFUSED", "INVALID_VALUE"}
    assert not server.connections
    assert not other.connections


async def test_a_redirect_takes_no_credential_elsewhere(real: Real, server: HttpServer, other: HttpServer) -> None:
    await keep(real, f"{server.host}:{server.port}")
    server.on("/moved", reply(302, location=other.on("/end", reply(200, b"{}", content_type="application/json"))))
    follows = {"followRedirects": {"type": "boolean", "defaultValue": True}}
    ended = await run(real, asking(server.url("/moved"), bearerToken={"type": "password", "defaultValue": TOKEN}, **follows))
    assert ended["outputs"]["status"] == 200
    assert [each.header("authorization") for each in (*server.asked, *other.asked)] == [f"Bearer {WORD}", None]


async def test_a_stored_password_stays_where_its_url_leads(real: Real, server: HttpServer, other: HttpServer) -> None:
    document = asking(
        server.url("/cells"), username={"type": "string", "defaultValue": "ann"}, password={"type": "password", "defaultValue": WORD}
    )
    stored = await real.create(document)
    document["steps"]["a"]["inBindings"]["password"]["defaultValue"] = "********"
    document["steps"]["a"]["inBindings"]["url"] = {"type": "string", "defaultValue": other.url()}
    refused = await real.client.post(f"{PLAIN}/workflow/{stored['id']}", json=document)
    assert refused.status_code == 400
    assert WORD not in refused.text
