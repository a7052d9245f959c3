"""A probe in the whole service: it waits, is claimed, lost, stopped and found again after a restart as a step is, and no secret leaks by it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Abort, Pause, Reply
from stepswitch.domain.execution import LogLevel, Outcome, Result, Status, Verdict
from stepswitch.domain.states import StepState
from stepswitch.engine.claims import Grant
from stepswitch.engine.steering import ValuesOrder
from stepswitch.engine.views import ExecutionView
from tests.domain.documents import JsonObject, document
from tests.domain.lives import steps
from tests.engine.rig import Rig
from tests.engine.scripted import ANN, House, open_house

DONE, NOT_DONE, NEITHER = {"text": "new"}, {"text": "old"}, {"text": "busy"}


def text(value: str) -> JsonObject:
    return {"type": "string", "defaultValue": value}


def upgrade(host: str = "router", **more: Any) -> JsonObject:
    """Return a workflow of an upgrade that has a probe, and a step behind it."""
    probe = {
        "inBindings": {"deed": text("show version")},
        "done": [{"name": "text", "comparator": "equals", "value": "new"}],
        "notDone": [{"name": "text", "comparator": "equals", "value": "old"}],
        **more,
    }
    step = {"inBindings": {"host": text(host), "deed": text("upgrade")}, "policy": {"probe": probe}}
    return document(steps=steps("a", "b", a=step))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def in_doubt(house: House, source: JsonObject | None = None, **more: Any) -> str:
    """Return an execution whose upgrade ended in doubt."""
    execution = await house.queue(source or upgrade(), **more)
    call = await house.act.next()
    assert call.inputs["deed"] == "upgrade"
    call.end(Result.UNKNOWN)
    return execution


async def looks(house: House, outputs: JsonObject, result: Result = Result.SUCCEEDED) -> None:
    call = await house.act.next()
    assert call.inputs == {"host": "router", "deed": "show version"}
    call.end(result, outputs)


def first(view: ExecutionView) -> Any:
    return view.steps[0][0]


async def until_looking(house: House, execution: str, number: int = 1) -> ExecutionView:
    """Return the execution once the look of that number is carried out."""

    def looks_now(view: ExecutionView) -> bool:
        step = view.steps[-1][0]
        return step.look_number == number and step.work.state is StepState.EXECUTING

    return await house.watch.until(house.service, execution, looks_now)


# --- from end to end ---


async def test_done_goes_on_and_the_command_was_sent_once(house: House) -> None:
    execution = await in_doubt(house)
    await looks(house, DONE)
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    assert [step.step_id for step, _ in view.steps] == ["a", "b"]
    assert (first(view).result, first(view).probe.verdict) == (Result.SUCCEEDED, Verdict.DONE)
    assert house.act.count == 3


async def test_not_done_runs_again(house: House) -> None:
    execution = await in_doubt(house)
    await looks(house, NOT_DONE)
    call = await house.act.next()
    assert call.inputs["deed"] == "upgrade"
    call.end()
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    assert [(step.step_id, step.attempt, step.result) for step, _ in view.steps] == [
        ("a", 1, Result.FAILED),
        ("a", 2, Result.SUCCEEDED),
        ("b", 1, Result.SUCCEEDED),
    ]


async def test_what_a_look_says_stands_in_the_log_of_its_step(house: House) -> None:
    execution = await in_doubt(house)
    call = await house.act.next()
    await call.context.log("version: new")
    call.end(outputs=DONE)
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    lines = [entry.message for entry in view.logs if entry.step == 0]
    assert lines[0].startswith("ended UNKNOWN")
    assert lines[1:] == ["version: new", "look 1 of the probe ended SUCCEEDED, verdict DONE"]


async def test_a_look_that_takes_too_long_is_stopped_and_repeated(house: House) -> None:
    execution = await in_doubt(house, upgrade(timeoutSeconds=7))
    call = await house.act.next()
    assert call.context.time_limit_seconds == 7
    await house.clock.advance(7)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call.ended, 10)
    view = await until_looking(house, execution, 2)
    assert any("look 1 of the probe ended FAILED" in entry.message and "TIMEOUT" in entry.message for entry in view.logs)
    await looks(house, DONE)
    (await house.act.next()).end()
    await house.until(execution, Status.COMPLETED)


async def test_a_look_waits_for_its_device_and_says_so_and_keeps_nobody_else_from_going_on(house: House) -> None:
    execution = await in_doubt(house, upgrade(delaySeconds=5))
    other = await house.queue(document(steps=steps("a", a={"inBindings": {"host": text("router")}})))
    held = await house.act.next()
    await house.clock.advance(5)
    view = await house.watch.until(house.service, execution, lambda view: bool(view.waiting_for) and view.waiting_for[0].kind == "device")
    assert (view.waiting_for[0].name, view.head.status) == ("router", Status.RUNNING)
    elsewhere = await house.queue(document(steps=steps("a", a={"inBindings": {"host": text("switch")}})))
    (await house.act.next()).end()
    await house.until(elsewhere, Status.COMPLETED)
    held.end()
    await house.until(other, Status.COMPLETED)
    await looks(house, DONE)
    (await house.act.next()).end()
    await house.until(execution, Status.COMPLETED)


async def test_a_look_that_waits_its_delay_says_until_when(house: House) -> None:
    execution = await in_doubt(house, upgrade(delaySeconds=60))
    view = await house.watch.until(house.service, execution, lambda view: bool(view.waiting_for))
    (waiting,) = view.waiting_for
    assert (waiting.kind, waiting.until) == ("time", house.clock.now() + 60_000)
    await house.clock.advance(60)
    await looks(house, DONE)
    (await house.act.next()).end()
    await house.until(execution, Status.COMPLETED)


# --- crashes ---


async def test_a_probe_that_was_next_is_next_after_a_restart(house: House) -> None:
    execution = await in_doubt(house, upgrade(delaySeconds=60))
    await house.watch.until(house.service, execution, lambda view: bool(view.waiting_for))
    await house.stop()
    await house.open()
    view = await house.watch.until(house.service, execution, lambda view: bool(view.waiting_for))
    assert view.waiting_for[0].kind == "time"
    await house.clock.advance(60)
    await looks(house, DONE)
    (await house.act.next()).end()
    await house.until(execution, Status.COMPLETED)


async def test_a_crash_while_the_command_runs_leaves_the_doubt_to_the_probe(house: House) -> None:
    execution = await house.queue(upgrade())
    await house.act.next()
    await house.stop()
    await house.open()
    await looks(house, DONE)
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    assert (first(view).result, first(view).attempt) == (Result.SUCCEEDED, 1)


async def test_a_crash_while_the_probe_looks_lets_it_look_again_and_sends_nothing_else(house: House) -> None:
    execution = await in_doubt(house, upgrade(maxAttempts=1))
    for number in (1, 2):
        call = await house.act.next()
        assert call.inputs["deed"] == "show version"
        await until_looking(house, execution, number)
        await house.stop()
        await house.open()
    await looks(house, DONE)
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    assert [step.step_id for step, _ in view.steps] == ["a", "b"]


async def test_a_probe_that_kills_its_workers_ends_in_doubt(house: House) -> None:
    execution = await in_doubt(house, pause_at_failure=True)
    for _ in range(3):
        await house.act.next()
        await house.stop()
        await house.open()
    view = await house.until(execution, Status.PAUSED)
    assert (first(view).result, first(view).state) == (Result.UNKNOWN, StepState.WAITING_AFTER)
    assert first(view).probe.error.code is ErrorCode.LOST


async def test_a_wake_up_that_was_lost_is_repeated_for_a_probe_too(rig: Rig) -> None:
    execution, _ = await doubtful(rig)
    task = rig.dispatcher.tasks[-1]
    assert task.look == 1
    rig.dispatcher.tasks.clear()
    keeper = rig.timekeeper()
    await rig.clock.advance(30)
    await keeper.look()
    assert rig.dispatcher.tasks == [task]
    assert await rig.queue.runnable(None, 10)
    await granted(rig)
    assert not await rig.queue.runnable(None, 10)
    assert (await rig.stored(execution)).current is not None


async def test_a_worker_that_looks_and_gives_no_sign_of_life_is_lost(rig: Rig) -> None:
    execution, _ = await doubtful(rig)
    grant = await granted(rig)
    assert grant.safe
    keeper = rig.timekeeper()
    await rig.clock.advance(20)
    assert grant.nonce is not None
    assert list(await rig.claims.sign([grant.nonce])) == [grant.nonce]
    await rig.clock.advance(29)
    await keeper.look()
    assert rig.dispatcher.tasks[-1].look == 1
    await rig.clock.advance(2)
    await keeper.look()
    assert ("cancelled", 0) in rig.notes
    assert rig.dispatcher.tasks[-1].look == 2
    assert list(await rig.claims.sign([grant.nonce])) == []
    assert await rig.claims.report(grant, Outcome(Result.SUCCEEDED, NOT_DONE)) is Reply.STALE
    assert await rig.claims.report(await granted(rig), Outcome(Result.SUCCEEDED, DONE)) is Reply.STORED
    head = await rig.stored(execution)
    assert head.current is not None
    assert head.current.step_id == "b"


async def test_a_late_report_of_the_attempt_overtakes_the_look_of_another_process(rig: Rig) -> None:
    execution, original = await doubtful(rig)
    looking = await granted(rig)
    assert await rig.claims.report(original, Outcome(Result.SUCCEEDED)) is Reply.STORED
    head = await rig.stored(execution)
    assert head.current is not None
    assert head.current.step_id == "b"
    assert await rig.claims.report(looking, Outcome(Result.SUCCEEDED, NOT_DONE)) is Reply.STALE
    assert await rig.claims.report(original, Outcome(Result.SUCCEEDED)) is Reply.STORED
    assert (await rig.stored(execution)).steps_begun == 2


async def test_a_second_copy_of_a_look_is_busy_or_stale(rig: Rig) -> None:
    await doubtful(rig)
    task = rig.dispatcher.tasks[-1]
    grant = await granted(rig)
    assert await rig.claims.claim(task, "w2") is Reply.BUSY
    await rig.claims.report(grant, Outcome(Result.SUCCEEDED, NEITHER))
    assert await rig.claims.claim(task, "w2") is Reply.STALE
    assert await rig.claims.claim(replace(task, look=0), "w2") is Reply.STALE


async def doubtful(rig: Rig) -> tuple[str, Grant]:
    """Return an execution whose worker was lost, and the grant that it had."""
    execution = await rig.create(upgrade())
    grant = await granted(rig)
    await rig.clock.advance(31)
    await rig.timekeeper().look()
    return execution, grant


async def granted(rig: Rig) -> Grant:
    grant = await rig.claims.claim(rig.dispatcher.tasks[-1], "w1")
    assert isinstance(grant, Grant)
    return grant


# --- people ---


async def test_an_abort_cuts_a_look_and_its_session_is_confirmed_gone(house: House) -> None:
    execution = await in_doubt(house)
    call = await house.act.next()
    await house.service.conductor.apply(execution, Abort("x", "ann", None))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call.ended, 10)
    view = await house.watch.until(house.service, execution, lambda view: not view.head.left_behind)
    assert (view.head.status, first(view).result) == (Status.ABORTED, Result.UNKNOWN)


async def test_what_an_aborted_look_left_behind_is_confirmed_by_the_next_process(rig: Rig) -> None:
    execution, _ = await doubtful(rig)
    await granted(rig)
    await rig.apply(execution, Abort("x", "ann", None))
    assert await rig.store.cleanups(10) == [execution]
    await rig.timekeeper("another").recover()
    assert await rig.store.cleanups(10) == []


async def test_a_pause_holds_a_probe_over_a_restart_and_resume_lets_it_look(house: House) -> None:
    execution = await in_doubt(house, upgrade(delaySeconds=60))
    await house.watch.until(house.service, execution, lambda view: bool(view.waiting_for))
    await house.service.conductor.apply(execution, Pause("p", "ann", None))
    view = await house.view(execution)
    assert (view.head.status, [each.kind for each in view.waiting_for]) == (Status.PAUSED, ["person"])
    await house.stop()
    await house.open()
    await house.clock.advance(120)
    assert house.act.count == 1
    await house.service.steering.resume(ANN, execution)
    await looks(house, DONE)
    (await house.act.next()).end()
    await house.until(execution, Status.COMPLETED)


# --- secrets ---


async def test_no_secret_of_a_probe_is_shown_anywhere(house: House) -> None:
    source = upgrade(
        inBindings={"deed": text("login {{pw}}"), "other": {"type": "password", "defaultValue": "in-the-probe"}},
        done=[{"name": "text", "comparator": "contains", "value": "{{pw}}"}],
        outBindings={"token": {"name": "token", "type": "password"}},
    )
    source |= {"inputs": {"pw": {"type": "password", "required": True}}, "outputs": {"token": {"type": "string"}}}
    execution = await in_doubt(house, source, assignments={"pw": "s3cr3t-word"})
    call = await house.act.next()
    assert call.inputs["deed"] == "login s3cr3t-word"
    await call.context.log("they echo s3cr3t-word and in-the-probe")
    call.end(outputs={"text": "s3cr3t-word in-the-probe", "token": "fresh-token"})
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    pages = [page async for page in await house.service.logbook.pages(ANN, execution)]
    everything = repr((view.head, [step for step, _ in view.steps], view.logs, view.outputs, pages))
    assert first(view).probe.inputs["other"] == "********"
    assert view.outputs == {"token": "********"}
    assert not [secret for secret in ("s3cr3t-word", "in-the-probe", "fresh-token") if secret in everything]
    assert [entry for page in pages for entry in page if entry.level is LogLevel.ERROR]


async def test_a_password_that_a_look_was_given_is_masked_after_it_was_replaced(house: House) -> None:
    source = upgrade(maxAttempts=1, inBindings={"deed": text("look"), "other": {"type": "password", "exportName": "pw"}})
    source |= {"variables": {"pw": {"type": "password"}}}
    steering = house.service.steering
    execution = await house.queue(source, pause_at_failure=True, debug_step_ids=("a",))
    await steering.set_values(ANN, execution, ValuesOrder({"pw": "first-word"}))
    await steering.resume(ANN, execution)
    (await house.act.next()).end(Result.UNKNOWN)
    (await house.act.next()).end(outputs={"text": "they echo first-word"})
    await house.until(execution, Status.PAUSED)
    await steering.set_values(ANN, execution, ValuesOrder({"pw": "second-word"}))
    view = await house.view(execution)
    assert first(view).probe.outputs == {"text": "they echo ********"}


async def test_a_password_in_a_probe_that_has_not_looked_is_masked_all_the_same(house: House) -> None:
    source = upgrade(inBindings={"deed": text("look"), "other": {"type": "password", "defaultValue": "in-the-probe"}})
    execution = await house.queue(source)
    (await house.act.next()).end(outputs={"text": "they know in-the-probe"})
    (await house.act.next()).end()
    view = await house.until(execution, Status.COMPLETED)
    assert first(view).outputs == {"text": "they know ********"}
