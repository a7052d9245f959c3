"""SQLite connections that fail or wait where a test says so. Given to `SqliteDatabase` in place of `connect`."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from stepswitch.storage.sqlite_connections import connect


class Commits:
    """What happens to the next COMMIT of every connection that it makes; reads are not touched."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        """"before" or "after": whether the COMMIT that fails next has not committed, or has; "full": it had no room on the disk. "" lets it pass."""
        self.reached = threading.Event()
        """Set when a COMMIT is held up."""
        self.held: threading.Event | None = None
        self.count = 0
        self.refusals = 0
        """How many attempts to connect fail next."""
        self.pages: int | None = None
        self.broken: str | None = None
        """A statement that fails once, and the transaction with it."""

    def connect(self, path: Path) -> sqlite3.Connection:
        if self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("unable to open database file")
        made = connect(path)
        made.close()
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=self._factory())
        connection.execute("PRAGMA synchronous=FULL")
        if self.pages is not None:
            connection.execute(f"PRAGMA max_page_count={self.pages}")
        return connection

    def hold(self) -> threading.Event:
        """Let the next COMMIT wait until the event that is returned is set."""
        self.reached.clear()
        self.held = threading.Event()
        return self.held

    def _factory(self) -> type[sqlite3.Connection]:
        commits = self

        class Failing(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql == commits.broken:
                    commits.broken = None
                    raise sqlite3.OperationalError("disk I/O error")
                if sql != "COMMIT":
                    return super().execute(sql, parameters)
                commits.count += 1
                held, commits.held = commits.held, None
                if held is not None:
                    commits.reached.set()
                    held.wait(30)
                failure = commits.failures.pop(0) if commits.failures else None
                if failure == "after":
                    super().execute(sql)
                if failure == "full":
                    super().execute("ROLLBACK")  # as SQLite does then
                    full = sqlite3.OperationalError("database or disk is full")
                    full.sqlite_errorcode = sqlite3.SQLITE_FULL
                    raise full
                if failure:
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql)

        return Failing
