"""Risk: somebody who may not use a credential of the inventory has what he wrote run with it, because another one may, and executes it.

The whole service with its accounts, and an OpenSSH server for the device that the inventory knows.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.real import OWN, PLAIN, Real, real_service
from tests.api.test_credentials import came_to, keep, queue
from tests.openssh import OpenSshServer


@pytest.fixture(scope="module")
def device() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest.fixture
async def real(tmp_path: Path, device: OpenSshServer) -> AsyncIterator[Real]:
    async with real_service(tmp_path, host_keys="accept-new") as running:
        await keep(running, device, roles=["Workflow Executor"])
        entry = {
            "addresses": [f"{device.host}:{device.port}"],
            "login": {"username": device.user, "password": {"credential": "core"}},
        }
        answer = await running.client.put(f"{OWN}/inventory", json={"devices": {"core-7": entry}})
        assert answer.status_code == 200, answer.text
        yield running


def asking(device: OpenSshServer) -> dict[str, Any]:
    """Return a workflow that leaves the login to the inventory."""
    inputs = {
        "hostNameOrIP": {"type": "string", "defaultValue": device.host},
        "port": {"type": "number", "defaultValue": device.port},
        "cmd": {"type": "string", "defaultValue": "echo it is there"},
    }
    return {
        "name": "ask", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
        "steps": {"a": {"type": "TCA_SSH", "inBindings": inputs}},
    }  # fmt: skip


async def test_whoever_stored_the_workflow_has_to_be_allowed_too(real: Real, device: OpenSshServer) -> None:
    dora, tom = await real.add_user("dora", "Workflow Designer"), await real.add_user("tom", "Workflow Executor")
    stored = await real.client.put(f"{PLAIN}/workflow", json=asking(device), headers=dora)
    assert stored.status_code == 200, stored.text
    workflow = stored.json()["id"]
    refused = await came_to(real, (await queue(real, workflow, tom)).json()["id"], "FAILED", "COMPLETED")
    assert refused["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
    assert device.password not in str(refused)
    again = await real.client.post(f"{PLAIN}/workflow/{workflow}", json={**asking(device), "description": "looked at"})
    assert again.status_code == 200, again.text
    allowed = await came_to(real, (await queue(real, workflow, tom)).json()["id"], "FAILED", "COMPLETED")
    assert allowed["status"] == "COMPLETED", allowed["stepExecutions"][0]
    assert (await real.client.post(f"{PLAIN}/workflow/{workflow}", json=asking(device), headers=dora)).status_code == 200
    ended = await came_to(real, (await queue(real, workflow, tom)).json()["id"], "FAILED", "COMPLETED")
    assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"


async def test_a_restart_forgets_nothing_of_who_stored_it(real: Real, device: OpenSshServer, tmp_path: Path) -> None:
    dora, tom = await real.add_user("dora", "Workflow Designer"), await real.add_user("tom", "Workflow Executor")
    workflow = (await real.create(asking(device)))["id"]
    assert (
        await real.client.post(f"{PLAIN}/workflow/{workflow}", json={**asking(device), "version": "2"}, headers=dora)
    ).status_code == 200
    held = (await queue(real, workflow, tom, debugStepIds=["a"])).json()["id"]
    await came_to(real, held, "PAUSED")
    await real.server.stop()
    await real.service.stop()
    async with real_service(tmp_path, host_keys="accept-new") as reopened:
        assert (await reopened.client.post(f"{PLAIN}/workflowExecution/{held}/resume", json={})).status_code == 200
        ended = await came_to(reopened, held, "FAILED", "COMPLETED")
        assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
