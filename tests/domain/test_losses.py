"""Losses: what may have reached its target is never repeated unasked, and what is safe goes on by itself, though not for ever."""

import pytest

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Lost, Reply, Reported
from stepswitch.domain.execution import Outcome, Result, Status, StepError
from stepswitch.domain.states import StepState as S
from stepswitch.domain.step_types import StepSignature, collect
from tests.domain.documents import JsonObject, document
from tests.domain.lives import Life, life, steps

SAFE: JsonObject = {"policy": {"safeToRerun": True}}


def test_a_lost_step_with_effects_is_unknown_and_not_repeated() -> None:
    one = life("a").is_lost()
    assert (one.status, one.story) == (Status.FAILED, [("a", S.FINISHED, Result.UNKNOWN)])
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.LOST
    assert one.said("nobody can say whether the target acted")
    assert not one.tasks


def test_whoever_still_carries_out_a_lost_step_is_stopped() -> None:
    one = life("a", a=SAFE).is_lost()
    assert [(cancel.number, cancel.attempt) for cancel in one.cancels] == [(0, 1)]


def test_a_lost_step_that_is_safe_runs_again() -> None:
    one = life("a", a=SAFE).is_lost()
    assert one.story == [("a", S.RETRY, Result.UNKNOWN), ("a", S.EXECUTABLE, None)]
    assert (one.step.attempt, one.step.losses, one.step.claim, one.step.not_before) == (2, 1, None, None)
    assert one.task.attempt == 2
    one.ends()
    assert one.status is Status.COMPLETED


def test_what_is_lost_three_times_in_one_visit_may_be_killing_its_workers() -> None:
    one = life("a", a=SAFE).is_lost().is_lost().is_lost()
    assert one.story == [("a", S.RETRY, Result.UNKNOWN), ("a", S.RETRY, Result.UNKNOWN), ("a", S.FINISHED, Result.UNKNOWN)]
    assert one.status is Status.FAILED


def test_losses_are_counted_anew_at_the_next_visit() -> None:
    one = Life(document(steps={"a": {"type": "ACT", "nextStepId": "a", **SAFE}})).is_lost().is_lost().ends()
    assert (one.step.losses, one.step.attempt) == (0, 1)
    one.is_lost().is_lost()
    assert one.status is Status.RUNNING


def test_a_person_who_retries_begins_to_count_losses_anew() -> None:
    one = life("a", a=SAFE).is_lost().is_lost().is_lost()
    one.retry()
    assert (one.step.losses, one.step.attempt) == (0, 4)
    one.is_lost().is_lost()
    assert one.status is Status.RUNNING


@pytest.mark.parametrize("ends", [[], [Result.FAILED, Result.FAILED]])
def test_no_policy_gives_what_kills_its_workers_a_fourth(ends: list[Result]) -> None:
    policy = {"safeToRerun": True, "retry": {"maxAttempts": 100}}
    one = life("a", a={"policy": policy}).is_lost().is_lost()
    for result in ends:
        one.ends(result)
    assert (one.status, one.at, one.step.attempt) == (Status.RUNNING, ("a", S.EXECUTABLE), 3 + len(ends))
    one.is_lost()
    assert (one.status, one.step.result, one.step.losses) == (Status.FAILED, Result.UNKNOWN, 3)


def test_unknown_goes_its_own_way_only() -> None:
    ways = {"onFailureStepId": "b", "onUnknownStepId": "c"}
    one = Life(document(steps={"a": {"type": "ACT", "policy": ways}, **steps("b"), **steps("c")})).is_lost()
    assert one.step.step_id == "c"
    one = Life(document(steps={"a": {"type": "ACT", "policy": {"onFailureStepId": "b"}}, **steps("b")})).is_lost()
    assert (one.status, one.at) == (Status.FAILED, ("a", S.FINISHED))


def test_unknown_pauses_where_failures_do() -> None:
    one = life("a", pause_at_failure=True).is_lost()
    assert (one.status, one.at) == (Status.PAUSED, ("a", S.WAITING_AFTER))


@pytest.mark.parametrize("attempts", [1, 3])
def test_unknown_is_not_repeated_by_a_policy_unless_it_is_safe(attempts: int) -> None:
    one = life("a", a={"policy": {"retry": {"maxAttempts": attempts}}}).ends(Result.UNKNOWN)
    assert (one.status, one.step.attempt) == (Status.FAILED, 1)
    one = life("a", a={"policy": {"safeToRerun": True, "retry": {"maxAttempts": attempts}}}).ends(Result.UNKNOWN)
    assert one.step.attempt == min(attempts, 2)


def test_a_loss_of_another_claim_changes_nothing() -> None:
    one = life("a", "b")
    first = one.step
    assert one.lose() is Reply.STALE
    one.claim()
    before = one.head
    assert one.apply(Lost("x", 0, 1, "another", "silent")).reply is Reply.STALE
    assert one.apply(Lost("y", 0, 2, "n0", "silent")).reply is Reply.STALE
    assert one.head is before
    one.report()
    assert one.lose(of=first) is Reply.STALE
    assert one.at == ("b", S.EXECUTABLE)


def test_a_loss_after_a_pause_was_asked_for_waits_before_the_next_attempt() -> None:
    one = life("a", a=SAFE)
    one.claim()
    one.pause()
    one.lose()
    assert (one.status, one.at, one.step.attempt) == (Status.PAUSED, ("a", S.WAITING_BEFORE), 2)
    assert not one.tasks
    one.resume()
    assert one.task.attempt == 2


# --- what may be left at the target ---


def test_whoever_is_lost_may_have_left_something_behind_until_somebody_confirms() -> None:
    one = life("a").is_lost()
    assert one.left == ["n0"]
    assert one.clean_up("other").reply is Reply.STALE
    one.clean_up("n0")
    assert not one.left
    assert [entry.step for entry in one.logs if entry.message == "its session at the target is closed"] == [0]


def test_of_a_script_that_was_lost_nobody_says_that_it_had_a_target_or_a_session_there() -> None:
    types = collect((StepSignature("SCRIPT", "Only computes.", always_safe=True, only_computes=True),))
    one = Life(document(steps=steps("a", of="SCRIPT")), types=types).is_lost().is_lost().is_lost()
    assert one.said("nobody can say what it came to: ")
    for nonce in list(one.left):
        one.clean_up(nonce)
    assert [entry.step for entry in one.logs if entry.message == "nothing of it goes on any more"] == [0, 1, 2]
    assert not one.said("target")


def test_what_a_lost_attempt_left_behind_is_not_forgotten_when_the_next_one_runs() -> None:
    one = life("a", "b", a={"policy": {"safeToRerun": True}}).is_lost().is_lost()
    assert one.left == ["n0", "n1"]
    one.ends().ends()
    assert (one.status, one.left) == (Status.COMPLETED, ["n0", "n1"])
    one.clean_up("n1")
    assert one.left == ["n0"]


def test_what_a_step_type_does_not_let_go_of_is_said_with_its_report() -> None:
    one = life("a", "b")
    one.claim()
    timed_out = Outcome(Result.FAILED, error=StepError(ErrorCode.TIMEOUT, "its time was over"))
    one.apply(Reported("report", 0, 1, "n0", timed_out, is_left_behind=True))
    assert (one.status, one.left) == (Status.FAILED, ["n0"])


def test_an_attempt_that_ends_leaves_nothing_behind() -> None:
    assert life("a").ends().left == []
