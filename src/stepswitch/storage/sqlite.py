"""SQLite: one writer that commits together whatever is waiting, and readers beside it. Built by `bootstrap`.

Statements run on the event loop's thread, inside one transaction in which each unit of work succeeds or fails alone; only COMMIT, which
waits for the disk, runs in a thread (docs/decisions/0002). What `write` returned for is on disk: WAL with `synchronous=FULL`.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import text

from stepswitch.domain.changed import quickly_made
from stepswitch.domain.errors import CommitInDoubtError, DamagedError, StoreError, VersionConflictError
from stepswitch.engine.audit import Entry
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.encryption import Sealer
from stepswitch.engine.request_writes import note_write
from stepswitch.storage.audit_rows import Prepared, add_records, prepared
from stepswitch.storage.database import Moment, Op, Query, Row, Statement
from stepswitch.storage.seals import NO_KEYS, sealed
from stepswitch.storage.sqlite_connections import DIALECT, connect, keep_pages
from stepswitch.storage.sqlite_faults import NO_SUCH_KEY, in_words, is_busy, is_full, refusal_of
from stepswitch.storage.sqlite_moments import Moments
from stepswitch.storage.sqlite_readers import Readers

BATCH: Final = 200
"""Units of work in one commit at most."""
READERS: Final = 2
SCANNERS: Final = 2
"""Readers of their own for what may take long, so that nobody else waits for it."""
WRITER_PAGES_MIB: Final = 16
READER_PAGES_MIB: Final = 8
SCANNER_PAGES_MIB: Final = 28
"""What each connection keeps of the database. A reader drops all of it with the next commit: more than one read needs is of no use to it."""
BUSY_SECONDS: Final = 10.0
"""How long the writer waits for another process (a host key that is being trusted) to finish its own writing."""
BUSY_PAUSE_SECONDS: Final = 0.005

_PROBE: Final = Op(Statement(text("UPDATE alembic_version SET version_num = version_num")), {}, 1)
"""Changes nothing, and is written to the disk all the same."""
_log = structlog.get_logger("stepswitch.storage")
_Done = Sequence[int] | StoreError


@quickly_made
@dataclass(frozen=True, slots=True)
class _Unit:
    """One unit of work: what is executed, and who waits for it."""

    steps: Sequence[tuple[str, Sequence[Any], int | None]]
    record: Prepared | None
    done: "asyncio.Future[Sequence[int]]"


class SqliteDatabase:
    """Implements `Database` on one file. Create it inside the event loop that uses it."""

    def __init__(self, path: Path, connect_to: Callable[[Path], sqlite3.Connection] = connect, *, sealer: Sealer = NO_KEYS) -> None:
        self._path = path
        self._sealer = sealer
        self._connect_to = connect_to
        self._connection: sqlite3.Connection | None = self._connect()
        self._committer = ThreadPoolExecutor(1, "commit")
        self._readers = Readers(path, connect_to, READERS, READER_PAGES_MIB, sealer)
        self._scanners = Readers(path, connect_to, SCANNERS, SCANNER_PAGES_MIB, sealer)
        self._moments = Moments(path, connect_to, self._committer, sealer)
        self._waiting: deque[_Unit] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self.last_failure: str | None = None
        """Why the last thing that was to be written was not; None again as soon as something is."""
        self.damage: str | None = None
        """What was found to be damaged. It stays, and where SQLite itself found it nothing is written any more."""
        self._is_broken = False
        self._locked_since: float | None = None
        self._writer = asyncio.get_running_loop().create_task(self._write_forever(), name="sqlite writer")

    @property
    def sealer(self) -> Sealer:
        """See `Database`."""
        return self._sealer

    @property
    def writer(self) -> "asyncio.Task[None]":
        """The writer itself: when it ends before `close`, the process has to end."""
        return self._writer

    async def write(self, ops: Sequence[Op], entry: Entry | None = None) -> Sequence[int]:
        """See `Database`."""
        if self._closing or self._writer.done():
            raise StoreError("the database is closed")
        if self._is_broken:
            raise DamagedError(f"nothing is written any more: {self.damage}")
        steps = [(*sealed(op.statement.compiled(DIALECT), op, self._sealer), op.expect) for op in ops]
        done: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Unit(steps, prepared(entry), done))
        self._wake.set()
        try:
            counts = await done
        except CommitInDoubtError:
            note_write()
            raise
        note_write()
        return counts

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        """See `Database`."""
        readers = self._scanners if any(query.limit_seconds is not None for query in queries) else self._readers
        try:
            return await readers.read(queries)
        except DamagedError as error:
            self._note_damage(error)
            raise

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Moment]:
        """See `Database`."""
        try:
            async with self._moments.open() as moment:
                yield moment
        except DamagedError as error:
            self._note_damage(error)
            raise

    @property
    def locked_seconds(self) -> float:
        """For how long another process has kept what is waiting from being written."""
        return 0.0 if self._locked_since is None else asyncio.get_running_loop().time() - self._locked_since

    async def probe(self) -> None:
        """Write something that changes nothing; raises StoreError where that cannot be. What it came to is in `last_failure`."""
        await self.write([_PROBE])

    async def close(self) -> None:
        """See `Database`."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._writer])
        await self._moments.close()
        await self._readers.close()
        await self._scanners.close()
        self._let_go()
        await asyncio.to_thread(self._committer.shutdown)

    async def _write_forever(self) -> None:
        """Commit whatever is waiting until closed; answer every waiter whatever happens."""
        try:
            while self._waiting or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._write_batch([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])
        finally:
            for unit in self._waiting:
                _answer(unit.done, StoreError("the writer has ended"))

    async def _write_batch(self, batch: Sequence[_Unit]) -> None:
        told: Sequence[_Done] = [StoreError("the writer has ended")] * len(batch)
        try:
            connection = await self._begin()
            results = _carry_out_all(connection, batch)
            add_records(connection, [unit.record for unit, done in zip(batch, results, strict=True) if not isinstance(done, StoreError)])
            told = _instead(results, _doubt("the writer has ended"))
            told = await self._commit(connection, results)
            self._note(told)
            if self.last_failure is not None:
                self._let_go()  # what opens anew finds its way back, for one where the file can be written again
        except sqlite3.Error as error:
            _log.error("nothing of a batch could be written", error=in_words(error), units=len(batch))
            self._let_go()
            refusal = refusal_of("the database cannot be written", error)
            told = [refusal] * len(batch)
            self._note(told)
        finally:
            for unit, result in zip(batch, told, strict=True):
                _answer(unit.done, result)

    async def _begin(self) -> sqlite3.Connection:
        """Begin to write, waiting for another process that writes; on a new connection where the last one had failed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_SECONDS
        while True:
            try:
                if self._connection is None:
                    self._connection = await loop.run_in_executor(self._committer, self._connect)
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or loop.time() > deadline:
                    raise
                self._locked_since = self._locked_since or loop.time()
            else:
                self._locked_since = None
                return self._connection
            await asyncio.sleep(BUSY_PAUSE_SECONDS)

    async def _commit(self, connection: sqlite3.Connection, results: Sequence[_Done]) -> Sequence[_Done]:
        """Return what each unit is told; a COMMIT that failed leaves those that had succeeded in doubt, unless there was no room for it."""
        if not connection.in_transaction:
            return [result if isinstance(result, StoreError) else _undone() for result in results]
        reach(CrashPoint.COMMIT_ASKED)
        try:
            await asyncio.get_running_loop().run_in_executor(self._committer, connection.execute, "COMMIT")
        except sqlite3.Error as error:
            _log.error("COMMIT failed", error=in_words(error))
            self._let_go()
            return _instead(results, refusal_of("the database cannot be written", error) if is_full(error) else _doubt(in_words(error)))
        reach(CrashPoint.COMMIT_DONE)
        return results

    def _note(self, told: Sequence[_Done]) -> None:
        """Remember how a batch went. A transaction that changed nothing says nothing of the disk, and a fault of one value neither."""
        for each in told:
            if isinstance(each, DamagedError):
                self._note_damage(each)
        refused = [each for each in told if isinstance(each, StoreError) and not isinstance(each, VersionConflictError)]
        failed = [each for each in refused if each.__cause__ is None or isinstance(each.__cause__, sqlite3.OperationalError)]
        if failed:
            self.last_failure = str(failed[0])
        elif any(not isinstance(each, StoreError) and sum(each) > 0 for each in told):
            self.last_failure = None

    def _note_damage(self, error: DamagedError) -> None:
        if self.damage is None:
            _log.critical("the store is damaged", error=str(error))
        self.damage = self.damage or str(error)
        self._is_broken = self._is_broken or isinstance(error.__cause__, sqlite3.Error)

    def _connect(self) -> sqlite3.Connection:
        connection = self._connect_to(self._path)
        keep_pages(connection, WRITER_PAGES_MIB)
        connection.execute("PRAGMA busy_timeout=0")  # the writer waits on the event loop, see `_begin`
        return connection

    def _let_go(self) -> None:
        """Close the connection, which undoes what it had not committed; the next batch begins on a new one."""
        if self._connection is not None:
            asyncio.get_running_loop().run_in_executor(self._committer, self._connection.close)
            self._connection = None


def _carry_out_all(connection: sqlite3.Connection, batch: Sequence[_Unit]) -> Sequence[_Done]:
    """Carry out a batch in one savepoint, which costs less than one for each unit; where one fails, each is carried out again in its own.

    Raises sqlite3.Error where the whole transaction is of no use any more.
    """
    connection.execute("SAVEPOINT batch")
    try:
        results: list[_Done] = [_executed(connection, unit) for unit in batch]
    except (sqlite3.Error, VersionConflictError, *NO_SUCH_KEY):
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO batch")
        results = [_carry_out(connection, unit) for unit in batch]
    if connection.in_transaction:
        connection.execute("RELEASE batch")
    return results


def _carry_out(connection: sqlite3.Connection, unit: _Unit) -> _Done:
    """Carry out one unit of work in its own savepoint; raises sqlite3.Error where the whole transaction is of no use any more."""
    if not connection.in_transaction:
        return _undone()
    connection.execute("SAVEPOINT unit")
    try:
        counts = _executed(connection, unit)
    except sqlite3.IntegrityError as error:
        return _undo(connection, VersionConflictError(f"the row is there already: {error}"))
    except (sqlite3.Error, *NO_SUCH_KEY) as error:
        refusal = refusal_of("the database did not take it", error)
        refusal.__cause__ = error
        return _undo(connection, refusal)
    except VersionConflictError as error:
        return _undo(connection, error)
    connection.execute("RELEASE unit")
    return counts


def _executed(connection: sqlite3.Connection, unit: _Unit) -> Sequence[int]:
    """Return how many rows each statement of a unit has changed; raises VersionConflictError where that is not what was expected."""
    counts = []
    for statement, values, expect in unit.steps:
        count = connection.execute(statement, values).rowcount
        if expect is not None and count != expect:
            raise VersionConflictError("the row is no longer the one that was read")
        counts.append(count)
    return counts


def _undo(connection: sqlite3.Connection, error: StoreError) -> StoreError:
    if connection.in_transaction:
        connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
    return error


def _undone() -> StoreError:
    """Return what units are told when SQLite undoes all of a transaction by itself, as it may when the disk is full."""
    return StoreError("the database undid the whole transaction")


def _doubt(reason: str) -> StoreError:
    return CommitInDoubtError(f"nobody knows yet what is on disk: {reason}")


def _instead(results: Sequence[_Done], error: StoreError) -> Sequence[_Done]:
    """Return what units are told where those that had succeeded meet `error`."""
    return [result if isinstance(result, StoreError) else error for result in results]


def _answer(done: "asyncio.Future[Sequence[int]]", result: _Done) -> None:
    if done.done():
        return
    if isinstance(result, StoreError):
        done.set_exception(result)
    else:
        done.set_result(result)
