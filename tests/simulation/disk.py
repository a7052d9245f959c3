"""The disk of a schedule, as somebody sees it who only reads."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from stepswitch.engine.audit import Entry
from stepswitch.storage.database import Moment, Op, Query, Row
from stepswitch.storage.seals import opened
from stepswitch.storage.sqlite_connections import DIALECT
from tests.sealing import sealing_for_tests

Line = tuple[str, str, str, bool]
"""A place in line for a lock: tenant, lock, execution, and whether it has it."""


class Disk:
    """Implements `Database` for a reader who sees what is committed, whatever the service is doing."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self.sealer = sealing_for_tests()

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        return [self._fetch(each) for each in queries]

    def _fetch(self, query: Query) -> Sequence[Row]:
        statement = query.statement.compiled(DIALECT)
        return opened(self._connection.execute(statement.text, statement.values(query.params)).fetchall(), query.place, self.sealer)

    def rows(self, sql: str, params: dict[str, Any] | None = None) -> list[Row]:
        """Return what a query in SQL finds."""
        return self._connection.execute(sql, params or {}).fetchall()

    def lines(self) -> list[Line]:
        """Return who stands in line for which lock, in the order of the lines."""
        found = self.rows("SELECT tenant, key, execution_id, held_since FROM locks ORDER BY place")
        return [(tenant, key, execution_id, since is not None) for tenant, key, execution_id, since in found]

    async def write(self, ops: Sequence[Op], entry: Entry | None = None) -> Sequence[int]:
        raise AssertionError("nobody writes here")

    def moment(self) -> AbstractAsyncContextManager[Moment]:
        raise AssertionError("nobody reads lists here")

    async def close(self) -> None:
        self._connection.close()
