"""Risk: an attempt is reported as what it was not, runs twice, or is not reported at all."""

import asyncio
import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from stepswitch.domain.errors import DamagedError, ErrorCode, StoreError, TargetError
from stepswitch.domain.events import Abort, Cancel, Lost, Task
from stepswitch.domain.execution import Outcome, Result, Status, StepError, Values
from stepswitch.domain.states import StepState
from stepswitch.domain.values import Plain
from stepswitch.engine.ports import StepContext
from stepswitch.engine.records import OpenClaim
from stepswitch.worker.attempt import OLD_CLAIM_SECONDS, FencedError
from stepswitch.worker.patience import LET_GO_SECONDS, STORE_PAUSES
from stepswitch.worker.step_runner import CLAIM_AFTER_SECONDS, LEFT_BEHIND, STILL_COMPUTES
from tests.worker.house import LIMIT, SILENCE, House, copy_of, succeed

GIVEN_BACK = "given back: nothing was sent, and whoever had taken it stops"


class _Forever:
    """Runs until it is cancelled; marks the command as sent where told."""

    def __init__(self, *, sent: bool) -> None:
        self._sent = sent

    async def __call__(self, _inputs: Values, context: StepContext) -> Outcome:
        if self._sent:
            context.mark_sent()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends this")


async def _past_its_time(house: House, task: Task) -> "asyncio.Task[None]":
    """Carry out a task whose step has 60 s, until it has not let go either in the time that it gets for that."""
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(60)
    await house.clock.until_sleeping_for(LET_GO_SECONDS)
    await house.clock.advance(LET_GO_SECONDS)
    return running


async def test_a_step_is_claimed_run_and_reported(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        assert context.execution_id == task.execution_id
        assert (await house.step(task)).state is StepState.EXECUTING
        assert len(await house.store.open_claims(2**62, 0)) == 1
        return Outcome(Result.SUCCEEDED, {"answer": 42, "text": "fine"})

    house.ask.script = script
    step = await house.done(task)
    assert (step.state, step.result, step.outputs) == (StepState.FINISHED, Result.SUCCEEDED, {"answer": 42, "text": "fine"})
    assert (await house.notes.ended(task.execution_id)).status is Status.COMPLETED
    assert await house.store.open_claims(2**62, 2**62) == []


async def test_a_second_copy_of_a_task_runs_nothing(house: House) -> None:
    task = await house.begin()
    house.ask.script = _Forever(sent=True)
    first = house.carry_out(task)
    await house.ask.started.wait()
    await house.runner.carry_out(copy_of(task))
    assert house.ask.runs == 1
    first.cancel()
    await asyncio.wait([first])


async def test_copies_at_once_run_once(house: House) -> None:
    task = await house.begin()
    await asyncio.gather(*(house.runner.carry_out(copy_of(task)) for _ in range(10)))
    assert house.ask.runs == 1
    assert (await house.step(task)).result is Result.SUCCEEDED


async def test_a_task_of_an_execution_that_is_gone_is_forgotten(house: House) -> None:
    task = await house.begin()
    await house.store.delete(task.execution_id)
    house.conductor.forget(task.execution_id)
    await house.runner.carry_out(task)
    assert house.ask.runs == 0


async def test_a_task_of_an_execution_that_is_damaged_is_forgotten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await house.begin()

    async def find_it_damaged(_: str) -> None:
        raise DamagedError("a checksum does not fit")

    monkeypatch.setattr(house.store, "load", find_it_damaged)
    house.conductor.forget(task.execution_id)
    await asyncio.wait_for(house.runner.carry_out(task), 30)
    assert house.ask.runs == 0


@pytest.mark.parametrize(
    ("step_type", "policy", "sent", "expected"),
    [
        ("ASK", {}, True, Result.UNKNOWN),
        ("ASK", {}, False, Result.FAILED),
        ("ASK", {"safeToRerun": True}, True, Result.FAILED),
        ("SAFE", {}, True, Result.FAILED),
    ],
)
async def test_a_time_limit_leaves_doubt_only_where_something_was_sent(
    house: House, step_type: str, policy: dict[str, Any], sent: bool, expected: Result
) -> None:
    task = await house.begin(step_type, policy={"timeoutSeconds": 60, **policy})
    scripted = house.ask if step_type == "ASK" else house.safe
    scripted.script = _Forever(sent=sent)
    running = house.carry_out(task)
    await scripted.started.wait()
    await house.clock.advance(59)
    assert scripted.cancelled == 0
    await house.clock.advance(1)
    await running
    step = await house.step(task)
    assert scripted.cancelled == 1
    assert step.result is expected
    assert step.error is not None
    assert step.error.code is ErrorCode.TIMEOUT
    assert "60 s" in step.error.message


@pytest.mark.parametrize(("action", "expected"), [("read", Result.FAILED), ("change", Result.UNKNOWN)])
async def test_a_time_limit_leaves_no_doubt_where_the_inputs_say_that_nothing_is_changed(
    house: House, action: str, expected: Result
) -> None:
    bindings = {"action": {"type": "string", "defaultValue": action}}
    task = await house.begin("ASK", policy={"timeoutSeconds": 60}, inBindings=bindings)
    house.ask.script = _Forever(sent=True)
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(60)
    await running
    assert (await house.step(task)).result is expected


@pytest.mark.parametrize(("only_computes", "said"), [(False, LEFT_BEHIND), (True, STILL_COMPUTES)])
async def test_a_step_type_that_ignores_its_cancellation_does_not_hold_the_place_and_its_log_says_so(
    house: House, only_computes: bool, said: str
) -> None:
    house.ask.signature = replace(house.ask.signature, only_computes=only_computes)
    task = await house.begin(policy={"timeoutSeconds": 60})
    never = asyncio.get_running_loop().create_future()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        for _ in range(2):
            try:
                await asyncio.shield(never)
            except asyncio.CancelledError:
                continue
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = await _past_its_time(house, task)
    await house.clock.advance(LET_GO_SECONDS)
    await running
    assert (await house.step(task)).result is Result.UNKNOWN
    assert [entry.message for entry in await house.logged(task)].count(said) == 1
    never.cancel()


@pytest.mark.parametrize("sent", [True, False])
async def test_a_bug_in_a_step_type_shows_a_reference_and_no_trace(house: House, sent: bool) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        if sent:
            context.mark_sent()
        raise ZeroDivisionError("the inner workings")

    house.ask.script = script
    with capture_logs() as told:
        step = await house.done(task)
    assert step.result is (Result.UNKNOWN if sent else Result.FAILED)
    assert step.error is not None
    assert step.error.code is ErrorCode.INTERNAL
    assert "inner workings" not in step.error.message
    assert "Traceback" not in step.error.message
    (bug,) = [each for each in told if each["event"] == "a step type raised"]
    assert bug["reference"] in step.error.message
    assert "ZeroDivisionError: the inner workings" in bug["trace"]
    assert "exc_info" not in bug


@pytest.mark.parametrize("wrong", [None, "fine", {"list": [1]}, {1: "x"}, {"none": None}], ids=str)
async def test_what_is_no_outcome_is_a_bug(house: House, wrong: Any) -> None:
    task = await house.begin()

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        return Outcome(Result.SUCCEEDED, wrong) if isinstance(wrong, dict) else wrong

    house.ask.script = script
    step = await house.done(task)
    assert step.error is not None
    assert (step.result, step.error.code) == (Result.FAILED, ErrorCode.INTERNAL)


async def test_a_step_type_that_cancels_itself_is_a_bug_and_no_cancellation(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        raise asyncio.CancelledError

    house.ask.script = script
    step = await house.done(task)
    assert step.error is not None
    assert step.error.code is ErrorCode.INTERNAL


async def test_a_step_type_that_is_not_async_is_a_bug(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> Outcome:
        raise RuntimeError("at once")

    monkeypatch.setattr(house.ask, "run", run)
    step = await house.done(await house.begin())
    assert step.error is not None
    assert step.error.code is ErrorCode.INTERNAL


# --- cancellation ---


async def test_an_aborted_step_reports_nothing_and_confirms_that_it_is_gone(house: House) -> None:
    task = await house.begin()
    house.ask.script = _Forever(sent=True)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    head = await house.notes.until_head(
        task.execution_id, lambda head: head.status is Status.ABORTED and head.current is not None and not head.left_behind
    )
    assert house.ask.cancelled == 1
    assert head.current is not None
    assert head.current.result is Result.UNKNOWN
    assert not any("reported" in each.message for each in (await house.store.logs(task.execution_id))[0])
    assert await house.store.cleanups(10) == []


async def test_that_nothing_is_left_behind_is_said_again_until_the_store_takes_it(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            house.database.refuses = True
        raise AssertionError

    house.ask.script = script
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    assert house.dispatcher.running() == []
    assert await house.store.cleanups(10) == [task.execution_id]
    house.database.refuses = False
    await house.clock.advance(STORE_PAUSES[0])
    await house.notes.until_head(task.execution_id, lambda head: head.current is not None and not head.left_behind)
    assert await house.store.cleanups(10) == []


async def test_a_step_that_is_aborted_while_it_is_being_claimed_is_cleaned_up_too(house: House) -> None:
    task = await house.begin()
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    house.database.held = asyncio.Event()
    await house.clock.settle()
    aborting = asyncio.ensure_future(house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None)))
    await house.clock.settle()
    house.dispatcher.cancel(Cancel(task.execution_id, task.number, task.attempt))
    house.database.held.set()
    house.database.held = None
    await aborting
    await house.notes.until_head(
        task.execution_id, lambda head: head.status is Status.ABORTED and head.current is not None and not head.left_behind
    )
    assert house.ask.runs == 0
    assert await house.store.cleanups(10) == []


async def test_what_a_step_came_to_is_handed_in_although_it_is_stopped_meanwhile(house: House) -> None:
    task = await house.begin()
    house.database.refuses = False

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        house.database.refuses = True
        return Outcome(Result.SUCCEEDED, {"answer": 42})

    house.ask.script = script
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    house.database.refuses = False
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    step = await house.step(task)
    assert (step.result, step.outputs) == (Result.SUCCEEDED, {"answer": 42})


async def test_nothing_is_sent_any_more_once_a_step_is_stopped(house: House) -> None:
    task = await house.begin(policy={"timeoutSeconds": 60})
    refused: list[str] = []

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            try:
                context.mark_sent()
            except FencedError as error:
                refused.append(str(error))
            raise
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    house.safe.script = script
    running = [house.carry_out(task), house.carry_out(await house.begin("SAFE", policy={"timeoutSeconds": 60}))]
    await asyncio.gather(house.ask.started.wait(), house.safe.started.wait())
    await house.clock.advance(60)
    await asyncio.gather(*running)
    assert len(refused) == 2
    assert (await house.step(task)).result is Result.FAILED


@pytest.mark.parametrize(
    ("is_safe", "sends", "result"), [(False, 1, "UNKNOWN"), (True, 1, "FAILED"), (False, 0, "FAILED"), (True, 0, "FAILED")]
)
async def test_a_worker_that_was_fenced_says_whether_something_was_sent_before(
    house: House, is_safe: bool, sends: int, result: str
) -> None:
    task = await house.begin(policy={"safeToRerun": is_safe, "timeoutSeconds": 600})

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        for _ in range(sends):
            context.mark_sent()
        await house.clock.sleep(SILENCE)
        context.mark_sent()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(SILENCE)
    await running
    step = await house.step(task)
    assert step.error is not None
    assert (step.result, step.error.code) == (result, ErrorCode.LOST)
    assert ("nothing was sent" in step.error.message, "was sent before" in step.error.message) == (sends == 0, sends == 1)


async def test_nobody_confirms_that_a_session_is_closed_which_is_not(house: House) -> None:
    task = await house.begin()
    never = asyncio.get_running_loop().create_future()

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        while not never.done():
            try:
                await asyncio.shield(never)
            except asyncio.CancelledError:
                continue
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    await house.clock.until_sleeping_for(LET_GO_SECONDS)
    running = list(house.dispatcher._running.values())
    await house.clock.advance(LET_GO_SECONDS)
    await asyncio.wait(running)
    never.set_result(None)
    assert await house.store.cleanups(10) == [task.execution_id]
    assert [entry.message for entry in await house.logged(task)].count(LEFT_BEHIND) == 1


async def test_whoever_is_cancelled_while_a_step_past_its_time_lets_go_reports_nothing(house: House) -> None:
    task = await house.begin(policy={"timeoutSeconds": 60})
    may_close = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        try:
            await asyncio.Event().wait()
        finally:
            await may_close.wait()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(60)
    await house.clock.until_sleeping_for(LET_GO_SECONDS)
    running.cancel()
    may_close.set()
    await asyncio.wait_for(asyncio.wait([running]), 30)
    assert running.cancelled()
    assert (await house.step(task)).state is StepState.EXECUTING


async def test_whoever_is_cancelled_twice_closes_the_session_all_the_same_before_he_says_so(house: House) -> None:
    task = await house.begin()
    closing, may_close = asyncio.Event(), asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        try:
            await asyncio.Event().wait()
        finally:
            closing.set()
            await may_close.wait()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.conductor.apply(task.execution_id, Abort("x", "ann", None))
    running.cancel()
    await closing.wait()
    for _ in range(2):
        running.cancel()
        await house.clock.settle()
    assert not running.done()
    assert await house.store.cleanups(10) == [task.execution_id]
    may_close.set()
    await asyncio.wait_for(asyncio.wait([running]), 30)
    assert running.cancelled()
    assert await house.store.cleanups(10) == []


async def test_a_step_that_timed_out_and_does_not_let_go_is_left_behind_until_it_does(house: House) -> None:
    task = await house.begin(policy={"timeoutSeconds": 60})
    lets_go = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        while not lets_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await lets_go.wait()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = await _past_its_time(house, task)
    await asyncio.wait_for(running, 30)
    head = await house.store.load(task.execution_id)
    assert head is not None
    assert head.current is not None
    assert (head.current.result, [each.number for each in head.left_behind]) == (Result.UNKNOWN, [task.number])
    assert [house.pool.has_in_hand(each.nonce) for each in head.left_behind] == [True]
    lets_go.set()
    await house.notes.until_head(task.execution_id, lambda head: not head.left_behind)
    assert not any(house.pool.has_in_hand(each.nonce) for each in head.left_behind)


@pytest.mark.parametrize("step_type", ["ASK", "SAFE"])
async def test_nothing_is_in_hand_of_a_step_that_has_ended_or_that_somebody_else_has(house: House, step_type: str) -> None:
    task = await house.begin(step_type)
    await house.done(task)
    await house.runner.carry_out(copy_of(task))
    assert house.pool._in_hand == set()


async def test_a_step_that_timed_out_and_lets_go_leaves_nothing_behind(house: House) -> None:
    task = await house.begin(policy={"timeoutSeconds": 60})
    house.ask.script = _Forever(sent=True)
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(60)
    await asyncio.wait_for(running, 30)
    assert (await house.step(task)).result is Result.UNKNOWN
    assert await house.store.cleanups(10) == []


async def test_whoever_was_declared_lost_and_is_cut_off_says_that_its_session_is_closed(house: House) -> None:
    task = await house.begin()
    house.ask.script = _Forever(sent=True)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await house.clock.settle()
    (claim,) = await house.store.open_claims(2**62, 0)
    await house.conductor.apply(task.execution_id, Lost("lost", claim.number, claim.attempt, claim.nonce, "its time was over"))
    head = await house.notes.until_head(task.execution_id, lambda head: head.status is Status.FAILED and not head.left_behind)
    assert head.current is not None
    assert head.current.result is Result.UNKNOWN
    assert house.ask.cancelled == 1


# --- what is given back when the service stops ---


async def stop(house: House) -> None:
    """Tell the dispatcher to stop, whose grace period is over at once."""
    await asyncio.wait_for(house.dispatcher.stop(0), 30)
    await house.conductor.drain()


@pytest.mark.parametrize(("sent", "state"), [(False, StepState.EXECUTABLE), (True, StepState.EXECUTING)])
async def test_a_step_of_which_nothing_was_sent_is_given_back_and_no_other(house: House, *, sent: bool, state: StepState) -> None:
    task = await house.begin()
    house.ask.script = _Forever(sent=sent)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await house.clock.settle()
    await stop(house)
    assert house.ask.cancelled == 1
    assert (await house.step(task)).state is state
    assert len(await house.store.open_claims(2**62, 0)) == sent
    assert [each.message for each in await house.logged(task)].count(GIVEN_BACK) == (not sent)


async def test_what_was_given_back_is_run_by_whoever_comes_next(house: House) -> None:
    task = await house.begin()
    house.ask.script = _Forever(sent=False)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await stop(house)
    house.ask.script = succeed
    step = await house.done(task)
    assert (step.number, step.attempt, step.result) == (task.number, task.attempt, Result.SUCCEEDED)
    assert house.ask.runs == 2


async def test_a_step_that_sends_in_the_moment_of_the_stop_is_not_given_back(house: House) -> None:
    """It was told to stop, does not know yet, and says that it sends: that counts."""
    task = await house.begin()
    go = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        await go.wait()
        context.mark_sent()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends this")

    house.ask.script = script
    running = house.carry_out(task)
    await house.ask.started.wait()
    go.set()
    running.cancel()
    await asyncio.wait([running])
    assert (await house.step(task)).state is StepState.EXECUTING


async def test_a_script_that_had_its_claim_is_given_back(house: House) -> None:
    task = await house.begin("SAFE")
    house.safe.script = _Forever(sent=False)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    await stop(house)
    step = await house.step(task)
    assert (step.state, step.losses) == (StepState.EXECUTABLE, 0)


async def test_a_script_is_in_hand_from_its_claim_to_its_end(house: House) -> None:
    task = await house.begin("SAFE")
    house.safe.script = _Forever(sent=False)
    running = house.carry_out(task)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    head = await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    assert head.current is not None
    assert head.current.claim is not None
    assert house.pool.has_in_hand(head.current.claim.nonce)
    running.cancel()
    await asyncio.wait([running])
    assert house.pool._in_hand == set()


async def test_a_claim_that_is_on_its_way_when_the_service_stops_is_given_back(house: House) -> None:
    task = await house.begin()
    gate = house.database.held = asyncio.Event()
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.clock.settle()
    stopping = asyncio.ensure_future(stop(house))
    await house.clock.settle()
    house.database.held = None
    gate.set()
    await stopping
    assert house.ask.runs == 0
    assert (await house.step(task)).state is StepState.EXECUTABLE
    assert await house.store.open_claims(2**62, 0) == []
    assert house.pool._in_hand == set()


async def test_what_the_store_does_not_take_back_stays_claimed(house: House) -> None:
    task = await house.begin()
    house.ask.script = _Forever(sent=False)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.ask.started.wait()
    await house.clock.settle()
    house.database.refuses = True
    await stop(house)
    house.database.refuses = False
    assert (await house.step(task)).state is StepState.EXECUTING


# --- a store that says no ---


async def test_a_report_is_repeated_until_it_is_stored(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        house.database.refuses = True
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    pauses = (*STORE_PAUSES, STORE_PAUSES[-1], STORE_PAUSES[-1])
    for tries, pause in enumerate(pauses, 1):
        await house.clock.until_sleeping_for(pause)
        assert not running.done()
        house.database.refuses = tries < len(pauses)
        await house.clock.advance(pause)
    await running
    assert (await house.step(task)).result is Result.SUCCEEDED
    assert house.ask.runs == 1


async def test_a_claim_is_asked_for_until_it_is_stored(house: House) -> None:
    task = await house.begin()
    house.database.refuses = True
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    assert house.ask.runs == 0
    house.database.refuses = False
    await house.clock.advance(STORE_PAUSES[0])
    await running
    assert house.ask.runs == 1
    assert (await house.step(task)).result is Result.SUCCEEDED


async def test_a_claim_that_was_stored_although_the_answer_was_lost_is_ones_own(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await house.begin()
    save = house.store.save
    lost: list[str] = []

    async def save_and_lose(*args: Any, **kwargs: Any) -> None:
        await save(*args, **kwargs)
        if not lost:
            lost.append("the answer")
            raise StoreError("the answer was lost")

    monkeypatch.setattr(house.store, "save", save_and_lose)
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    await house.clock.advance(STORE_PAUSES[0])
    await running
    assert lost
    assert house.ask.runs == 1
    assert (await house.step(task)).result is Result.SUCCEEDED


@pytest.mark.parametrize("answer", ["lost", "late"])
@pytest.mark.parametrize(("stood_still", "is_begun"), [(OLD_CLAIM_SECONDS - 1, True), (OLD_CLAIM_SECONDS + 1, False)])
async def test_nothing_begins_under_a_claim_whose_deadline_it_would_outlive(
    house: House, monkeypatch: pytest.MonkeyPatch, *, answer: str, stood_still: float, is_begun: bool
) -> None:
    """Between the storing of a claim and the answer the process stood still, and the claim's deadline came nearer."""
    task = await house.begin()
    save = house.store.save
    lost: list[str] = []

    async def save_and_stand_still(*args: Any, **kwargs: Any) -> None:
        await save(*args, **kwargs)
        if not lost:
            lost.append("the answer")
            await house.clock.advance(stood_still)
            if answer == "lost":
                raise StoreError("no answer came")

    monkeypatch.setattr(house.store, "save", save_and_stand_still)
    running = house.carry_out(task)
    if answer == "lost":
        await house.clock.until_sleeping_for(STORE_PAUSES[0])
        await house.clock.advance(STORE_PAUSES[0])
    await running
    assert house.ask.runs == is_begun
    if not is_begun:
        assert (await house.step(task)).state is StepState.EXECUTABLE
        assert await house.store.open_claims(2**62, 0) == []
        assert house.pool._in_hand == set()
        await house.carry_out(task)
    assert house.ask.runs == 1
    assert (await house.step(task)).result is Result.SUCCEEDED


@pytest.mark.parametrize("is_lost_first", [False, True])
async def test_a_claim_that_is_given_again_is_heard_of_anew_or_not_ones_own_any_more(
    house: House, monkeypatch: pytest.MonkeyPatch, *, is_lost_first: bool
) -> None:
    """Between the storing of a claim and the answer the process stood still, for longer than it may be silent where little is allowed."""
    task = await house.begin()
    save, sign = house.store.save, house.store.sign
    stood_still: list[OpenClaim] = []
    silent_since = house.clock.now()

    async def save_and_stand_still(*args: Any, **kwargs: Any) -> None:
        await save(*args, **kwargs)
        if not stood_still:
            stood_still.extend(await house.store.open_claims(2**62, 0))
            await house.clock.advance(OLD_CLAIM_SECONDS - 1)
            raise StoreError("no answer came")

    async def sign_behind_the_timekeeper(nonces: Sequence[str], now: int) -> Sequence[str]:
        (claim,) = stood_still
        if is_lost_first:
            lost = Lost("lost", claim.number, claim.attempt, claim.nonce, "its worker gave no sign of life")
            await house.conductor.apply(task.execution_id, lost)
        return await sign(nonces, now)

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        open_claims = await house.store.open_claims(2**62, 0)
        assert [claim.last_sign for claim in open_claims] == [house.clock.now()]
        assert house.clock.now() > silent_since
        return Outcome(Result.SUCCEEDED)

    monkeypatch.setattr(house.store, "save", save_and_stand_still)
    monkeypatch.setattr(house.store, "sign", sign_behind_the_timekeeper)
    house.ask.script = script
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    await house.clock.advance(STORE_PAUSES[0])
    await running
    assert house.ask.runs == (0 if is_lost_first else 1)
    assert (await house.step(task)).result is (Result.UNKNOWN if is_lost_first else Result.SUCCEEDED)


# --- what comes out ---


async def test_outputs_are_cut_to_the_limit_and_named(house: House) -> None:
    task = await house.begin()
    outputs: dict[str, Plain] = {
        "short": "x" * LIMIT,
        "long": "x" * (LIMIT + 1),
        "wide": "ü" * LIMIT,
        "torn": "x" * (LIMIT - 1) + "ü",
        "number": 1,
    }

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        return Outcome(Result.SUCCEEDED, outputs, truncated=("earlier",))

    house.ask.script = script
    step = await house.done(task)
    assert {name: len(str(value).encode()) for name, value in step.outputs.items()} == {
        "short": LIMIT, "long": LIMIT, "wide": LIMIT, "torn": LIMIT - 1, "number": 1,
    }  # fmt: skip
    assert step.result is Result.SUCCEEDED
    assert step.error == StepError(ErrorCode.OUTPUT_TOO_LARGE, f"only the first {LIMIT} bytes were kept of earlier, long, wide, torn")


@pytest.mark.parametrize("given_out", [2, 4, 7])
async def test_an_output_that_is_cut_does_not_end_in_half_a_secret(house: House, given_out: int) -> None:
    task = await house.begin()
    text = "x" * (LIMIT - given_out) + "hunter22 and more"

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        return Outcome(Result.SUCCEEDED, {"late": text, "early": text[:LIMIT]}, truncated=("early",))

    house.ask.script = script
    step = await house.done(task)
    assert step.outputs == dict.fromkeys(("late", "early"), "x" * (LIMIT - given_out) + "********")


async def test_outputs_hold_nothing_that_json_has_not(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, _context: StepContext) -> Outcome:
        return Outcome(Result.SUCCEEDED, {"nan": math.nan, "inf": -math.inf, "lone": "a\ud800", "nul": "\0", "yes": True, "half": 0.5})

    house.ask.script = script
    assert (await house.done(task)).outputs == {"nan": "nan", "inf": "-inf", "lone": "a?", "nul": "\0", "yes": True, "half": 0.5}


async def test_the_error_of_a_step_shows_no_secret(house: House) -> None:
    task = await house.begin(inBindings={"password": {"type": "password", "exportName": "secret"}})

    async def script(inputs: Values, _context: StepContext) -> Outcome:
        assert inputs == {"password": "hunter22"}
        return Outcome(Result.FAILED, error=StepError(ErrorCode.LOGIN_REFUSED, "hunter22 was refused"))

    house.ask.script = script
    step = await house.done(task)
    assert step.error == StepError(ErrorCode.LOGIN_REFUSED, "******** was refused")


async def test_an_attachment_is_read_by_its_key(house: House) -> None:
    async def content() -> Any:
        yield b"\0\xff"

    stored = await house.files.put("default", "f", content())
    task = await house.begin(attachments={"key": stored.id})

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        assert await context.attachment("key") == b"\0\xff"
        with pytest.raises(TargetError, match="there is no attachment 'other'"):
            await context.attachment("other")
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    assert (await house.done(task)).result is Result.SUCCEEDED
