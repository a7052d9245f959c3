"""Policies: attempts, delays and the ways after a failure are what the author wrote, no more and no less."""

import pytest

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.states import StepState as S
from tests.domain.documents import JsonObject, document
from tests.domain.lives import START, Life, life, steps


def tries(attempts: int, **more: float) -> JsonObject:
    return {"policy": {"retry": {"maxAttempts": attempts, **more}}}


def test_without_a_policy_a_failure_is_the_end() -> None:
    one = life("a", "b").fails()
    assert (one.status, one.story) == (Status.FAILED, [("a", S.FINISHED, Result.FAILED)])
    assert one.head.end_time == one.step.end_time == START
    assert not one.tasks


def test_attempts_are_counted_with_the_first() -> None:
    one = life("a", a=tries(3)).fails().fails()
    assert (one.status, one.step.attempt) == (Status.RUNNING, 3)
    one.fails()
    assert one.status is Status.FAILED
    assert [(step.number, step.attempt, step.state) for step in (*one.rows, one.step)] == [
        (0, 1, S.RETRY),
        (1, 2, S.RETRY),
        (2, 3, S.FINISHED),
    ]


def test_an_attempt_that_succeeds_leads_on() -> None:
    one = life("a", "b", a=tries(3)).fails().ends()
    assert one.at == ("b", S.EXECUTABLE)
    assert one.step.attempt == 1


@pytest.mark.parametrize(("backoff", "waits"), [(1, [2_000, 2_000, 2_000]), (3, [2_000, 6_000, 18_000])])
def test_every_retry_waits_as_written_and_only_where_it_is_stored(backoff: int, waits: list[int]) -> None:
    one = life("a", a=tries(4, delaySeconds=2, backoff=backoff))
    for wait in waits:
        one.fails()
        assert one.step.not_before == one.task.not_before == one.now + wait
        one.now += wait
    one.fails()
    assert one.status is Status.FAILED


def test_a_retry_binds_its_inputs_anew() -> None:
    a = {
        **tries(2),
        "inBindings": {"host": {"type": "string", "exportName": "x"}},
        "outBindings": {"x": {"name": "other", "type": "string"}},
    }
    one = life("a", a=a, variables={"x": {"type": "string", "defaultValue": "one"}})
    one.ends(Result.FAILED, {"other": "two"})
    assert (one.step.device, dict(one.step.inputs)) == (DeviceLane("two", "two"), {"host": "two"})


def test_the_way_after_a_failure_is_taken_when_the_attempts_are_spent() -> None:
    policy = {"policy": {"retry": {"maxAttempts": 2}, "onFailureStepId": "z", "onUnknownStepId": "a"}}
    one = Life(document(steps={**steps("a", "b", a=policy), **steps("z")}), pause_at_failure=True).fails()
    assert one.at == ("a", S.EXECUTABLE)
    one.fails()
    assert (one.at, one.status) == (("z", S.EXECUTABLE), Status.RUNNING)
    assert one.rows[-1].state is S.FINISHED
    assert one.head.accepted_failures == 0


def test_a_new_visit_has_all_its_attempts() -> None:
    policy = {"policy": {"retry": {"maxAttempts": 2}, "onFailureStepId": "a"}}
    one = Life(document(steps={"a": {"type": "ACT", **policy}})).fails().fails()
    assert (one.step.number, one.step.attempt) == (2, 1)
    one.fails()
    assert one.step.attempt == 2


def test_a_persons_retry_starts_the_attempts_anew_and_counts_on() -> None:
    one = life("a", a=tries(2), pause_at_failure=True).fails().fails()
    assert one.status is Status.PAUSED
    one.retry()
    assert (one.step.attempt, one.step.attempts_before) == (3, 2)
    one.fails()
    assert (one.status, one.step.attempt) == (Status.RUNNING, 4)
    one.fails()
    assert one.status is Status.PAUSED


def test_a_persons_retry_waits_for_nothing() -> None:
    one = life("a", a=tries(2, delaySeconds=100), pause_at_failure=True).fails()
    one.now += 100_000
    one.fails()
    one.retry()
    assert one.step.not_before is None


def test_the_backoff_starts_anew_with_a_persons_retry() -> None:
    one = life("a", a=tries(3, delaySeconds=1, backoff=10), pause_at_failure=True)
    for wait in (1_000, 10_000):
        one.fails()
        one.now += wait
    one.fails()
    one.retry()
    one.fails()
    assert one.step.not_before == one.now + 1_000


def test_an_input_that_stays_missing_spends_its_attempts_in_one_turn() -> None:
    a = {**tries(3), "inBindings": {"must": {"type": "string", "exportName": "x"}}}
    one = life("a", of="NEED", a=a, variables={"x": {"type": "string"}})
    one.turn()
    assert (one.status, one.step.attempt) == (Status.FAILED, 3)
