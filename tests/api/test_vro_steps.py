"""Risk: steps of vRO in the whole service leave a run behind, show a secret of vRO, or tell its login to somebody whom it is not for."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.real import Real, real_service
from tests.steps.vro_server import PASSWORD, USER, FakeRun, FakeVro, given, open_vro

OWN = "/stepswitch/api/v1"
PLAIN = "/telco/api/workflows"
SECRET = "made-by-a-vro-4711"
TEXT = {"type": "string"}


@pytest.fixture
async def vro(tmp_path: Path) -> AsyncIterator[FakeVro]:
    async with open_vro(tmp_path) as vro:
        yield vro


@pytest.fixture
async def real(tmp_path: Path, vro: FakeVro) -> AsyncIterator[Real]:
    async with real_service(tmp_path / "data", vro_login_details=True) as real:
        await prepare(real, vro)
        yield real


async def prepare(real: Real, vro: FakeVro, devices: str | None = None) -> None:
    """Have an inventory with a vRO, and a credential for it."""
    where = [devices or f"{vro.host}:{vro.port}"]
    body = {"name": "paris vro", "source": {"kind": "stored", "value": PASSWORD}, "roles": ["*"], "workflows": ["*"], "devices": where}
    assert (await real.client.post(f"{OWN}/credentials", json=body)).status_code == 200
    endpoint = {
        "url": vro.url().rstrip("/"), "caCertificates": vro.authority,
        "login": {"username": USER, "password": {"credential": "paris vro"}},
    }  # fmt: skip
    answer = await real.client.put(f"{OWN}/inventory", json={"vimLocations": {"paris": {"vro": endpoint}}})
    assert answer.status_code == 200, answer.text


def document(**out_bindings: dict[str, str]) -> dict[str, Any]:
    """Return a workflow with one step, whose VIM location is that of the context."""
    step = {
        "type": "VRO_CUSTOM", "outBindings": out_bindings,
        "inBindings": {"vimLocation": {"type": "vimLocation"}, "vroWorkflowName": {**TEXT, "defaultValue": "Heal"}},
    }  # fmt: skip
    outputs = {name: {"type": each["type"]} for name, each in out_bindings.items()}
    return {"name": "w", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "outputs": outputs, "steps": {"a": step}}


async def begin(real: Real, source: dict[str, Any]) -> str:
    order = {"workflowId": (await real.create(source))["id"], "contextType": "NONE", "context": {"vimLocation": "paris"}}
    queued = await real.client.put(f"{PLAIN}/workflowExecution", json=order)
    assert queued.status_code == 200, queued.text
    return str(queued.json()["id"])


async def until(real: Real, execution: str, wanted: Any) -> dict[str, Any]:
    """Return an execution as soon as it is as wanted."""
    async with asyncio.timeout(30):
        while True:
            answer = await real.client.get(f"{PLAIN}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
            found: dict[str, Any] = answer.json()
            if wanted(found):
                return found


def has_ended(execution: dict[str, Any]) -> bool:
    return execution["status"] in {"COMPLETED", "FAILED", "ABORTED"}


async def test_a_run_is_followed_its_login_is_told_to_an_administrator_and_its_secret_to_nobody(real: Real, vro: FakeVro) -> None:
    def work(run: FakeRun) -> None:
        run.says("it heals")
        run.gives("token", "SecureString", {"secure-string": {"value": SECRET, "isPlainText": True}})
        run.gives("address", "string", given("string", "192.0.2.9"))
        run.state = "completed"

    vro.workflow("Heal", work=work)
    execution = await begin(real, document(token={"name": "token", "type": "password"}, address={"name": "address", "type": "string"}))
    ended = await until(real, execution, has_ended)
    told = json.dumps(ended)
    assert (ended["status"], ended["outputs"]) == ("COMPLETED", {"token": "********", "address": "192.0.2.9"}), told
    assert [secret for secret in (SECRET, PASSWORD) if secret in told] == []
    assert "it heals" in told
    assert f"used for {vro.host}:{vro.port} by step a" in told

    answer = await real.client.get(f"{PLAIN}/workflowExecution/{execution}/vroLoginDetails")
    login = {"username": USER, "password": PASSWORD, "url": vro.url().rstrip("/"), "runUuids": [vro.runs[0].id]}
    assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (200, login, "no-store")
    records = (await real.client.get(f"{OWN}/audit?operation=useCredential")).text
    assert "useCredential" in records
    assert PASSWORD not in records


async def test_the_login_is_told_to_nobody_who_may_not_use_its_credential(tmp_path: Path, vro: FakeVro) -> None:
    vro.workflow("Heal")
    async with real_service(tmp_path / "data", vro_login_details=True) as real:
        await prepare(real, vro, devices="elsewhere.example.net")
        execution = await begin(real, document())
        ended = await until(real, execution, has_ended)
        assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
        answer = await real.client.get(f"{PLAIN}/workflowExecution/{execution}/vroLoginDetails")
        assert (answer.status_code, answer.json()["errors"][0]["code"], vro.asked) == (400, "CREDENTIAL_REFUSED", [])


async def test_an_execution_without_a_vro_has_no_login_to_show(real: Real) -> None:
    source = document()
    source["steps"]["a"] = {"type": "NOOP"}
    execution = await begin(real, source)
    await until(real, execution, has_ended)
    assert (await real.client.get(f"{PLAIN}/workflowExecution/{execution}/vroLoginDetails")).status_code == 404


async def test_an_abort_has_ended_the_execution_and_the_run(real: Real, vro: FakeVro) -> None:
    vro.workflow("Heal")
    execution = await begin(real, document())
    run = await vro.first_run()
    await run.looked_at.wait()
    async with asyncio.timeout(10):
        assert (await real.client.post(f"{PLAIN}/workflowExecution/{execution}/abort")).status_code == 200
        ended = await until(real, execution, lambda found: not found["stepExecutions"][0].get("cleanupPending"))
    assert (ended["status"], run.state, run.cancels) == ("ABORTED", "canceled", 1)


async def test_what_cannot_be_cancelled_now_is_said_to_be_left_until_it_is_gone(real: Real, vro: FakeVro) -> None:
    vro.workflow("Heal")
    execution = await begin(real, document())
    run = await vro.first_run()
    await run.looked_at.wait()
    good, vro.authorizations = vro.authorizations, set()
    assert (await real.client.post(f"{PLAIN}/workflowExecution/{execution}/abort")).status_code == 200
    assert (await until(real, execution, has_ended))["stepExecutions"][0]["cleanupPending"] is True
    vro.authorizations = good
    await until(real, execution, lambda found: not found["stepExecutions"][0].get("cleanupPending"))
    assert run.state == "canceled"


async def test_a_run_of_a_process_that_is_gone_is_cancelled_by_the_next(tmp_path: Path, vro: FakeVro) -> None:
    vro.workflow("Heal")
    async with real_service(tmp_path / "data") as real:
        await prepare(real, vro)
        execution = await begin(real, document())
        run = await vro.first_run()
        await run.looked_at.wait()
        vro.authorizations, good = set(), vro.authorizations
    assert run.state == "running"
    vro.authorizations = good
    async with real_service(tmp_path / "data") as real:
        ended = await until(real, execution, lambda found: has_ended(found) and not found["stepExecutions"][0].get("cleanupPending"))
        assert (ended["stepExecutions"][0]["result"], run.state) == ("UNKNOWN", "canceled")
