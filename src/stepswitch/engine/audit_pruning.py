"""Removes the beginning of the audit trail, and records that. Called by the command line, and by `audit_trail` where the settings say how long it is kept.

First the record of the pruning is written, which says up to which record it goes and the hash of that; only then anything is removed, the oldest
first. So wherever that is interrupted, what is left is whole and proven by that record, and the next pruning goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from stepswitch.domain.errors import CallerError
from stepswitch.engine.audit import Entry, Record, Thing
from stepswitch.engine.audit_chain import ChainCheck
from stepswitch.engine.audit_ports import PRUNED_UP_TO, AuditStore

PAGE: Final = 1_000
AT_ONCE: Final = 5_000
"""Records that are removed in one transaction."""
Keep = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Pruning:
    """What there is to remove: the records `first` to `last`; none where `last` is before `first`."""

    first: int
    last: int
    kept: int = 0
    """So many more are old enough, and stay because they were not sent on yet."""

    @property
    def count(self) -> int:
        """How many those are."""
        return max(0, self.last - self.first + 1)


async def to_prune(store: AuditStore, before: str, sent_to: str | None) -> Pruning:
    """Return what is older than a time, but for what is still to be sent to the place that is called `sent_to`."""
    first, old = max(1, await store.oldest()), await store.last_before(before)
    last = old if sent_to is None else min(old, await store.sent(sent_to) or 0)
    return Pruning(first, last, old - max(last, first - 1))


async def checked(store: AuditStore, pruning: Pruning, keep: Keep | None = None) -> str:
    """Return the hash of the last record that is to go, after each was given to `keep`; raises CallerError where their chain is broken."""
    pruned = await store.pruned()
    check = ChainCheck(pruned=None if pruned is None else (pruned.number, pruned.hash))
    while check.number < pruning.last:
        rows = [row for row in await store.behind(check.number, PAGE) if row.record.number <= pruning.last]
        if not check.take(rows) or not rows:
            broken = "records are missing" if check.finding is None else check.finding.text
            raise CallerError(f"the audit trail is broken, and nothing was removed: {broken}")
        if keep is not None:
            for row in rows:
                keep(row.record)
    return check.head


async def declare(store: AuditStore, pruning: Pruning, head: str, entry: Entry) -> None:
    """Record that records are to go, the last of which has the hash `head`; `finish` removes them."""
    said: dict[str, Any] = {"first": pruning.first, "number": pruning.last, "hash": head, **entry.after}
    await store.prune(pruning.last, replace(entry, thing=Thing("audit trail", f"{PRUNED_UP_TO}{pruning.last}"), after=said))


async def finish(store: AuditStore) -> int:
    """Remove what was pruned and is still there; return how many records those were."""
    removed = 0
    while count := await store.remove(AT_ONCE):
        removed += count
    return removed
