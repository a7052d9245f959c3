"""Locks of an execution. Risks: two have one at once, one is kept for ever, a step runs without the lock that its author wanted."""

from typing import Any

import pytest

from stepswitch.domain.decide import pending_task
from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.events import BreakLock, Decision, LockGiven, LocksInCircle, Reply, TaskKind
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.locks import Lock, LockChange, lock_change, named
from stepswitch.domain.states import StepState as S
from stepswitch.domain.step_types import collect
from stepswitch.domain.validation import check
from tests.domain.documents import JsonObject, document, found
from tests.domain.lives import ACT, LOOK, NOOP, Life, life

MINE, OTHER = named("mine"), named("other")


def lock(name: str = "mine", **more: Any) -> JsonObject:
    return {"policy": {"lock": name, **more}}


def unlock(name: str = "mine") -> JsonObject:
    return {"policy": {"unlock": name}}


def give(one: Life, key: str = "", *, number: int | None = None) -> Decision:
    awaited = one.head.awaited_lock
    key = key or ("" if awaited is None else awaited.key)
    return one.apply(LockGiven(one.new_id(), one.step.number if number is None else number, one.step.attempt, key))


def break_lock(one: Life, key: str = MINE.key, seen: int | None = None) -> Decision:
    return one.apply(BreakLock(one.new_id(), "bob", one.head.version if seen is None else seen, "it takes too long", key=key))


def test_a_step_that_wants_a_lock_is_taken_by_nobody_until_it_has_it() -> None:
    one = life("a", a=lock())
    assert (one.at, one.head.awaited_lock, one.head.locks, one.tasks) == (("a", S.EXECUTABLE), MINE, (), ())
    assert pending_task(one.head, one.workflow, one.rules, one.now) is None
    assert one.claim() is Reply.STALE
    assert give(one).reply is Reply.DONE
    assert (one.head.awaited_lock, one.head.locks, one.task.kind) == (None, (MINE,), TaskKind.STEP)
    assert one.said("asks for the lock 'mine'")
    assert one.said("has the lock 'mine'")


def test_a_step_that_needs_nobody_waits_as_well_and_goes_on_by_its_turn() -> None:
    one = life("a", "b", of="NOOP", a=lock())
    assert (one.tasks, one.turn().reply) == ((), Reply.STALE)
    give(one)
    one.turn()
    assert one.status is Status.COMPLETED


def test_what_an_execution_has_it_need_not_ask_for_again() -> None:
    one = life("a", "b", "c", a=lock(), b=lock(), c=lock("other"))
    give(one)
    one.ends()
    assert (one.at, one.head.awaited_lock) == (("b", S.EXECUTABLE), None)
    one.ends()
    assert (one.head.awaited_lock, one.head.locks) == (OTHER, (MINE,))


def test_a_lock_that_is_given_to_somebody_who_does_not_wait_for_it_is_stale() -> None:
    one = life("a", "b", a=lock())
    assert give(one, OTHER.key).reply is Reply.STALE
    assert give(one, number=7).reply is Reply.STALE
    give(one)
    assert give(one, MINE.key).reply is Reply.STALE
    assert one.head.locks == (MINE,)


@pytest.mark.parametrize("way", ["well", "failed", "aborted", "aborted while it waits"])
def test_the_end_lets_go_of_everything_whatever_it_is(way: str) -> None:
    one = life("a", a=lock())
    if way != "aborted while it waits":
        give(one)
    if way.startswith("aborted"):
        one.abort()
    else:
        one.ends(Result.SUCCEEDED if way == "well" else Result.FAILED)
    assert one.head.locks == ()
    assert one.head.awaited_lock is None


def test_a_lock_is_let_go_after_the_step_that_unlocks_and_not_before() -> None:
    one = life("a", "b", "c", a=lock(), b=unlock())
    give(one)
    one.ends()
    assert one.head.locks == (MINE,)
    assert one.claim() is Reply.GRANTED
    assert one.head.locks == (MINE,)
    one.report()
    assert one.at == ("c", S.EXECUTABLE)
    assert not one.head.locks
    assert one.said("lets go of the lock 'mine' after step b (1)")


def test_a_step_may_have_a_lock_for_itself_alone_and_whoever_comes_round_asks_again() -> None:
    policy = {"policy": {"lock": "mine", "unlock": "mine"}}
    one = Life(document(startStepId="a", steps={"a": {"type": "ACT", "nextStepId": "a", **policy}}))
    for _ in range(2):
        assert one.head.awaited_lock == MINE
        give(one)
        one.ends()
    assert one.head.locks == ()


@pytest.mark.parametrize("way", ["policy", "accepted", "jump"])
def test_a_failure_that_leads_on_lets_go_of_what_its_step_unlocks(way: str) -> None:
    a = {"policy": {"lock": "mine", "unlock": "mine", **({"onFailureStepId": "b"} if way == "policy" else {})}}
    one = life("a", "b", a=a, pause_at_failure=True)
    give(one)
    one.fails()
    if way != "policy":
        assert (one.status, one.head.locks) == (Status.PAUSED, (MINE,)), "a paused holder keeps it"
    if way == "jump":
        one.change(start_step_id="b")
    if way != "policy":
        one.resume()
    assert (one.at, one.head.locks) == (("b", S.EXECUTABLE), ())


def test_another_attempt_keeps_the_lock() -> None:
    one = life("a", a=lock(unlock="mine", retry={"maxAttempts": 2}))
    give(one)
    one.fails()
    assert (one.step.attempt, one.head.awaited_lock, one.head.locks) == (2, None, (MINE,))


def test_whoever_is_paused_while_it_waits_leaves_the_line_and_asks_anew_when_it_is_resumed() -> None:
    one = life("a", a=lock())
    one.pause()
    assert (one.status, one.head.awaited_lock) == (Status.PAUSED, None)
    assert give(one, MINE.key).reply is Reply.STALE
    one.resume()
    assert (one.head.awaited_lock, one.tasks) == (MINE, ())


def test_a_breakpoint_comes_before_the_line() -> None:
    one = life("a", a=lock(), debug=("a",))
    assert (one.status, one.head.awaited_lock) == (Status.PAUSED, None)
    one.resume()
    assert one.head.awaited_lock == MINE


def test_a_failed_execution_that_is_reopened_asks_again_where_a_step_says_so() -> None:
    one = life("a", a=lock())
    give(one)
    one.fails()
    one.retry()
    assert (one.head.awaited_lock, one.head.locks) == (MINE, ())


def test_a_lock_that_is_broken_is_gone_and_the_next_step_that_wants_it_asks_again() -> None:
    one = life("a", "b", a=lock(), b=lock())
    give(one)
    assert one.claim() is Reply.GRANTED
    break_lock(one)
    assert one.at == ("a", S.EXECUTING), "what it does goes on"
    assert not one.head.locks
    assert one.said("the lock 'mine' was broken by bob: it takes too long")
    one.report()
    assert (one.at, one.head.awaited_lock) == (("b", S.EXECUTABLE), MINE)


def test_a_step_that_nobody_has_begun_asks_again_for_the_lock_that_is_broken() -> None:
    one = life("a", a=lock())
    give(one)
    decision = break_lock(one)
    assert (one.at, one.head.locks, one.head.awaited_lock) == (("a", S.EXECUTABLE), (), MINE)
    assert [(each.number, each.attempt) for each in decision.cancels] == [(0, 1)], "it is not to be taken by whoever was asked to"
    assert one.tasks == ()
    assert one.claim() is Reply.STALE
    change = lock_change((MINE,), None, one.head.locks, one.head.awaited_lock)
    assert change == LockChange(asked=MINE, left=(MINE,)), "it stands at the end of the line"
    give(one)
    assert one.ends().status is Status.COMPLETED


def test_a_step_that_is_given_back_asks_again_for_the_lock_that_was_broken_meanwhile() -> None:
    one = life("a", a=lock())
    give(one)
    one.claim()
    break_lock(one)
    one.give_back()
    assert (one.at, one.head.locks, one.head.awaited_lock) == (("a", S.EXECUTABLE), (), MINE)
    assert one.tasks == ()
    assert one.claim("n2") is Reply.STALE, "nobody takes it while somebody else has the lock"
    give(one)
    assert one.claim("n3") is Reply.GRANTED


def test_a_step_that_is_given_back_keeps_the_lock_that_it_has() -> None:
    one = life("a", a=lock())
    give(one)
    one.claim()
    one.give_back()
    assert (one.head.locks, one.head.awaited_lock) == ((MINE,), None)
    assert one.claim("n2") is Reply.GRANTED


def test_a_step_that_nobody_has_begun_goes_on_where_another_lock_is_broken() -> None:
    one = life("a", "b", a=lock())
    give(one)
    one.ends()
    decision = break_lock(one)
    assert (decision.cancels, one.head.awaited_lock) == ((), None)
    assert one.claim() is Reply.GRANTED


def test_what_an_execution_does_not_have_cannot_be_broken() -> None:
    one = life("a", a=lock())
    with pytest.raises(StateConflictError):
        break_lock(one)
    give(one)
    with pytest.raises(StateConflictError):
        break_lock(one, OTHER.key)
    assert one.head.locks == (MINE,)


def test_whoever_closes_a_circle_fails_at_once_with_a_code_of_its_own_and_its_policy_decides() -> None:
    one = life("a", "b", "c", a=lock(), b=lock("other", onFailureStepId="c"))
    give(one)
    one.ends()
    event = LocksInCircle(one.new_id(), one.step.number, one.step.attempt, OTHER.key, "nobody would ever go on")
    assert one.apply(event).reply is Reply.DONE
    failed = one.rows[-1]
    assert failed.error is not None
    assert (failed.result, failed.error.code, failed.error.message) == (Result.FAILED, ErrorCode.DEADLOCK, "nobody would ever go on")
    assert (one.at, one.head.locks) == (("c", S.EXECUTABLE), (MINE,))
    assert one.apply(event).reply is not Reply.DONE


def test_the_lock_on_a_device_is_the_device_and_not_the_spelling() -> None:
    where = {"host": {"type": "string", "exportName": "where"}}
    a = {**lock("device"), "inBindings": where}
    one, two = (
        life("a", a=a, variables={"where": {"type": "string", "defaultValue": host}}) for host in ("EDGE.example.net.", "edge.example.net")
    )
    assert one.head.awaited_lock is not None
    assert one.head.awaited_lock == two.head.awaited_lock
    assert (one.head.awaited_lock.name, one.head.awaited_lock.is_of_device) == ("edge.example.net", True)
    assert "edge" not in one.head.awaited_lock.key
    assert one.head.awaited_lock != named("edge.example.net")


def test_a_device_is_unlocked_by_the_step_that_acts_there() -> None:
    there = {"inBindings": {"host": {"type": "string", "defaultValue": "edge"}}}
    elsewhere = {"inBindings": {"host": {"type": "string", "defaultValue": "core"}}}
    one = life("a", "b", "c", "d", a={**lock("device"), **there}, b={**unlock("device"), **elsewhere}, c={**unlock("device"), **there})
    give(one)
    one.ends().ends()
    assert [each.name for each in one.head.locks] == ["edge"]
    one.ends()
    assert one.head.locks == ()


def test_a_step_whose_device_nobody_can_say_fails_for_that_and_waits_for_nothing() -> None:
    one = life("a", a=lock("device"))
    assert (one.head.awaited_lock, one.task.kind) == (None, TaskKind.STEP)


def test_a_restored_execution_keeps_its_locks_and_its_place_in_line() -> None:
    holder, waiting = life("a", "b", of="LOOK", a=lock()), life("a", of="LOOK", a=lock())
    give(holder)
    for one in (holder, waiting):
        one.restore()
    assert (holder.head.locks, waiting.head.awaited_lock, waiting.tasks) == ((MINE,), MINE, ())


def test_what_changes_in_the_lines_is_said_in_whole() -> None:
    assert lock_change((), None, (), None) is None
    assert lock_change((MINE,), None, (MINE,), None) is None
    assert lock_change((), None, (), MINE) == LockChange(asked=MINE)
    assert lock_change((), MINE, (MINE,), None) == LockChange(given=MINE)
    assert lock_change((), MINE, (), MINE) is None
    assert lock_change((), MINE, (), MINE, is_other_step=True) == LockChange(asked=MINE, left=(MINE,)), "it is another wait"
    assert lock_change((), MINE, (MINE,), None, is_other_step=True) == LockChange(given=MINE)
    assert lock_change((MINE,), None, (MINE,), None, is_other_step=True) is None
    assert lock_change((OTHER,), MINE, (), None) == LockChange(left=(OTHER, MINE))
    assert lock_change((MINE,), None, (), MINE) == LockChange(asked=MINE, left=(MINE,)), "it goes to the end of the line"
    assert lock_change((MINE,), None, (), OTHER) == LockChange(asked=OTHER, left=(MINE,))


# --- documents ---

TYPES = collect((NOOP, LOOK, ACT))


def faults(steps: JsonObject) -> set[tuple[ErrorCode, str]]:
    return found(check(document(startStepId="a", steps=steps), TYPES).faults)


def test_every_fault_of_a_lock_is_told_at_once() -> None:
    assert faults(
        {
            "a": {"type": "NOOP", "nextStepId": "b", "policy": {"lock": "device", "unlock": "mime"}},
            "b": {"type": "ACT", "nextStepId": "c", "policy": {"lock": "mine", "unlock": 7}},
            "c": {"type": "ACT", "nextStepId": "d", "policy": {"lock": "", "unlock": "mine"}},
            "d": {"type": "ACT", "policy": {"lock": "two\nlines"}},
        }
    ) == {
        (ErrorCode.INVALID_VALUE, "steps.a.policy.lock"),
        (ErrorCode.UNDECLARED_NAME, "steps.a.policy.unlock"),
        (ErrorCode.WRONG_TYPE, "steps.b.policy.unlock"),
        (ErrorCode.INVALID_VALUE, "steps.c.policy.lock"),
        (ErrorCode.INVALID_VALUE, "steps.d.policy.lock"),
    }


def test_a_slip_in_the_name_of_a_lock_is_told_with_the_nearest() -> None:
    source = document(startStepId="a", steps={"a": {"type": "ACT", "policy": {"lock": "core ring", "unlock": "core rings"}}})
    (fault,) = check(source, TYPES).faults
    assert "'core ring'" in fault.message


def test_a_lock_is_compared_by_its_key() -> None:
    assert Lock("name mine", "other words") == MINE
