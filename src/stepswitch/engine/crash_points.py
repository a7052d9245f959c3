"""Every place where a stop of the process could matter, by name. Reached throughout the service; nothing happens there unless a test listens.

`tests/chaos` dies at each of them in a process of its own and `tests/simulation` at random ones; what has to be true afterwards
stands in docs/explanation/how-it-is-proven.md. A listener may not return, for it may end the process; it may not wait.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from stepswitch.domain.events import (
    ChildBegun,
    ChildHeard,
    ChildOverdue,
    ChildRefused,
    Claimed,
    CleanedUp,
    Event,
    GivenBack,
    LockGiven,
    LocksInCircle,
    Lost,
    Reported,
    Turn,
)


class CrashPoint(StrEnum):
    """What has just been done, or is about to be; `unsaved` is right before a save is asked for, `saved` right after its commit."""

    # Saves of executions, by what is saved.
    CREATE_UNSAVED = "create.unsaved"
    CREATE_SAVED = "create.saved"
    TURN_UNSAVED = "turn.unsaved"
    TURN_SAVED = "turn.saved"
    CLAIM_UNSAVED = "claim.unsaved"
    CLAIM_SAVED = "claim.saved"
    GIVEBACK_UNSAVED = "giveback.unsaved"
    GIVEBACK_SAVED = "giveback.saved"
    REPORT_UNSAVED = "report.unsaved"
    REPORT_SAVED = "report.saved"
    LOSS_UNSAVED = "loss.unsaved"
    LOSS_SAVED = "loss.saved"
    CLEANUP_UNSAVED = "cleanup.unsaved"
    CLEANUP_SAVED = "cleanup.saved"
    LOCK_UNSAVED = "lock.unsaved"
    LOCK_SAVED = "lock.saved"
    CHILD_UNSAVED = "child.unsaved"
    CHILD_SAVED = "child.saved"
    HEARD_UNSAVED = "heard.unsaved"
    HEARD_SAVED = "heard.saved"
    STEERING_UNSAVED = "steering.unsaved"
    STEERING_SAVED = "steering.saved"
    DELETE_UNSAVED = "delete.unsaved"
    DELETE_SAVED = "delete.saved"
    LOG_UNSAVED = "log.unsaved"
    LOG_SAVED = "log.saved"
    SIGN_UNSAVED = "sign.unsaved"
    SIGN_SAVED = "sign.saved"
    # Other saves.
    ACCOUNT_UNSAVED = "account.unsaved"
    ACCOUNT_SAVED = "account.saved"
    WORKFLOW_UNSAVED = "workflow.unsaved"
    WORKFLOW_SAVED = "workflow.saved"
    FILE_WRITTEN = "file.written"
    FILE_RENAMED = "file.renamed"
    FILE_SAVED = "file.saved"
    FILE_FORGOTTEN = "file.forgotten"
    COMMIT_ASKED = "commit.asked"
    COMMIT_DONE = "commit.done"
    # What follows from a save.
    TASK_DUE = "task.due"
    TASK_SUBMITTED = "task.submitted"
    TASK_BEGUN = "task.begun"
    CANCEL_DUE = "cancel.due"
    CANCEL_GIVEN = "cancel.given"
    ANSWER_DUE = "answer.due"
    ANSWER_GIVEN = "answer.given"
    # One attempt at a step.
    ATTEMPT_BEGUN = "attempt.begun"
    SEND_DUE = "send.due"
    SEND_MARKED = "send.marked"
    ATTEMPT_ENDED = "attempt.ended"
    ATTEMPT_REPORTED = "attempt.reported"
    # What attempts have left at their targets.
    REMOVAL_DUE = "removal.due"
    REMOVAL_DONE = "removal.done"


_P = CrashPoint
AROUND_SAVES: Final[Mapping[type[Event], tuple[CrashPoint, CrashPoint]]] = {
    Turn: (_P.TURN_UNSAVED, _P.TURN_SAVED),
    Claimed: (_P.CLAIM_UNSAVED, _P.CLAIM_SAVED),
    GivenBack: (_P.GIVEBACK_UNSAVED, _P.GIVEBACK_SAVED),
    Reported: (_P.REPORT_UNSAVED, _P.REPORT_SAVED),
    Lost: (_P.LOSS_UNSAVED, _P.LOSS_SAVED),
    CleanedUp: (_P.CLEANUP_UNSAVED, _P.CLEANUP_SAVED),
    LockGiven: (_P.LOCK_UNSAVED, _P.LOCK_SAVED),
    LocksInCircle: (_P.LOCK_UNSAVED, _P.LOCK_SAVED),
    **dict.fromkeys((ChildBegun, ChildRefused), (_P.CHILD_UNSAVED, _P.CHILD_SAVED)),
    **dict.fromkeys((ChildHeard, ChildOverdue), (_P.HEARD_UNSAVED, _P.HEARD_SAVED)),
}
"""The points before and after the save of an event; whatever is not here is somebody's will."""
_STEERING: Final = (_P.STEERING_UNSAVED, _P.STEERING_SAVED)
_listeners: Final[list[Callable[[CrashPoint], None]]] = []


def reach(point: CrashPoint) -> None:
    """Tell whoever listens that `point` is reached: nobody does, in production."""
    for listener in _listeners:
        listener(point)


def around_save(event: Event) -> tuple[CrashPoint, CrashPoint]:
    """Return the points right before and right after the save of what follows from `event`."""
    return AROUND_SAVES.get(type(event), _STEERING)


@contextmanager
def listening(listener: Callable[[CrashPoint], None]) -> Iterator[None]:
    """Call `listener` at every point, as long as the block lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
