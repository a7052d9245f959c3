"""SQLite connections that fail as the weather says, and that a dead process leaves as they are: what was not committed is gone."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.simulation.devices import City


class Connections:
    """The connections of one process; given to `SqliteDatabase` in place of `connect`.

    `spare` has those that dead processes of the same schedule had: to read the schema and to prepare statements takes longer than to run them.
    """

    def __init__(self, city: City, spare: list[sqlite3.Connection]) -> None:
        self._city = city
        self._spare = spare
        self._open: list[sqlite3.Connection] = []

    def connect(self, path: Path) -> sqlite3.Connection:
        """Return a connection as the service has it, but for the waiting for the disk: the test's process does not die."""
        connection = self._spare.pop() if self._spare else self._connect(path)
        self._open.append(connection)
        return connection

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, factory=self._kind())
        sqlite3.Connection.execute(connection, "PRAGMA synchronous=OFF")
        sqlite3.Connection.execute(connection, "PRAGMA temp_store=MEMORY")
        sqlite3.Connection.execute(connection, "PRAGMA wal_autocheckpoint=0")
        return connection

    def drop(self) -> None:
        """Let go of everything without a COMMIT, as a process does that dies."""
        while self._open:
            connection = self._open.pop()
            with suppress(sqlite3.ProgrammingError):  # the service has closed it
                if connection.in_transaction:
                    connection.rollback()
                sqlite3.Connection.execute(connection, "PRAGMA query_only=OFF")
                self._spare.append(connection)

    def _kind(self) -> type[sqlite3.Connection]:
        city = self._city

        class Weathered(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    if not city.chance(city.weather.commit_fails):
                        return super().execute(sql)
                    if city.happens("a commit failed and is on disk", 0.5):
                        super().execute(sql)
                    else:
                        city.met["a commit failed and is not on disk"] += 1
                    raise sqlite3.OperationalError("disk I/O error")
                if city.weather.statement_fails and city.happens("a statement failed", city.weather.statement_fails):
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, parameters)

        return Weathered
