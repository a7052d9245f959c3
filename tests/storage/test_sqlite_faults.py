"""Risk: SQLite says no in words that help nobody, a bit that fell over is taken for data, or the writer never finds back."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from sqlalchemy import insert
from structlog.testing import capture_logs

from stepswitch.domain.errors import DamagedError, StoreError
from stepswitch.engine.records import Account, Save
from stepswitch.storage import sqlite
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.database import Op, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.seals import NO_KEYS, SEAL_BYTES, opened, sealed
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.storage.sqlite_connections import DIALECT, connect
from stepswitch.storage.sqlite_faults import in_words, in_words_at_start
from stepswitch.storage.tables import step_executions
from tests.storage.values import SNAPSHOT, head

ACCOUNT = Account("ann", "default", "hash", ())


@pytest_asyncio.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    made = SqliteDatabase(path)
    yield made
    await made.close()


async def test_a_database_that_could_only_be_read_is_written_as_soon_as_it_can_be(path: Path) -> None:
    is_read_only = True

    def connect_as_it_is(at: Path) -> sqlite3.Connection:
        if not is_read_only:
            return connect(at)
        return sqlite3.connect(f"{at.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)

    connect(path).close()
    database = SqliteDatabase(path, connect_as_it_is)
    try:
        for _ in range(2):
            with pytest.raises(StoreError, match="the database is read-only; let the service write to it"):
                await SqlAccountStore(database).put_account(ACCOUNT)
        assert "is read-only" in str(database.last_failure)
        is_read_only = False
        await SqlAccountStore(database).put_account(ACCOUNT)
        assert database.last_failure is None
    finally:
        await database.close()


async def test_a_lock_that_is_not_given_back_is_said_and_its_end_is_seen(
    database: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another process keeps the database locked; end it.*\(database is locked\)"):
            await SqlAccountStore(database).put_account(ACCOUNT)
        assert database.locked_seconds > 0
        assert "locked" in str(database.last_failure)
        other.execute("ROLLBACK")
    await SqlAccountStore(database).put_account(ACCOUNT)
    assert (database.locked_seconds, database.last_failure) == (0.0, None)


async def stored(database: SqliteDatabase, *names: str) -> SqlExecutionStore:
    store = SqlExecutionStore(database)
    for name in names:
        await store.create(Save(head(name)), SNAPSHOT)
    return store


def change(path: Path, sql: str, *params: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute(sql, params).rowcount == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"\0" * 40, os.urandom(40)], ids=["empty", "short", "zeros", "noise"])
async def test_a_body_that_is_not_what_was_written_is_not_read(database: SqliteDatabase, path: Path, body: bytes) -> None:
    store = await stored(database, "e1", "e2")
    change(path, "UPDATE executions SET body = ? WHERE id = 'e1'", body)
    with pytest.raises(DamagedError, match=r"stop the service and restore a backup \(stepswitch restore\) \(a checksum does not fit\)"):
        await store.load("e1")
    assert await store.load("e2") == head("e2")
    assert "a checksum does not fit" in str(database.damage)
    await stored(database, "e3")


async def test_every_bit_counts(database: SqliteDatabase, path: Path) -> None:
    store = await stored(database, "e1")
    with closing(sqlite3.connect(path)) as other:
        ((body,),) = other.execute("SELECT body FROM executions").fetchall()
    for place in range(0, len(body) * 8, 41):
        changed = bytearray(body)
        changed[place // 8] ^= 1 << place % 8
        change(path, "UPDATE executions SET body = ?", bytes(changed))
        with pytest.raises(DamagedError):
            await store.load("e1")
    change(path, "UPDATE executions SET body = ?", body)
    assert await store.load("e1") == head("e1")


async def test_what_sqlite_finds_damaged_stops_all_writing_and_is_said_once(database: SqliteDatabase, path: Path) -> None:
    store = await stored(database, "e1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'executions'").fetchall()
    again = SqliteDatabase(path)
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with capture_logs() as told:
        for _ in range(2):
            with pytest.raises(DamagedError, match="restore a backup"):
                await SqlExecutionStore(again).load("e1")
    assert [each["event"] for each in told if each["log_level"] == "critical"] == ["the store is damaged"]
    with pytest.raises(DamagedError, match="nothing is written any more"):
        await SqlAccountStore(again).put_account(ACCOUNT)
    await again.close()
    assert store is not None


async def test_a_writer_that_meets_the_damage_first_says_so_too(database: SqliteDatabase, path: Path) -> None:
    await database.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        ((root,),) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'accounts'").fetchall()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    again = SqliteDatabase(path)
    for sentence in ("the database did not take it: what is stored is damaged", "nothing is written any more"):
        with pytest.raises(DamagedError, match=sentence):
            await SqlAccountStore(again).put_account(ACCOUNT)
    await again.close()


def test_a_checksum_stands_behind_bytes_and_behind_nothing_else() -> None:
    given = {"execution_id": "e1", "first": 1, "body": b"abc"}
    statement = Statement(insert(step_executions))
    compiled = statement.compiled(DIALECT)
    text, values = sealed(compiled, Op(statement, given), NO_KEYS)
    params = dict(zip(compiled.names, values, strict=True))
    assert text.startswith("INSERT INTO step_executions")
    assert len(params["body"]) == 3 + SEAL_BYTES
    assert {**params, "body": b"abc"} == {**given, "sealed_with": None}
    assert opened([("x", params["body"])], None, NO_KEYS) == [("x", b"abc")]
    assert opened([("x", 1), ("y", params["body"])], None, NO_KEYS) == [("x", 1), ("y", b"abc")]
    assert opened([], None, NO_KEYS) == []


def test_what_has_no_words_of_ours_keeps_its_own() -> None:
    assert in_words(sqlite3.OperationalError("no such table: x")) == "no such table: x"


def fault(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "free", "words"),
    [
        (sqlite3.SQLITE_FULL, 10**9, "the disk is full; make room, then start the service again"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, 0, "the disk is full; make room, then start the service again"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, 10**9, "is reached; mend that, then start the service again"),
    ],
)
def test_a_start_that_fails_does_not_promise_to_go_on_and_says_full_where_it_is(
    code: int, free: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the service goes on by itself as soon as it can" in in_words(fault(code))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    said = in_words_at_start(fault(code), tmp_path)
    assert words in said
    assert "goes on" not in said
