"""The data keys, and all that is encrypted with them, over any `Database`. Implements `engine.encryption.DataKeyStore`.

What is encrypted anew is read in clear and written over itself, unless somebody has changed or removed it meanwhile: rows that change
have a number that says so, all others are written once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Table, bindparam, delete, exists, func, insert, literal, not_, select, update

from stepswitch.engine.audit import Entry
from stepswitch.engine.records import DataKey
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.places import (
    credential_place,
    head_place,
    large_place,
    log_place,
    outline_place,
    revision_place,
    snapshot_place,
    steps_place,
    workflow_place,
)
from stepswitch.storage.tables import (
    commits,
    credentials,
    data_keys,
    executions,
    large_values,
    logs,
    snapshots,
    step_executions,
    workflow_revisions,
    workflows,
)

_K: Final = data_keys.c
_KEYS: Final = Statement(select(_K.generation, _K.wrapped_by, _K.wrapped, _K.made_at).order_by(_K.generation))
_ADD: Final = Statement(insert(data_keys))
_CLEAR: Final = Statement(delete(data_keys))
_REWRAP: Final = Statement(
    update(data_keys)
    .where(_K.generation == bindparam("the_generation"))
    .values(wrapped_by=bindparam("wrapped_by"), wrapped=bindparam("wrapped"))
)


class _Encrypted:
    """A table with bodies that may be encrypted: what finds them, and what writes one anew.

    `keys` tell one row from another, and from one of its earlier states where it changes; `place` is where a row stands, given the values
    of `keys` and `more`.
    """

    def __init__(
        self, table: Table, keys: Sequence[str], place: Callable[..., bytes], *, more: Sequence[str] = (), body: str = "body"
    ) -> None:
        self.table = table
        self._keys = tuple(keys)
        self._values = len(self._keys) + len(more)
        self._place = place
        sealed_with = table.c.sealed_with
        named = [table.c[name] for name in (*keys, *more)]
        self._found = Statement(
            select(sealed_with, *named, table.c[body])
            .where(sealed_with < bindparam("generation"))
            .order_by(sealed_with)
            .limit(bindparam("rows"))
        )
        self._write = Statement(
            update(table)
            .where(sealed_with == bindparam("the_generation"), *(table.c[name] == bindparam(f"the_{name}") for name in keys))
            .values({body: bindparam("content", type_=table.c[body].type), "sealed_with": bindparam("sealed_with")})
        )

    def query(self, generation: int, count: int) -> Query:
        """Return what finds bodies that are encrypted with an older key than that of `generation`."""
        return Query(self._found, {"generation": generation, "rows": count}, place=self._place_of)

    def op(self, row: Row) -> Op:
        """Return what encrypts the body of a row that was found anew."""
        generation, *values, content = row
        names = {f"the_{name}": value for name, value in zip(self._keys, values, strict=False)}
        return Op(self._write, {"the_generation": generation, **names, "content": content}, place=self._place_of(row))

    def _place_of(self, row: Row) -> bytes:
        return self._place(*row[1 : 1 + self._values])


ENCRYPTED: Final = (
    _Encrypted(workflows, ("tenant", "id", "revision"), lambda tenant, key, _: workflow_place(tenant, key)),
    _Encrypted(workflow_revisions, ("tenant", "workflow_id", "revision"), revision_place),
    _Encrypted(snapshots, ("id",), lambda key, tenant: snapshot_place(tenant, key), more=["tenant"]),
    _Encrypted(executions, ("id", "version"), lambda key, _, tenant: head_place(tenant, key), more=["tenant"]),
    _Encrypted(step_executions, ("execution_id", "first"), lambda key, _: steps_place(key)),
    _Encrypted(logs, ("place",), lambda _, execution_id: log_place(execution_id), more=["execution_id"]),
    _Encrypted(commits, ("place",), lambda _, execution_id: outline_place(execution_id), more=["execution_id"], body="outline"),
    _Encrypted(large_values, ("execution_id", "digest"), large_place),
    _Encrypted(credentials, ("tenant", "name", "revision"), lambda tenant, name, _: credential_place(tenant, name)),
)
_USES: Final = [
    Statement(
        select(each.table.c.sealed_with, func.count()).where(each.table.c.sealed_with.is_not(None)).group_by(each.table.c.sealed_with)
    )
    for each in ENCRYPTED
]
_RETIRE: Final = Statement(
    delete(data_keys).where(
        _K.generation == bindparam("the_generation"),
        *(
            not_(exists(select(literal(1)).select_from(each.table).where(each.table.c.sealed_with == bindparam("the_generation"))))
            for each in ENCRYPTED
        ),
    )
)


class SqlDataKeyStore:
    """Keys in a table, and what they encrypt in many."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keys(self) -> Sequence[DataKey]:
        """See `DataKeyStore`."""
        (found,) = await self._database.read([Query(_KEYS)])
        return [DataKey(*row) for row in found]

    async def begin(self, keys: Sequence[DataKey]) -> None:
        """See `DataKeyStore`."""
        await self._database.write([Op(_CLEAR, {}), *(Op(_ADD, asdict(key), 1) for key in keys)])

    async def add(self, key: DataKey, entry: Entry | None = None) -> None:
        """See `DataKeyStore`."""
        await write_audited(self._database, [Op(_ADD, asdict(key), 1)], entry)

    async def rewrap(self, keys: Sequence[DataKey], entry: Entry | None = None) -> None:
        """See `DataKeyStore`."""
        await write_audited(self._database, [Op(_REWRAP, _rewrapped(key), 1) for key in keys], entry)

    async def retire(self, generation: int) -> bool:
        """See `DataKeyStore`."""
        (count,) = await self._database.write([Op(_RETIRE, {"the_generation": generation})])
        return count > 0

    async def uses(self) -> Mapping[int, int]:
        """See `DataKeyStore`."""
        counts: dict[int, int] = {}
        for rows in await self._database.read([Query(each) for each in _USES]):
            for generation, count in rows:
                counts[generation] = counts.get(generation, 0) + count
        return counts

    async def reseal(self, generation: int, count: int) -> int:
        """See `DataKeyStore`."""
        for each in ENCRYPTED:
            (rows,) = await self._database.read([each.query(generation, count)])
            if rows:
                await self._database.write([each.op(row) for row in rows])
                return len(rows)
        return 0


def _rewrapped(key: DataKey) -> dict[str, Any]:
    return {"the_generation": key.generation, "wrapped_by": key.wrapped_by, "wrapped": key.wrapped}
