"""What only time can tell: whoever is dead is noticed, whoever lives is left alone, and a wrong clock does no harm."""

import asyncio
from collections.abc import Callable

import pytest

from stepswitch.domain.errors import ErrorCode, StateConflictError, StoreError
from stepswitch.domain.events import AbandonCleanup, Abort, CleanedUp, Event, Reply, Retry
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine import timekeeper as timekeeper_module
from stepswitch.engine.records import RequestKind, RequestMark, Session
from stepswitch.engine.timekeeper import FOR_EVER, PORTIONS, QUIET_AFTER_JUMP_SECONDS, REMOVING_SECONDS
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.commits import SqlCommitLog
from tests.domain.documents import JsonObject, document
from tests.domain.lives import steps
from tests.engine.rig import PATIENCE, Rig

ONE = document(steps=steps("a"))
SAFE = document(steps=steps("a", a={"policy": {"safeToRerun": True}}))
HOUR = 3600.0


async def claimed(rig: Rig, source: JsonObject = ONE, *, instance: str = "w1", **more: object) -> str:
    execution = await rig.create(source, **more)
    assert await rig.claim(execution, nonce=execution, instance=instance) is Reply.GRANTED
    return execution


async def result_of(rig: Rig, execution: str) -> Result | None:
    current = (await rig.stored(execution)).current
    assert current is not None
    return current.result


async def test_who_gives_no_sign_of_life_is_lost(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await claimed(rig)
    await rig.clock.advance(29)
    await keeper.look()
    assert await result_of(rig, execution) is None
    await rig.clock.advance(2)
    await keeper.look()
    assert await result_of(rig, execution) is Result.UNKNOWN


async def test_who_gives_signs_of_life_is_not_lost_before_its_deadline(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await claimed(rig)
    for _ in range(4):
        await rig.clock.advance(20)
        await rig.claims.sign([execution])
        await keeper.look()
        assert await result_of(rig, execution) is None
    await rig.clock.advance(10)
    await rig.claims.sign([execution])
    await keeper.look()
    assert await result_of(rig, execution) is Result.UNKNOWN
    assert ("cancelled", 0) in rig.notes


async def test_a_clock_that_jumps_forward_kills_nobody(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await claimed(rig)
    rig.clock.jump(HOUR)
    for _ in range(4):
        await keeper.look()
        assert await result_of(rig, execution) is None
        await rig.clock.advance(20)
        await rig.claims.sign([execution])
    await rig.clock.advance(31)
    await keeper.look()
    assert await result_of(rig, execution) is Result.UNKNOWN


async def test_whoever_gave_a_sign_that_the_store_did_not_take_is_heard_first_once_it_can(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = rig.timekeeper()
    living, dead = await claimed(rig), await claimed(rig)

    async def refuse(*_: object) -> list[str]:
        raise StoreError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(rig.store, "sign", refuse)
        for _ in range(8):
            await rig.clock.advance(5)
            with pytest.raises(StoreError):
                await rig.claims.sign([living])
    await keeper.look()
    assert await result_of(rig, living) is None
    for _ in range(6):
        await rig.clock.advance(5)
        await rig.claims.sign([living])
        await keeper.look()
    assert await result_of(rig, living) is None
    assert await result_of(rig, dead) is Result.UNKNOWN


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_the_dead_are_noticed_also_after_a_jump(rig: Rig, jump: float) -> None:
    keeper = rig.timekeeper()
    execution = await claimed(rig)
    rig.clock.jump(jump)
    await keeper.look()
    await rig.clock.advance(31)
    await keeper.look()
    assert await result_of(rig, execution) is Result.UNKNOWN


async def test_after_the_process_stood_still_workers_may_give_their_sign_first(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await claimed(rig)
    running = asyncio.create_task(keeper.run(recover=False))
    await rig.clock.settle()
    rig.clock._seconds += 60  # the machine was suspended
    await rig.clock.settle()
    await rig.clock.advance(0)
    assert await result_of(rig, execution) is None
    await rig.claims.sign([execution])
    looked = asyncio.Event()
    keeper.look = lambda: _note(looked)  # type: ignore[method-assign]
    await rig.clock.advance(2)
    await asyncio.wait_for(looked.wait(), PATIENCE)
    assert await result_of(rig, execution) is None
    running.cancel()


async def _note(event: asyncio.Event) -> None:
    event.set()


async def test_what_another_instance_held_is_lost_at_a_start(rig: Rig) -> None:
    dead = await claimed(rig, instance="dead")
    safe = await claimed(rig, SAFE, instance="dead")
    ours = await claimed(rig, instance="w1")
    await rig.timekeeper("w1").recover()
    assert await result_of(rig, dead) is Result.UNKNOWN
    assert (await rig.stored(dead)).status is Status.FAILED
    head = await rig.stored(safe)
    assert head.current is not None
    assert (head.current.attempt, head.current.state) == (2, StepState.EXECUTABLE)
    assert await result_of(rig, ours) is None
    assert (safe, 1) in [(task.execution_id, task.number) for task in rig.dispatcher.tasks]


async def test_everything_that_can_run_is_dispatched_at_a_start_the_oldest_first(rig: Rig) -> None:
    made = []
    for _ in range(3):
        made.append(await rig.create(ONE))
        await rig.clock.advance(1)
    await rig.create(ONE, debug_step_ids=("a",))
    rig.dispatcher.tasks.clear()
    await rig.timekeeper().recover()
    assert [task.execution_id for task in rig.dispatcher.tasks] == made


async def test_a_wake_up_that_was_lost_is_repeated(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await rig.create(ONE)
    held = await rig.create(ONE)
    rig.dispatcher.held_ids.add(held)
    rig.dispatcher.tasks.clear()
    await rig.clock.advance(29)
    await keeper.look()
    assert rig.dispatcher.tasks == []
    await rig.clock.advance(1)
    await keeper.look()
    assert [task.execution_id for task in rig.dispatcher.tasks] == [execution]


async def test_what_was_left_behind_by_a_process_that_is_gone_is_confirmed_at_a_start(rig: Rig) -> None:
    execution = await claimed(rig)
    await rig.apply(execution, Abort("x", "ann", None))
    assert await rig.store.cleanups(10) == [execution]
    await rig.timekeeper().recover()
    assert await rig.store.cleanups(10) == []


@pytest.mark.parametrize("instance", ["w1", "w2"])
async def test_what_outlives_its_session_is_never_confirmed_but_removed_by_whoever_is_there(rig: Rig, instance: str) -> None:
    execution = await claimed(rig, document(steps=steps("a", of="REMOTE")), instance=instance)
    await rig.apply(execution, Abort("x", "ann", None))
    rig.in_hand.add(execution)
    await rig.timekeeper().recover()
    assert rig.cleaned == []  # whoever holds it sees to it himself
    rig.in_hand.clear()
    await rig.timekeeper().recover()
    assert rig.cleaned == [(execution, execution)]
    assert await rig.store.cleanups(10) == [execution]
    await rig.claims.cleaned_up(execution, execution)
    lines = [each.message for each in (await rig.store.logs(execution))[0]]
    assert lines[-1] == "nothing of it is left at the target"
    assert await rig.store.cleanups(10) == []


async def test_what_nobody_here_works_at_any_more_is_confirmed_without_a_start(rig: Rig) -> None:
    """Its holder could not say so: it was told of its claim after it had given up, or nobody heard it."""
    keeper = rig.timekeeper()
    held, over = await claimed(rig), await claimed(rig)
    rig.in_hand.add(held)
    for each in (held, over):
        await rig.apply(each, Abort(f"abort {each}", "ann", None))
    await rig.clock.advance(30)
    await keeper.look()
    assert await rig.store.cleanups(10) == [held]
    rig.in_hand.clear()
    await rig.clock.advance(30)
    await keeper.look()
    assert await rig.store.cleanups(10) == []


async def test_what_another_process_may_hold_is_confirmed_at_a_start_only(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await claimed(rig, instance="w2")
    await rig.apply(execution, Abort("x", "ann", None))
    await rig.clock.advance(30)
    await keeper.look()
    assert await rig.store.cleanups(10) == [execution]
    await keeper.recover()
    assert await rig.store.cleanups(10) == []


async def test_what_was_lost_is_cleaned_up_by_the_next_process_also_where_it_was_run_again(rig: Rig) -> None:
    unsafe, safe = await claimed(rig, ONE, instance="before"), await claimed(rig, SAFE, instance="before")
    await rig.timekeeper().recover()
    for execution, steps_begun in ((unsafe, 1), (safe, 2)):
        head = await rig.stored(execution)
        assert (head.left_behind, head.steps_begun) == ((), steps_begun)
        closed = [entry.step for entry in (await rig.store.logs(execution))[0] if entry.message == "its session at the target is closed"]
        assert closed == [0]


async def test_a_cleanup_that_cannot_be_confirmed_does_not_hang_the_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(_count: int) -> list[str]:
        return ["gone"]

    monkeypatch.setattr(rig.store, "cleanups", always)
    await asyncio.wait_for(rig.timekeeper().recover(), PATIENCE)


async def ended(rig: Rig, retained_seconds: float, result: Result = Result.SUCCEEDED) -> str:
    execution = await claimed(rig, retained_til=rig.clock.now() + round(retained_seconds * 1000))
    await rig.report(execution, result=result, nonce=execution)
    return execution


async def test_what_has_ended_is_removed_after_its_time_and_ten_quiet_minutes(rig: Rig) -> None:
    keeper = rig.timekeeper()
    short, long = await ended(rig, 1), await ended(rig, 2 * HOUR)
    waiting = await rig.create(ONE, retained_til=rig.clock.now() + 1, debug_step_ids=("a",))
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS - 1)
    await keeper.look()
    assert await rig.store.load(short) is not None
    await rig.clock.advance(1)
    await keeper.look()
    assert await rig.store.load(short) is None
    assert await rig.store.load(long) is not None
    assert await rig.store.load(waiting) is not None
    assert await rig.conductor.head(short) is None


@pytest.mark.parametrize(
    "gone",
    [
        lambda left: CleanedUp("cleaned", left),
        lambda left: AbandonCleanup("abandoned", "ann", None, "the site was closed", places={left: "step a (0)"}),
    ],
)
async def test_what_is_not_cleaned_up_stays_and_keeps_nobody_else_from_being_removed(rig: Rig, gone: Callable[[str], Event]) -> None:
    keeper = rig.timekeeper()
    left = await claimed(rig, retained_til=rig.clock.now() + 1_000)
    rig.in_hand.add(left)
    await rig.apply(left, Abort("x", "ann", None))
    others = [await ended(rig, seconds) for seconds in (0.5, 1.5)]
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS)
    await asyncio.wait_for(keeper.look(), PATIENCE)
    assert [await rig.store.load(each) for each in others] == [None, None]
    assert await rig.store.cleanups(10) == [left]
    with pytest.raises(StateConflictError) as refused:
        await rig.conductor.remove(left)
    assert refused.value.code is ErrorCode.CLEANUP_PENDING
    assert await rig.store.expired(rig.clock.now(), 10) == [], "however many stay, none of them takes a round's time"

    await rig.apply(left, gone(left))
    await rig.clock.advance(60)
    await keeper.look()
    assert await rig.store.load(left) is None


async def test_what_takes_long_to_remove_keeps_nobody_from_watching_claims(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = rig.timekeeper()
    monkeypatch.setattr(timekeeper_module, "AT_ONCE", 2)
    expired = [await ended(rig, 1) for _ in range(6)]
    remove = rig.conductor.remove_expired

    async def remove_slowly(execution_id: str) -> bool:
        await rig.clock.advance(REMOVING_SECONDS)
        return await remove(execution_id)

    async def left() -> int:
        return len([each for each in expired if await rig.store.load(each) is not None])

    monkeypatch.setattr(rig.conductor, "remove_expired", remove_slowly)
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS)
    execution = await claimed(rig)
    await keeper.look()
    assert await left() == 4
    await rig.clock.advance(31)
    await keeper.look()
    assert await result_of(rig, execution) is Result.UNKNOWN
    assert await left() == 2
    await keeper.look()
    assert await left() == 0


async def test_after_a_jump_of_the_clock_nothing_is_removed_for_ten_minutes(rig: Rig) -> None:
    keeper = rig.timekeeper()
    execution = await ended(rig, 1)
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS - 1)
    rig.clock.jump(1_000 * HOUR)
    await keeper.look()
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS - 1)
    await keeper.look()
    assert await rig.store.load(execution) is not None
    await rig.clock.advance(1)
    await keeper.look()
    assert await rig.store.load(execution) is None


async def test_what_is_reopened_while_the_removal_goes_on_stays(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = rig.timekeeper()
    execution = await ended(rig, 1, Result.FAILED)
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS)
    expired = rig.store.expired

    async def reopened_meanwhile(now: int, count: int) -> object:
        found = await expired(now, count)
        if found:
            await rig.apply(execution, Retry("r", "ann", None))
        return found

    monkeypatch.setattr(rig.store, "expired", reopened_meanwhile)
    await keeper.look()
    assert (await rig.stored(execution)).status is Status.RUNNING


async def test_commits_are_known_for_a_day_and_then_forgotten_but_for_the_last(rig: Rig) -> None:
    keeper = rig.timekeeper()
    commits = SqlCommitLog(rig.database)
    for _ in range(2):
        await rig.create(ONE)
    await rig.clock.advance(24 * HOUR)
    await keeper.look()
    assert (await commits.page(0, FOR_EVER)).is_whole
    rig.clock.jump(HOUR)
    await keeper.look()  # the clock may be wrong
    assert (await commits.page(0, FOR_EVER)).is_whole
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS)
    await keeper.look()
    page = await commits.page(0, FOR_EVER)
    assert not page.is_whole
    assert [row.place for row in page.rows] == [(await commits.newest()).place]


async def test_old_commits_never_keep_a_round_busy(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = rig.timekeeper()
    asked = 0

    async def more_and_more(_before: int) -> bool:
        nonlocal asked
        asked += 1
        return True

    monkeypatch.setattr(keeper._commits, "forget", more_and_more)
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS)
    await keeper.look()
    assert asked == PORTIONS


async def test_expired_logins_are_ended_with_the_retention(rig: Rig) -> None:
    keeper = rig.timekeeper()
    accounts = SqlAccountStore(rig.database)
    await accounts.put_session(Session("hash", "ann", "default", (), rig.clock.now() + 1, ""))
    await rig.clock.advance(QUIET_AFTER_JUMP_SECONDS)
    await keeper.look()
    assert await accounts.session("hash") is None


async def test_keys_of_requests_are_forgotten_after_a_day_however_many_there_are(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timekeeper_module, "PAGE", 3)
    keeper, begun = rig.timekeeper(), rig.clock.now()
    for number in range(9):
        await rig.requests.note(RequestMark("default", "ann", RequestKind.KEYED, f"k{number}", "d", "e", begun + 1000 * (number // 7)))
    await rig.clock.advance(24 * HOUR)
    await keeper.look()
    assert await rig.requests.keyed("default", "ann", "k0") is not None
    await rig.clock.advance(1)
    keeper._next_retention = 0
    await keeper.look()
    assert [await rig.requests.keyed("default", "ann", f"k{number}") is None for number in (0, 6, 7, 8)] == [True, True, False, False]


async def test_a_fault_of_the_store_is_outlived(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = rig.timekeeper()
    done = asyncio.Event()
    tries = iter([StoreError("no"), OSError("neither"), None])

    async def recover() -> None:
        error = next(tries)
        if error is not None:
            raise error
        done.set()

    monkeypatch.setattr(keeper, "recover", recover)
    running = asyncio.create_task(keeper.run())
    await rig.clock.advance(2)
    await asyncio.wait_for(done.wait(), PATIENCE)
    running.cancel()


async def test_a_claim_of_an_execution_that_is_gone_stops_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = rig.timekeeper()
    gone = await claimed(rig)
    other = await claimed(rig)
    claims = await rig.store.foreign_claims("nobody")
    await rig.store.delete(gone)
    rig.conductor.forget(gone)

    async def both(_since: int, _now: int) -> object:
        return claims

    monkeypatch.setattr(rig.store, "open_claims", both)
    await rig.clock.advance(31)
    await keeper.look()
    assert await result_of(rig, other) is Result.UNKNOWN
