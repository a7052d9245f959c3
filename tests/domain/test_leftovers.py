"""What somebody takes for gone. Risks: more is given up than he has seen, an execution that still runs is forgotten, or nobody can tell who said so."""

import pytest

from stepswitch.domain.errors import PreconditionFailedError, StateConflictError
from stepswitch.domain.events import CleanedUp, Reply
from stepswitch.domain.execution import LogLevel, Status
from stepswitch.domain.step_types import StepSignature, collect
from tests.domain.lives import TYPES, Life, life

AGAIN = {"policy": {"safeToRerun": True, "retry": {"maxAttempts": 5}}}


COMPUTE = StepSignature("COMPUTE", "Only computes.", always_safe=True, only_computes=True)


def aborted(of: str = "REMOTE") -> Life:
    one = life("a", of=of, types=collect((*TYPES.by_name.values(), COMPUTE)))
    assert one.claim() is Reply.GRANTED
    one.abort()
    assert (one.status, one.left) == (Status.ABORTED, ["n0"])
    return one


def lost_twice() -> Life:
    """Return one of which two attempts may have left something, and a third one runs."""
    one = life("a", of="REMOTE", a=AGAIN).is_lost().is_lost()
    assert one.claim() is Reply.GRANTED
    assert one.left == ["n0", "n1"]
    return one


@pytest.mark.parametrize(
    ("of", "thing"),
    [("REMOTE", "what may be left behind by"), ("ACT", "the session that may be open of"), ("COMPUTE", "what may still be computed by")],
)
def test_what_is_taken_for_gone_is_left_no_more_and_the_log_says_by_whom_why_and_where(of: str, thing: str) -> None:
    one = aborted(of)
    one.abandon(reason="the site was closed")
    assert one.left == []
    assert one.logs[-1].message == f"{thing} step a, at the core is taken for gone by bob: the site was closed"
    assert one.logs[-1].level is LogLevel.WARN


def test_only_what_is_named_is_taken_for_gone_and_a_step_that_runs_goes_on() -> None:
    one = lost_twice()
    before = one.step
    decision = one.abandon(1)
    assert (one.left, one.step, decision.tasks, decision.cancels) == (["n0"], before, (), ())
    one.abandon()
    assert one.left == []
    one.report()
    assert one.status is Status.COMPLETED


def test_what_was_left_since_he_looked_stays() -> None:
    one = lost_twice()
    one.abandon(of=["n0"])
    assert one.left == ["n1"]
    with pytest.raises(StateConflictError, match="nothing is left behind by step execution 1"):
        lost_twice().abandon(1, of=["n0"])


def test_where_nothing_is_left_behind_it_says_so_and_changes_nothing() -> None:
    one = life("a", of="REMOTE")
    one.claim()
    with pytest.raises(StateConflictError, match="nothing is left behind: no step says cleanupPending"):
        one.abandon()
    one = lost_twice()
    with pytest.raises(StateConflictError, match=r"nothing is left behind by step execution 2, 7; something may be by 0, 1"):
        one.abandon(0, 7, 2)
    assert one.left == ["n0", "n1"]


def test_its_end_at_the_same_moment_does_no_harm() -> None:
    one = aborted()
    one.abandon()
    before = one.head
    assert one.clean_up("n0").reply is Reply.STALE
    assert one.head is before
    other = aborted()
    other.clean_up("n0")
    with pytest.raises(StateConflictError, match="nothing is left behind"):
        other.abandon(of=["n0"])


def test_a_second_copy_counts_once_and_another_state_is_refused() -> None:
    one = lost_twice()
    one.abandon(0)
    event = one.events[-1][0]
    assert one.apply(event).reply is Reply.STORED
    with pytest.raises(PreconditionFailedError):
        one.abandon(of=["n1"], seen=one.head.version - 1, is_exact=True)


def test_an_execution_that_has_still_to_end_is_not_taken_for_gone() -> None:
    one = life("a", of="WAIT")
    one.turn()
    one.begin_child()
    one.abort()
    for numbers in ((), (0,)):
        with pytest.raises(StateConflictError, match="the execution c0 has still to end"):
            one.abandon(*numbers)
    assert one.left == ["c0"]
    one.apply(CleanedUp("ended", "c0"))
    assert one.left == []
