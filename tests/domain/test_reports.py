"""Reports: only the stored claim's counts, a repeat is answered as stored, and what comes too late changes no run by itself."""

import pytest

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Claimed, Decision, Reply, Reported
from stepswitch.domain.execution import Outcome, Result, Status
from stepswitch.domain.states import StepState as S
from tests.domain.documents import document
from tests.domain.lives import START, Life, life

OUT = {"outBindings": {"x": {"name": "code", "type": "number"}}}
X = {"x": {"type": "number"}}


def test_a_report_ends_the_attempt_and_leads_on() -> None:
    one = life("a", "b")
    one.now += 5
    one.claim()
    one.now += 5
    assert one.report() is Reply.STORED
    assert one.story == [("a", S.FINISHED, Result.SUCCEEDED), ("b", S.EXECUTABLE, None)]
    assert (one.rows[0].claimed_time, one.rows[0].end_time, one.step.start_time) == (START + 5, START + 10, START + 10)


def test_a_report_of_another_claim_is_only_logged() -> None:
    one = life("a")
    one.claim("n")
    assert one.report(nonce="m") is Reply.STALE
    assert one.at == ("a", S.EXECUTING)
    assert one.said("too late: nothing follows")


def test_a_report_without_a_claim_does_not_end_a_step_with_effects() -> None:
    one = life("a")
    assert one.report(nonce=None) is Reply.STALE
    assert one.report(nonce="made up") is Reply.STALE
    assert one.at == ("a", S.EXECUTABLE)
    one.claim()
    assert one.report(nonce=None) is Reply.STALE
    assert one.at == ("a", S.EXECUTING)


def repeated(one: Life, times: int = 1) -> Decision:
    """Report the same twice, with other events between, and return the answer to the second."""
    event = Reported("report:n0", 0, 1, "n0", Outcome(Result.FAILED))
    one.claim()
    assert one.apply(event).reply is Reply.STORED
    for turn in range(times):
        one.change(debug_step_ids=("a",) if turn % 2 else ())
    return one.apply(event)


def test_a_repeat_of_a_stored_report_is_answered_as_stored() -> None:
    one = life("a", pause_at_failure=True)
    decision = repeated(one)
    assert decision.reply is Reply.STORED
    assert not decision.logs
    assert one.at == ("a", S.WAITING_AFTER)


def test_a_repeat_is_recognised_by_its_claim_when_its_id_is_forgotten() -> None:
    one = life("a", pause_at_failure=True)
    decision = repeated(one, times=12)
    assert decision.reply is Reply.STORED
    assert "report:n0" not in one.head.applied
    assert not decision.logs


def test_a_late_report_of_a_step_that_is_behind_is_only_logged() -> None:
    one = life("a", "b")
    first = one.step
    one.ends()
    assert one.report(Result.FAILED, of=first) is Reply.STALE
    assert one.at == ("b", S.EXECUTABLE)
    assert one.said("step execution 0 reported FAILED too late")


def test_a_late_report_replaces_the_doubt_while_the_run_still_waits_there() -> None:
    one = life("a", "b", pause_at_failure=True, a=OUT, variables=X).is_lost()
    assert (one.status, one.step.result) == (Status.PAUSED, Result.UNKNOWN)
    assert one.report(outputs={"code": 3}) is Reply.STORED
    assert (one.status, one.at, one.step.result, one.step.error) == (Status.PAUSED, ("a", S.WAITING_AFTER), Result.SUCCEEDED, None)
    assert one.head.values == {"x": 3}
    assert one.said("after it was given up")
    assert not one.tasks
    one.resume()
    assert one.at == ("b", S.EXECUTABLE)
    assert one.head.accepted_failures == 0


@pytest.mark.parametrize("result", [Result.SUCCEEDED, Result.FAILED])
def test_a_late_report_replaces_the_doubt_at_which_the_run_has_ended(result: Result) -> None:
    one = life("a").is_lost()
    assert one.status is Status.FAILED
    ended = one.head.end_time
    one.now += 100
    assert one.report(result) is Reply.STORED
    assert (one.status, one.step.result, one.head.end_time) == (Status.FAILED, result, ended)
    assert one.step.end_time == ended


def test_a_late_report_replaces_the_doubt_of_a_run_that_was_aborted_while_it_waited() -> None:
    one = life("a", pause_at_failure=True).is_lost()
    one.abort()
    assert one.step.result is Result.UNKNOWN
    assert one.report() is Reply.STORED
    assert (one.status, one.step.result) == (Status.ABORTED, Result.SUCCEEDED)


def test_a_late_report_of_an_attempt_that_was_aborted_is_only_logged() -> None:
    one = life("a")
    one.claim()
    one.abort()
    assert one.report() is Reply.STALE
    assert (one.status, one.step.result) == (Status.ABORTED, Result.UNKNOWN)


def test_a_late_report_after_somebody_went_on_is_only_logged() -> None:
    one = life("a", "b", pause_at_failure=True).is_lost()
    lost = one.step
    one.resume()
    assert one.report(of=lost) is Reply.STALE
    assert one.rows[0].result is Result.UNKNOWN
    assert one.at == ("b", S.EXECUTABLE)


def test_a_late_report_of_an_attempt_that_was_repeated_is_only_logged() -> None:
    one = life("a", a={"policy": {"safeToRerun": True}}).is_lost()
    lost = one.rows[0]
    assert one.report(of=lost) is Reply.STALE
    assert (one.at, one.step.attempt) == (("a", S.EXECUTABLE), 2)


def test_a_doubt_that_was_reported_is_no_loss_and_is_not_replaced() -> None:
    one = life("a", pause_at_failure=True).ends(Result.UNKNOWN)
    assert one.report() is Reply.STORED
    assert one.step.result is Result.UNKNOWN


def test_the_first_of_two_reports_of_a_safe_step_counts() -> None:
    one = life("a", "b", of="LOOK")
    first = one.step
    one.now += 9
    assert one.apply(Reported("r1", 0, 1, None, Outcome(Result.SUCCEEDED), started=START + 4, since=first.since)).reply is Reply.STORED
    assert (one.rows[0].claimed_time, one.head.start_time) == (START + 4, START + 4)
    assert one.apply(Reported("r2", 0, 1, None, Outcome(Result.FAILED), started=START + 4)).reply is Reply.STALE
    assert one.at == ("b", S.EXECUTABLE)


def test_a_report_of_a_safe_step_that_was_begun_before_a_correction_does_not_count() -> None:
    one = life("a", of="LOOK", variables=X)
    begun = one.step
    one.now += 1
    one.pause()
    one.set_values({"x": 1})
    one.resume()
    assert one.apply(Reported("r", 0, 1, None, Outcome(Result.SUCCEEDED), since=begun.since)).reply is Reply.STALE
    assert one.at == ("a", S.EXECUTABLE)
    assert one.apply(Reported("q", 0, 1, None, Outcome(Result.SUCCEEDED), since=one.step.since)).reply is Reply.STORED


def test_a_report_that_is_quicker_than_its_late_claim_counts_and_the_claim_is_stale() -> None:
    one = life("a", of="LOOK")
    begun = one.step
    report = Reported("report:n", 0, 1, "n", Outcome(Result.SUCCEEDED), started=START, since=begun.since)
    assert one.apply(report).reply is Reply.STORED
    assert one.status is Status.COMPLETED
    assert one.apply(Claimed("claim:n", 0, 1, "n", "w1", since=begun.since)).reply is Reply.STALE
    assert one.apply(report).reply is Reply.STORED


def test_a_report_without_its_claim_counts_only_for_the_step_as_it_was_taken() -> None:
    one = life("a", of="LOOK")
    begun = one.step
    one.now += 1
    one.pause()
    one.resume()
    for since in (begun.since, None):
        assert one.apply(Reported(f"r{since}", 0, 1, "n", Outcome(Result.SUCCEEDED), since=since)).reply is Reply.STALE
    assert one.at == ("a", S.EXECUTABLE)


@pytest.mark.parametrize("started", [0, START + 10**9])
def test_a_worker_with_a_wrong_clock_does_not_bend_time(started: int) -> None:
    one = life("a", of="LOOK")
    one.now += 50
    one.apply(Reported("r", 0, 1, None, Outcome(Result.SUCCEEDED), started=started))
    assert one.step.claimed_time is not None
    assert one.step.start_time <= one.step.claimed_time <= one.now == one.step.end_time


def test_outputs_of_a_step_that_failed_are_bound_too() -> None:
    one = life("a", a=OUT, variables=X).ends(Result.FAILED, {"code": 9, "more": "text"})
    assert one.head.values == {"x": 9}
    assert dict(one.step.outputs) == {"code": 9, "more": "text"}


def test_an_output_that_does_not_fit_fails_the_step() -> None:
    one = life("a", a=OUT, variables=X).ends(outputs={"code": "nine"})
    assert (one.status, one.step.result) == (Status.FAILED, Result.FAILED)
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.OUTPUT_MISFIT
    assert one.head.values == {}
    assert dict(one.step.outputs) == {"code": "nine"}


def test_an_output_that_does_not_fit_a_failure_leaves_its_reason_and_is_logged() -> None:
    one = life("a", a=OUT, variables=X).ends(Result.FAILED, {"code": "nine"})
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.NON_ZERO_EXIT
    assert one.said("cannot be written to 'x'")


def test_the_fitting_outputs_are_bound_beside_one_that_does_not_fit() -> None:
    both = {"outBindings": {"x": {"name": "code", "type": "number"}, "y": {"name": "text", "type": "string"}}}
    one = Life(document(variables={**X, "y": {"type": "string"}}, steps={"a": {"type": "ACT", **both}}))
    one.ends(outputs={"code": "nine", "text": "hello"})
    assert one.head.values == {"y": "hello"}
