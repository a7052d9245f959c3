"""Steering: what people do counts for the state that they saw, is refused as a whole otherwise, and is in the log with their names."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.events import Decision, Reply, Resume, WrittenBack
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.states import StepState as S
from tests.domain.documents import document
from tests.domain.lives import START, Life, life, steps

X = {"x": {"type": "string", "defaultValue": "old"}}
SECRET = {"pw": {"type": "password", "defaultValue": "hunter22"}}


def refused(do: Callable[..., Decision], *given: Any, **named: Any) -> ErrorCode:
    with pytest.raises(StateConflictError) as caught:
        do(*given, **named)
    return caught.value.code


# --- breakpoints, pause, resume ---


def test_a_breakpoint_pauses_before_its_step() -> None:
    one = life("a", "b", debug=("b",)).ends()
    assert (one.status, one.at) == (Status.PAUSED, ("b", S.WAITING_BEFORE))
    assert one.said("paused before step b: it is one of debugStepIds")
    assert not one.tasks


def test_a_breakpoint_at_the_first_step_pauses_what_is_queued() -> None:
    one = life("a", debug=("a",))
    assert (one.status, one.head.start_time) == (Status.PAUSED, None)
    one.resume()
    assert one.at == ("a", S.EXECUTABLE)
    assert one.head.status is Status.QUEUED
    assert one.ends().status is Status.COMPLETED


def test_resume_runs_the_very_step_that_waits() -> None:
    one = life("a", "b", debug=("b",)).ends()
    one.now += 10
    one.resume(reason="looks good")
    assert (one.status, one.at, one.step.number, one.step.since) == (Status.RUNNING, ("b", S.EXECUTABLE), 1, START + 10)
    assert one.task.number == 1
    assert one.said("resumed by bob while PAUSED at step b (1, waitingBeforeExecution): looks good")


def test_a_breakpoint_in_a_loop_stops_again_at_the_next_visit() -> None:
    one = Life(document(steps={"a": {"type": "ACT", "nextStepId": "a"}}), debug=("a",))
    for visit in range(3):
        assert (one.status, one.step.number) == (Status.PAUSED, visit)
        one.resume()
        one.ends()


def test_a_retry_does_not_stop_at_a_breakpoint() -> None:
    one = life("a", debug=("a",), a={"policy": {"retry": {"maxAttempts": 2}}}, pause_at_failure=True)
    one.resume()
    one.fails()
    assert (one.status, one.at) == (Status.RUNNING, ("a", S.EXECUTABLE))
    one.fails()
    one.retry()
    assert (one.status, one.at) == (Status.RUNNING, ("a", S.EXECUTABLE))


def test_pause_at_failure_waits_after_the_step_and_resume_accepts_it() -> None:
    one = life("a", "b", pause_at_failure=True).fails()
    assert (one.status, one.at) == (Status.PAUSED, ("a", S.WAITING_AFTER))
    assert one.step.end_time == START
    one.now += 30
    one.resume()
    assert one.story == [("a", S.FINISHED, Result.FAILED), ("b", S.EXECUTABLE, None)]
    assert one.head.accepted_failures == 1
    assert one.rows[0].end_time == START
    assert one.said("the failure of step a (0) is accepted")


def test_accepting_the_failure_of_the_last_step_completes() -> None:
    one = life("a", pause_at_failure=True).fails()
    one.resume()
    assert (one.status, one.at, one.step.result) == (Status.COMPLETED, ("a", S.FINISHED), Result.FAILED)


def test_a_pause_holds_what_is_queued_and_forgets_its_task() -> None:
    one = life("a")
    one.pause()
    assert (one.status, one.at) == (Status.PAUSED, ("a", S.WAITING_BEFORE))
    assert [cancel.number for cancel in one.cancels] == [0]
    assert not one.tasks
    one.resume()
    assert (one.status, one.at) == (Status.QUEUED, ("a", S.EXECUTABLE))


def test_a_pause_while_a_step_runs_lets_it_end_and_waits_before_the_next() -> None:
    one = life("a", "b", "c")
    one.claim()
    one.pause()
    assert (one.status, one.at) == (Status.RUNNING, ("a", S.EXECUTING))
    assert not one.cancels
    one.report()
    assert (one.status, one.at) == (Status.PAUSED, ("b", S.WAITING_BEFORE))
    one.resume()
    one.ends()
    assert one.status is Status.RUNNING


def test_a_pause_that_came_too_late_does_not_stop_whoever_reopens_the_run() -> None:
    one = life("a", "b")
    one.claim()
    one.pause()
    one.report(Result.FAILED)
    assert one.status is Status.FAILED
    one.retry()
    one.ends()
    assert one.at == ("b", S.EXECUTABLE)


def test_a_pause_of_what_is_paused_changes_nothing() -> None:
    one = life("a", debug=("a",))
    before = one.head
    assert one.pause().reply is Reply.DONE
    assert one.head is before
    one.resume()
    one.claim()
    one.pause()
    before = one.head
    one.pause()
    assert one.head is before


def test_a_pause_keeps_the_delay_of_what_it_holds() -> None:
    one = life("a", a={"policy": {"delaySeconds": 10}})
    one.now += 1_000
    one.pause()
    one.resume()
    assert one.task.not_before == START + 10_000


# --- retry, and what reopens ---


def test_a_retry_reopens_what_has_failed() -> None:
    one = life("a", "b").ends().fails()
    assert (one.status, one.at) == (Status.FAILED, ("b", S.FINISHED))
    one.now += 99
    one.retry()
    assert (one.status, one.head.end_time, one.at) == (Status.RUNNING, None, ("b", S.EXECUTABLE))
    assert one.rows[-1].state is S.FINISHED
    assert one.rows[-1].end_time == START
    assert (one.step.attempt, one.task.number) == (2, 2)
    assert one.ends().head.status is Status.COMPLETED


def test_a_retry_of_what_waits_ends_the_attempt_as_repeated() -> None:
    one = life("a", pause_at_failure=True).fails()
    one.retry()
    assert one.story == [("a", S.RETRY, Result.FAILED), ("a", S.EXECUTABLE, None)]


def test_resume_does_not_reopen_what_has_failed_unless_it_is_told_where() -> None:
    one = life("a", "b").fails()
    assert refused(one.resume) is ErrorCode.STATE_CONFLICT
    one.change(start_step_id="b")
    assert one.status is Status.FAILED
    one.resume()
    assert (one.status, one.head.end_time, one.at) == (Status.RUNNING, None, ("b", S.EXECUTABLE))
    assert one.story[0] == ("a", S.FINISHED, Result.FAILED)
    assert one.head.accepted_failures == 0


@pytest.mark.parametrize("target", ["c", "a", "b"])
def test_start_step_id_skips_goes_back_or_repeats(target: str) -> None:
    one = life("a", "b", "c", debug=("b",)).ends()
    one.change(start_step_id=target, debug_step_ids=())
    one.resume()
    assert one.story == [("a", S.FINISHED, Result.SUCCEEDED), ("b", S.FINISHED, Result.SKIPPED), (target, S.EXECUTABLE, None)]
    assert one.rows[1].end_time is not None
    assert one.workflow.start_step_id == "a"


def test_start_step_id_from_a_failure_leaves_its_result() -> None:
    one = life("a", "b", pause_at_failure=True).fails()
    one.change(start_step_id="b")
    one.resume()
    assert one.story == [("a", S.FINISHED, Result.FAILED), ("b", S.EXECUTABLE, None)]


def test_start_step_id_counts_once() -> None:
    one = life("a", "b", debug=("a", "b"))
    one.change(start_step_id="b")
    one.resume()
    assert (one.at, one.head.resume_at) == (("b", S.WAITING_BEFORE), None)
    one.resume()
    assert one.at == ("b", S.EXECUTABLE)


def test_a_retry_forgets_where_a_resume_would_have_gone_on() -> None:
    one = life("a", "b", "c", pause_at_failure=True).fails()
    one.change(start_step_id="c")
    one.retry()
    assert one.said("retry asked for by bob while PAUSED at step a (0, waitingAfterExecution)")
    assert one.said("startStepId changed from c to none by bob")
    one.fails()
    one.resume()
    assert one.step.step_id == "b"


@pytest.mark.parametrize("what", ["resume", "retry"])
def test_what_runs_cannot_be_resumed_or_retried(what: str) -> None:
    one = life("a", "b")
    do = getattr(one, what)
    for proceed in (one.claim, one.report, one.claim, one.report):
        assert refused(do) is ErrorCode.STATE_CONFLICT
        proceed()
    assert one.status is Status.COMPLETED
    assert refused(do) is ErrorCode.STATE_CONFLICT


def test_what_has_not_failed_cannot_be_retried() -> None:
    one = life("a", debug=("a",))
    assert refused(one.retry) is ErrorCode.STATE_CONFLICT


# --- abort ---


def test_an_abort_of_what_is_queued_skips_it() -> None:
    one = life("a")
    one.abort()
    assert (one.status, one.at, one.step.result, one.step.aborted) == (Status.ABORTED, ("a", S.FINISHED), Result.SKIPPED, True)
    assert [cancel.number for cancel in one.cancels] == [0]
    assert not one.left
    assert one.head.end_time == one.step.end_time == START


def test_an_abort_of_what_runs_leaves_unknown_until_it_is_cleaned_up() -> None:
    one = life("a")
    one.claim()
    one.abort(reason="wrong site")
    assert (one.status, one.step.result, one.step.aborted, one.left) == (Status.ABORTED, Result.UNKNOWN, True, ["n0"])
    assert [(cancel.number, cancel.attempt) for cancel in one.cancels] == [(0, 1)]
    assert one.said("aborted by bob while RUNNING at step a (0, executing): wrong site")
    assert one.clean_up("other").reply is Reply.STALE
    one.clean_up("n0")
    assert not one.left
    before = one.head
    assert one.clean_up("n0").reply is Reply.STALE
    assert one.head is before


def test_an_abort_before_a_breakpoint_skips_its_step() -> None:
    one = life("a", debug=("a",))
    one.abort()
    assert (one.status, one.step.result) == (Status.ABORTED, Result.SKIPPED)


def test_an_abort_after_a_failure_keeps_what_it_came_to() -> None:
    one = life("a", pause_at_failure=True).fails()
    one.now += 5
    one.abort()
    assert (one.status, one.step.result, one.step.end_time, one.head.end_time) == (Status.ABORTED, Result.FAILED, START, START + 5)
    assert not one.left


def test_an_abort_during_a_delay_ends_it() -> None:
    one = life("a", a={"policy": {"delaySeconds": 10}})
    one.abort()
    assert (one.status, one.step.result) == (Status.ABORTED, Result.SKIPPED)


def test_a_second_abort_is_no_error_and_changes_nothing() -> None:
    one = life("a")
    one.abort()
    before = one.head
    assert one.abort().reply is Reply.DONE
    assert one.head is before


def test_what_has_ended_otherwise_cannot_be_aborted() -> None:
    assert refused(life("a").ends().abort) is ErrorCode.STATE_CONFLICT
    assert refused(life("a").fails().abort) is ErrorCode.STATE_CONFLICT


def test_an_abort_does_not_ask_what_was_seen() -> None:
    one = life("a")
    seen = one.head.version
    one.claim()
    one.abort(seen=seen)
    assert one.status is Status.ABORTED


@pytest.mark.parametrize("what", ["resume", "retry", "pause"])
def test_what_was_aborted_stays_aborted(what: str) -> None:
    one = life("a")
    one.abort()
    assert refused(getattr(one, what)) is ErrorCode.STATE_CONFLICT
    assert refused(one.set_values, {"x": "1"}) is ErrorCode.STATE_CONFLICT


# --- change ---


def test_debug_step_ids_replace_the_old_ones_at_any_time() -> None:
    one = life("a", "b", "c", debug=("b",))
    one.claim()
    one.change(debug_step_ids=("c",), pause_at_failure=True)
    assert one.said("debugStepIds changed from b to c by bob")
    assert one.said("pauseAtFailure changed from False to True by bob")
    one.report()
    assert one.at == ("b", S.EXECUTABLE)
    one.ends()
    assert one.at == ("c", S.WAITING_BEFORE)


def test_a_breakpoint_that_names_no_step_is_refused() -> None:
    one = life("a")
    assert refused(one.change, debug_step_ids=("a", "nowhere")) is ErrorCode.UNKNOWN_STEP
    assert one.head.debug_step_ids == ()


def test_only_retained_til_changes_after_a_good_end() -> None:
    for one in (life("a").ends(), life("a")):
        if one.status is Status.QUEUED:
            one.abort()
        assert refused(one.change, debug_step_ids=("a",)) is ErrorCode.STATE_CONFLICT
        assert refused(one.change, pause_at_failure=True) is ErrorCode.STATE_CONFLICT
        assert refused(one.change, start_step_id="a") is ErrorCode.STATE_CONFLICT
        one.change(retained_til=START + 5)
        assert one.head.retained_til == START + 5
        assert refused(one.change, retained_til=START + 9, pause_at_failure=True) is ErrorCode.STATE_CONFLICT
        assert one.head.retained_til == START + 5


def test_the_same_change_twice_is_one() -> None:
    one = life("a", "b", debug=("a",))
    one.change(debug_step_ids=("b",), start_step_id="b", retained_til=START + 7)
    before = one.head
    assert one.change(debug_step_ids=("b",), start_step_id="b", retained_til=START + 7).reply is Reply.DONE
    assert one.head is before
    one.edit({"b": {"type": "NOOP"}})
    before = one.head
    assert one.edit({"b": {"type": "NOOP"}}).head is before


def test_steps_change_only_while_it_waits_or_has_failed() -> None:
    one = life("a", "b")
    assert refused(one.edit, {"b": {"type": "NOOP"}}) is ErrorCode.STATE_CONFLICT
    assert refused(one.change, start_step_id="b") is ErrorCode.STATE_CONFLICT
    one.claim()
    assert refused(one.edit, {"b": {"type": "NOOP"}}) is ErrorCode.STATE_CONFLICT


def test_an_edited_step_runs_as_edited_and_what_is_behind_stays_as_it_was() -> None:
    one = life("a", "b", debug=("b",), variables=X).ends()
    old = one.head.snapshot_id
    one.edit({"b": {"type": "ACT", "inBindings": {"host": {"type": "string", "exportName": "x"}}}})
    assert one.head.snapshot_id != old
    one.resume()
    assert (one.step.snapshot_id, dict(one.step.inputs), one.step.device) == (
        one.head.snapshot_id,
        {"host": "old"},
        DeviceLane("old", "old"),
    )
    assert one.rows[0].snapshot_id == old


def test_a_failed_step_that_was_edited_is_retried_as_edited() -> None:
    one = life("a").fails()
    one.edit({"a": {"type": "NOOP"}})
    one.retry()
    one.turn()
    assert one.status is Status.COMPLETED


def test_an_edit_made_from_other_steps_is_refused() -> None:
    one = life("a", "b", debug=("a",))
    first = one.head.snapshot_id
    one.edit({"b": {"type": "NOOP"}})
    assert refused(one.edit, {"b": {"type": "LOOK"}}, base=first) is ErrorCode.MOVED_ON


def test_the_step_at_which_it_waits_can_only_be_removed_when_it_moves_away() -> None:
    one = life("a", "b", debug=("a",))
    assert refused(one.edit, {"a": None}) is ErrorCode.STATE_CONFLICT
    assert refused(one.edit, {"a": None}, start_step_id="nowhere") is ErrorCode.UNKNOWN_STEP
    assert one.head.snapshot_id == "s0"
    one.edit({"a": None}, start_step_id="b")
    assert refused(one.edit, {"b": None}) is ErrorCode.UNKNOWN_STEP
    one.resume()
    assert one.story == [("a", S.FINISHED, Result.SKIPPED), ("b", S.EXECUTABLE, None)]


def test_a_failed_step_that_was_removed_cannot_be_retried() -> None:
    one = life("a", "b").fails()
    one.edit({"a": None}, start_step_id="b")
    assert refused(one.retry) is ErrorCode.STATE_CONFLICT
    one.resume()
    assert one.at == ("b", S.EXECUTABLE)


def test_a_breakpoint_goes_with_its_step() -> None:
    one = life("a", "b", "c", debug=("a", "b"))
    one.edit({"b": None, "a": {"type": "ACT", "nextStepId": "c"}})
    assert one.head.debug_step_ids == ("a",)
    assert one.said("debugStepIds changed from a, b to a by bob")


def test_an_edit_is_told_by_what_is_different_and_not_by_its_secrets() -> None:
    bound = {"host": {"type": "string", "defaultValue": "old"}, "pw": {"type": "password", "defaultValue": "hunter22"}}
    compared = [{"name": "pin", "comparator": "equals", "value": "hunter44"}]
    one = life("a", "b", debug=("a",), inputs={"pin": {"type": "password"}}, a={"inBindings": bound, "conditions": compared})
    told = len(one.messages)
    edited = {
        "host": {"type": "string", "defaultValue": "x" * 300},
        "pw": {"type": "string", "defaultValue": "hunter33"},
        "port": {"type": "number", "defaultValue": 22},
    }
    step = {"type": "ACT", "nextStepId": "b", "inBindings": edited, "conditions": [{**compared[0], "value": "hunter55"}]}
    one.edit({"a": step, "c": {"type": "NOOP"}}, reason="slip")
    assert one.messages[told:] == [
        "steps changed: step a, inBindings.host.defaultValue: from old to a text of 300 characters by bob: slip",
        "steps changed: step a, inBindings.pw.type: from password to string by bob: slip",
        "steps changed: step a, inBindings.pw.defaultValue: from ******** to ******** by bob: slip",
        "steps changed: step a, conditions.0.value: from ******** to ******** by bob: slip",
        "steps changed: step a, inBindings.port.type: from none to number by bob: slip",
        "steps changed: step a, inBindings.port.defaultValue: from none to 22 by bob: slip",
        "steps changed: step c added (NOOP) by bob: slip",
    ]


def test_an_edit_of_everything_does_not_fill_the_log() -> None:
    names = [f"s{number}" for number in range(80)]
    one = life(*names, debug=("s0",))
    told = len(one.messages)
    one.edit({name: {"type": "LOOK", "nextStepId": "s0"} for name in names})
    assert len(one.messages) - told == 51
    assert one.said("more differences by bob")


def test_retention_is_told_as_a_time() -> None:
    one = life("a")
    one.change(retained_til=1_900_000_000_250)
    assert one.said("retainedTil changed from 1970-01-12T14:03:20.000Z to 2030-03-17T17:46:40.250Z by bob")


def test_steps_that_were_written_back_are_told_once() -> None:
    one = life("a", "b", debug=("a",))
    assert one.head.catalogue_snapshot_id == one.head.snapshot_id
    one.edit({"b": {"type": "NOOP"}})
    assert one.head.catalogue_snapshot_id != one.head.snapshot_id
    for number in range(2):
        one.apply(WrittenBack(f"w{number}", "bob", None, "proven", snapshot_id=one.head.snapshot_id, revision=2))
    assert one.head.catalogue_snapshot_id == one.head.snapshot_id
    assert sum("given the steps of this execution, as revision 2, by bob: proven" in message for message in one.messages) == 1


# --- values ---


def test_a_long_value_is_told_by_its_length() -> None:
    one = life("a", debug=("a",), variables=X)
    one.set_values({"x": "y" * 201})
    assert one.said("value x changed from old to a text of 201 characters")


def test_a_corrected_value_is_what_the_retry_takes() -> None:
    one = life("a", a={"inBindings": {"host": {"type": "string", "exportName": "x"}}}, variables=X).fails()
    one.set_values({"x": "new"}, reason="typing slip")
    assert one.said("value x changed from old to new by bob: typing slip")
    one.retry()
    assert dict(one.step.inputs) == {"host": "new"}
    assert dict(one.rows[0].inputs) == {"host": "old"}


def test_a_value_can_be_taken_away() -> None:
    one = life("a", debug=("a",), variables=X)
    one.set_values({"x": None})
    assert one.head.values == {}
    assert one.said("changed from old to none")


TWO: Final = {"x": {"type": "string"}, "y": {"type": "string"}}


def test_whoever_says_what_a_step_with_a_password_is_given_counts_as_who_changed_it() -> None:
    takes = {"inBindings": {"host": {"type": "string", "exportName": "x"}, "pw": {"type": "password", "defaultValue": "word"}}}
    one = life("a", "b", a=takes, variables=TWO)
    one.fails()
    one.set_values({"y": "1"}, user="eve")
    assert one.head.editors == {}
    one.set_values({"x": "1"}, user="eve")
    assert one.head.editors == {"a": "eve"}
    one.set_values({"x": "2"}, user="dora")
    assert one.head.editors == {"a": "eve"}


def test_whoever_says_what_a_step_is_given_that_the_inventory_may_log_in_counts_as_who_changed_it() -> None:
    host = {"inBindings": {"host": {"type": "string", "exportName": "x"}}}
    one = life("a", "b", a=host, b={"type": "NOOP", "inBindings": {"host": {"type": "string", "exportName": "y"}}}, variables=TWO)
    one.fails()
    one.set_values({"y": "1"}, user="eve")
    assert one.head.editors == {}
    one.set_values({"x": "1"}, user="eve")
    assert one.head.editors == {"a": "eve"}


def test_a_secret_is_corrected_without_being_told() -> None:
    one = life("a", debug=("a",), inputs=SECRET)
    one.set_values({"pw": "correct horse"})
    assert one.head.values == {"pw": "correct horse"}
    assert not any("hunter22" in message or "correct horse" in message for message in one.messages)


def test_values_are_corrected_only_while_it_waits_or_has_failed() -> None:
    one = life("a", variables=X)
    assert refused(one.set_values, {"x": "new"}) is ErrorCode.STATE_CONFLICT
    one.ends()
    assert refused(one.set_values, {"x": "new"}) is ErrorCode.STATE_CONFLICT


@pytest.mark.parametrize(("before", "after", "changes"), [(1, True, True), (1, 1, False), (0, False, True), ("1", 1, True)])
def test_a_value_of_another_type_is_another_value(before: Any, after: Any, *, changes: bool) -> None:
    one = life("a", debug=("a",), variables={"x": {"type": "string"}}, values={"x": before})
    version = one.head.version
    one.set_values({"x": after})
    assert (one.head.version > version) is changes


# --- two people at once ---


@pytest.mark.parametrize(
    "second",
    [
        lambda one, seen: one.resume(seen=seen),
        lambda one, seen: one.retry(seen=seen),
        lambda one, seen: one.change(start_step_id="a", seen=seen),
        lambda one, seen: one.edit({"b": {"type": "NOOP"}}, seen=seen),
        lambda one, seen: one.set_values({"x": "newer"}, seen=seen),
    ],
    ids=["resume", "retry", "startStepId", "steps", "values"],
)
def test_the_second_of_two_people_is_told_that_the_run_has_moved_on(second: Callable[[Life, int], Decision]) -> None:
    one = life("a", "b", pause_at_failure=True, variables=X).fails()
    seen = one.head.version
    one.set_values({"x": "new"}, seen=seen)
    before = one.head
    assert refused(second, one, seen) is ErrorCode.MOVED_ON
    assert one.head is before


def test_a_resume_of_a_breakpoint_does_not_accept_the_failure_that_followed() -> None:
    one = life("a", "b", debug=("a",), pause_at_failure=True)
    seen = one.head.version
    one.resume(seen=seen)
    one.fails()
    assert one.step.number == 0
    assert refused(one.resume, seen=seen) is ErrorCode.MOVED_ON
    assert one.at == ("a", S.WAITING_AFTER)


def test_a_resume_that_did_not_see_the_late_report_is_refused() -> None:
    one = life("a", "b", pause_at_failure=True).is_lost()
    seen = one.head.version
    one.report()
    assert refused(one.resume, seen=seen) is ErrorCode.MOVED_ON


def test_who_wants_what_is_so_already_is_not_refused() -> None:
    one = life("a", "b", debug=("a",), variables=X)
    seen = one.head.version
    one.change(start_step_id="b", seen=seen)
    assert one.change(start_step_id="b", seen=seen).reply is Reply.DONE
    one.set_values({"x": "new"})
    assert one.set_values({"x": "new"}, seen=seen).reply is Reply.DONE


def test_the_same_event_twice_counts_once() -> None:
    one = Life(document(steps=steps("a", "b")), debug=("a", "b"))
    event = Resume("r", "bob", None)
    one.apply(event)
    one.ends()
    assert one.at == ("b", S.WAITING_BEFORE)
    assert one.apply(event).reply is Reply.STORED
    assert one.at == ("b", S.WAITING_BEFORE)
