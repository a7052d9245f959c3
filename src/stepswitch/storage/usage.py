"""What tenants have, counted in indexes over any `Database`. Implements `engine.usage.UsageStore`.

Counted as `queue` and `files` do it where a limit may be reached, here for one tenant or for all of them at once.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Select, bindparam, func, select

from stepswitch.engine.usage import Stored
from stepswitch.storage.database import Database, Query, Statement
from stepswitch.storage.tables import accounts, claims, executions, files

_E = executions.c
_TENANTS: Final = Statement(select(accounts.c.tenant).distinct())


_EXECUTIONS: Final = select(_E.tenant, func.count()).select_from(executions)
_COUNTED: Final[tuple[tuple[Select[Any], Column[Any]], ...]] = (
    (_EXECUTIONS.where(_E.runnable_since.is_not(None)).with_hint(executions, "INDEXED BY executions_runnable", "sqlite"), _E.tenant),
    (select(_E.tenant, func.count()).select_from(claims.join(executions, _E.id == claims.c.execution_id)), _E.tenant),
    (_EXECUTIONS.with_hint(executions, "INDEXED BY executions_by_id", "sqlite"), _E.tenant),
    (select(files.c.tenant, func.sum(files.c.size)), files.c.tenant),
)
"""Executions in line, executions whose step is being carried out, all executions, and the space of files; each with where the tenant stands."""
_OF_ONE: Final = tuple(Statement(what.where(tenant == bindparam("tenant")).group_by(tenant)) for what, tenant in _COUNTED)
_OF_EACH: Final = tuple(Statement(what.group_by(tenant)) for what, tenant in _COUNTED)


class SqlUsageStore:
    """Counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenants(self) -> Collection[str]:
        """See `UsageStore`."""
        (found,) = await self._database.read([Query(_TENANTS, {})])
        return {tenant for (tenant,) in found}

    async def stored(self, tenant: str | None) -> Mapping[str, Stored]:
        """See `UsageStore`."""
        queries = [Query(each, {}) for each in _OF_EACH] if tenant is None else [Query(one, {"tenant": tenant}) for one in _OF_ONE]
        counts = [dict[str, int](rows) for rows in await self._database.read(queries)]
        return {name: _stored([int(each.get(name, 0)) for each in counts]) for name in set[str]().union(*counts)}


def _stored(counts: Sequence[int]) -> Stored:
    in_line, claimed, stored, space = counts
    return Stored(in_line + claimed, stored, space)
