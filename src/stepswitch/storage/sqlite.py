"""SQLite: one writer that commits together whatever is waiting, and readers beside it. Built by `bootstrap`.

Statements run on the event loop's thread, inside one transaction and each unit of work in its own savepoint; only COMMIT, which
waits for the disk, runs in a thread (docs/decisions/0002). What `write` returned for is on disk: WAL with `synchronous=FULL`.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from stepswitch.domain.errors import CommitInDoubtError, StoreError, VersionConflictError
from stepswitch.storage.database import Op, Query, Row

BATCH: Final = 200
"""Units of work in one commit at most."""
READERS: Final = 2
BUSY_SECONDS: Final = 30.0
"""How long the writer waits for another process (a host key that is being trusted) to finish its own writing."""
BUSY_PAUSE_SECONDS: Final = 0.005
DIALECT: Final = SQLiteDialect_pysqlite(paramstyle="named")
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-65536",
    "PRAGMA cache_spill=OFF",
    "PRAGMA temp_store=MEMORY",
)
_UNFIT: Final = (sqlite3.Error, UnicodeError, OverflowError)
"""What a statement raises; the last two for values that the database cannot hold."""
_log = structlog.get_logger("stepswitch.storage")
_Unit = tuple[Sequence[Op], "asyncio.Future[Sequence[int]]"]
_Done = Sequence[int] | StoreError


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode with the settings that durability needs."""
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA busy_timeout=5000")
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    connection.execute("PRAGMA busy_timeout=0")
    return connection


class SqliteDatabase:
    """Implements `Database` on one file. Create it inside the event loop that uses it."""

    def __init__(self, path: Path, connect_to: Callable[[Path], sqlite3.Connection] = connect) -> None:
        self._path = path
        self._connect_to = connect_to
        self._connection = connect_to(path)
        self._committer = ThreadPoolExecutor(1, "commit")
        self._readers = _Readers(path, connect_to)
        self._waiting: deque[_Unit] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._writer = asyncio.get_running_loop().create_task(self._write_forever(), name="sqlite writer")

    @property
    def writer(self) -> "asyncio.Task[None]":
        """The writer itself: when it ends before `close`, the process has to end."""
        return self._writer

    async def write(self, ops: Sequence[Op]) -> Sequence[int]:
        """See `Database`."""
        if self._closing or self._writer.done():
            raise StoreError("the database is closed")
        done: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((ops, done))
        self._wake.set()
        return await done

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        """See `Database`."""
        return await self._readers.read(queries)

    async def close(self) -> None:
        """See `Database`."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._writer])
        await asyncio.get_running_loop().run_in_executor(None, self._committer.shutdown)
        await self._readers.close()
        self._connection.close()

    async def _write_forever(self) -> None:
        """Commit whatever is waiting until closed; answer every waiter whatever happens."""
        try:
            while self._waiting or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._write_batch([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])
        finally:
            for _, done in self._waiting:
                _answer(done, StoreError("the writer has ended"))

    async def _write_batch(self, batch: Sequence[_Unit]) -> None:
        results: list[_Done] = []
        try:
            await self._begin()
            results = [self._carry_out(ops) for ops, _ in batch]
            results = await self._commit(results)
        except sqlite3.Error as error:
            _log.error("nothing of a batch could be written", error=str(error), units=len(batch))
            results = [StoreError(f"the database cannot be written: {error}")] * len(batch)
        finally:
            for (_, done), result in zip(batch, results or [StoreError("the writer has ended")] * len(batch), strict=True):
                _answer(done, result)

    async def _begin(self) -> None:
        """Begin to write, waiting for another process that writes."""
        deadline = asyncio.get_running_loop().time() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(BUSY_PAUSE_SECONDS)

    def _carry_out(self, ops: Sequence[Op]) -> _Done:
        """Carry out one unit of work in its own savepoint."""
        execute = self._connection.execute
        if not self._connection.in_transaction:
            return StoreError("the database undid the transaction")
        try:
            execute("SAVEPOINT unit")
            counts = [execute(op.statement.text(DIALECT), op.statement.params(DIALECT, op.params)).rowcount for op in ops]
        except sqlite3.IntegrityError as error:
            return self._undo(VersionConflictError(f"the row is there already: {error}"))
        except _UNFIT as error:
            return self._undo(StoreError(f"the database did not take it: {error}"))
        for op, count in zip(ops, counts, strict=True):
            if op.expect is not None and count != op.expect:
                return self._undo(VersionConflictError("the row is no longer the one that was read"))
        execute("RELEASE unit")
        return counts

    def _undo(self, error: StoreError) -> StoreError:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK TO unit")
            self._connection.execute("RELEASE unit")
        return error

    async def _commit(self, results: list[_Done]) -> list[_Done]:
        """Return what each unit is told; a COMMIT that failed leaves those that had succeeded in doubt."""
        if not self._connection.in_transaction:
            return [StoreError("the database undid the transaction")] * len(results)
        try:
            await asyncio.get_running_loop().run_in_executor(self._committer, self._connection.execute, "COMMIT")
        except sqlite3.Error as error:
            _log.error("COMMIT failed", error=str(error))
            self._reopen()
            doubt = CommitInDoubtError(f"nobody knows yet what is on disk: {error}")
            return [result if isinstance(result, StoreError) else doubt for result in results]
        return results

    def _reopen(self) -> None:
        self._connection.close()
        self._connection = self._connect_to(self._path)


class _Readers:
    """A few threads with a connection each; every read is one short transaction, so that none outlives one page."""

    def __init__(self, path: Path, connect_to: Callable[[Path], sqlite3.Connection]) -> None:
        self._path = path
        self._connect_to = connect_to
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(READERS, "read")

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, queries)
        except _UNFIT as error:
            raise StoreError(f"the database cannot be read: {error}") from error

    def _read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            return [_fetch(connection, query) for query in queries]
        finally:
            connection.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect_to(self._path)
            connection.execute("PRAGMA busy_timeout=5000")
            connection.execute("PRAGMA query_only=ON")
            self._all.append(connection)
        return connection

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        for connection in self._all:
            connection.close()


def _fetch(connection: sqlite3.Connection, query: Query) -> Sequence[Row]:
    statement = query.statement
    return connection.execute(statement.text(DIALECT), statement.params(DIALECT, query.params)).fetchall()


def _answer(done: "asyncio.Future[Sequence[int]]", result: _Done) -> None:
    if done.done():
        return
    if isinstance(result, StoreError):
        done.set_exception(result)
    else:
        done.set_result(result)
