"""Limits: nothing grows without bound, nothing that was cut is used unseen, and a limit never loses an execution."""

import pytest

from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.execution import Limits, Result, Status
from stepswitch.domain.states import StepState as S
from tests.domain.documents import document
from tests.domain.lives import Life, life

LOOP = document(steps={"a": {"type": "NOOP", "nextStepId": "a"}})
OUT = {"outBindings": {"x": {"name": "text", "type": "string"}}}
X = {"x": {"type": "string"}}


def until_it_waits(one: Life) -> int:
    """Take turns until somebody is asked for; return how many step executions have run."""
    while one.tasks:
        one.turn()
    return sum(step.result is Result.SUCCEEDED for step in one.rows)


def test_a_loop_without_end_pauses_and_resume_gives_as_many_again() -> None:
    one = Life(LOOP, limits=Limits(step_executions=120))
    for times in (1, 2, 3):
        assert until_it_waits(one) == 120 * times
        assert (one.status, one.at, one.head.pause_code) == (Status.PAUSED, ("a", S.WAITING_BEFORE), ErrorCode.LOOP_LIMIT)
        one.resume()
        assert one.head.pause_code is None
    assert one.said("LOOP_LIMIT, 120 step executions have begun; resume gives 120 more")


def test_a_resume_elsewhere_gives_as_many_again_too() -> None:
    one = Life(LOOP, limits=Limits(step_executions=1))
    until_it_waits(one)
    one.change(start_step_id="a")
    one.resume()
    assert until_it_waits(one) == 2


def test_retries_count_as_step_executions() -> None:
    one = life("a", a={"policy": {"retry": {"maxAttempts": 100}}}, limits=Limits(step_executions=3)).fails().fails().fails()
    assert (one.status, one.at, one.step.attempt) == (Status.PAUSED, ("a", S.WAITING_BEFORE), 4)
    assert one.head.pause_code is ErrorCode.LOOP_LIMIT
    one.resume()
    assert one.task.attempt == 4
    one.ends()
    assert one.status is Status.COMPLETED


def test_a_persons_retry_is_not_stopped_by_the_limit() -> None:
    one = life("a", limits=Limits(step_executions=1), pause_at_failure=True).fails()
    one.retry()
    assert (one.status, one.at) == (Status.RUNNING, ("a", S.EXECUTABLE))


def test_an_accepted_failure_beyond_the_limit_gives_nothing() -> None:
    one = life("a", "b", "c", limits=Limits(step_executions=2), pause_at_failure=True).ends().fails()
    one.retry()
    one.fails()
    one.resume()
    assert (one.at, one.head.pause_code) == (("c", S.WAITING_BEFORE), ErrorCode.LOOP_LIMIT)


def test_values_over_the_limit_fail_the_step_and_are_not_kept() -> None:
    one = life("a", a=OUT, variables=X, limits=Limits(values_bytes=100)).ends(outputs={"text": "y" * 101})
    assert (one.status, one.step.result) == (Status.FAILED, Result.FAILED)
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.TOO_LARGE
    assert one.head.values == {}


def test_a_value_counts_instead_of_the_one_that_it_replaces() -> None:
    one = life("a", "b", a=OUT, b=OUT, variables=X, limits=Limits(values_bytes=100)).ends(outputs={"text": "y" * 90})
    one.ends(outputs={"text": "z" * 100})
    assert one.status is Status.COMPLETED


def test_a_correction_over_the_limit_is_refused() -> None:
    one = life("a", debug=("a",), variables=X, limits=Limits(values_bytes=100))
    with pytest.raises(StateConflictError) as caught:
        one.set_values({"x": "y" * 101})
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert one.head.values == {}


def test_an_output_that_was_cut_fails_the_step_only_where_it_is_used() -> None:
    one = life("a", "b", a=OUT, variables=X).ends(outputs={"text": "whole", "other": "cut"}, truncated=("other",))
    assert (one.rows[0].result, one.head.values) == (Result.SUCCEEDED, {"x": "whole"})
    one = life("a", "b", a=OUT, variables=X).ends(outputs={"text": "cut"}, truncated=("text",))
    assert (one.status, one.step.result, one.head.values) == (Status.FAILED, Result.FAILED, {})
    assert one.step.error is not None
    assert one.step.error.code is ErrorCode.OUTPUT_TOO_LARGE
    assert dict(one.step.outputs) == {"text": "cut"}


def test_a_decision_costs_the_same_after_a_long_history() -> None:
    """The head of the 10,000th turn is as large as that of the tenth: `decide` reads nothing else."""
    one = Life(LOOP)
    one.turn()
    early = len(repr(one.head))
    while one.step.number < 9_900:
        one.turn()
    assert len(repr(one.head)) < early + 200
    assert len(one.rows) == one.step.number
