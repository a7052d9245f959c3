"""Risk: a restored service sends again what was sent after the backup, forgets what it had accepted, or says nothing of either."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from stepswitch.bootstrap import back_up, backups, open_service, restore
from stepswitch.bootstrap.backups import Restoration
from stepswitch.domain.errors import ErrorCode, NotAuthenticatedError, SettingsError
from stepswitch.domain.events import Change, Reported, Resume, Retry
from stepswitch.domain.execution import Outcome, Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.ports import StepType
from stepswitch.engine.views import ExecutionView
from stepswitch.engine.waiting import WaitingFor
from stepswitch.steps.sub_workflow import SubWorkflowStep
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import ANN, House, open_house
from tests.engine.test_sub_workflows import both

SAFE_FIRST = document(startStepId="l", steps={**steps("l", of="LOOK", l={"nextStepId": "a"}), **steps("a")})


async def copied(house: House, place: Path) -> Path:
    """Return a backup of the house, made while it is used."""
    target = place / "backup"
    await asyncio.to_thread(back_up, house.settings.data_dir, target)
    return target


async def restored(house: House, backup: Path, place: Path) -> tuple[House, Restoration]:
    """Return a house in a new place, not yet opened, whose targets are those of the old one."""
    again = House(place / "restored", house.clock)
    again.act, again.look = house.act, house.look
    types: dict[str, StepType] = {step.signature.name: step for step in (again.act, again.look, again.need, again.noop)}
    types["WORKFLOW"] = SubWorkflowStep()
    return again, await restore(again.settings, backup, house.clock, types)


def waits_for_a_person(view: ExecutionView) -> bool:
    (waiting,) = view.waiting_for
    return view.head.status is Status.PAUSED and isinstance(waiting, WaitingFor) and (waiting.kind, waiting.name) == ("person", "RESTORED")


async def test_what_was_sent_after_the_backup_is_not_sent_again_unasked(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        next_up = await house.queue(document(steps=steps("a", "b")))
        first = await house.act.next()
        backup = await copied(house, tmp_path)
        first.end()
        (await house.act.next()).end()
        await house.until(next_up, Status.COMPLETED)
        assert house.act.count == 2
    again, done = await restored(house, backup, tmp_path)
    assert done.unfinished == Counter({Status.PAUSED: 1})
    await again.open()
    try:
        await again.clock.advance(120)
        view = await again.watch.until(again.service, next_up, lambda view: not view.head.left_behind)
        assert waits_for_a_person(view)
        ((step, _),) = view.steps
        assert (step.state, step.result) == (StepState.WAITING_AFTER, Result.UNKNOWN)
        assert step.error is not None
        assert step.error.code is ErrorCode.RESTORED
        assert again.act.count == 2
        conductor = again.service.conductor
        await conductor.apply(next_up, Change("c", "ann", view.head.version, start_step_id="b"))
        await conductor.apply(next_up, Resume("r", "ann", None))
        (await again.act.next()).end()
        await again.until(next_up, Status.COMPLETED)
        assert again.act.count == 3
    finally:
        await again.stop()


async def test_every_kind_of_unfinished_execution_is_where_it_should_be(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data", start=False) as house:
        queued = await house.queue(document(steps=steps("a")))
        safe = await house.queue(SAFE_FIRST)
        paused = await house.queue(document(steps=steps("a")), debug_step_ids=("a",))
        backup = await copied(house, tmp_path)
    again, done = await restored(house, backup, tmp_path)
    assert done.unfinished == Counter({Status.PAUSED: 2, Status.QUEUED: 1})
    await again.open()
    try:
        (await again.look.next()).end()
        after_safe = await again.until(safe, Status.PAUSED)
        assert [step.step_id for step, _ in after_safe.steps] == ["l", "a"]
        for execution_id in (queued, safe, paused):
            assert waits_for_a_person(await again.view(execution_id))
        assert again.act.count == 0
        for execution_id in (queued, safe, paused):
            await again.service.conductor.apply(execution_id, Resume("r", "ann", None))
            (await again.act.next()).end()
            await again.until(execution_id, Status.COMPLETED)
    finally:
        await again.stop()


async def test_what_runs_again_stands_in_line_for_the_device_that_the_inventory_knows(tmp_path: Path) -> None:
    acts = {"inBindings": {"host": {"type": "string", "defaultValue": "edge-2"}}, "policy": {"safeToRerun": True, "lock": "device"}}
    async with open_house(tmp_path / "data") as house:
        await house.service.inventories.replace(ANN, {"devices": {"edge": {"addresses": ["edge-1", "edge-2"]}}}, None)
        execution = await house.queue(document(steps=steps("a", a=acts)))
        await house.act.next()
        backup = await copied(house, tmp_path)
        before = await house.view(execution)
    again, _ = await restored(house, backup, tmp_path)
    await again.open()
    try:
        await again.act.next()
        after = await again.view(execution)
        (lost, _), (anew, _) = after.steps
        assert lost.device is not None
        assert (lost.device.name, anew.device) == ("edge", lost.device)
        assert after.head.locks == before.head.locks
        assert [lock.name for lock in after.head.locks] == ["edge"]
    finally:
        await again.stop()


async def test_whoever_waits_for_an_execution_or_a_lock_is_told_with_whom_somebody_must_say_how_it_goes_on(tmp_path: Path) -> None:
    locked = {"policy": {"lock": "ring"}}
    async with open_house(tmp_path / "data") as house:
        parent, child = await both(house)
        holder = await house.queue(document(steps=steps("a", "b", a=locked)))
        for _ in range(2):
            await house.act.next()
        waiter = await house.queue(document(steps=steps("a", a=locked)))
        backup = await copied(house, tmp_path)
    again, done = await restored(house, backup, tmp_path)
    assert done.unfinished == Counter({Status.PAUSED: 3, Status.RUNNING: 1})
    await again.open()
    try:
        told = f"RESTORED in the execution {child}"
        above = await again.watch.until(again.service, parent, lambda view: any(each.name == told for each in view.waiting_for))
        assert above.head.status is Status.RUNNING
        for each in (child, holder, waiter):
            assert waits_for_a_person(await again.view(each))
        assert [lock.name for lock in (await again.view(holder)).head.locks] == ["ring"]
        conductor = again.service.conductor
        await conductor.apply(waiter, Resume("w", "ann", None))
        view = await again.watch.until(again.service, waiter, lambda view: view.head.awaited_lock is not None)
        assert again.act.count == 2
        await conductor.apply(holder, Resume("h", "ann", None))
        await conductor.apply(child, Resume("c", "ann", None))
        for _ in range(2):
            (await again.act.next()).end()
        for each in (child, parent, holder, waiter):
            view = await again.until(each, Status.COMPLETED)
            assert not view.head.locks
        assert again.act.count == 4
    finally:
        await again.stop()


async def test_a_worker_of_before_is_refused_and_its_report_is_only_logged(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        execution = await house.queue(document(steps=steps("a")))
        await house.act.next()
        backup = await copied(house, tmp_path)
        head = await house.service.conductor.head(execution)
        assert head is not None
        held = head.current
        assert held is not None
        assert held.claim is not None
    again, _ = await restored(house, backup, tmp_path)
    service = await again.open()
    try:
        before = (await again.view(execution)).head.current
        assert await service._claims.sign([held.claim.nonce]) == []
        late = Reported(f"report:{held.claim.nonce}", 0, 1, held.claim.nonce, Outcome(Result.SUCCEEDED))
        assert (await service.conductor.apply(execution, late)).reply == "stale"
        view = await again.view(execution)
        assert view.head.current == before
        assert any("too late: nothing follows from it" in entry.message for entry in view.logs)
        await service.conductor.apply(execution, Retry("r", "ann", None))
        (await again.act.next()).end()
        await again.until(execution, Status.COMPLETED)
    finally:
        await again.stop()


async def test_a_restored_store_has_an_epoch_that_new_executions_begin_in(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        backup = await copied(house, tmp_path)
    again, done = await restored(house, backup, tmp_path)
    other = House(tmp_path / "other", house.clock)
    assert (await restore(other.settings, backup, house.clock)).epoch != done.epoch != ""
    await again.open()
    try:
        view = await again.create(document(steps=steps("a")))
        assert view.head.epoch == done.epoch
        (await again.act.next()).end()
        await again.until(view.head.id, Status.COMPLETED)
    finally:
        await again.stop()


async def test_what_was_over_stays_as_it_was(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        execution = await house.queue(document(steps=steps("a")))
        (await house.act.next()).end(Result.FAILED)
        before = await house.until(execution, Status.FAILED)
        backup = await copied(house, tmp_path)
    again, done = await restored(house, backup, tmp_path)
    assert not done.unfinished
    await again.open()
    try:
        after = await again.view(execution)
        assert (after.head, after.steps, after.logs) == (before.head, before.steps, before.logs)
    finally:
        await again.stop()


async def test_a_login_of_before_is_good_no_longer(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        token, _ = await house.service.accounts.login("admin", "long enough")
        backup = await copied(house, tmp_path)
    again, _ = await restored(house, backup, tmp_path)
    service = await again.open()
    try:
        with pytest.raises(NotAuthenticatedError):
            await service.accounts.authenticate(token)
        await service.accounts.login("admin", "long enough")
    finally:
        await again.stop()


async def test_a_restore_that_was_stopped_in_the_middle_is_not_served_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path / "data", start=False) as house:
        executions = [await house.queue(document(steps=steps("a"))) for _ in range(5)]
        backup = await copied(house, tmp_path)

    async def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(backups, "begin_epoch", fail)
        with pytest.raises(OSError, match="No space"):
            await restored(house, backup, tmp_path)
    again = House(tmp_path / "restored", house.clock)
    with pytest.raises(SettingsError, match="has not ended"):
        await open_service(again.settings)
    again, done = await restored(house, backup, tmp_path)
    assert done.unfinished == Counter({Status.PAUSED: 5})
    await again.open()
    try:
        for execution_id in executions:
            assert waits_for_a_person(await again.view(execution_id))
    finally:
        await again.stop()


async def test_every_page_of_executions_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "PAGE", 7)
    async with open_house(tmp_path / "data", start=False) as house:
        for _ in range(50):
            await house.queue(document(steps=steps("a")))
        backup = await copied(house, tmp_path)
    _, done = await restored(house, backup, tmp_path)
    assert done.unfinished == Counter({Status.PAUSED: 50})
