"""Risk: SQLite says no (a COMMIT that fails, a full disk, a lock, a dead writer), and somebody is told what is not true."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import bindparam, insert, select, text

from stepswitch.domain.errors import CommitInDoubtError, StoreError, VersionConflictError
from stepswitch.storage import commits as commit_statements
from stepswitch.storage import executions as statements
from stepswitch.storage import files as file_statements
from stepswitch.storage import logs as log_statements
from stepswitch.storage import snapshots as snapshot_statements
from stepswitch.storage import sqlite
from stepswitch.storage.database import Op, Query, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.sqlite import READERS, SCANNERS, SqliteDatabase
from stepswitch.storage.sqlite_connections import DIALECT, connect
from stepswitch.storage.sqlite_moments import TOGETHER
from stepswitch.storage.tables import executions as executions_table
from tests.storage.connections import Commits
from tests.storage.rows import everything
from tests.storage.values import SNAPSHOT, entry, head, next_of, save_of

_ONE = Statement(text("SELECT 1"))


@pytest_asyncio.fixture
async def database(path: Path, commits: Commits) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path, commits.connect)
    yield opened
    await opened.close()


async def created(store: SqlExecutionStore, *names: str) -> list[BaseException | None]:
    """Create executions in one batch; return what each creator was told."""
    return await asyncio.gather(*(store.create(save_of(head(name)), SNAPSHOT) for name in names), return_exceptions=True)


async def stored(store: SqlExecutionStore, *names: str) -> list[bool]:
    return [await store.load(name) is not None for name in names]


# --- COMMIT fails ---


@pytest.mark.parametrize("failure", ["before", "after"])
async def test_a_commit_that_fails_leaves_all_of_its_batch_in_doubt(executions: SqlExecutionStore, commits: Commits, failure: str) -> None:
    assert await created(executions, "taken") == [None]
    commits.failures = [failure]
    told = await created(executions, "a", "taken", "b")
    assert [type(each) for each in told] == [CommitInDoubtError, VersionConflictError, CommitInDoubtError]
    assert await stored(executions, "a", "b", "taken") == [failure == "after"] * 2 + [True]
    assert await created(executions, "c") == [None]
    assert await stored(executions, "c") == [True]


@pytest.mark.parametrize(
    "statement",
    [
        *("BEGIN IMMEDIATE", "SAVEPOINT batch", "RELEASE batch", "ROLLBACK TO batch"),
        *("SAVEPOINT unit", "RELEASE unit", "ROLLBACK TO unit"),
    ],
)
async def test_a_transaction_that_breaks_stores_nothing_and_the_next_one_works(
    executions: SqlExecutionStore, commits: Commits, statement: str
) -> None:
    assert await created(executions, "taken") == [None]
    commits.broken = statement
    assert [type(each) for each in await created(executions, "a", "taken", "b")] == [StoreError] * 3
    assert await stored(executions, "a", "b") == [False, False]
    assert [type(each) for each in await created(executions, "a", "taken", "b")] == [type(None), VersionConflictError, type(None)]
    assert await stored(executions, "a", "b") == [True, True]


async def test_a_database_that_cannot_be_opened_again_is_tried_again(executions: SqlExecutionStore, commits: Commits) -> None:
    commits.failures = ["before"]
    commits.refusals = 2
    assert [type(each) for each in await created(executions, "a")] == [CommitInDoubtError]
    assert [type(each) for each in await created(executions, "b")] == [StoreError]
    assert [type(each) for each in await created(executions, "c")] == [StoreError]
    assert await created(executions, "d") == [None]
    assert await stored(executions, "a", "b", "c", "d") == [False, False, False, True]


async def test_a_save_in_doubt_is_either_there_or_can_be_made_again(executions: SqlExecutionStore, commits: Commits) -> None:
    at_version = head()
    await executions.create(save_of(at_version), SNAPSHOT)
    for failure in ("before", "after") * 3:
        commits.failures = [failure]
        wanted = next_of(at_version, workflow_name=failure)
        with pytest.raises(CommitInDoubtError):
            await executions.save(save_of(wanted, (), (entry(failure),)))
        if failure == "before":
            assert await executions.load("e1") == at_version
            await executions.save(save_of(wanted, (), (entry(failure),)))
        assert await executions.load("e1") == wanted
        at_version = wanted
    assert len((await executions.logs("e1"))[0]) == 6


async def test_a_writer_that_dies_while_it_commits_promises_nothing(
    database: SqliteDatabase, executions: SqlExecutionStore, commits: Commits
) -> None:
    release = commits.hold()
    saving = asyncio.ensure_future(created(executions, "a"))
    await asyncio.to_thread(commits.reached.wait, 30)
    behind = asyncio.ensure_future(created(executions, "b"))
    await asyncio.sleep(0)
    database.writer.cancel()
    await asyncio.wait([database.writer])
    release.set()
    assert [type(each) for each in await saving] == [CommitInDoubtError]
    assert [type(each) for each in await behind] == [StoreError]
    with pytest.raises(StoreError):
        await executions.append_logs("a", [entry()])
    assert database.writer.done()


async def test_every_waiter_is_answered_when_the_writer_dies(database: SqliteDatabase, executions: SqlExecutionStore, path: Path) -> None:
    with _locked(path):
        waiting = [asyncio.ensure_future(executions.create(save_of(head(f"e{place}")), SNAPSHOT)) for place in range(500)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        database.writer.cancel()
        told = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert {type(each) for each in told} == {StoreError}
    assert not any(await stored(executions, "e0", "e499"))


# --- the disk is full, the database is locked, closed or broken ---


async def test_a_full_disk_stores_nothing_by_halves_and_works_again(path: Path, commits: Commits) -> None:
    commits.pages = _pages(path) + 60
    database = SqliteDatabase(path, commits.connect)
    store = SqlExecutionStore(database)
    try:
        assert await created(store, "small") == [None]
        stand = await everything(database)
        large = {"v": "x" * 3_000_000}
        told = await asyncio.gather(
            store.create(save_of(head("neighbour")), SNAPSHOT),
            store.create(save_of(head("large", values=large)), SNAPSHOT),
            store.append_logs("small", [entry("y" * 3_000_000)]),
            return_exceptions=True,
        )
        assert [type(each) for each in told[1:]] == [StoreError, StoreError]
        assert (told[0] is None) == (await stored(store, "neighbour"))[0]
        assert told[0] is None or isinstance(told[0], StoreError)
        await store.delete("neighbour")
        assert await everything(database) == stand
        assert await created(store, "again") == [None]
        assert await store.load("again") == head("again")
    finally:
        await database.close()


def _pages(path: Path) -> int:
    return path.stat().st_size // 4096


async def test_what_all_connections_together_keep_of_the_database_is_bounded(path: Path) -> None:
    made: list[sqlite3.Connection] = []
    all_read = threading.Barrier(READERS + SCANNERS)

    def noted(at: Path) -> sqlite3.Connection:
        connection = connect(at)
        made.append(connection)
        if 1 < len(made) <= 1 + READERS + SCANNERS:  # no thread takes two reads while another has none
            all_read.wait(30)
        return connection

    database = SqliteDatabase(path, noted)
    try:
        await asyncio.gather(*(database.read([Query(_ONE, limit_seconds=limit)]) for limit in (None, 10.0) for _ in range(20)))
        async with database.moment():
            pass
        assert len(made) == 1 + READERS + SCANNERS + TOGETHER
        assert sum(-connection.execute("PRAGMA cache_size").fetchone()[0] for connection in made) <= 96 * 1024
    finally:
        await database.close()


@pytest.mark.parametrize("statement", ["BEGIN", "ROLLBACK", "PRAGMA query_only=ON"])
async def test_a_read_that_fails_leaves_no_reader_unable_to_read(executions: SqlExecutionStore, commits: Commits, statement: str) -> None:
    assert await created(executions, "a") == [None]
    commits.broken = statement
    failed = 0
    for _ in range(4 * READERS):  # each reader has its turn
        try:
            assert await stored(executions, "a") == [True]
        except StoreError:
            failed += 1
    assert failed == 1


class _locked:  # noqa: N801 # reads as what it does
    """Another process that writes."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)

    def __enter__(self) -> "_locked":
        self._connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


async def test_the_writer_waits_for_another_process_and_readers_do_not(executions: SqlExecutionStore, path: Path) -> None:
    assert await created(executions, "before") == [None]
    with _locked(path):
        waiting = asyncio.ensure_future(created(executions, "a", "b"))
        assert await stored(executions, "before", "a") == [True, False]
        assert not waiting.done()
    assert await waiting == [None, None]
    assert await stored(executions, "a", "b") == [True, True]


async def test_a_lock_that_is_never_given_back_is_an_error_of_the_store(
    executions: SqlExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.0)
    with _locked(path):
        assert [type(each) for each in await created(executions, "a")] == [StoreError]
    assert await created(executions, "b") == [None]


async def test_a_closed_database_says_so(path: Path) -> None:
    database = SqliteDatabase(path)
    store = SqlExecutionStore(database)
    last = asyncio.ensure_future(created(store, "last"))
    await asyncio.sleep(0)
    await asyncio.gather(database.close(), database.close())
    assert await last == [None]
    with pytest.raises(StoreError, match="closed"):
        await store.append_logs("last", [entry()])
    with pytest.raises(StoreError, match="closed"):
        await store.load("last")
    again = SqliteDatabase(path)
    assert await SqlExecutionStore(again).load("last") == head("last")
    await again.close()


async def test_a_broken_statement_is_the_fault_of_its_caller_alone(database: SqliteDatabase, executions: SqlExecutionStore) -> None:
    wrong = Statement(insert(executions_table))
    told = await asyncio.gather(
        executions.create(save_of(head("a")), SNAPSHOT),
        database.write([Op(wrong, {"id": object()})]),
        database.write([Op(wrong, {"id": "missing the rest"})]),
        executions.create(save_of(head("b")), SNAPSHOT),
        return_exceptions=True,
    )
    assert [told[0], told[3]] == [None, None]
    assert {type(each) for each in told[1:3]} == {StoreError}
    with pytest.raises(StoreError):
        await database.read([Query(Statement(select(executions_table.c.id).where(bindparam("x") == 1)))])
    assert await stored(executions, "a", "b") == [True, True]


async def test_what_is_not_committed_is_seen_by_nobody(executions: SqlExecutionStore, commits: Commits) -> None:
    assert await created(executions, "before") == [None]
    release = commits.hold()
    saving = asyncio.ensure_future(created(executions, "a", "b"))
    await asyncio.to_thread(commits.reached.wait, 30)
    assert await stored(executions, "before", "a", "b") == [True, False, False]
    assert not saving.done()
    release.set()
    assert await saving == [None, None]
    assert await stored(executions, "a", "b") == [True, True]


async def test_what_waits_while_one_batch_commits_shares_the_next_commit(executions: SqlExecutionStore, commits: Commits) -> None:
    release = commits.hold()
    first = asyncio.ensure_future(created(executions, "first"))
    await asyncio.to_thread(commits.reached.wait, 30)
    others = asyncio.ensure_future(created(executions, *(f"e{place}" for place in range(sqlite.BATCH))))
    await asyncio.sleep(0)
    again = commits.hold()
    release.set()
    await first
    await asyncio.to_thread(commits.reached.wait, 30)
    again.set()
    assert await others == [None] * sqlite.BATCH
    assert commits.count == 2


# --- what the promise rests on ---


def test_every_connection_waits_for_the_disk(path: Path) -> None:
    connection = connect(path)
    found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "cache_spill")}
    connection.close()
    assert found == {"synchronous": 2, "journal_mode": "wal", "cache_spill": 0}


async def test_the_writers_own_connection_waits_for_the_disk(path: Path) -> None:
    database = SqliteDatabase(path)
    connection = database._connection
    assert connection is not None
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await database.close()


def test_a_file_that_is_no_database_leaves_no_connection_open(tmp_path: Path) -> None:
    no_database = tmp_path / "stepswitch.db"
    no_database.write_bytes(b"this is no database" * 1_000)
    with pytest.raises(sqlite3.DatabaseError):
        connect(no_database)


_BOUNDED = {"_OPEN_CLAIMS", "_FOREIGN_CLAIMS"}
"""They look at all claims, of which there are never more than places for steps."""
_WALKING = {
    "_CLEANUPS": "SCAN executions USING INDEX executions_cleanup",
    "_FORGET": "SCAN commits",
    "_UNHEARD": "SCAN executions USING COVERING INDEX executions_awaiting",
}
"""They walk an index that holds what they look for and nothing else, or the oldest rows up to a limit."""
_SORTING = {"_STEPS", "_LINES", *(f"_PAGES[{order}]" for order in log_statements._PAGES)}
"""They sort one page, or its sizes."""
HOT = {
    f"{module.__name__.rsplit('.', 1)[-1]}.{name}": statement
    for module in (statements, snapshot_statements, file_statements, commit_statements, log_statements)
    for name, statement in vars(module).items()
    if isinstance(statement, Statement) and name not in _BOUNDED
}
HOT |= {f"executions._DELETES[{place}]": statement for place, statement in enumerate(statements._DELETES)}
HOT |= {f"logs._PAGES[{order}]": statement for order, statement in log_statements._PAGES.items()}


@pytest.mark.parametrize("name", sorted(HOT))
def test_no_statement_reads_a_whole_table(path: Path, name: str) -> None:
    connection = connect(path)
    asked = HOT[name].compiled(DIALECT)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked.text}", [1] * len(asked.names))]
    connection.close()
    tables = {
        "workflows",
        "commits",
        "snapshots",
        "executions",
        "snapshot_uses",
        "step_executions",
        "logs",
        "claims",
        "large_values",
        "files",
    }
    scans = [line for line in plan if line.startswith("SCAN ") and line.split()[1] in tables]
    walked = _WALKING.get(name.split(".")[1])
    assert scans == ([] if walked is None else [walked])
    sorts = [line for line in plan if "TEMP B-TREE FOR ORDER BY" in line]
    assert not sorts or name.split(".")[1] in _SORTING
