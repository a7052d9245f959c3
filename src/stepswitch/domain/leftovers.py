"""What steps may have left behind at their targets: taken off the head when somebody confirms that it is gone, or takes it for gone. Called by `decide` and `steering`.

Why it stands in the head: docs/decisions/0026-what-may-be-left-behind-stands-in-the-head.md; who may take it for gone: 0044-a-cleanup-stands-in-line-and-may-be-abandoned.md.
"""

from collections.abc import Sequence

from stepswitch.domain.errors import StateConflictError
from stepswitch.domain.events import AbandonCleanup, CleanedUp, Decision, Reply
from stepswitch.domain.execution import Leftover, LogLevel
from stepswitch.domain.progress import Progress


def cleaned_up(p: Progress, event: CleanedUp) -> Decision:
    """Take off what is confirmed to be gone; what was taken off before stays so."""
    gone = [each for each in p.head.left_behind if each.nonce == event.nonce]
    if not gone:
        return Decision(p.head, Reply.STALE)
    _take_off(p, gone)
    p.log(_gone(gone[0]), step=gone[0].number)
    return p.decision(event.id)


def abandon(p: Progress, event: AbandonCleanup) -> Decision:
    """Take off what somebody says is gone, or will never be reached; raises StateConflictError where there is nothing of it."""
    left = [each for each in p.head.left_behind if each.nonce in event.places and not each.is_execution]
    _refuse_nothing(p, left, event.numbers)
    chosen = [each for each in left if not event.numbers or each.number in event.numbers]
    _take_off(p, chosen)
    why = f": {event.reason}" if event.reason else ""
    for each in chosen:
        p.log(f"{_thing(each)} {event.places[each.nonce]} is taken for gone by {event.user}{why}", LogLevel.WARN)
    return p.decision(event.id)


def _refuse_nothing(p: Progress, left: Sequence[Leftover], numbers: Sequence[int]) -> None:
    there = sorted({each.number for each in left})
    without = sorted(set(numbers).difference(there))
    if left and not without:
        return
    children = {each.number: each.nonce for each in p.head.left_behind if each.is_execution}
    child = next((children[number] for number in without or children if number in children), None)
    if child is not None:
        raise StateConflictError(
            f"the execution {child} has still to end, and to leave nothing behind: abort it, and abandon its cleanup there"
        )
    if not there:
        raise StateConflictError("nothing is left behind: no step says cleanupPending, so there is no cleanup to abandon")
    named = ", ".join(map(str, without))
    raise StateConflictError(f"nothing is left behind by step execution {named}; something may be by {', '.join(map(str, there))}")


def _take_off(p: Progress, gone: Sequence[Leftover]) -> None:
    p.change(left_behind=tuple(each for each in p.head.left_behind if each not in gone))


def _gone(left: Leftover) -> str:
    if left.is_execution:
        return f"the execution {left.nonce} has ended"
    if left.outlives:
        return "nothing of it is left at the target"
    return "nothing of it goes on any more" if left.only_computes else "its session at the target is closed"


def _thing(left: Leftover) -> str:
    if left.outlives:
        return "what may be left behind by"
    return "what may still be computed by" if left.only_computes else "the session that may be open of"
