"""Risk: TCA_EXEC in the whole service shows a password that the inventory named, uses one that is not for its machine, or leaves a command behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.domain.execution import Status
from stepswitch.engine.records import Committed
from tests import guests, vcenter
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.steps.guest_context import assert_nothing_left, described
from tests.vcenter import FakeVCenter


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path / "data") as running:
        yield running


async def prepare(real: Real, center: FakeVCenter, *, devices: tuple[str, ...] = ("smf-1",)) -> None:
    """Say where the vCenter and the machine are, and keep their passwords."""
    for name, value, where in (("vcenter", vcenter.PASSWORD, (f"127.0.0.1:{center.port}",)), ("guest", guests.PASSWORD, devices)):
        body = {"name": name, "source": {"kind": "stored", "value": value}, "roles": ["*"], "workflows": ["*"], "devices": where}
        answer = await real.client.post(f"{OWN}/credentials", json=body)
        assert answer.status_code == 200, answer.text
    answer = await real.client.put(f"{OWN}/inventory", json=described(center))
    assert answer.status_code == 200, answer.text


def executing(command: str, **policy: Any) -> dict[str, Any]:
    """Return a workflow with one step, whose machine is an input."""
    return {
        "name": "exec", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
        "inputs": {"vm": {"type": "virtualMachine", "defaultValue": "smf-1"}},
        "outputs": {"said": {"type": "string"}},
        "steps": {
            "a": {
                "type": "TCA_EXEC",
                "inBindings": {"virtualMachine": {"type": "virtualMachine", "exportName": "vm"}, "cmd": {"type": "string", "defaultValue": command}},
                "outBindings": {"said": {"name": "outputText", "type": "string"}},
                **({"policy": policy} if policy else {}),
            }
        },
    }  # fmt: skip


async def test_what_the_inventory_names_is_used_and_shown_to_nobody(real: Real, center: FakeVCenter) -> None:
    await prepare(real, center)
    halves = [f"{word[:5]}''{word[5:]}" for word in (guests.PASSWORD, vcenter.PASSWORD)]
    document = executing(f"echo {halves[0]} is it; echo {halves[1]}")
    ended = await real.execute((await real.create(document))["id"], contextType="VNF", context={"vnfId": "nf-1"})
    assert (ended["status"], ended["outputs"]) == ("COMPLETED", {"said": "******** is it\n********\n"})
    told = json.dumps(ended)
    assert guests.PASSWORD not in told
    assert vcenter.PASSWORD not in told
    assert "credential guest used for smf-1 by step a" in told
    assert_nothing_left(center)


async def test_a_credential_is_for_its_machine_only(real: Real, center: FakeVCenter) -> None:
    await prepare(real, center, devices=("smf-2",))
    ended = await real.execute((await real.create(executing("echo ran")))["id"])
    assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
    assert not center.calls


async def test_a_time_limit_ends_the_command_and_leaves_the_step_in_doubt(real: Real, center: FakeVCenter) -> None:
    await prepare(real, center)
    ended = await real.execute((await real.create(executing("sleep 1000 & sleep 1000", timeoutSeconds=3)))["id"])
    step = ended["stepExecutions"][0]
    assert (step["result"], step["error"]["code"]) == ("UNKNOWN", "TIMEOUT")
    await _until_clean(real, ended["id"])
    assert (center.guest.left(), center.guest.running()) == ([], [])


async def test_an_abort_ends_in_ten_seconds_and_what_is_left_is_removed_when_the_vcenter_is_there_again(
    real: Real, center: FakeVCenter
) -> None:
    await prepare(real, center)
    workflow = (await real.create(executing("sleep 1000 & sleep 1000")))["id"]
    order = {"workflowId": workflow, "contextType": "NONE"}
    execution = (await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"]
    async with asyncio.timeout(30):
        await center.called["StartProgramInGuest"].wait()
        await center.called["ListFilesInGuest"].wait()
    center.is_away = True
    async with asyncio.timeout(10):
        answer = await real.client.post(f"{PLAIN}/workflowExecution/{execution}/abort")
        assert answer.status_code in {200, 202, 204}, answer.text
        await real.ended.wait_for(execution)
    aborted = (await real.client.get(f"{PLAIN}/workflowExecution/{execution}")).json()
    assert aborted["stepExecutions"][0].get("cleanupPending") is True
    assert center.guest.running()
    center.is_away = False
    await _until_clean(real, execution)
    assert (center.guest.left(), center.guest.running()) == ([], [])


async def _until_clean(real: Real, execution: str) -> None:
    """Return when nothing is left of an execution at its target."""
    changed = asyncio.Event()

    class Watch:
        def committed(self, change: Committed) -> None:
            changed.set()

    real.service.observe(Watch())
    async with asyncio.timeout(40):
        while True:
            changed.clear()
            found = (await real.client.get(f"{PLAIN}/workflowExecution/{execution}")).json()
            assert found["status"] not in {Status.RUNNING}
            if not found["stepExecutions"][0].get("cleanupPending"):
                return
            await changed.wait()
