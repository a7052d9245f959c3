"""Risk: a credential that one workflow hands to another is used there by somebody, or at a host, that it is not for; or its value can be read.

The whole service with its accounts, and an OpenSSH server for the device that the credential is for.
"""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.real import Real, real_service
from tests.api.test_credentials import CORE, came_to, host_of_somebody_else, keep, queue, reaching
from tests.openssh import OpenSshServer


@pytest.fixture(scope="module")
def device() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, host_keys="accept-new") as running:
        yield running


def handing(workflow_id: str, **more: Any) -> dict[str, Any]:
    """Return a workflow that hands the credential to another one, and a host where one is given."""
    bindings = {
        "workflowId": {"type": "string", "defaultValue": workflow_id},
        "pw": {"type": "password", "defaultValue": CORE},
        "port": {"type": "number", "exportName": "port"},
    }
    return {
        "name": "hand", "version": "1", "schemaVersion": "3.0", "startStepId": "s", "inputs": {"port": {"type": "number"}},
        "steps": {"s": {"type": "WORKFLOW", "inBindings": bindings, **more}},
    }  # fmt: skip


async def test_it_is_opened_there_in_the_name_of_who_created_the_first_execution(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, roles=["Workflow Executor"])
    tom = await real.add_user("tom", "Workflow Executor")
    workflow = (await real.create(handing((await real.create(reaching(device)))["id"])))["id"]
    above = (await queue(real, workflow, tom)).json()
    ended = await came_to(real, above["id"], "COMPLETED", "FAILED")
    assert ended["status"] == "COMPLETED", ended["stepExecutions"][-1]
    below = await came_to(real, ended["stepExecutions"][0]["child"]["executionId"], "COMPLETED")
    assert (below["creationUser"], below["assignments"]["pw"]) == ("tom", CORE)
    assert below["outputs"]["result"].strip() == "it is there"
    assert device.password not in json.dumps([ended, below])


async def test_who_may_not_use_it_begins_nothing(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, roles=["Workflow Designer"])
    tom = await real.add_user("tom", "Workflow Executor")
    workflow = (await real.create(handing((await real.create(reaching(device)))["id"])))["id"]
    refused = await queue(real, workflow, tom)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "CREDENTIAL_REFUSED")


async def test_it_goes_to_no_host_that_it_is_not_for(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    tom = await real.add_user("tom", "Workflow Executor")
    workflow = (await real.create(handing((await real.create(reaching(device)))["id"])))["id"]
    async with host_of_somebody_else() as (port, heard):
        above = (await queue(real, workflow, tom, assignments={"port": port})).json()
        ended = await came_to(real, above["id"], "FAILED")
        assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
        assert "child" not in ended["stepExecutions"][0]
        assert not heard


async def test_it_is_for_the_workflows_that_it_names(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, workflows=["hand"])
    workflow = (await real.create(handing((await real.create(reaching(device)))["id"])))["id"]
    above = (await queue(real, workflow)).json()
    ended = await came_to(real, above["id"], "FAILED")
    assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
