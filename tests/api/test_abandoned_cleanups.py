"""Taking for gone what is left at a target that is gone for good. Risk: the execution can never be deleted, it is done to the wrong one, or nobody can tell who did it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from stepswitch.domain.devices import DeviceLane
from tests.api.steered import OWN, Body, Desk, open_desk, refused, said, shown
from tests.api.streams import reading
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.rig import PATIENCE
from tests.engine.scripted import Clinging

AUDIT = "/stepswitch/api/v1/audit"
WHY = "the site was closed"


@pytest_asyncio.fixture
async def device() -> Clinging:
    return Clinging()


@pytest_asyncio.fixture
async def desk(tmp_path: Path, device: Clinging, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        monkeypatch.setattr(opened.act, "run", device.run)
        yield opened
        device.may_close.set()


async def left_behind(desk: Desk, device: Clinging) -> str:
    """Return an execution that was aborted, and whose step has left its session."""
    step: Body = {"inBindings": {"host": {"type": "string", "defaultValue": "192.0.2.7"}}}
    execution = await desk.queue(source=document(startStepId="a", steps=steps("a", a=step)))
    await asyncio.wait_for(device.begun.wait(), PATIENCE)
    assert shown(await desk.ask(execution, "abort"))["stepExecutions"][0]["cleanupPending"]
    return execution


async def abandon(desk: Desk, execution: str, body: Any = None) -> Any:
    return await desk.ask(execution, "cleanup/abandon", WHY, body)


@pytest.mark.parametrize("body", [None, {}, {"stepNumbers": [0]}, {"stepNumbers": None}])
async def test_after_it_the_execution_can_be_deleted_and_it_is_on_record(desk: Desk, device: Clinging, body: Any) -> None:
    execution = await left_behind(desk, device)
    tag = shown(await desk.client.get(desk.place(execution)))
    assert tag["stepExecutions"][0]["cleanupPending"]
    answer = await abandon(desk, execution, body)
    told = shown(answer)
    assert "cleanupPending" not in told["stepExecutions"][0]
    line = f"the session that may be open of step a (0), attempt 1, at 192.0.2.7:22 is taken for gone by admin: {WHY}"
    assert said(told, line)
    logs = (await desk.client.get(f"{desk.place(execution)}/logs")).text
    assert line in logs
    records = [each["record"] for each in (await desk.client.get(AUDIT)).json()]
    (record,) = [each for each in records if each["operation"] == "abandonExecutionCleanup"]
    assert (record["actor"]["user"], record["after"], record["object"]["id"]) == ("admin", {"abandonedCleanup": [0]}, execution)
    assert (await desk.client.delete(desk.place(execution), headers={"if-match": answer.headers["etag"]})).status_code == 204
    assert (await desk.client.get(desk.place(execution))).status_code == 404


async def test_a_late_end_after_it_does_no_harm_also_where_the_execution_is_gone(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    shown(await abandon(desk, execution))
    assert (await desk.client.delete(desk.place(execution))).status_code == 204
    device.may_close.set()
    await desk.house.clock.settle()
    another = await desk.queue(source=document(startStepId="a", steps=steps("a", of="NOOP")))
    await desk.until(another, "COMPLETED")


async def test_a_deletion_that_waits_goes_on_with_it(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    deleting = asyncio.ensure_future(desk.client.delete(desk.place(execution)))
    await desk.house.clock.settle()
    assert not deleting.done()
    shown(await abandon(desk, execution))
    assert (await asyncio.wait_for(deleting, PATIENCE)).status_code == 204


async def test_followers_are_told(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    token = {"x-hm-authorization": desk.client.headers["x-hm-authorization"]}
    async with reading(desk.app, token) as reader:
        await reader.until(lambda reader: reader.status == 200)
        await abandon(desk, execution)
        await reader.until(lambda reader: any("is taken for gone by admin" in told for told in reader.told()))
        assert reader.events[-1].kind in ("log", "execution")


@pytest.mark.parametrize("body", [None, {"stepNumbers": [0]}])
async def test_where_nothing_is_left_it_says_so_and_changes_nothing(desk: Desk, device: Clinging, body: Any) -> None:
    execution = await desk.queue("a")
    await asyncio.wait_for(device.begun.wait(), PATIENCE)
    before = (await desk.client.get(desk.place(execution))).text
    answer = await abandon(desk, execution, body)
    assert refused(answer) == ["STATE_CONFLICT"]
    assert "nothing is left behind: no step says cleanupPending" in answer.text
    assert (await desk.client.get(desk.place(execution))).text == before


async def test_what_is_no_number_of_a_step_is_refused_with_its_place(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    wrong = await abandon(desk, execution, {"stepNumbers": [0, -1, "0", True, 1.5], "more": 1})
    places = [each["message"].partition(": ")[0] for each in wrong.json()["errors"]]
    assert sorted(places) == ["more", "stepNumbers[1]", "stepNumbers[2]", "stepNumbers[3]", "stepNumbers[4]"]
    bodies: list[Any] = [{"stepNumbers": []}, {"stepNumbers": 0}, [], 0]
    for body in bodies:
        assert (await abandon(desk, execution, body)).status_code == 400, body
    answer = await abandon(desk, execution, {"stepNumbers": [0, 3]})
    assert refused(answer) == ["STATE_CONFLICT"]
    assert "step execution 3; something may be by 0" in answer.text
    assert (await desk.read(execution))["stepExecutions"][0]["cleanupPending"]


async def test_only_who_may_steer_it_may(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    path = f"{OWN}/{execution}/cleanup/abandon"
    for headers, status in (
        (await desk.elsewhere(), 404),
        (await desk.person("bob", "Workflow Executor"), 404),
        (await desk.person("dora", "System Auditor"), 403),
        (await desk.person("carl", "Operations"), 200),
    ):
        assert (await desk.client.post(path, headers=headers)).status_code == status
    assert said(await desk.read(execution), "is taken for gone by carl")


async def test_it_can_be_meant_for_one_state_alone(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    answer = await desk.client.post(f"{OWN}/{execution}/cleanup/abandon", headers={"if-match": '"0-0"'})
    assert answer.status_code == 412
    assert (await desk.read(execution))["stepExecutions"][0]["cleanupPending"]


async def test_whoever_waits_with_a_clean_up_for_its_turn_at_a_device_says_so_although_it_has_ended(desk: Desk, device: Clinging) -> None:
    execution = await left_behind(desk, device)
    place, core = desk.place(execution), DeviceLane("core-7", "192.0.2.8")
    before = await desk.client.get(place)
    may_go = asyncio.Event()

    async def visit(whose: str) -> None:
        async with desk.house.service._dispatcher.visit(whose, core):
            await may_go.wait()

    at_the_device = [asyncio.ensure_future(visit(whose)) for whose in ("somebody else", execution)]
    await desk.house.clock.settle()
    waiting = await desk.client.get(place, headers={"if-none-match": before.headers["etag"]})
    (told,) = shown(waiting)["waitingFor"]
    assert (told["kind"], told["name"], shown(waiting)["status"]) == ("device", "core-7", "ABORTED")
    (listed,) = (await desk.client.get(f"{desk.root}/workflowExecution")).json()
    assert listed["waitingFor"] == [told]
    may_go.set()
    await asyncio.gather(*at_the_device)
    after = await desk.client.get(place)
    assert ("waitingFor" in shown(after), after.headers["etag"]) == (False, before.headers["etag"])
