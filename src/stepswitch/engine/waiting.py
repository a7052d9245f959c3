"""What an execution waits for, and who is shown which execution holds it up. Made by `views`, for answers and lists, and by `news`, for followers.

Here is the one rule for that: an execution that somebody may not see is not there for him, also where it holds up one that he sees. He is told what is waited
for and since when, and not whose it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stepswitch.domain.changed import changed, quickly_made
from stepswitch.engine.callers import Caller


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who has a lock, how that execution stands, and whose it is. Implements `Executed`."""

    execution_id: str
    status: str
    tenant: str
    creation_user: str
    workflow_name: str

    def as_seen_by(self, caller: Caller) -> "LockHolder | None":
        """Return it for who may see that execution; None for who may not."""
        return self if caller.sees(self) else None


@quickly_made
@dataclass(frozen=True, slots=True)
class WaitingFor:
    """One thing that an execution waits for: `kind` is person, device, lock, site, place, time, hold or execution. Times in milliseconds."""

    kind: str
    name: str
    since: int
    until: int | None = None
    holder: LockHolder | None = None
    """Of a lock: who has it."""


def as_seen_by(caller: Caller, waiting_for: Sequence[WaitingFor]) -> tuple[WaitingFor, ...]:
    """Return what is waited for as it is shown to somebody."""
    return tuple(each if each.holder is None else changed(each, holder=each.holder.as_seen_by(caller)) for each in waiting_for)
