"""The audit trail as a use case: what is recorded by itself, and who may read it. Called by `api`; what changes something is recorded with it.

A refusal is not a way to fill the disk: the first one of a caller for an operation is recorded at once, and those that follow within the minute
are counted and become one record at its end. So many callers are told apart in a minute, and no more.
"""

from dataclasses import dataclass, replace
from typing import Final

import structlog

from stepswitch.domain.errors import CallerError, NotFoundError, StoreError
from stepswitch.engine.audit import Actor, Entry, Judgement, Record, written_time
from stepswitch.engine.audit_chain import ChainCheck
from stepswitch.engine.audit_ports import PRUNE, AuditStore
from stepswitch.engine.audit_pruning import checked, declare, finish, to_prune
from stepswitch.engine.ports import Clock

MINUTE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0
PRUNING_SECONDS: Final = 86_400.0
PAGE: Final = 1_000
MOST_CALLERS: Final = 50
"""Callers that are told apart in one minute, by address, operation and status too; refusals beyond that are counted together."""
OTHERS: Final = "many"
"""What the operation is called of refusals that are counted together."""
_Key = tuple[object, ...]
_log = structlog.get_logger("stepswitch.audit")


@dataclass(frozen=True, slots=True)
class Kept:
    """How long records are kept; what was not sent to the syslog server that is called so stays longer."""

    milliseconds: int
    sent_to: str | None = None


@dataclass(slots=True)
class _Sum:
    last: Entry
    count: int = 0


class AuditTrail:
    """Records what no store writes with a change of its own."""

    def __init__(self, store: AuditStore, clock: Clock, kept: Kept | None = None) -> None:
        self._kept = kept
        self._next_pruning = float("-inf")
        self._store = store
        self._clock = clock
        self._sums: dict[_Key, _Sum] = {}
        self._since = clock.monotonic()

    @property
    def store(self) -> AuditStore:
        """The records themselves."""
        return self._store

    async def record(self, entry: Entry) -> None:
        """Record what was allowed and has no change that its record could be written with; raises StoreError."""
        await self._store.append(entry)

    async def record_often(self, entry: Entry) -> None:
        """Record what may come again and again: at once the first time in a minute, counted afterwards. Refusals of many callers are put together.

        Where the store says no, somebody who is refused is refused all the same, and the log has it; what is allowed is not: StoreError.
        """
        await self.settle()
        key = (entry.tenant, entry.user, entry.kind, entry.address, entry.operation, entry.judgement, entry.status)
        known = self._sums.get(key)
        if known is not None:
            known.last, known.count = entry, known.count + 1
        elif entry.judgement is Judgement.ALLOWED:
            await self._store.append(entry)
            self._sums.setdefault(key, _Sum(entry))
        elif len(self._sums) >= MOST_CALLERS:
            others = self._sums.setdefault((), _Sum(entry))
            others.last, others.count = _of_others(entry), others.count + 1
        else:
            self._sums[key] = _Sum(entry)
            await self._append(entry)

    async def settle(self, *, at_once: bool = False) -> None:
        """Record what was counted, where its minute is over or the service stops."""
        now = self._clock.monotonic()
        if not at_once and now - self._since < MINUTE_SECONDS:
            return
        self._since = now
        sums, self._sums = self._sums, {}
        for each in sums.values():
            if each.count:
                await self._append(replace(each.last, count=each.count))

    async def run(self) -> None:
        """Record what was counted, and remove what is kept no longer, for ever."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.settle()
            if self._kept is not None and self._clock.monotonic() >= self._next_pruning:
                self._next_pruning = self._clock.monotonic() + PRUNING_SECONDS
                await self._prune(self._kept)

    async def _prune(self, kept: Kept) -> None:
        """Remove what is older than it is kept; a fault is logged, and the next day tries again."""
        before = written_time(self._clock.now() - kept.milliseconds)
        entry = Entry(PRUNE, self._clock.now(), "", "", Actor.SYSTEM, after={"before": before, "why": "audit_retention_days"})
        try:
            pruning = await to_prune(self._store, before, kept.sent_to)
            if pruning.count:
                await declare(self._store, pruning, await checked(self._store, pruning), entry)
            await finish(self._store)
        except (StoreError, CallerError) as error:
            _log.error("old records of the audit trail were not removed", error=str(error))

    async def _append(self, entry: Entry) -> None:
        try:
            await self._store.append(entry)
        except StoreError as error:
            _log.error("a record of the audit trail was not stored", record=entry.record(), error=str(error))


def _of_others(entry: Entry) -> Entry:
    return Entry(OTHERS, entry.time, "", "", Actor.UNKNOWN, judgement=Judgement.REFUSED, status=entry.status)


async def check_chain(store: AuditStore, expected_head: str | None = None, since: int = 1) -> ChainCheck:
    """Return what a chain is like from record `since` on, page by page; see `ChainCheck.end`. What comes while it is read is read too."""
    pruned = await store.pruned()
    check = ChainCheck(expected_head, None if pruned is None else (pruned.number, pruned.hash))
    if since > 1:
        check.begin_behind(await _before(store, since))
    while rows := await store.behind(check.number, PAGE):
        if not check.take(rows):
            break
    check.end()
    return check


async def _before(store: AuditStore, number: int) -> Record:
    found = await store.behind(number - 2, 1)
    if not found or found[0].record.number != number - 1:
        raise NotFoundError(f"there is no record {number - 1} to begin behind")
    return found[0].record
