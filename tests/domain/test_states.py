"""The table of states against the documented one: a row that is missing loses executions, one too many does what nobody wrote."""

import itertools

import pytest

from stepswitch.domain.errors import TransitionError
from stepswitch.domain.states import TERMINAL, TRANSITIONS, WAITING, StepEvent, StepState, advance

S, E = StepState, StepEvent
DOCUMENTED = {
    (S.WAITING_BEFORE, "resume", S.EXECUTABLE),
    (S.EXECUTABLE, "claim", S.EXECUTING),
    (S.EXECUTING, "report", S.EXECUTED),
    (S.EXECUTING, "lost, safe", S.RETRY),
    (S.EXECUTED, "succeeded, or another way", S.READY_FOR_NEXT),
    (S.EXECUTED, "attempts left", S.RETRY),
    (S.EXECUTED, "pauseAtFailure", S.WAITING_AFTER),
    (S.EXECUTED, "failed", S.FINISHED),
    (S.WAITING_AFTER, "retry", S.RETRY),
    (S.WAITING_AFTER, "resume", S.READY_FOR_NEXT),
    (S.WAITING_BEFORE, "resume elsewhere", S.FINISHED),
    (S.WAITING_AFTER, "resume elsewhere", S.FINISHED),
    (S.READY_FOR_NEXT, "next", S.FINISHED),
    (S.EXECUTABLE, "abort", S.FINISHED),
    (S.EXECUTING, "abort", S.FINISHED),
}
OURS = {(S.EXECUTABLE, S.WAITING_BEFORE), (S.WAITING_AFTER, S.EXECUTED), (S.EXECUTING, S.EXECUTABLE)}
"""A pause that is asked for before a claim (docs/decisions/0004), the end of one before a probe looks (docs/decisions/0011), and what was claimed
and not sent when its worker stops (docs/decisions/0025)."""
BEGINNINGS = {S.WAITING_BEFORE, S.EXECUTABLE}


def test_the_table_has_every_documented_row_and_no_other() -> None:
    assert {(source, target) for (source, _), target in TRANSITIONS.items()} == {(source, to) for source, _, to in DOCUMENTED} | OURS


def test_last_states_are_those_that_nothing_leads_from() -> None:
    assert {S.RETRY, S.FINISHED} == TERMINAL
    assert WAITING.isdisjoint(TERMINAL)


def test_every_state_can_be_reached() -> None:
    reached, left = set(BEGINNINGS), list(BEGINNINGS)
    while left:
        source = left.pop()
        for target in {to for (state, _), to in TRANSITIONS.items() if state is source} - reached:
            reached.add(target)
            left.append(target)
    assert reached == set(StepState)


def test_every_state_but_the_last_ones_can_be_ended_by_an_abort() -> None:
    for state in set(StepState) - TERMINAL:
        assert advance(state, E.ENDED) is S.FINISHED


@pytest.mark.parametrize(("state", "event"), [pair for pair in itertools.product(S, E) if pair not in TRANSITIONS])
def test_what_has_no_row_is_refused(state: StepState, event: StepEvent) -> None:
    with pytest.raises(TransitionError, match=f"{state} cannot be {event}"):
        advance(state, event)


def test_several_events_are_taken_one_after_the_other() -> None:
    assert advance(S.EXECUTABLE, E.CLAIMED, E.REPORTED, E.PASSED, E.ENDED) is S.FINISHED
    with pytest.raises(TransitionError):
        advance(S.EXECUTABLE, E.CLAIMED, E.PASSED)
