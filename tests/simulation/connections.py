"""SQLite connections that fail as the weather says, and that a dead process leaves as they are: what was not committed is gone."""

import sqlite3
from pathlib import Path
from typing import Any

from tests.simulation.devices import City


class Connections:
    """The connections of one process; given to `SqliteDatabase` in place of `connect`."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._open: list[sqlite3.Connection] = []

    def connect(self, path: Path) -> sqlite3.Connection:
        """Return a connection as the service has it, but for the waiting for the disk: the test's process does not die."""
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, factory=self._kind())
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        self._open.append(connection)
        return connection

    def drop(self) -> None:
        """Let go of everything without a COMMIT, as a process does that dies."""
        for connection in self._open:
            connection.close()

    def _kind(self) -> type[sqlite3.Connection]:
        city = self._city

        class Weathered(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    if not city.chance(city.weather.commit_fails):
                        return super().execute(sql)
                    if city.chance(0.5):
                        super().execute(sql)
                    raise sqlite3.OperationalError("disk I/O error")
                if city.weather.statement_fails and city.chance(city.weather.statement_fails):
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, parameters)

        return Weathered
