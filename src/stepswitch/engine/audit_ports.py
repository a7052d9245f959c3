"""The seam of the audit trail, beside those of `ports`. Implemented in `storage`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stepswitch.engine.audit import Entry, Record
from stepswitch.engine.audit_chain import Stored

PRUNE: Final = "pruneAudit"
PRUNED_UP_TO: Final = "records up to "
"""What the record of a pruning is about: this, and a number."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records somebody wants to see; None is for all. Times are as records have them: `since` is in, `until` is not."""

    tenant: str | None = None
    since: str | None = None
    until: str | None = None
    user: str | None = None
    operation: str | None = None
    thing: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the record of a pruning says: up to which record it went, and the hash of that; `by` is the number of the record itself."""

    number: int
    hash: str
    by: int


class AuditStore(Protocol):
    """The audit trail. What changes something else is written by the store of that, in the same transaction."""

    async def append(self, entry: Entry) -> None:
        """Store a record by itself, at the end of the chain."""

    async def newest(self) -> int:
        """Return the number of the last record; 0 where there is none."""

    async def oldest(self) -> int:
        """Return the number of the first record that is there; 0 where there is none."""

    async def last_before(self, time: str) -> int:
        """Return the number of the record before the first one of that time or later: all up to it are older."""

    async def prune(self, number: int, entry: Entry) -> None:
        """Declare that the records up to `number` are to go, and record that in the same transaction. They are there until `remove` has removed them."""

    async def pruned(self) -> Pruned | None:
        """Return up to where the trail was pruned the last time, as the record of it says; None where it was not, or where no record says so."""

    async def remove(self, count: int) -> int:
        """Remove up to `count` of the records that are to go, the oldest first; return how many those were."""

    async def behind(self, number: int, count: int) -> Sequence[Stored]:
        """Return up to `count` records behind `number`, in their order."""

    async def page(self, wanted: Wanted, after: int, until: int, count: int) -> tuple[Sequence[Record], int]:
        """Return records behind `after`, up to `until`, in their order, and the number to go on behind.

        It may be fewer than `count`, and none, though there are more: one page looks through a bounded number of records.
        """
        ...

    async def backwards(self, wanted: Wanted, before: int, count: int) -> tuple[Sequence[Record], int]:
        """Return records before `before`, the newest first, and the number to go on before, 0 at the end; else as `page`."""
        ...

    async def sent(self, name: str) -> int | None:
        """Return up to which record the trail was sent to the place that is called so; None where nothing was."""

    async def note_sent(self, name: str, number: int) -> None:
        """Note that."""
