"""The seam of the audit trail, beside those of `ports`. Implemented in `storage`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stepswitch.engine.audit import Entry, Record
from stepswitch.engine.audit_chain import Stored


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


class AuditStore(Protocol):
    """The audit trail. What changes something else is written by the store of that, in the same transaction."""

    async def append(self, entry: Entry) -> None:
        """Store a record by itself, at the end of the chain."""

    async def newest(self) -> int:
        """Return the number of the last record; 0 where there is none."""

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
