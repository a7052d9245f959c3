"""How an execution goes from step to step: nothing is lost between two steps, nothing stands still without a reason."""

from dataclasses import replace
from functools import partial

import pytest

from stepswitch.domain.decide import DEADLINE_GRACE_SECONDS, is_for_worker, pending_task
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Claimed, Reply, TaskKind, Turn
from stepswitch.domain.execution import Limits, LogLevel, Result, Status
from stepswitch.domain.states import StepState as S
from tests.domain.documents import document
from tests.domain.lives import START, Life, life, steps


def test_what_was_accepted_has_its_first_step_and_a_task() -> None:
    one = life("a", "b")
    assert one.status is Status.QUEUED
    assert one.head.version == 1
    assert (one.step.number, one.step.attempt, one.at) == (0, 1, ("a", S.EXECUTABLE))
    assert one.task.kind is TaskKind.STEP
    assert one.step.start_time == one.step.since == one.head.creation_time == START
    assert one.head.start_time is None


def test_a_run_of_steps_that_need_nobody_is_one_decision() -> None:
    one = life("a", "b", "c", of="NOOP")
    assert one.task.kind is TaskKind.TURN
    one.turn()
    assert one.status is Status.COMPLETED
    assert one.story == [(name, S.FINISHED, Result.SUCCEEDED) for name in "abc"]
    assert [step.number for step in one.rows] == [0, 1]
    assert one.head.version == 2
    assert not one.tasks
    assert one.head.start_time == one.head.end_time == START


def test_a_run_stops_at_the_step_that_needs_a_worker() -> None:
    one = life("a", "b", b={"type": "ACT"}, of="NOOP")
    one.turn()
    assert (one.status, one.at) == (Status.RUNNING, ("b", S.EXECUTABLE))
    assert one.task.kind is TaskKind.STEP
    one.ends()
    assert one.status is Status.COMPLETED


@pytest.mark.parametrize(("begun", "more"), [(49, False), (50, False), (51, True)])
def test_a_long_run_goes_to_the_back_of_the_queue(*, begun: int, more: bool) -> None:
    names = [f"s{place}" for place in range(begun)]
    one = life(*names, of="NOOP")
    one.now += 5
    one.turn()
    assert (one.status is Status.RUNNING) is more
    if more:
        assert (one.task.number, one.task.kind, one.task.since) == (50, TaskKind.TURN, START + 5)
        one.turn()
    assert one.status is Status.COMPLETED
    assert len(one.rows) == begun - 1


def test_a_loop_that_never_ends_gives_way_at_every_turn() -> None:
    one = Life(document(steps={"a": {"type": "NOOP", "nextStepId": "a"}}))
    for turn in range(1, 4):
        one.turn()
        assert one.task.number == one.step.number == 50 * turn


def test_a_doubled_or_early_turn_changes_nothing() -> None:
    one = life("a", "b", of="NOOP", b={"type": "NOOP", "policy": {"delaySeconds": 5}})
    first = one.step
    one.turn()
    before = one.head
    for number, attempt in ((first.number, first.attempt), (one.step.number, one.step.attempt), (7, 1)):
        assert one.apply(Turn(one.new_id(), number, attempt)).reply is Reply.STALE
    one.now += 5_000
    for number, attempt in ((first.number, first.attempt), (one.step.number, 2)):
        assert one.apply(Turn(one.new_id(), number, attempt)).reply is Reply.STALE
    assert one.head is before


def test_the_first_condition_that_holds_decides() -> None:
    a = {
        "type": "NOOP",
        "nextStepId": "z",
        "conditions": [
            {"name": "x", "comparator": "equals", "value": "no", "nextStepId": "z"},
            {"name": "x", "comparator": "equals", "value": "yes", "nextStepId": "b"},
            {"name": "x", "comparator": "isDefined", "nextStepId": "z"},
        ],
    }
    one = Life(document(variables={"x": {"type": "string", "defaultValue": "yes"}}, steps={"a": a, **steps("b", "z", of="NOOP")}))
    one.turn()
    assert [step_id for step_id, _, _ in one.story] == ["a", "b", "z"]
    assert one.said("step a (0) → b (x equals)")


def test_a_condition_without_a_next_step_ends_the_workflow() -> None:
    a = {"type": "NOOP", "nextStepId": "b", "conditions": [{"name": "x", "comparator": "isTrue"}]}
    one = Life(document(variables={"x": {"type": "boolean", "defaultValue": True}}, steps={"a": a, **steps("b")}))
    one.turn()
    assert (one.status, one.rows) == (Status.COMPLETED, [])


def test_what_cannot_be_compared_is_false_and_said_in_the_steps_log() -> None:
    a = {"type": "NOOP", "conditions": [{"name": "x", "comparator": "greater", "value": 1, "nextStepId": "a"}]}
    one = Life(document(variables={"x": {"type": "number"}}, steps={"a": a}))
    one.turn()
    assert one.status is Status.COMPLETED
    (note,) = [entry for entry in one.logs if entry.step == 0]
    assert note.level is LogLevel.WARN
    assert "counts as false" in note.message


def test_conditions_see_what_the_step_has_just_written() -> None:
    a = {
        "type": "ACT",
        "outBindings": {"x": {"name": "code", "type": "number"}},
        "conditions": [{"name": "x", "comparator": "equals", "value": 7, "nextStepId": "b"}],
    }
    one = Life(document(variables={"x": {"type": "number"}}, steps={"a": a, **steps("b")}))
    one.ends(outputs={"code": "7"})
    assert one.step.step_id == "b"
    assert one.head.values == {"x": 7}
    assert dict(one.rows[0].variables) == {"x": 7}


def test_conditions_are_not_asked_after_a_failure() -> None:
    a = {"type": "ACT", "conditions": [{"name": "x", "comparator": "isTrue", "nextStepId": "b"}]}
    one = Life(document(variables={"x": {"type": "boolean", "defaultValue": True}}, steps={"a": a, **steps("b")}))
    one.fails()
    assert (one.status, one.at) == (Status.FAILED, ("a", S.FINISHED))


def test_inputs_are_bound_when_the_way_comes_to_the_step() -> None:
    bound = {"type": "ACT", "inBindings": {"host": {"type": "string", "exportName": "x"}}}
    one = Life(
        document(
            variables={"x": {"type": "string"}},
            steps={
                "a": {"type": "ACT", "nextStepId": "b", "outBindings": {"x": {"name": "found", "type": "string"}}},
                "b": bound,
            },
        )
    )
    assert one.task.device is None
    one.ends(outputs={"found": "10.0.0.1"})
    assert dict(one.step.inputs) == {"host": "10.0.0.1"}
    assert one.step.device == one.task.device == DeviceLane("10.0.0.1", "10.0.0.1")


def test_an_input_that_is_missing_at_run_time_fails_the_step_without_a_worker() -> None:
    one = life("a", of="NEED", a={"inBindings": {"must": {"type": "string", "exportName": "x"}}}, variables={"x": {"type": "string"}})
    assert one.task.kind is TaskKind.TURN
    assert one.claim() is Reply.STALE
    one.turn()
    assert (one.status, one.step.result) == (Status.FAILED, Result.FAILED)
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.MISSING_INPUT
    assert one.head.start_time is not None


def test_a_type_that_was_uninstalled_meanwhile_fails_the_step() -> None:
    one = Life(document(steps={"a": {"type": "GONE"}}))
    assert one.task.kind is TaskKind.TURN
    one.turn()
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.STEP_TYPE_NOT_INSTALLED


def test_a_type_that_was_installed_meanwhile_gets_its_worker() -> None:
    one = life("a")
    one.now += 3
    decision = one.apply(Turn(one.new_id(), 0, 1))  # it was queued as a turn while its type was missing
    assert decision.reply is Reply.DONE
    assert one.status is Status.QUEUED
    assert one.task.kind is TaskKind.STEP


def test_a_reference_without_a_value_is_warned_about_once_when_the_step_runs() -> None:
    a = {"inBindings": {"text": {"type": "string", "defaultValue": "say {{x}}"}}}
    one = life("a", a=a, variables={"x": {"type": "string"}}, debug=("a",))
    assert not one.said("has no value")
    one.resume()
    assert sum("has no value" in message for message in one.messages) == 1
    assert dict(one.step.inputs) == {"text": "say "}


def test_a_delay_before_a_step_holds_no_worker_and_survives() -> None:
    one = life("a", a={"policy": {"delaySeconds": 1.5}})
    assert one.task.not_before == one.step.not_before == START + 1_500
    assert one.claim() is Reply.STALE
    assert one.status is Status.QUEUED
    one.now = START + 1_500
    assert one.claim() is Reply.GRANTED


def test_what_has_waited_out_its_delay_is_taken_whatever_the_time_of_day_says() -> None:
    delayed = {"policy": {"delaySeconds": 10}}
    one = life("a", a=delayed)
    one.now -= 3_600_000
    asked = partial(Claimed, "c", 0, 1, "n", "w")
    assert one.apply(asked()).reply is Reply.STALE
    assert one.apply(asked(has_waited=True)).reply is Reply.GRANTED
    safe = life("a", of="LOOK", a=delayed)
    safe.now -= 3_600_000
    assert not is_for_worker(safe.head, safe.task, safe.workflow, safe.rules, safe.now)
    assert is_for_worker(safe.head, replace(safe.task, has_waited=True), safe.workflow, safe.rules, safe.now)
    assert safe.report(nonce=None) is Reply.STORED


def test_a_turn_that_has_waited_waits_anew_for_the_delay_of_the_step_behind() -> None:
    one = life("a", "b", "c", of="NOOP", a={"policy": {"delaySeconds": 10}}, c={"policy": {"delaySeconds": 10}})
    one.now -= 3_600_000
    assert one.turn().reply is Reply.STALE
    one.apply(Turn(one.new_id(), 0, 1, has_waited=True))
    assert (one.at, one.task.not_before) == (("c", S.EXECUTABLE), one.now + 10_000)


def test_a_delay_counts_from_the_arrival_also_beside_a_breakpoint() -> None:
    one = life("a", a={"policy": {"delaySeconds": 10}}, debug=("a",))
    one.now += 4_000
    one.resume()
    assert one.task.not_before == START + 10_000


def test_delays_and_deadlines_take_no_longer_after_the_clock_was_set_back() -> None:
    one = life("a", "b", b={"policy": {"delaySeconds": 10, "retry": {"maxAttempts": 2, "delaySeconds": 5}, "timeoutSeconds": 60}})
    one.now += 3_600_000
    assert one.claim() is Reply.GRANTED
    one.now = START
    one.report()
    assert one.task.not_before == START + 10_000
    one.now += 10_000
    assert one.claim() is Reply.GRANTED
    assert one.step.claim is not None
    assert one.step.claim.deadline == one.now + 60_000 + 1_000 * DEADLINE_GRACE_SECONDS
    one.report(Result.FAILED)
    assert one.task.not_before == one.now + 5_000
    one.now += 5_000
    assert one.claim() is Reply.GRANTED


def test_the_clock_may_go_back_and_times_never_do() -> None:
    one = life("a", "b", "c")
    one.ends()
    one.now -= 50_000
    one.ends()
    one.now += 10
    one.ends()
    times = [moment for step in (*one.rows, one.step) for moment in (step.start_time, step.claimed_time, step.end_time)]
    assert None not in times
    assert times == sorted(times, key=lambda moment: moment or 0)
    assert [entry.time for entry in one.logs] == sorted(entry.time for entry in one.logs)
    assert one.head.last_time == START


def test_what_a_stored_execution_waits_for_is_evident_from_its_state() -> None:
    one = life("a", "b", b={"type": "NOOP"})
    for _ in range(2):
        assert pending_task(one.head, one.workflow, one.rules, one.now) == one.task
        one.ends()
    assert pending_task(one.head, one.workflow, one.rules, one.now) is None


def test_nothing_waits_while_a_worker_has_the_step_or_a_person_is_asked() -> None:
    one = life("a", debug=("a",))
    assert pending_task(one.head, one.workflow, one.rules, one.now) is None
    one.resume()
    one.claim()
    assert pending_task(one.head, one.workflow, one.rules, one.now) is None


def test_a_short_limit_of_inline_steps_holds_too() -> None:
    one = life("a", "b", "c", of="NOOP", limits=Limits(inline_steps=1))
    one.turn()
    assert one.task.number == 1
    one.turn()
    one.turn()
    assert one.status is Status.COMPLETED
