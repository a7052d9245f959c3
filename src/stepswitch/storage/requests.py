"""Which requests have made which executions, over any `Database`. Implements `engine.ports.RequestStore`."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, tuple_
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.engine.records import RequestKind, RequestMark
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.tables import requests

_R = requests.c
_KEY: Final = (_R.tenant, _R.user, _R.kind, _R.name)
_ALL: Final = (*_KEY, _R.digest, _R.execution_id, _R.made_at)
_IS_ONE: Final = [column == bindparam(column.name) for column in _KEY]
_ADD: Final = Statement(insert(requests))
_NOTE: Final = Statement(upsert(requests).on_conflict_do_nothing())
_FORGET: Final = Statement(delete(requests).where(*_IS_ONE))
_ONE: Final = Statement(select(*_ALL).where(*_IS_ONE))
_SINCE: Final = Statement(select(*_ALL).where(_R.made_at >= bindparam("moment"), _R.kind == bindparam("kind")).order_by(_R.made_at))
_PRUNE: Final = Statement(
    delete(requests).where(
        tuple_(*_KEY).in_(select(*_KEY).where(_R.made_at < bindparam("before")).order_by(_R.made_at).limit(bindparam("rows")))
    )
)


def add_mark(mark: RequestMark) -> Op:
    """Return what stores `mark`, and undoes all that is stored with it where there is one of its name already."""
    return Op(_ADD, _row(mark), 1)


class SqlRequestStore:
    """Marks in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keyed(self, tenant: str, user: str, key: str) -> RequestMark | None:
        """See `RequestStore`."""
        params = {"tenant": tenant, "user": user, "kind": RequestKind.KEYED.value, "name": key}
        (found,) = await self._database.read([Query(_ONE, params)])
        return _mark(found[0]) if found else None

    async def note(self, mark: RequestMark) -> None:
        """See `RequestStore`."""
        await self._database.write([Op(_NOTE, _row(mark))])

    async def forget(self, mark: RequestMark) -> None:
        """See `RequestStore`."""
        await self._database.write([Op(_FORGET, {"tenant": mark.tenant, "user": mark.user, "kind": mark.kind.value, "name": mark.name})])

    async def cut_since(self, moment: int) -> Sequence[RequestMark]:
        """See `RequestStore`."""
        (found,) = await self._database.read([Query(_SINCE, {"moment": moment, "kind": RequestKind.CUT.value})])
        return [_mark(row) for row in found]

    async def prune(self, before: int, count: int) -> int:
        """See `RequestStore`."""
        return (await self._database.write([Op(_PRUNE, {"before": before, "rows": count})]))[0]


def _row(mark: RequestMark) -> dict[str, object]:
    return {
        "tenant": mark.tenant,
        "user": mark.user,
        "kind": mark.kind.value,
        "name": mark.name,
        "digest": mark.digest,
        "execution_id": mark.execution_id,
        "made_at": mark.made_at,
    }


def _mark(row: Row) -> RequestMark:
    tenant, user, kind, *others = row
    return RequestMark(tenant, user, RequestKind(kind), *others)
