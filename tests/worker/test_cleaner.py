"""Risk: something that a step has started elsewhere stays there for ever, is said to be gone and is not, or is removed from under one that runs."""

import asyncio
from typing import Any

import pytest

from stepswitch.domain.errors import CredentialError, ErrorCode, StateConflictError, TargetError
from stepswitch.domain.events import AbandonCleanup, Abort, Lost, Reply, Task
from stepswitch.domain.execution import Head, Outcome, PlainValues, Result, StepError
from stepswitch.domain.states import StepState
from stepswitch.engine.ports import StepContext
from stepswitch.worker.cleaner import PAUSES, TRY_SECONDS
from tests.worker.house import CleaningScript, House

WHERE: dict[str, Any] = {
    "inBindings": {"where": {"type": "string", "defaultValue": "cluster-1"}, "pw": {"type": "string", "exportName": "secret"}}
}
NAME = "e1-0-1"


async def _starts(_inputs: PlainValues, context: StepContext) -> Outcome:
    context.mark_sent()
    await asyncio.Event().wait()
    return Outcome(Result.SUCCEEDED)


async def _clean(house: House, execution_id: str) -> Head:
    return await house.notes.until_head(execution_id, lambda head: not head.left_behind and head.current is not None and not _runs(head))


def _runs(head: Head) -> bool:
    return head.current is not None and head.current.state == "executing"


def _start(house: House) -> None:
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)


async def test_what_an_aborted_step_has_started_is_removed_by_its_name_before_anybody_says_that_it_is_gone(house: House) -> None:
    house.remote.script = _starts
    may_go = asyncio.Event()
    house.remote.cleaning = lambda _: _wait(may_go)
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    while not house.remote.cleaned:
        await house.clock.settle()
    stored = await house.store.load(task.execution_id)
    assert stored is not None
    assert [each.number for each in stored.left_behind] == [0]
    may_go.set()
    await _clean(house, task.execution_id)
    ((name, inputs),) = house.remote.cleaned
    assert (name, inputs["where"]) == (NAME, "cluster-1")


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def test_what_a_step_has_started_whose_time_is_over_is_removed(house: House) -> None:
    house.remote.script = _starts
    task = await house.begin("REMOTE", policy={"timeoutSeconds": 5}, **WHERE)
    carrying = house.carry_out(task)
    await house.clock.until_sleeping_for(5)
    await house.clock.advance(5)
    await carrying
    head = await _clean(house, task.execution_id)
    assert head.current is not None
    assert head.current.result is Result.UNKNOWN
    assert [name for name, _ in house.remote.cleaned] == [NAME]


async def _ends(_inputs: PlainValues, context: StepContext) -> Outcome:
    context.mark_sent()
    return Outcome(Result.FAILED, error=StepError(ErrorCode.NON_ZERO_EXIT, "it said no"))


async def _ends_and_leaves(inputs: PlainValues, context: StepContext) -> Outcome:
    context.leave_behind()
    return await _ends(inputs, context)


async def _breaks(_inputs: PlainValues, context: StepContext) -> Outcome:
    context.mark_sent()
    raise ZeroDivisionError


@pytest.mark.parametrize(("script", "cleaned"), [(_ends, []), (_ends_and_leaves, [NAME]), (_breaks, [NAME])])
async def test_a_step_that_ends_by_itself_is_looked_after_only_where_it_says_so(house: House, script: Any, cleaned: list[str]) -> None:
    house.remote.script = script
    task = await house.begin("REMOTE", **WHERE)
    await house.done(task)
    await _clean(house, task.execution_id)
    assert [name for name, _ in house.remote.cleaned] == cleaned


async def test_what_an_aborted_attempt_says_that_it_leaves_is_removed_although_it_had_sent_nothing(house: House) -> None:
    async def leaves(_inputs: PlainValues, context: StepContext) -> Outcome:
        context.leave_behind()
        await asyncio.Event().wait()
        return Outcome(Result.SUCCEEDED)

    house.remote.script = leaves
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    await _clean(house, task.execution_id)
    assert [name for name, _ in house.remote.cleaned] == [NAME]


async def test_nothing_is_looked_for_where_nothing_was_sent(house: House) -> None:
    async def waits(_inputs: PlainValues, _context: StepContext) -> Outcome:
        await asyncio.Event().wait()
        return Outcome(Result.SUCCEEDED)

    house.remote.script = waits
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    await _clean(house, task.execution_id)
    assert house.remote.cleaned == []


async def test_what_may_stay_at_a_target_is_not_forgotten_when_the_service_stops_before_anything_was_sent(house: House) -> None:
    """It has put something there to prepare, and cannot say that this is gone: given back, the step would be the next one's, and nobody's leftover."""

    async def prepares(_inputs: PlainValues, context: StepContext) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            context.leave_behind()
            raise
        return Outcome(Result.SUCCEEDED)

    house.remote.script = prepares
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await asyncio.wait_for(house.dispatcher.stop(0), 30)
    await house.conductor.drain()
    assert (await house.step(task)).state is StepState.EXECUTING
    await _lost(house, task)  # as the next start finds out
    (claim,) = (await _head(house, task)).left_behind
    house.cleaner.begin(task.execution_id, claim.nonce)
    await house.notes.until_head(task.execution_id, lambda head: not head.left_behind)
    assert [name for name, _ in house.remote.cleaned] == [NAME]


async def test_what_cannot_be_removed_now_is_tried_again_until_it_can_and_the_log_says_so_once(house: House) -> None:
    refusals = [
        TargetError("the cluster does not answer to hunter22"),
        CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, "Vault is sealed"),
        KeyError("a bug"),
    ]

    async def refuses(_context: StepContext) -> None:
        if refusals:
            raise refusals.pop(0)

    house.remote.script, house.remote.cleaning = _starts, refuses
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    for pause in PAUSES[:3]:
        await house.clock.until_sleeping_for(pause)
        assert await house.store.cleanups(10) == [task.execution_id]
        await house.clock.advance(pause)
    await _clean(house, task.execution_id)
    told = [each.message for each in await house.logged(task) if "could not be removed" in each.message]
    assert told == ["what it left at the target could not be removed yet: the cluster does not answer to ********; it is tried again"]


async def test_a_try_that_never_ends_is_given_up_and_made_again(house: House) -> None:
    tries = 0

    async def hangs_once(_context: StepContext) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.Event().wait()

    house.remote.script, house.remote.cleaning = _starts, hangs_once
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    await house.clock.until_sleeping_for(TRY_SECONDS)
    await house.clock.advance(TRY_SECONDS)
    await house.clock.until_sleeping_for(PAUSES[0])
    await house.clock.advance(PAUSES[0])
    await _clean(house, task.execution_id)
    assert tries == 2


async def _head(house: House, task: Task) -> Head:
    stored = await house.store.load(task.execution_id)
    assert stored is not None
    return stored


async def _lost(house: House, task: Task) -> str:
    """Lose the claim of a step that runs; return its nonce."""
    current = (await _head(house, task)).current
    assert current is not None
    assert current.claim is not None
    nonce = current.claim.nonce
    await house.conductor.apply(
        task.execution_id, Lost(f"lost:{nonce}", task.number, task.attempt, nonce, "its worker gave no sign of life")
    )
    return nonce


async def test_another_process_removes_what_a_lost_attempt_has_left_while_the_next_one_runs(house: House) -> None:
    house.remote.script = _starts
    task = await house.begin("REMOTE", policy={"safeToRerun": True, "retry": {"maxAttempts": 2}}, **WHERE)
    carrying = house.carry_out(task)
    await house.remote.started.wait()
    nonce = await _lost(house, task)
    errand = await house.claims.errand(task.execution_id, nonce)
    assert not isinstance(errand, Reply)
    assert (errand.task.number, errand.task.attempt, errand.inputs["where"]) == (0, 1, "cluster-1")
    house.cleaner.begin(task.execution_id, nonce)
    house.cleaner.begin(task.execution_id, nonce)  # as a timekeeper does that looks again meanwhile
    await _clean(house, task.execution_id)
    assert [name for name, _ in house.remote.cleaned] == [NAME]
    assert await house.claims.errand(task.execution_id, nonce) is Reply.STALE
    carrying.cancel()
    await asyncio.wait([carrying])


async def test_a_stop_leaves_the_rest_to_the_next_start(house: House) -> None:
    house.remote.script, house.remote.cleaning = _starts, lambda _: _wait(asyncio.Event())
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    while not house.remote.cleaned:
        await house.clock.settle()
    await house.cleaner.close()
    house.cleaner.begin(task.execution_id, "another")
    assert await house.store.cleanups(10) == [task.execution_id]
    assert len(house.remote.cleaned) == 1


async def _abandon(house: House, task: Task) -> None:
    head = await house.store.load(task.execution_id)
    assert head is not None
    places = {each.nonce: "step a (0)" for each in head.left_behind}
    await house.conductor.apply(task.execution_id, AbandonCleanup("abandon-1", "admin", None, "the site was closed", places=places))


async def _left_behind(house: House, cleaning: CleaningScript) -> Task:
    """Return the task of an execution that was aborted, and whose clean-up has begun."""
    house.remote.script, house.remote.cleaning = _starts, cleaning
    task = await house.begin("REMOTE", **WHERE)
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    async with asyncio.timeout(30):
        while not house.remote.cleaned:
            await house.clock.settle()
    return task


async def _at_rest(house: House) -> None:
    async with asyncio.timeout(30):
        while house.cleaner._working:
            await house.clock.settle()
    assert house.cleaner._trying == {}


async def test_a_try_that_is_under_way_is_stopped_when_somebody_takes_what_is_left_for_gone(house: House) -> None:
    stopped = asyncio.Event()

    async def hangs(_context: StepContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task = await _left_behind(house, hangs)
    await _abandon(house, task)
    await asyncio.wait_for(stopped.wait(), 30)
    await _at_rest(house)
    await house.conductor.remove(task.execution_id)
    await house.clock.advance(sum(PAUSES))
    assert (len(house.remote.cleaned), await house.store.load(task.execution_id)) == (1, None)


async def test_nothing_is_tried_again_once_somebody_takes_what_is_left_for_gone(house: House) -> None:
    async def refuses(_context: StepContext) -> None:
        raise TargetError("the cluster does not answer")

    task = await _left_behind(house, refuses)
    await house.clock.until_sleeping_for(PAUSES[0])
    await _abandon(house, task)
    await _at_rest(house)
    await house.clock.advance(sum(PAUSES))
    assert len(house.remote.cleaned) == 1
    head = await house.store.load(task.execution_id)
    assert head is not None
    assert head.left_behind == ()
    house.cleaner.begin(task.execution_id, "whoever was about to begin")
    await _at_rest(house)
    assert len(house.remote.cleaned) == 1


@pytest.mark.parametrize("is_awaited", [True, False])
async def test_an_end_in_the_moment_in_which_it_is_taken_for_gone_does_no_harm(house: House, *, is_awaited: bool) -> None:
    saying: list[asyncio.Task[None]] = []

    async def ends_meanwhile(context: StepContext) -> None:
        saying.append(asyncio.get_running_loop().create_task(_abandon(house, tasks[context.execution_id])))
        if is_awaited:
            await asyncio.wait(saying)

    house.remote.script, house.remote.cleaning = _starts, ends_meanwhile
    task = await house.begin("REMOTE", **WHERE)
    tasks = {task.execution_id: task}
    _start(house)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    await _clean(house, task.execution_id)
    await _at_rest(house)
    (said,) = await asyncio.gather(*saying, return_exceptions=True)
    assert said is None or isinstance(said, StateConflictError)
    told = [
        each.message for each in (await house.store.logs(task.execution_id))[0] if "gone" in each.message or "nothing of it" in each.message
    ]
    assert len(told) == 1, "it is said once, by whoever was first"
    await house.conductor.remove(task.execution_id)


async def test_only_what_is_taken_for_gone_is_left_alone(house: House) -> None:
    """One execution has left two things, and only one of the targets is gone."""
    hanging: dict[str, asyncio.Event] = {}

    async def hangs(context: StepContext) -> None:
        await hanging.setdefault(context.attempt_name, asyncio.Event()).wait()

    house.remote.script, house.remote.cleaning = _starts, hangs
    task = await house.begin("REMOTE", policy={"safeToRerun": True, "retry": {"maxAttempts": 2}}, **WHERE)
    _start(house)
    await house.remote.started.wait()
    nonce = await _lost(house, task)
    house.cleaner.begin(task.execution_id, nonce)
    await house.notes.until_head(task.execution_id, lambda head: head.current is not None and head.current.attempt == 2 and _runs(head))
    await house.conductor.apply(task.execution_id, Abort("abort-1", "admin", None))
    async with asyncio.timeout(30):
        while sorted(hanging) != ["e1-0-1", "e1-1-2"]:
            await house.clock.settle()
    await house.conductor.apply(task.execution_id, AbandonCleanup("abandon-1", "admin", None, places={nonce: "step a (0)"}))
    async with asyncio.timeout(30):
        while len(house.cleaner._working) > 1:
            await house.clock.settle()
    hanging["e1-1-2"].set()
    await _clean(house, task.execution_id)
