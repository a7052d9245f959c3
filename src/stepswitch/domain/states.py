"""One step execution's life as a table: no I/O, no clock. Called by `decide`, drawn by docs/reference/states.md.

Only `advance` changes a state. Which of the possible events happens is decided by guards in `flow` and `steering`;
the table says what may happen at all. A probe goes through it too. Source: `workflow-semantics`, section 5; the three rows that are ours
besides are explained in docs/decisions: 0004-pause-before-a-claim.md, 0011-a-probe-settles-a-doubt.md and 0025-what-was-not-sent-is-given-back.md.
"""

from enum import StrEnum
from typing import Final

from stepswitch.domain.errors import TransitionError


class StepState(StrEnum):
    """The documented states; the values are the API's."""

    WAITING_BEFORE = "waitingBeforeExecution"
    EXECUTABLE = "executable"
    EXECUTING = "executing"
    EXECUTED = "executed"
    WAITING_AFTER = "waitingAfterExecution"
    READY_FOR_NEXT = "readyToComputeNextStep"
    RETRY = "retry"
    FINISHED = "finished"


class StepEvent(StrEnum):
    """What can happen to a step execution."""

    RESUMED = "resumed"
    CLAIMED = "claimed"
    GIVEN_BACK = "given back"
    REPORTED = "reported"
    PASSED = "passed"
    HELD = "held"
    RETRIED = "retried"
    ENDED = "ended"


_S, _E = StepState, StepEvent

TRANSITIONS: Final = {
    (_S.WAITING_BEFORE, _E.RESUMED): _S.EXECUTABLE,
    (_S.WAITING_BEFORE, _E.ENDED): _S.FINISHED,
    (_S.EXECUTABLE, _E.CLAIMED): _S.EXECUTING,
    (_S.EXECUTABLE, _E.HELD): _S.WAITING_BEFORE,
    (_S.EXECUTABLE, _E.ENDED): _S.FINISHED,
    (_S.EXECUTING, _E.GIVEN_BACK): _S.EXECUTABLE,
    (_S.EXECUTING, _E.REPORTED): _S.EXECUTED,
    (_S.EXECUTING, _E.RETRIED): _S.RETRY,
    (_S.EXECUTING, _E.ENDED): _S.FINISHED,
    (_S.EXECUTED, _E.PASSED): _S.READY_FOR_NEXT,
    (_S.EXECUTED, _E.RETRIED): _S.RETRY,
    (_S.EXECUTED, _E.HELD): _S.WAITING_AFTER,
    (_S.EXECUTED, _E.ENDED): _S.FINISHED,
    (_S.WAITING_AFTER, _E.RESUMED): _S.EXECUTED,
    (_S.WAITING_AFTER, _E.RETRIED): _S.RETRY,
    (_S.WAITING_AFTER, _E.PASSED): _S.READY_FOR_NEXT,
    (_S.WAITING_AFTER, _E.ENDED): _S.FINISHED,
    (_S.READY_FOR_NEXT, _E.ENDED): _S.FINISHED,
}
TERMINAL: Final = frozenset(StepState) - {state for state, _ in TRANSITIONS}
WAITING: Final = frozenset({StepState.WAITING_BEFORE, StepState.WAITING_AFTER})


def advance(state: StepState, *events: StepEvent) -> StepState:
    """Return where `events`, one after the other, lead from `state`; raises TransitionError where the table has no row."""
    for event in events:
        target = TRANSITIONS.get((state, event))
        if target is None:
            raise TransitionError(f"a step execution that is {state} cannot be {event}")
        state = target
    return state
