"""The audit trail, over any `Database`. Implements `engine.audit_ports.AuditStore`; every other store writes its records through `write_audited`.

Where a record stands in the chain is decided in the one transaction that writes then (`audit_rows`): so two records never follow the same one,
also where a command writes beside a running service.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import String, bindparam, cast, delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.engine.audit import Entry, Record
from stepswitch.engine.audit_chain import Stored
from stepswitch.engine.audit_ports import PRUNE, PRUNED_UP_TO, Pruned, Wanted
from stepswitch.storage.audit_rows import SEARCHED
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.tables import audit, audit_readers, audit_start

WINDOW: Final = 5_000
"""Records that one page of a search looks through at most."""
_A = audit.c
_LAST: Final = select(func.max(_A.number)).scalar_subquery()
_RECORD: Final = (_A.number, _A.previous, _A.hash, _A.record)
_NEWEST: Final = Statement(select(_LAST))
_OLDEST: Final = Statement(select(func.min(_A.number)))
_START: Final = select(func.coalesce(func.max(audit_start.c.number), 0)).scalar_subquery()
_PUT_START = upsert(audit_start)
_DECLARE: Final = Statement(
    _PUT_START.on_conflict_do_update(index_elements=["place"], set_={"number": func.max(audit_start.c.number, _PUT_START.excluded.number)})
)
_PRUNED: Final = Statement(
    select(audit_start.c.number, _A.number, _A.record)
    .join_from(audit_start, audit, _A.object == bindparam("prefix") + cast(audit_start.c.number, String))
    .where(_A.operation == PRUNE)
    .order_by(_A.number.desc())
    .limit(1)
)
_REMOVE: Final = Statement(
    delete(audit).where(_A.number <= _START, _A.number < select(func.min(_A.number)).scalar_subquery() + bindparam("rows"))
)
_BEHIND: Final = Statement(
    select(*_RECORD, *(_A[name] for name in SEARCHED)).where(_A.number > bindparam("after")).order_by(_A.number).limit(bindparam("rows"))
)


_FILTERS: Final[Mapping[str, Any]] = {
    "tenant": _A.tenant == bindparam("tenant"),
    "since": _A.time >= bindparam("since"),
    "until": _A.time < bindparam("until"),
    "user": _A.user == bindparam("user"),
    "operation": _A.operation == bindparam("operation"),
    "thing": _A.object == bindparam("thing"),
    "outcome": _A.outcome == bindparam("outcome"),
}
_INDEXED: Final = frozenset({"user", "thing"})
"""Where one of these is asked for, an index leads to the records; otherwise they are looked through, a window at a time."""
_FIRST_SINCE: Final = Statement(select(func.min(_A.number)).where(_A.time >= bindparam("since")))
_LAST_UNTIL: Final = Statement(select(func.max(_A.number)).where(_A.time < bindparam("until")))
_SENT: Final = Statement(select(audit_readers.c.number).where(audit_readers.c.name == bindparam("name")))
_PUT_SENT = upsert(audit_readers)
_NOTE_SENT: Final = Statement(_PUT_SENT.on_conflict_do_update(index_elements=["name"], set_={"number": _PUT_SENT.excluded.number}))


async def write_audited(database: Database, ops: Sequence[Op], entry: Entry | None) -> Sequence[int]:
    """Write a change and its record together, or nothing; return the rows that each of `ops` changed. Raises as `Database.write` does."""
    counts = await database.write(ops, entry)
    if entry is not None:
        entry.settle()
    return counts


class SqlAuditStore:
    """The audit trail in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: Entry) -> None:
        """See `AuditStore`."""
        await write_audited(self._database, [], entry)

    async def newest(self) -> int:
        """See `AuditStore`."""
        (((number,),),) = await self._database.read([Query(_NEWEST)])
        return number or 0

    async def oldest(self) -> int:
        """See `AuditStore`."""
        (((number,),),) = await self._database.read([Query(_OLDEST)])
        return number or 0

    async def last_before(self, time: str) -> int:
        """See `AuditStore`."""
        (((first,),),) = await self._database.read([Query(_FIRST_SINCE, {"since": time})])
        return await self.newest() if first is None else int(first) - 1

    async def prune(self, number: int, entry: Entry) -> None:
        """See `AuditStore`."""
        await write_audited(self._database, [Op(_DECLARE, {"place": 1, "number": number}, 1)], entry)

    async def pruned(self) -> Pruned | None:
        """See `AuditStore`."""
        (found,) = await self._database.read([Query(_PRUNED, {"prefix": PRUNED_UP_TO})])
        if not found:
            return None
        number, by, text = found[0]
        said = json.loads(text)["after"]
        return Pruned(number, str(said.get("hash")), by) if said.get("number") == number else None

    async def remove(self, count: int) -> int:
        """See `AuditStore`."""
        (removed,) = await self._database.write([Op(_REMOVE, {"rows": count})])
        return removed

    async def behind(self, number: int, count: int) -> Sequence[Stored]:
        """See `AuditStore`."""
        (found,) = await self._database.read([Query(_BEHIND, {"after": number, "rows": count})])
        return [Stored(Record(*row[:4]), row[4:]) for row in found]

    async def page(self, wanted: Wanted, after: int, until: int, count: int) -> tuple[Sequence[Record], int]:
        """See `AuditStore`."""
        if wanted.since is not None and after == 0:  # each other page goes on behind one; the search for the place looks at all before it
            (((first,),),) = await self._database.read([Query(_FIRST_SINCE, {"since": wanted.since})])
            after = until if first is None else first - 1
        if after == 0:
            after = max(0, await self.oldest() - 1)
        last = until if _is_indexed(wanted) else min(until, after + WINDOW)
        found = await self._found(wanted, after + 1, last, count)
        return found, found[-1].number if len(found) == count else last

    async def backwards(self, wanted: Wanted, before: int, count: int) -> tuple[Sequence[Record], int]:
        """See `AuditStore`."""
        if wanted.until is not None:
            (((last,),),) = await self._database.read([Query(_LAST_UNTIL, {"until": wanted.until})])
            before = min(before, (last or 0) + 1)
        oldest = max(1, await self.oldest())
        first = oldest if _is_indexed(wanted) else max(oldest, before - WINDOW)
        found = await self._found(wanted, first, before - 1, count, is_backwards=True)
        reached = found[-1].number if len(found) == count else first
        return found, 0 if reached <= oldest else reached

    async def _found(self, wanted: Wanted, first: int, last: int, count: int, *, is_backwards: bool = False) -> list[Record]:
        asked = {name: value for name in _FILTERS if (value := getattr(wanted, name)) is not None}
        statement = _search(frozenset(asked), is_backwards=is_backwards)
        (rows,) = await self._database.read([Query(statement, {**asked, "first": first, "last": last, "rows": count})])
        return [Record(*row) for row in rows]

    async def sent(self, name: str) -> int | None:
        """See `AuditStore`."""
        (found,) = await self._database.read([Query(_SENT, {"name": name})])
        return found[0][0] if found else None

    async def note_sent(self, name: str, number: int) -> None:
        """See `AuditStore`."""
        await self._database.write([Op(_NOTE_SENT, {"name": name, "number": number}, 1)])


def _is_indexed(wanted: Wanted) -> bool:
    return any(getattr(wanted, name) is not None for name in _INDEXED)


@cache
def _search(names: frozenset[str], *, is_backwards: bool) -> Statement:
    """Return the statement that finds records by the fields called so."""
    order = _A.number.desc() if is_backwards else _A.number
    filters = [_FILTERS[name] for name in sorted(names)]
    found = select(*_RECORD).where(_A.number >= bindparam("first"), _A.number <= bindparam("last"), *filters)
    return Statement(found.order_by(order).limit(bindparam("rows")))
