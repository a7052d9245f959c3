"""What reads SQLite beside the one writer: a few threads with a connection each. Used by `sqlite` and `sqlite_moments`."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import QueryTooSlowError, StoreError
from stepswitch.engine.encryption import Sealer
from stepswitch.storage.database import Query, Row
from stepswitch.storage.seals import opened
from stepswitch.storage.sqlite_connections import DIALECT, keep_pages
from stepswitch.storage.sqlite_faults import NO_SUCH_KEY, refusal_of

OPERATIONS_BETWEEN_LOOKS: Final = 20_000
"""Operations of SQLite's machine, about a millisecond, after which a query with a limit looks at the clock."""


class Readers:
    """A few threads with a connection each; every read is one short transaction, so that none outlives one page."""

    def __init__(self, path: Path, connect_to: Callable[[Path], sqlite3.Connection], threads: int, pages_mib: int, sealer: Sealer) -> None:
        self._path = path
        self._sealer = sealer
        self._connect_to = connect_to
        self._pages_mib = pages_mib
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(threads, "read")
        self._closed = False

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        """Return the rows of each query, all as of one moment; raises as `Database.read` does."""
        if self._closed:
            raise StoreError("the database is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, queries)
        except sqlite3.Error as error:
            raise refusal_of("the database cannot be read", error) from error

    def _read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        connection = self._connection()
        try:
            connection.execute("BEGIN")
            try:
                return [fetch(connection, query, self._sealer) for query in queries]
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._let_go(connection)
            raise

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect_to(self._path)
            self._all.append(connection)
            try:
                keep_pages(connection, self._pages_mib)
                connection.execute("PRAGMA query_only=ON")
            except sqlite3.Error:
                self._let_go(connection)
                raise
        return connection

    def _let_go(self, connection: sqlite3.Connection) -> None:
        """Read on a new connection the next time: nobody knows what state a failure left this one in."""
        self._local.connection = None
        self._all.remove(connection)
        connection.close()

    async def close(self) -> None:
        """Let what is being read come to its end, and let go of the connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        while self._all:
            self._all.pop().close()


def fetch(connection: sqlite3.Connection, query: Query, sealer: Sealer) -> Sequence[Row]:
    """Return the rows of a query; raises QueryTooSlowError where it runs over its limit."""
    statement = query.statement.compiled(DIALECT)
    if query.limit_seconds is not None:
        deadline = time.monotonic() + query.limit_seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, OPERATIONS_BETWEEN_LOOKS)
    try:
        rows = connection.execute(statement.text, statement.values(query.params)).fetchall()
        return opened(rows, query.place, sealer)
    except NO_SUCH_KEY:
        return []
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise QueryTooSlowError(f"the query ran over its limit of {query.limit_seconds} s") from error
        raise
    finally:
        if query.limit_seconds is not None:
            connection.set_progress_handler(None, 0)
