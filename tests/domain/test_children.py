"""A step that waits for another execution: when it is begun, what it hears, and what people do to both."""

import pytest

from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.events import Reply, TaskKind
from stepswitch.domain.execution import Parent, Result, Status
from stepswitch.domain.states import StepState
from tests.domain.documents import JsonObject
from tests.domain.lives import Life, life


def waiting(*after: str, w: JsonObject | None = None) -> Life:
    """Return an execution whose first step waits for another one."""
    found = life("w", *after, w={"type": "WAIT", **(w or {})})
    assert found.begin_child("c") is Reply.DONE
    return found


def test_its_turn_is_no_workers_and_says_that_an_execution_is_to_be_made() -> None:
    found = life("w", w={"type": "WAIT"})
    assert found.task.kind is TaskKind.TURN
    before = found.head
    assert found.turn().reply is Reply.BEGIN
    assert found.head is before
    assert found.claim() is Reply.STALE


def test_while_it_waits_nobody_has_a_claim_and_nothing_is_to_be_done() -> None:
    found = waiting()
    assert (found.at, found.status, found.step.claim, found.tasks) == (("w", StepState.EXECUTING), Status.RUNNING, None, ())
    assert found.claim() is Reply.STALE
    assert found.report(nonce=None) is Reply.STALE
    assert found.lose() is Reply.STALE


def test_it_is_made_only_from_the_state_that_was_seen() -> None:
    found = life("w", w={"type": "WAIT"})
    seen = found.head.version
    found.change(pause_at_failure=True)
    assert found.begin_child(seen=seen) is Reply.STALE
    assert found.begin_child() is Reply.DONE
    assert found.begin_child("another") is Reply.STALE


def test_its_end_is_heard_once_and_the_way_goes_on() -> None:
    found = waiting("after")
    waited = found.step
    assert found.hear(outputs={"x": 1}) is Reply.DONE
    assert found.at == ("after", StepState.EXECUTABLE)
    assert found.hear(of=waited) is Reply.STALE
    assert found.rows[0].outputs == {"x": 1}


def test_older_news_change_nothing() -> None:
    found = waiting()
    found.hear(None, waits="somebody", version=5)
    assert found.hear(None, waits="", version=4) is Reply.STALE
    assert found.step.child is not None
    assert found.step.child.waits == "somebody"


def test_an_abort_leaves_the_other_execution_to_be_stopped_until_that_is_confirmed() -> None:
    found = waiting()
    found.abort()
    assert (found.step.result, found.step.aborted, found.left) == (Result.FAILED, True, ["c"])
    assert found.head.left_behind[0].is_execution
    found.clean_up("c")
    assert found.left == []
    assert found.said("the execution c has ended")


def test_an_abort_before_it_was_begun_leaves_nothing() -> None:
    found = life("w", w={"type": "WAIT"})
    found.abort()
    assert (found.step.result, found.left) == (Result.SKIPPED, [])
    assert found.begin_child() is Reply.STALE


def test_a_resume_takes_back_a_pause_that_was_handed_down() -> None:
    found = waiting("after")
    found.pause()
    assert (found.status, found.head.pause_requested) == (Status.RUNNING, True)
    found.resume()
    assert not found.head.pause_requested
    with pytest.raises(StateConflictError):
        found.resume()
    found.hear()
    assert found.at == ("after", StepState.EXECUTABLE)


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_child_pauses_with_its_parent_and_goes_on_with_it(*, is_claimed: bool) -> None:
    found = life("a", "b", parent=Parent("p", 0, 1))
    if is_claimed:
        found.claim()
    assert found.held_by_parent(holds=True) is Reply.DONE
    if is_claimed:
        found.report()
    assert (found.status, found.head.pause_code, found.step.state) == (Status.PAUSED, ErrorCode.PARENT_PAUSED, StepState.WAITING_BEFORE)
    assert found.held_by_parent(holds=True) is Reply.STALE
    assert found.held_by_parent(holds=False) is Reply.DONE
    assert found.at == ("b" if is_claimed else "a", StepState.EXECUTABLE)
    assert (found.head.pause_code, found.head.parent) == (None, Parent("p", 0, 1))


@pytest.mark.parametrize("is_there", [True, False])
def test_a_child_that_was_repaired_while_its_parent_paused_goes_on_where_somebody_has_said(*, is_there: bool) -> None:
    found = life("a", "b", parent=Parent("p", 0, 1))
    found.held_by_parent(holds=True)
    found.edit({} if is_there else {"a": None}, start_step_id="b")
    assert found.held_by_parent(holds=False) is Reply.DONE
    assert (found.at, found.head.resume_at, found.status) == (("b", StepState.EXECUTABLE), None, Status.QUEUED)


def test_a_child_that_waits_for_a_person_for_its_own_reasons_goes_on_waiting() -> None:
    found = life("a", parent=Parent("p", 0, 1), pause_at_failure=True)
    found.fails()
    found.held_by_parent(holds=True)
    found.held_by_parent(holds=False)
    assert (found.at, found.status) == (("a", StepState.WAITING_AFTER), Status.PAUSED)


def test_an_execution_that_belongs_to_nobody_is_held_by_nobody() -> None:
    found = life("a")
    assert found.held_by_parent(holds=True) is Reply.STALE


def test_its_time_is_over_only_when_it_is_and_the_step_ends_with_the_other_execution() -> None:
    found = waiting()
    assert found.is_overdue() is Reply.STALE
    found.now += 600_000
    assert found.is_overdue() is Reply.DONE
    assert found.is_overdue() is Reply.STALE
    assert found.at == ("w", StepState.EXECUTING)
    found.hear(Result.FAILED, code=ErrorCode.CHILD_ABORTED)
    assert found.step.error is not None
    assert (found.step.result, found.step.error.code) == (Result.FAILED, ErrorCode.TIMEOUT)


def test_what_ended_well_in_the_last_moment_has_ended_well() -> None:
    found = waiting()
    found.now += 600_000
    found.is_overdue()
    found.hear()
    assert found.status is Status.COMPLETED


@pytest.mark.parametrize("code", [ErrorCode.CHILD_IN_DOUBT, ErrorCode.CHILD_GONE])
@pytest.mark.parametrize("is_safe", [False, True])
def test_a_doubt_in_the_other_execution_is_not_repeated_unasked(code: ErrorCode, *, is_safe: bool) -> None:
    found = waiting(w={"policy": {"retry": {"maxAttempts": 3}, "safeToRerun": is_safe}})
    found.hear(Result.FAILED, code=code)
    assert found.step.attempt == (2 if is_safe else 1)
    assert found.status is (Status.RUNNING if is_safe else Status.FAILED)


def test_what_waited_when_the_backup_was_made_still_waits_and_then_asks_before_what_is_not_safe() -> None:
    found = waiting("after")
    found.restore()
    assert (found.at, found.status, found.head.epoch) == (("w", StepState.EXECUTING), Status.RUNNING, "after")
    found.hear()
    assert (found.at, found.head.pause_code) == (("after", StepState.WAITING_BEFORE), ErrorCode.RESTORED)


def test_what_was_not_begun_in_the_backup_may_have_been_since() -> None:
    found = life("w", w={"type": "WAIT"})
    found.restore()
    assert (found.at, found.head.pause_code) == (("w", StepState.WAITING_BEFORE), ErrorCode.RESTORED)
