"""Several connections of SQLite that see one moment together, for one who reads with all of them. Used by `sqlite`."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import QueryTooSlowError, StoreError
from stepswitch.engine.encryption import Sealer
from stepswitch.storage.database import Found, Query, ReadNow, Row
from stepswitch.storage.sqlite_connections import keep_pages
from stepswitch.storage.sqlite_faults import refusal_of
from stepswitch.storage.sqlite_readers import fetch

TOGETHER: Final = 2
"""Readers of one moment. They have threads of their own: so they wait for nobody else, and nobody for them."""
PAGES_MIB: Final = 4
"""What each keeps of the database: it reads on and on, and little twice; what is small stays in the processor's own cache."""
HURRY_SECONDS: Final = 0.005
"""How often a thread is told that nobody waits any more: it may not have begun when it was told first."""


class Moments:
    """Several connections that begin to read at the same moment, for one who reads with all of them; one at a time."""

    def __init__(self, path: Path, connect_to: Callable[[Path], sqlite3.Connection], committer: Executor, sealer: Sealer) -> None:
        self._path = path
        self._connect_to = connect_to
        self._threads = ThreadPoolExecutor(TOGETHER, "read together")
        self._committer = committer
        self._sealer = sealer
        self._connections: list[sqlite3.Connection] = []
        self._turn = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator["SqliteMoment"]:
        """Begin to read on all connections, once nobody else does, and end it."""
        async with self._turn:
            if self._closed:
                raise StoreError("the database is closed")
            try:
                await _to_its_end(asyncio.get_running_loop().run_in_executor(self._committer, self._begin))
                moment = SqliteMoment(self._connections, self._threads, self._sealer)
                try:
                    yield moment
                finally:  # who is cancelled may leave before all that he reads has come to its end: the next one is not to be hurried by it
                    await _to_its_end(asyncio.ensure_future(moment.all_back()))
            except sqlite3.Error as error:
                self._let_go()
                raise refusal_of("the database cannot be read", error) from error
            except StoreError as error:
                if isinstance(error.__cause__, sqlite3.Error) and not isinstance(error, QueryTooSlowError):
                    self._let_go()
                raise
            finally:
                self._end()

    def _begin(self) -> None:
        """Begin to read, in the thread that commits: so nothing is committed between the first connection and the last."""
        while len(self._connections) < TOGETHER:
            connection = self._connect_to(self._path)
            self._connections.append(connection)
            keep_pages(connection, PAGES_MIB)
            connection.execute("PRAGMA query_only=ON")
        for connection in self._connections:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # only what is read first says which moment it is

    def _end(self) -> None:
        """End the transactions; it takes no time, and nobody can be cancelled meanwhile."""
        try:
            for connection in self._connections:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._let_go()

    def _let_go(self) -> None:
        """Read on new connections the next time: nobody knows what state a failure left these in."""
        while self._connections:
            self._connections.pop().close()

    async def close(self) -> None:
        """Wait for who is reading, and let go of the connections."""
        self._closed = True
        async with self._turn:
            await asyncio.to_thread(self._threads.shutdown)
            self._let_go()


class SqliteMoment:
    """Implements `Moment` on connections that have begun to read."""

    def __init__(self, connections: Sequence[sqlite3.Connection], threads: Executor, sealer: Sealer) -> None:
        self._free = list(connections)
        self._places = asyncio.Semaphore(len(connections))
        self._threads = threads
        self._sealer = sealer
        self.readers: Final = len(connections)

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        """See `Moment`."""
        return await self.work(lambda read: read(queries))

    async def work(self, task: Callable[[ReadNow], Found]) -> Found:
        """See `Moment`."""
        async with self._places:
            connection = self._free.pop()
            try:
                done = asyncio.get_running_loop().run_in_executor(self._threads, task, partial(self._read, connection))
                return await _to_its_end(done, connection.interrupt)
            except sqlite3.Error as error:
                raise refusal_of("the database cannot be read", error) from error
            finally:
                self._free.append(connection)

    async def all_back(self) -> None:
        """Return when nothing is read on any connection, nor will be."""
        for _ in range(self.readers):
            await self._places.acquire()

    def _read(self, connection: sqlite3.Connection, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        return [fetch(connection, query, self._sealer) for query in queries]


async def _to_its_end(work: "asyncio.Future[Found]", hurry: Callable[[], None] | None = None) -> Found:
    """Return what a thread comes to. A thread cannot be left: who is cancelled tells it to `hurry` until it has come to its end, and goes then."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work], timeout=None if cancelled is None else HURRY_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
        if cancelled is not None and hurry is not None:
            hurry()
    if cancelled is not None:
        with suppress(QueryTooSlowError, sqlite3.Error):
            work.result()
        raise cancelled
    return work.result()
