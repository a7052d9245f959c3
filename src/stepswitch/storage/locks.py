"""The lines for locks, over any `Database`. Implements `engine.lock_ports.LockStore`; written by `executions`, in the transaction of each save.

A place in a line is a row, in the order of commits. Who has a lock is the one row of its line with a `held_since`: a unique index says that there
is no second one, and only the first of a line is given it.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, func, not_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.domain.execution import Head
from stepswitch.domain.locks import LockChange
from stepswitch.engine.lock_ports import LockPlace
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.tables import locks

_L: Final = locks.c
_COLUMNS: Final = (_L.place, _L.tenant, _L.key, _L.execution_id, _L.asked_at, _L.held_since)
_OF_LINE: Final = and_(_L.tenant == bindparam("the_tenant"), _L.key == bindparam("the_key"))
_OF_EXECUTION: Final = _L.execution_id == bindparam("the_id")

# --- writing ---

_ASK: Final = Statement(
    upsert(locks)
    .values(tenant=bindparam("the_tenant"), key=bindparam("the_key"), execution_id=bindparam("the_id"), asked_at=bindparam("now"))
    .on_conflict_do_nothing()
)
_GIVE: Final = Statement(
    update(locks)
    .where(_L.place == select(func.min(_L.place)).where(_OF_LINE).scalar_subquery(), _OF_EXECUTION, _L.held_since.is_(None))
    .values(held_since=bindparam("now"))
)
"""Only the first in line."""
_LEAVE: Final = Statement(delete(locks).where(_OF_LINE, _OF_EXECUTION))


def lock_ops(head: Head, change: LockChange) -> list[Op]:
    """Return what does to the lines what a decision says."""
    of = {"the_tenant": head.tenant, "the_id": head.id}
    ops = [Op(_LEAVE, {**of, "the_key": lock.key}) for lock in change.left]
    if change.given is not None:
        ops.append(Op(_GIVE, {**of, "the_key": change.given.key, "now": head.last_time}, expect=1))
    if change.asked is not None:
        ops.append(Op(_ASK, {**of, "the_key": change.asked.key, "now": head.last_time}))
    return ops


# --- reading ---

_FIRST: Final = Statement(select(*_COLUMNS).where(_OF_LINE).order_by(_L.place).limit(1))
_AWAITED: Final = Statement(select(*_COLUMNS).where(_OF_EXECUTION, _L.held_since.is_(None)).limit(1))
_PLACE: Final = Statement(select(*_COLUMNS).where(_L.tenant == bindparam("the_tenant"), _L.place == bindparam("the_place")))
_other: Final = locks.alias("other")
_BEFORE: Final = (
    select(_other.c.place).where(_other.c.tenant == _L.tenant, _other.c.key == _L.key, _other.c.place < _L.place).correlate(locks).exists()
)
_IN_LINE: Final = (
    select(func.count())
    .select_from(_other)
    .where(_other.c.tenant == _L.tenant, _other.c.key == _L.key, _other.c.held_since.is_(None))
    .correlate(locks)
    .scalar_subquery()
)
_HELD: Final = Statement(
    select(*_COLUMNS, _IN_LINE)
    .where(_L.tenant == bindparam("the_tenant"), _L.held_since.is_not(None))
    .order_by(_L.held_since, _L.place)
    .limit(bindparam("rows"))
)
_DUE: Final = Statement(select(*_COLUMNS).where(_L.held_since.is_(None), not_(_BEFORE)).order_by(_L.place).limit(bindparam("rows")))
_WAITING: Final = Statement(
    select(*_COLUMNS).where(_L.held_since.is_(None), _L.place > bindparam("after")).order_by(_L.place).limit(bindparam("rows"))
)


class SqlLockStore:
    """The lines as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first(self, tenant: str, key: str) -> LockPlace | None:
        """See `LockStore`."""
        return await self._one(_FIRST, the_tenant=tenant, the_key=key)

    async def awaited_by(self, execution_id: str) -> LockPlace | None:
        """See `LockStore`."""
        return await self._one(_AWAITED, the_id=execution_id)

    async def place(self, tenant: str, place: int) -> LockPlace | None:
        """See `LockStore`."""
        return await self._one(_PLACE, the_tenant=tenant, the_place=place)

    async def held(self, tenant: str, count: int) -> Sequence[tuple[LockPlace, int]]:
        """See `LockStore`."""
        return [(LockPlace(*row[:-1]), int(row[-1])) for row in await self._rows(_HELD, the_tenant=tenant, rows=count)]

    async def due(self, count: int) -> Sequence[LockPlace]:
        """See `LockStore`."""
        return [LockPlace(*row) for row in await self._rows(_DUE, rows=count)]

    async def waiting(self, after: int, count: int) -> Sequence[LockPlace]:
        """See `LockStore`."""
        return [LockPlace(*row) for row in await self._rows(_WAITING, after=after, rows=count)]

    async def _one(self, statement: Statement, **params: Any) -> LockPlace | None:
        rows = await self._rows(statement, **params)
        return LockPlace(*rows[0]) if rows else None

    async def _rows(self, statement: Statement, **params: Any) -> Sequence[Row]:
        (found,) = await self._database.read([Query(statement, params)])
        return found
