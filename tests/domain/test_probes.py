"""Probes: a doubt is settled by what the target says and by nothing else; what was done is never done again, and nothing looks for ever."""

from dataclasses import replace
from typing import Any

import pytest

from stepswitch.domain.decide import pending_task
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Claimed, Reply, Reported, TaskKind, Turn
from stepswitch.domain.execution import Outcome, Result, Status, StepError, Verdict
from stepswitch.domain.rules import Rules
from stepswitch.domain.states import StepState as S
from stepswitch.domain.step_types import collect
from tests.domain.documents import JsonObject, document
from tests.domain.lives import ACT, NOOP, START, Life, life, steps

DONE, NOT_DONE, NEITHER = {"text": "version 2"}, {"text": "version 1"}, {"text": "busy"}
CUT = Outcome(Result.UNKNOWN, error=StepError(ErrorCode.CONNECTION_CUT, "the connection was cut"))


def text(value: str) -> JsonObject:
    return {"type": "string", "defaultValue": value}


def probe(**more: Any) -> JsonObject:
    return {
        "inBindings": {"deed": text("show version")},
        "done": [{"name": "text", "comparator": "equals", "value": "version 2"}],
        "notDone": [{"name": "text", "comparator": "equals", "value": "version 1"}],
        **more,
    }


def upgrade(policy: JsonObject | None = None, **more: Any) -> JsonObject:
    """Return a step that acts on a router, with a probe."""
    return {
        "inBindings": {"host": text("router"), "deed": text("upgrade")},
        "policy": {"probe": probe(**more), **(policy or {})},
    }


def doubtful(policy: JsonObject | None = None, *, lost: bool = True, **more: Any) -> Life:
    """Return an execution of `a` and `b` whose first step ended in doubt, so that its probe is next."""
    given = {name: more.pop(name) for name in ("pause_at_failure", "variables", "step") if name in more}
    step = {**upgrade(policy, **more), **given.pop("step", {})}
    return in_doubt(life("a", "b", a=step, **given), lost=lost)


def in_doubt(one: Life, *, lost: bool = True) -> Life:
    if lost:
        return one.is_lost()
    one.claim()
    step = one.step
    one.apply(Reported(one.new_id(), step.number, step.attempt, f"n{step.number}", CUT))
    return one


def looks(one: Life, outputs: JsonObject, result: Result = Result.SUCCEEDED) -> Life:
    """Let the probe be carried out."""
    assert one.step.look is not None
    assert one.claim() is Reply.GRANTED
    assert one.report(result, outputs) is Reply.STORED
    return one


# --- what a doubt leads to ---


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "reported"])
def test_a_doubt_is_looked_into_before_anything_else_follows(lost: bool) -> None:
    one = doubtful({"onUnknownStepId": "b"}, lost=lost, pause_at_failure=True)
    assert (one.status, one.at, one.step.result) == (Status.RUNNING, ("a", S.EXECUTED), Result.UNKNOWN)
    assert one.step.probe is not None
    assert (one.step.probe.attempt, one.step.probe.state) == (1, S.EXECUTABLE)
    assert (one.task.look, one.task.kind, one.task.device) == (1, TaskKind.STEP, DeviceLane("router", "router"))
    assert one.said("its probe looks whether it was done")


def test_a_look_that_is_given_back_is_taken_by_whoever_comes_next() -> None:
    one = doubtful()
    one.claim()
    assert one.give_back().reply is Reply.DONE
    assert (one.at, one.step.look_number, one.step.work.state) == (("a", S.EXECUTED), 1, S.EXECUTABLE)
    assert one.claim() is Reply.STALE
    assert one.claim("other") is Reply.GRANTED
    one.report(Result.SUCCEEDED, DONE, nonce="other")
    assert one.at == ("b", S.EXECUTABLE)


@pytest.mark.parametrize("is_left_behind", [False, True])
def test_a_look_that_does_not_let_go_of_the_target_is_said_to_be_left_behind(*, is_left_behind: bool) -> None:
    one = in_doubt(life("a", a=upgrade()), lost=False)
    one.claim()
    step, found = one.step, Outcome(Result.SUCCEEDED, DONE)
    one.apply(Reported(one.new_id(), step.number, step.attempt, "n0.1", found, look=1, is_left_behind=is_left_behind))
    assert (one.status, one.left) == (Status.COMPLETED, ["n0.1"] if is_left_behind else [])


def test_a_look_that_is_lost_may_have_left_something_behind_as_its_attempt_may() -> None:
    one = doubtful()
    one.claim()
    one.lose()
    assert (one.step.look_number, one.left) == (2, ["n0", "n0.1"])


def test_who_gives_an_attempt_back_that_is_looked_into_is_told_that_it_is_over() -> None:
    """Only then does he say that his session is closed."""
    one = life("a", a=upgrade())
    one.claim()
    attempt = one.step
    one.lose()
    assert one.step.look_number == 1
    assert one.give_back(of=attempt).reply is Reply.STALE


def test_the_probe_says_done_and_the_way_goes_on_as_after_success() -> None:
    one = looks(doubtful(), DONE)
    assert one.story == [("a", S.FINISHED, Result.SUCCEEDED), ("b", S.EXECUTABLE, None)]
    (row,) = one.rows
    assert row.error is None
    assert row.probe is not None
    assert (row.probe.verdict, row.probe.result, row.probe.state) == (Verdict.DONE, Result.SUCCEEDED, S.FINISHED)
    assert one.said("the probe found that step a (0) was done")
    assert one.ends().status is Status.COMPLETED


def test_the_probe_of_the_last_step_says_done_and_the_execution_is_completed() -> None:
    one = looks(in_doubt(life("a", a=upgrade())), DONE)
    assert (one.status, one.step.result) == (Status.COMPLETED, Result.SUCCEEDED)


def test_conditions_choose_the_way_after_a_probe_as_after_success() -> None:
    step = {**upgrade(outBindings={"x": {"name": "text", "type": "string"}}), "nextStepId": "b"}
    step["conditions"] = [{"name": "x", "comparator": "equals", "value": "version 2", "nextStepId": "c"}]
    one = Life(document(variables={"x": {"type": "string"}}, steps={"a": {"type": "ACT", **step}, **steps("b"), **steps("c")}))
    assert looks(in_doubt(one), DONE).at == ("c", S.EXECUTABLE)


@pytest.mark.parametrize("attempts", [1, 4])
def test_the_probe_says_not_done_and_the_step_runs_again(attempts: int) -> None:
    one = looks(doubtful({"retry": {"maxAttempts": attempts}}), NOT_DONE)
    assert one.story == [("a", S.RETRY, Result.FAILED), ("a", S.EXECUTABLE, None)]
    assert (one.step.attempt, one.step.probe, one.task.look) == (2, None, 0)
    assert one.rows[0].error is not None
    assert "its probe found that it was not done" in one.rows[0].error.message
    assert one.ends().at == ("b", S.EXECUTABLE)


def test_what_is_in_doubt_a_third_time_is_not_run_again_by_the_word_of_its_probe() -> None:
    one = doubtful(pause_at_failure=True)
    for _ in range(2):
        in_doubt(looks(one, NOT_DONE))
    looks(one, NOT_DONE)
    assert [row.result for row in one.rows] == [Result.FAILED, Result.FAILED]
    assert (one.status, one.at, one.step.result, one.step.attempt) == (Status.PAUSED, ("a", S.WAITING_AFTER), Result.FAILED, 3)
    one.retry()
    assert (one.step.attempt, one.step.reruns) == (4, 0)
    assert in_doubt(one).step.look is not None


def test_what_was_certainly_not_done_goes_the_way_of_failures_when_its_runs_are_spent() -> None:
    ways = {"onFailureStepId": "b", "onUnknownStepId": "c"}
    one = Life(document(steps={"a": {"type": "ACT", **upgrade(ways)}, **steps("b"), **steps("c")}))
    for _ in range(3):
        looks(in_doubt(one), NOT_DONE)
    assert one.at == ("b", S.EXECUTABLE)


@pytest.mark.parametrize("outputs", [NEITHER, {}])
def test_what_cannot_be_told_is_looked_at_again_and_then_goes_on_as_without_a_probe(outputs: JsonObject) -> None:
    one = doubtful(maxAttempts=2, pause_at_failure=True)
    looks(one, outputs)
    assert (one.status, one.at, one.step.look_number) == (Status.RUNNING, ("a", S.EXECUTED), 2)
    looks(one, outputs)
    assert (one.status, one.at, one.step.result) == (Status.PAUSED, ("a", S.WAITING_AFTER), Result.UNKNOWN)
    assert one.step.probe is not None
    assert one.step.probe.verdict is Verdict.UNKNOWN
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.LOST
    assert one.said("the probe could not tell whether step a (0) was done")
    one.resume()
    assert (one.at, one.head.accepted_failures) == (("b", S.EXECUTABLE), 1)


def test_what_cannot_be_told_takes_the_way_of_unknown_or_ends() -> None:
    assert looks(doubtful(maxAttempts=1), NEITHER).status is Status.FAILED
    assert looks(doubtful({"onUnknownStepId": "b", "onFailureStepId": "a"}, maxAttempts=1), NEITHER).at == ("b", S.EXECUTABLE)


def test_a_step_that_is_safe_needs_no_probe_while_it_may_run_again() -> None:
    one = doubtful({"safeToRerun": True})
    assert (one.step.attempt, one.step.probe) == (2, None)
    one.is_lost().is_lost()
    assert one.step.look is not None
    assert looks(one, DONE).at == ("b", S.EXECUTABLE)


def test_a_failure_is_no_doubt_and_is_not_probed() -> None:
    one = life("a", a=upgrade()).fails()
    assert (one.status, one.step.probe) == (Status.FAILED, None)


def test_a_step_without_a_probe_is_as_it_was() -> None:
    one = life("a").is_lost()
    assert (one.status, one.step.probe, one.step.result) == (Status.FAILED, None, Result.UNKNOWN)


# --- what a look is given, and what is believed ---


def test_a_look_goes_where_the_attempt_went_and_takes_over_nothing_that_says_what_to_do() -> None:
    step = upgrade()
    step["inBindings"] = {
        **step["inBindings"],
        "host": {"type": "string", "exportName": "x"},
        "port": {"type": "number", "defaultValue": 830},
        "tool": text("hammer"),
    }
    one = in_doubt(life("a", a=step, variables={"x": {"type": "string", "defaultValue": "router"}}))
    assert one.step.probe is not None
    assert dict(one.step.probe.inputs) == {"host": "router", "port": 830, "deed": "show version"}
    assert one.task.device == DeviceLane("router", "router")
    assert dict(one.step.inputs)["deed"] == "upgrade"


def test_a_look_may_ask_another_host() -> None:
    one = doubtful(inBindings={"host": text("manager"), "deed": text("show router")})
    assert one.task.device == DeviceLane("manager", "manager")


def test_references_in_inputs_and_conditions_are_replaced_by_the_values_of_the_workflow() -> None:
    wanted = [{"name": "text", "comparator": "equals", "value": "version {{v}}"}]
    given: JsonObject = {
        "inBindings": {"deed": text("show {{v}}")},
        "done": wanted,
        "variables": {"v": {"type": "number", "defaultValue": 7}},
    }
    one = doubtful(**given)
    assert one.step.probe is not None
    assert one.step.probe.inputs["deed"] == "show 7"
    assert looks(one, {"text": "version 7"}).at == ("b", S.EXECUTABLE)


def test_a_reference_without_value_settles_nothing() -> None:
    wanted = [{"name": "text", "comparator": "contains", "value": "{{v}}"}]
    one = looks(doubtful(done=wanted, variables={"v": {"type": "string"}}), DONE)
    assert one.step.look_number == 2
    assert one.said("{{v}} has no value")
    one = looks(doubtful(done=wanted, variables={"v": {"type": "string", "defaultValue": ""}}), DONE)
    assert one.step.look_number == 2
    assert one.said("every text contains the empty one")


def test_all_conditions_of_a_list_must_hold() -> None:
    both = [{"name": "text", "comparator": "contains", "value": "2"}, {"name": "code", "comparator": "equals", "value": "0"}]
    assert looks(doubtful(done=both), {"text": "version 2"}).step.look_number == 2
    assert looks(doubtful(done=both), {"text": "version 2", "code": 1}).step.look_number == 2
    assert looks(doubtful(done=both), {"text": "version 2", "code": 0}).at == ("b", S.EXECUTABLE)


def test_what_can_never_be_told_is_never_found() -> None:
    assert looks(doubtful(notDone=[]), NOT_DONE).step.look_number == 2
    assert looks(doubtful(done=[]), DONE).step.look_number == 2
    assert looks(doubtful(notDone=[]), DONE).at == ("b", S.EXECUTABLE)


def test_an_answer_that_says_both_says_nothing() -> None:
    always = [{"name": "text", "comparator": "isDefined"}]
    one = looks(doubtful(done=always, notDone=always), DONE)
    assert one.step.look_number == 2
    assert one.said("those of notDone hold")


def test_a_look_that_failed_says_nothing_but_by_its_exit_code() -> None:
    by_text = [{"name": "text", "comparator": "different", "value": "version 2"}]
    by_code = [{"name": "exitCode", "comparator": "equals", "value": "1"}]
    answer = {"text": "no such command", "exitCode": 1}
    assert looks(doubtful(notDone=by_text), answer, Result.FAILED).step.look_number == 2
    assert looks(doubtful(notDone=by_code), answer, Result.FAILED).step.attempt == 2
    assert looks(doubtful(notDone=by_code), {}, Result.FAILED).step.look_number == 2


def test_a_look_that_is_in_doubt_itself_says_nothing() -> None:
    by_code = [{"name": "exitCode", "comparator": "equals", "value": "1"}]
    assert looks(doubtful(notDone=by_code), {"exitCode": 1}, Result.UNKNOWN).step.look_number == 2
    assert looks(doubtful(), DONE, Result.UNKNOWN).step.look_number == 2


def test_an_output_that_was_cut_says_nothing() -> None:
    one = doubtful(done=[{"name": "text", "comparator": "contains", "value": "2"}])
    one.claim()
    one.report(outputs=DONE, truncated=("text",))
    assert one.step.look_number == 2
    assert one.said("the output was cut")


def test_an_output_with_a_secret_is_told_by_no_note() -> None:
    number = [{"name": "text", "comparator": "greater", "value": 5}]
    one = looks(doubtful(done=number), {"text": "hunter22"})
    assert one.said("counts as false")
    assert not one.said("hunter22")


@pytest.mark.parametrize("given", [{"inBindings": {"port": {"type": "number", "exportName": "y"}}}])
def test_a_probe_whose_inputs_cannot_be_bound_settles_nothing(given: JsonObject) -> None:
    one = doubtful(**given, variables={"y": {"type": "string", "defaultValue": "word"}})
    assert (one.status, one.step.result) == (Status.FAILED, Result.UNKNOWN)
    assert one.step.probe is not None
    assert (one.step.probe.verdict, one.step.probe.state) == (Verdict.UNKNOWN, S.FINISHED)
    assert one.said("came to nothing")


# --- what is written ---

OUT: JsonObject = {
    "step": {"outBindings": {"x": {"name": "text", "type": "string"}}},
    "variables": {"x": {"type": "string", "defaultValue": "old"}},
}


def test_what_was_done_by_the_word_of_a_probe_writes_nothing_unless_the_probe_says_so() -> None:
    one = looks(doubtful(**OUT), DONE)
    assert one.head.values == {"x": "old"}
    assert one.said("what the step itself put out is not known: x keep their values")
    one = looks(doubtful(**OUT, outBindings={"x": {"name": "text", "type": "string"}}), DONE)
    assert one.head.values == {"x": "version 2"}
    assert dict(one.rows[0].variables) == {"x": "version 2"}
    assert not one.said("keep their values")


@pytest.mark.parametrize("outputs", [NOT_DONE, NEITHER])
def test_a_probe_writes_only_what_was_done(outputs: JsonObject) -> None:
    one = looks(doubtful(**OUT, maxAttempts=1, outBindings={"x": {"name": "text", "type": "string"}}), outputs)
    assert one.head.values == {"x": "old"}


def test_what_was_done_is_not_done_again_because_the_answer_does_not_fit() -> None:
    one = doubtful(
        {"retry": {"maxAttempts": 3}},
        maxAttempts=1,
        variables={"n": {"type": "number"}},
        outBindings={"n": {"name": "text", "type": "number"}},
    )
    looks(one, DONE)
    assert (one.status, one.step.result, one.step.attempt) == (Status.FAILED, Result.UNKNOWN, 1)
    assert one.said("cannot be written to 'n'")


# --- time ---


def test_a_look_waits_its_delay_and_the_next_one_too() -> None:
    one = doubtful(delaySeconds=5)
    assert one.task.not_before == START + 5_000
    assert one.claim() is Reply.STALE
    one.now += 5_000
    looks(one, NEITHER)
    assert one.task.not_before == START + 10_000


def test_a_look_has_a_time_limit_of_its_own() -> None:
    one = doubtful({"timeoutSeconds": 3_600}, timeoutSeconds=20)
    one.claim()
    assert one.step.probe is not None
    assert one.step.probe.claim is not None
    assert one.step.probe.claim.deadline == START + 50_000


# --- who carries it out ---


def test_a_look_is_taken_once_and_only_by_who_was_sent_for_it() -> None:
    one = doubtful()
    step = one.step
    assert one.apply(Claimed("c", step.number, step.attempt, "late", "w1")).reply is Reply.STALE
    assert one.apply(Claimed("d", step.number, step.attempt, "early", "w1", look=2)).reply is Reply.STALE
    assert one.claim() is Reply.GRANTED
    assert one.claim() is Reply.GRANTED
    assert one.claim("another") is Reply.BUSY
    assert one.report(nonce="another") is Reply.STALE
    assert one.at == ("a", S.EXECUTED)


def test_a_look_that_was_lost_is_taken_again_and_counts_as_none() -> None:
    one = doubtful(maxAttempts=1)
    for number in (1, 2):
        one.claim()
        lost = one.step
        assert one.lose() is Reply.DONE
        assert [cancel.look for cancel in one.cancels] == [number]
        assert (one.status, one.step.look_number) == (Status.RUNNING, number + 1)
        assert one.report(of=lost) is Reply.STALE
    assert looks(one, DONE).at == ("b", S.EXECUTABLE)


def test_looks_that_were_lost_are_not_counted_among_those_that_could_not_tell() -> None:
    one = doubtful(maxAttempts=2).is_lost().is_lost()
    looks(one, NEITHER)
    assert one.step.look_number == 4
    looks(one, NEITHER)
    assert one.status is Status.FAILED


def test_a_look_that_is_lost_three_times_may_be_killing_its_workers() -> None:
    one = doubtful(maxAttempts=9).is_lost().is_lost().is_lost()
    assert (one.status, one.step.result) == (Status.FAILED, Result.UNKNOWN)
    assert one.step.probe is not None
    assert one.step.probe.error is not None
    assert one.step.probe.error.code is ErrorCode.LOST


def test_a_repeat_of_a_stored_look_is_answered_as_stored() -> None:
    one = doubtful(maxAttempts=1, pause_at_failure=True)
    looked = one.step
    looks(one, NEITHER)
    before = one.head
    assert one.apply(Reported("again", 0, 1, "n0.1", Outcome(Result.SUCCEEDED, DONE), look=1)).reply is Reply.STORED
    assert one.head is before
    one.resume()
    assert one.report(of=looked) is Reply.STALE
    assert one.said("look 1 of the probe of step execution 0 reported SUCCEEDED too late")


def test_a_look_whose_step_type_is_gone_ends_and_the_doubt_remains() -> None:
    one = doubtful(pause_at_failure=True)
    one.rules = Rules(collect((NOOP,)))
    task = pending_task(one.head, one.workflow, one.rules, one.now)
    assert task is not None
    assert task.kind is TaskKind.TURN
    assert one.claim() is Reply.STALE
    one.turn()
    assert (one.status, one.step.result) == (Status.PAUSED, Result.UNKNOWN)
    assert one.step.probe is not None
    assert one.step.probe.error is not None
    assert one.step.probe.error.code is ErrorCode.STEP_TYPE_NOT_INSTALLED


def test_a_step_type_that_does_not_say_what_tells_what_settles_nothing() -> None:
    one = life("a", a=upgrade())
    one.claim()
    one.rules = Rules(collect((NOOP, replace(ACT, inputs=ACT.inputs[:3]))))
    one.lose()
    assert (one.status, one.step.result, one.step.look) == (Status.FAILED, Result.UNKNOWN, None)
    assert one.said("a look could be the deed itself")


def test_a_step_type_that_has_become_safe_meanwhile_looks_no_more_and_reports_nothing_without_a_claim() -> None:
    one = doubtful()
    one.rules = Rules(collect((NOOP, replace(ACT, always_safe=True))))
    assert one.apply(Reported("r", 0, 1, None, Outcome(Result.SUCCEEDED))).reply is Reply.STALE
    one.turn()
    assert (one.status, one.step.result, one.step.look) == (Status.FAILED, Result.UNKNOWN, None)


def test_a_turn_does_not_take_a_look_from_its_worker() -> None:
    one = doubtful()
    assert one.apply(Turn("t", one.step.number, one.step.attempt)).reply is Reply.STALE
    assert one.step.look is not None


# --- the attempt itself speaks up ---


def report_of_attempt(one: Life, outcome: Outcome, **more: Any) -> Reply:
    return one.apply(Reported(one.new_id(), 0, 1, "n0", outcome, **more)).reply


@pytest.mark.parametrize("claimed", [True, False])
def test_a_late_report_of_the_attempt_overtakes_its_probe(claimed: bool) -> None:
    one = doubtful(**OUT)
    if claimed:
        one.claim()
    looking = one.step
    assert report_of_attempt(one, Outcome(Result.SUCCEEDED, {"text": "mine"})) is Reply.STORED
    assert [cancel.look for cancel in one.cancels] == [1]
    assert one.story == [("a", S.FINISHED, Result.SUCCEEDED), ("b", S.EXECUTABLE, None)]
    assert one.head.values == {"x": "mine"}
    assert one.rows[0].probe is not None
    assert (one.rows[0].probe.verdict, one.rows[0].probe.state) == (None, S.FINISHED)
    assert one.said("after it was given up")
    assert one.report(outputs=NOT_DONE, of=looking) is Reply.STALE
    assert one.at == ("b", S.EXECUTABLE)


def test_a_late_failure_overtakes_the_probe_too() -> None:
    one = doubtful({"onFailureStepId": "b"})
    report_of_attempt(one, Outcome(Result.FAILED, error=StepError(ErrorCode.NON_ZERO_EXIT, "no")))
    assert one.story == [("a", S.FINISHED, Result.FAILED), ("b", S.EXECUTABLE, None)]


def test_a_late_report_that_is_in_doubt_itself_leaves_the_probe_to_look() -> None:
    one = doubtful()
    one.claim()
    assert report_of_attempt(one, CUT) is Reply.STORED
    assert not one.cancels
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.CONNECTION_CUT
    one.report(outputs=DONE)
    assert one.at == ("b", S.EXECUTABLE)


def test_a_late_report_after_the_probe_could_not_tell_replaces_the_doubt_and_nothing_goes_on() -> None:
    one = looks(doubtful(maxAttempts=1, pause_at_failure=True), NEITHER)
    assert report_of_attempt(one, Outcome(Result.SUCCEEDED)) is Reply.STORED
    assert (one.status, one.at, one.step.result) == (Status.PAUSED, ("a", S.WAITING_AFTER), Result.SUCCEEDED)
    assert not one.tasks


def test_a_late_report_after_the_probe_has_settled_it_is_only_logged() -> None:
    one = looks(doubtful(), NOT_DONE)
    assert report_of_attempt(one, Outcome(Result.SUCCEEDED)) is Reply.STALE
    assert one.said("step execution 0 reported SUCCEEDED too late")
    assert one.step.attempt == 2


def test_a_repeat_of_the_report_that_was_in_doubt_does_not_disturb_the_probe() -> None:
    one = doubtful(lost=False)
    one.claim()
    before = one.head
    assert report_of_attempt(one, CUT) is Reply.STORED
    assert one.head is before


# --- people ---


def test_an_abort_stops_a_look_and_says_that_its_session_has_to_go() -> None:
    one = doubtful()
    one.claim()
    looking = one.step
    one.abort()
    assert (one.status, one.step.result, one.left) == (Status.ABORTED, Result.UNKNOWN, ["n0", "n0.1"])
    assert [cancel.look for cancel in one.cancels] == [1]
    assert one.step.look is None
    assert one.report(outputs=DONE, of=looking) is Reply.STALE
    one.clean_up("n0.1")
    one.clean_up("n0")
    assert not one.left


def test_an_abort_forgets_a_look_that_nobody_has_taken() -> None:
    one = doubtful(delaySeconds=60)
    one.abort()
    assert (one.status, one.left) == (Status.ABORTED, ["n0"])
    assert [cancel.look for cancel in one.cancels] == [1]


def test_a_pause_holds_a_look_that_nobody_has_taken_and_resume_lets_it_look() -> None:
    one = doubtful(delaySeconds=60)
    one.pause()
    assert (one.status, one.at, one.tasks) == (Status.PAUSED, ("a", S.WAITING_AFTER), ())
    assert one.step.look is not None
    assert one.step.look.state is S.WAITING_BEFORE
    one.now += 60_000
    one.resume()
    assert (one.status, one.at, one.step.look_number, one.head.accepted_failures) == (Status.RUNNING, ("a", S.EXECUTED), 1, 0)
    assert one.task.since == one.now
    assert looks(one, DONE).at == ("b", S.EXECUTABLE)


def test_a_pause_during_a_look_takes_effect_when_it_has_ended() -> None:
    one = doubtful()
    one.claim()
    one.pause()
    assert one.status is Status.RUNNING
    one.report(outputs=NEITHER)
    assert (one.status, one.at, one.step.look_number) == (Status.PAUSED, ("a", S.WAITING_AFTER), 2)
    for outputs, where in ((DONE, "b"), (NOT_DONE, "a")):
        one = doubtful()
        one.claim()
        one.pause()
        one.report(outputs=outputs)
        assert (one.status, one.at) == (Status.PAUSED, (where, S.WAITING_BEFORE))


def test_a_pause_during_the_attempt_takes_effect_before_its_probe() -> None:
    one = life("a", a=upgrade())
    one.claim()
    one.pause()
    one.lose()
    assert (one.status, one.at) == (Status.PAUSED, ("a", S.WAITING_AFTER))
    assert one.step.look is not None
    one.resume()
    assert one.task.look == 1


def test_a_person_may_decide_while_a_look_is_held() -> None:
    one = doubtful()
    one.pause()
    one.retry()
    assert (one.step.attempt, one.step.probe) == (2, None)
    assert one.rows[0].look is None
    one = doubtful()
    one.pause()
    one.change(start_step_id="b")
    one.resume()
    assert one.at == ("b", S.EXECUTABLE)
    assert (one.rows[0].look, one.rows[0].result) == (None, Result.UNKNOWN)


def test_a_late_report_while_a_look_is_held_replaces_the_doubt_and_waits() -> None:
    one = doubtful()
    one.pause()
    assert report_of_attempt(one, Outcome(Result.SUCCEEDED)) is Reply.STORED
    assert (one.status, one.at, one.step.look) == (Status.PAUSED, ("a", S.WAITING_AFTER), None)
    one.resume()
    assert (one.at, one.head.accepted_failures) == (("b", S.EXECUTABLE), 0)


def test_a_probe_can_be_corrected_while_it_is_held() -> None:
    one = doubtful()
    one.pause()
    corrected = upgrade(inBindings={"deed": text("show versions")})
    one.edit({"a": {"type": "ACT", "nextStepId": "b", **corrected}})
    one.resume()
    assert one.step.look is not None
    assert one.step.look.inputs["deed"] == "show versions"


def test_a_probe_that_was_taken_away_while_it_was_held_leaves_an_accepted_failure() -> None:
    one = doubtful()
    one.pause()
    one.edit({"a": {"type": "ACT", "nextStepId": "b"}})
    one.resume()
    assert (one.at, one.head.accepted_failures, one.rows[0].look) == (("b", S.EXECUTABLE), 1, None)


def test_a_probe_of_the_last_step_that_was_taken_away_leaves_no_look_open() -> None:
    one = in_doubt(life("a", a=upgrade()))
    one.pause()
    one.edit({"a": {"type": "ACT"}})
    one.resume()
    assert (one.status, one.step.look, one.head.accepted_failures) == (Status.COMPLETED, None, 1)


def test_a_probe_that_can_no_longer_be_bound_after_a_pause_leaves_the_doubt() -> None:
    one = doubtful(
        pause_at_failure=True,
        variables={"y": {"type": "string", "defaultValue": "1"}},
        inBindings={"port": {"type": "number", "exportName": "y"}},
    )
    one.pause()
    one.set_values({"y": "word"})
    one.resume()
    assert (one.status, one.at, one.step.look) == (Status.PAUSED, ("a", S.WAITING_AFTER), None)


def test_breakpoints_do_not_stop_a_look() -> None:
    one = life("a", "b", a=upgrade(), debug=("a", "b"))
    one.resume()
    in_doubt(one)
    assert one.step.look is not None
    looks(one, NOT_DONE)
    assert one.at == ("a", S.EXECUTABLE)
    assert one.ends().at == ("b", S.WAITING_BEFORE)


def test_pause_at_failure_can_be_asked_for_while_a_probe_looks() -> None:
    one = doubtful(maxAttempts=1)
    one.claim()
    one.change(pause_at_failure=True)
    one.report(outputs=NEITHER)
    assert one.status is Status.PAUSED
