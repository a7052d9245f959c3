"""Risk: a restored store sends again what was sent after its backup was made, or says nothing of it, or never goes on."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepswitch.domain.decide import decide, is_for_worker, pending_task
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Claimed, Event, Lost, Reply, Reported, Restored, Turn
from stepswitch.domain.execution import ENDED, Head, Limits, Outcome, Result, Status
from stepswitch.domain.rules import Rules
from stepswitch.domain.states import StepState
from tests.domain.documents import JsonObject, document
from tests.domain.lives import TYPES, Life, life, steps
from tests.domain.test_properties import COOPERATION, documents, doubtful_documents, is_safe, outcomes

S = StepState
SAFE = {"policy": {"safeToRerun": True}}


def waits_for_a_person(one: Life) -> bool:
    return one.status is Status.PAUSED and one.head.pause_code is ErrorCode.RESTORED and one.said("RESTORED from a backup")


# --- what was executable ---


def test_a_step_that_was_next_and_is_not_safe_waits_for_a_person() -> None:
    one = life("a", "b")
    decision = one.restore()
    assert waits_for_a_person(one)
    assert (one.at, decision.tasks) == (("a", S.WAITING_BEFORE), ())
    assert one.claim() is Reply.STALE
    one.resume()
    one.ends().ends()
    assert one.status is Status.COMPLETED


def row(**types: str) -> JsonObject:
    """Return a document of steps that follow one another, each of its own type."""
    made = {name: steps(name, of=of)[name] for name, of in types.items()}
    for name, after in pairwise(made):
        made[name]["nextStepId"] = after
    return document(startStepId=next(iter(made)), steps=made)


def test_safe_steps_go_on_up_to_the_first_that_is_not() -> None:
    source = row(a="NOOP", b="LOOK", c="ACT", d="ACT", e="ACT")
    source["steps"]["c"] |= SAFE
    one = Life(source)
    one.restore()
    assert one.at == ("a", S.EXECUTABLE)
    one.turn()
    one.ends().ends()
    assert (one.at, waits_for_a_person(one)) == (("d", S.WAITING_BEFORE), True)
    one.resume()
    one.ends().ends()
    assert one.status is Status.COMPLETED


def test_a_delayed_step_that_is_not_safe_waits_too() -> None:
    one = life("a", a={"policy": {"delaySeconds": 60}})
    one.restore()
    assert waits_for_a_person(one)


def test_an_automatic_retry_that_is_not_safe_waits_too() -> None:
    one = life("a", a={"policy": {"retry": {"maxAttempts": 3}}})
    one.fails()
    one.restore()
    assert (one.at, waits_for_a_person(one)) == (("a", S.WAITING_BEFORE), True)


# --- what was executing ---


def test_a_step_that_was_being_carried_out_is_unknown_and_says_restored() -> None:
    one = life("a", "b")
    one.claim()
    one.restore()
    assert (one.at, one.step.result) == (("a", S.WAITING_AFTER), Result.UNKNOWN)
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.RESTORED
    assert waits_for_a_person(one)
    one.retry()
    one.ends().ends()
    assert one.status is Status.COMPLETED


def test_who_accepts_the_doubt_is_not_asked_again() -> None:
    one = life("a", "b")
    one.claim()
    one.restore()
    one.resume()
    assert one.at == ("b", S.EXECUTABLE)


def test_its_late_report_is_logged_and_changes_nothing() -> None:
    one = life("a")
    one.claim()
    held = one.step
    one.restore()
    for epoch in ("", "after"):
        before = one.step
        assert one.report(of=held, epoch=epoch) is Reply.STALE
        assert one.step == before
    assert one.said("too late: nothing follows from it")


def test_a_safe_step_that_was_being_carried_out_runs_again() -> None:
    one = life("a", "b", a=SAFE)
    one.claim()
    one.restore()
    assert one.at == ("a", S.EXECUTABLE)
    one.ends()
    assert (one.at, waits_for_a_person(one)) == (("b", S.WAITING_BEFORE), True)


@pytest.mark.parametrize(("of", "at", "is_held"), [("ACT", ("look", S.WAITING_BEFORE), True), ("LOOK", ("look", S.EXECUTABLE), False)])
def test_the_way_out_of_an_unknown_is_taken_and_held_where_it_is_not_safe(of: str, at: tuple[str, S], is_held: bool) -> None:
    one = Life(document(startStepId="a", steps={**steps("a", a={"policy": {"onUnknownStepId": "look"}}), **steps("look", of=of)}))
    one.claim()
    one.restore()
    assert (one.at, waits_for_a_person(one)) == (at, is_held)


# --- what a probe was about to find out ---


def doubtful(**more: Any) -> Life:
    """Return an execution whose first step is in doubt, so that its probe is next."""
    probe = {
        "inBindings": {"deed": {"type": "string", "defaultValue": "look"}},
        "done": [{"name": "code", "comparator": "equals", "value": 0}],
        "notDone": [{"name": "code", "comparator": "equals", "value": 1}],
    }
    return life("a", "b", a={"policy": {"probe": probe}}, **more).is_lost()


@pytest.mark.parametrize("is_looking", [False, True])
@pytest.mark.parametrize(("code", "at"), [(0, ("b", S.WAITING_BEFORE)), (1, ("a", S.WAITING_BEFORE))])
def test_a_probe_looks_and_what_follows_from_it_waits_for_a_person(is_looking: bool, code: int, at: tuple[str, S]) -> None:
    one = doubtful()
    looking = one.step
    if is_looking:
        one.claim()
    one.restore()
    assert (one.status, one.at, one.task.look) == (Status.RUNNING, ("a", S.EXECUTED), 2 if is_looking else 1)
    assert one.report(outputs={"code": code}, of=looking, epoch="") is Reply.STALE
    assert one.claim() is Reply.GRANTED
    assert one.report(outputs={"code": code}) is Reply.STORED
    assert (one.at, waits_for_a_person(one)) == (at, True)


def test_a_step_that_was_being_carried_out_is_looked_into_and_a_doubt_that_remains_is_told_as_restored() -> None:
    one = life("a", a={"policy": {"probe": {**_probe_of(doubtful()), "maxAttempts": 1}}})
    one.claim()
    one.restore()
    assert one.step.look is not None
    one.ends(outputs={"code": 7})
    assert (one.at, waits_for_a_person(one)) == (("a", S.WAITING_AFTER), True)


def _probe_of(one: Life) -> JsonObject:
    return dict(one.source["steps"]["a"]["policy"]["probe"])


def test_a_look_that_was_held_waits_on() -> None:
    one = doubtful()
    one.pause()
    one.restore()
    assert (one.at, waits_for_a_person(one)) == (("a", S.WAITING_AFTER), True)
    one.resume()
    assert one.task.look == 1


# --- what was paused or over ---


def test_what_was_paused_says_that_it_was_restored_and_goes_on_as_usual() -> None:
    one = life("a", "b", debug=("b",))
    one.ends()
    one.restore()
    assert (one.at, waits_for_a_person(one)) == (("b", S.WAITING_BEFORE), True)
    one.change(start_step_id="a")
    one.resume()
    assert one.at == ("a", S.EXECUTABLE)


def test_a_failure_that_waited_for_a_person_waits_on() -> None:
    one = life("a", "b", pause_at_failure=True).fails()
    one.restore()
    assert (one.at, waits_for_a_person(one)) == (("a", S.WAITING_AFTER), True)
    one.resume()
    assert one.at == ("b", S.EXECUTABLE)


def test_the_loop_limit_is_given_anew_by_the_resume_after_a_restore() -> None:
    one = life("a", a={"nextStepId": "a"}, limits=Limits(step_executions=2))
    one.ends().ends()
    assert one.head.pause_code is ErrorCode.LOOP_LIMIT
    one.restore()
    one.resume()
    one.ends()
    assert one.at == ("a", S.EXECUTABLE)


def test_what_is_over_stays_as_it_was() -> None:
    one = life("a").ends()
    before = one.head
    assert one.restore().head is before


def test_a_breakpoint_on_the_way_does_not_take_the_pause_away() -> None:
    one = Life(row(a="LOOK", b="LOOK", c="ACT"), debug=("b",))
    one.restore()
    one.ends()
    assert (one.at, one.head.pause_code) == (("b", S.WAITING_BEFORE), None)
    one.resume()
    one.ends()
    assert (one.at, waits_for_a_person(one)) == (("c", S.WAITING_BEFORE), True)


def test_who_says_where_to_go_on_is_not_asked_again() -> None:
    one = Life(row(a="LOOK", b="LOOK", c="ACT"), debug=("b",))
    one.restore()
    one.ends()
    one.change(start_step_id="c")
    one.resume()
    assert one.at == ("c", S.EXECUTABLE)


def test_who_runs_a_failed_step_again_is_not_asked_again() -> None:
    one = Life(row(a="LOOK", b="ACT"), pause_at_failure=True)
    one.restore()
    one.fails()
    one.retry()
    one.ends()
    assert one.at == ("b", S.EXECUTABLE)


# --- who comes from before ---


def test_a_task_of_before_gets_no_claim_after_somebody_has_resumed() -> None:
    one = life("a")
    task = one.task
    one.restore()
    one.resume()
    assert one.task.epoch == "after"
    assert one.claim(epoch=task.epoch) is Reply.STALE
    assert one.claim(epoch="after") is Reply.GRANTED


def test_a_task_of_before_gets_no_claim_on_a_failed_execution_that_somebody_reopens() -> None:
    one = life("a").fails()
    one.restore()
    one.retry()
    assert one.task.epoch == "after"
    assert one.claim(epoch="") is Reply.STALE
    assert one.claim(epoch="after") is Reply.GRANTED


def test_a_script_of_before_is_not_taken_for_one_of_now() -> None:
    one = life("a", of="LOOK")
    task = one.task
    one.restore()
    assert not is_for_worker(one.head, task, one.workflow, one.rules, one.now)
    assert is_for_worker(one.head, one.task, one.workflow, one.rules, one.now)
    assert one.report(nonce=None, epoch="") is Reply.STALE
    assert one.report(nonce=None) is Reply.STORED


def test_a_second_restore_of_the_same_backup_is_another_epoch() -> None:
    one = life("a", of="LOOK")
    one.restore("first")
    task = one.task
    one.restore("second")
    assert not is_for_worker(one.head, task, one.workflow, one.rules, one.now)
    assert one.restore("second").reply is Reply.STORED


# --- any backup, any lost time ---


class Timeline:
    """One execution that is carried out by a worker; what was sent to the target stays sent, whatever becomes of the store."""

    def __init__(self, head: Head, workflow: Workflow, rules: Rules, now: int) -> None:
        self.head, self.workflow, self.rules, self.now = head, workflow, rules, now
        self.seen: list[Event] = []

    def apply(self, event: Event) -> Reply:
        self.seen.append(event)
        decision = decide(self.head, event, self.workflow, self.rules, self.now)
        self.head = decision.head
        return decision.reply

    def is_over(self) -> bool:
        return self.head.status in ENDED or self.head.status is Status.PAUSED

    def go_on(self, outcome: Outcome, nonce: str, *, is_lost: bool) -> str | None:
        """Let the next thing happen; return the step that was sent to its target, if any was: a look of a probe sends nothing."""
        step = self.head.current
        assert step is not None
        if step.work.state is S.EXECUTING:
            assert step.work.claim is not None
            held, epoch, look = step.work.claim.nonce, self.head.epoch, step.look_number
            lost = Lost(nonce, step.number, step.attempt, held, "silence")
            done = Reported(f"report:{held}", step.number, step.attempt, held, outcome, epoch=epoch, look=look)
            self.apply(lost if is_lost else done)
            return None
        self.now = max(self.now, step.work.not_before or 0)
        self.apply(Turn(nonce, step.number, step.attempt))
        step = self.head.current
        if step is None or self.is_over() or pending_task(self.head, self.workflow, self.rules, self.now) is None:
            return None
        claim = Claimed(f"claim:{nonce}", step.number, step.attempt, nonce, "w", self.head.epoch, step.look_number)
        return step.step_id if self.apply(claim) is Reply.GRANTED and claim.look == 0 else None


turns = st.lists(st.tuples(outcomes, st.sampled_from([False, False, False, True])), max_size=8)


@settings(max_examples=400, deadline=None)
@given(
    source=documents | doubtful_documents,
    before=turns,
    lost=turns,
    pauses=st.booleans(),
    debug=st.sampled_from([(), ("b",), ("c",)]),
    data=st.data(),
)
def test_nothing_is_sent_twice_without_a_persons_word(
    source: JsonObject, before: Any, lost: Any, pauses: bool, debug: tuple[str, ...], data: st.DataObject
) -> None:
    one = Life(source, pause_at_failure=pauses, debug=debug)
    kept = Timeline(one.head, one.workflow, one.rules, one.now)
    for number, (outcome, is_lost) in enumerate(before):
        if not kept.is_over():
            kept.go_on(outcome, f"b{number}", is_lost=is_lost)
    gone = Timeline(kept.head, kept.workflow, kept.rules, kept.now)
    for number, (outcome, is_lost) in enumerate(lost):
        if not gone.is_over():
            gone.go_on(outcome, f"l{number}", is_lost=is_lost)
    was_over = kept.head.status in ENDED
    kept.rules = replace(kept.rules, epoch="1")
    kept.apply(Restored("restored:1", "1", kept.now))
    strangers = [each for each in (*kept.seen, *gone.seen) if isinstance(each, Claimed | Reported)]
    for turn in range(COOPERATION):
        if strangers and not was_over:
            before_it = kept.head.current
            assert kept.apply(data.draw(st.sampled_from(strangers))) in (Reply.STALE, Reply.STORED)
            assert kept.head.current == before_it, "a worker from before the restore changed something"
        if kept.is_over():
            return
        sent = kept.go_on(Outcome(Result.SUCCEEDED), f"r{turn}", is_lost=False)
        assert sent is None or is_safe(kept.workflow.steps[sent]), f"{sent} was sent and nobody had said so"


def test_the_rules_of_the_property_are_those_of_the_domain() -> None:
    assert {signature.name for signature in TYPES.by_name.values() if signature.always_safe} == {"NOOP", "LOOK"}
