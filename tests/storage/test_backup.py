"""Risk: a backup that cannot be restored looks whole, or is of no one moment, or a restore writes over something."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from stepswitch.domain.errors import BackupError, SettingsError
from stepswitch.domain.execution import LogEntry, LogLevel
from stepswitch.engine.records import Save, StoredFile
from stepswitch.storage import backup as backups
from stepswitch.storage.backup import write_backup
from stepswitch.storage.data_dir import DATABASE, UNFINISHED, DataDir
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.file_uses import add_uses, drop_uses
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.manifest import MANIFEST, checked, digest_of, opened_copy
from stepswitch.storage.restore import begin_restore, finish_restore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.system import TimeOrderedIds
from tests.storage.values import NOW, SNAPSHOT, head


class Place:
    """A data directory that a service is using."""

    def __init__(self, directory: Path, template: Path) -> None:
        self.data_dir = DataDir(directory)
        self.data_dir.acquire()
        shutil.copy(template, self.data_dir.database)
        self.database = SqliteDatabase(self.data_dir.database)
        self.files = DiskFileStore(self.data_dir.files, self.database, TimeOrderedIds(), 10_000_000)
        self.executions = SqlExecutionStore(self.database)

    async def add(self, name: str, content: bytes = b"content") -> StoredFile:
        """Add an execution with a log line and a file of its own."""
        await self.executions.create(Save(head(name), logs=(LogEntry(NOW, LogLevel.INFO, "made" * 50_000),)), SNAPSHOT)

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        file = await self.files.put("default", f"{name}.txt", pieces())
        await self.database.write(add_uses("default", f"e:{name}", [file.id]))
        await self.files.settle([file.id])
        return file

    async def remove(self, name: str) -> None:
        """Take the file of an execution away."""
        await self.database.write([drop_uses(f"e:{name}")])
        await self.files.sweep()

    async def back_up(self, target: Path) -> None:
        await asyncio.to_thread(write_backup, self.data_dir, target, NOW, "1.0")


@pytest_asyncio.fixture
async def place(tmp_path: Path, template: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path / "data", template)
    yield made
    await made.database.close()
    made.data_dir.release()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def rows(database: Path, sql: str) -> list[Any]:
    with closing(opened_copy(database)) as connection:
        return connection.execute(sql).fetchall()


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def modes(directory: Path) -> dict[str, int]:
    return {path.relative_to(directory).as_posix(): path.stat().st_mode & 0o777 for path in (directory, *directory.rglob("*"))}


@contextlib.contextmanager
def at_every_rest(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Iterator[None]:
    """Do something whenever a backup that is being written rests."""
    with monkeypatch.context() as patched:
        patched.setattr(backups._Pace, "rest", lambda _: act())
        yield


# --- of one moment, and whole ---


async def test_the_copy_is_of_one_moment_however_much_is_written_meanwhile(
    place: Place, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        await place.add(f"before-{number}", os.urandom(300_000))
    loop, made = asyncio.get_running_loop(), iter(range(10_000))

    def write_more() -> None:
        asyncio.run_coroutine_threadsafe(place.add(f"meanwhile-{next(made)}", b"new"), loop).result(30)

    with at_every_rest(monkeypatch, write_more):
        await place.back_up(target)
    assert next(made) > 2
    assert checked(target).made_at == NOW
    executions = {name for (name,) in rows(target / DATABASE, "SELECT id FROM executions")}
    assert executions == {f"before-{number}" for number in range(30)}
    assert executions == {name for (name,) in rows(target / DATABASE, "SELECT execution_id FROM logs")}
    assert {name for (name,) in rows(target / DATABASE, "SELECT sha256 FROM files")} == set(names(target / "files"))


async def test_a_file_that_is_removed_meanwhile_is_in_the_copy_and_goes_afterwards(
    place: Place, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await place.add("e1", b"wanted")
    loop = asyncio.get_running_loop()

    def delete() -> None:
        asyncio.run_coroutine_threadsafe(place.remove("e1"), loop).result(30)

    with at_every_rest(monkeypatch, delete):
        await place.back_up(target)
    assert (target / "files" / file.sha256).read_bytes() == b"wanted"
    assert await place.files.find("default", file.id) is None
    assert (place.data_dir.files / file.sha256).exists()
    await place.files.sweep()
    assert not (place.data_dir.files / file.sha256).exists()


async def test_what_somebody_else_still_names_is_not_swept(place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, loop = await place.add("e1", b"same"), asyncio.get_running_loop()
    acts: list[Callable[[], Coroutine[Any, Any, object]]] = [lambda: place.add("e2", b"same"), lambda: place.remove("e1")]

    def delete_then_store_again() -> None:
        if acts:
            asyncio.run_coroutine_threadsafe(acts.pop()(), loop).result(30)

    with at_every_rest(monkeypatch, delete_then_store_again):
        await place.back_up(target)
    assert not acts
    await place.files.sweep()
    assert (place.data_dir.files / first.sha256).read_bytes() == b"same"


async def test_only_its_owner_may_read_a_backup(place: Place, target: Path) -> None:
    file = await place.add("e1")
    await place.back_up(target)
    assert modes(target) == {".": 0o700, "files": 0o700, f"files/{file.sha256}": 0o600, DATABASE: 0o600, MANIFEST: 0o600}


# --- never half ---


@pytest.mark.parametrize("moment", ["_copy_database", "_copy_file", "checked", "to_disk"])
async def test_a_backup_that_fails_leaves_nothing(place: Place, target: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    await place.add("e1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(backups, moment, full)
        with pytest.raises(BackupError, match="No space left on device"):
            await place.back_up(target)
    assert names(target.parent) == ["data"]
    await place.back_up(target)
    checked(target)


WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from stepswitch.storage import backup
from stepswitch.storage.data_dir import DataDir
backup.checked = lambda _: os.kill(os.getpid(), 9)
backup.write_backup(DataDir(Path(sys.argv[1])), Path(sys.argv[2]), 0, "1.0")
"""


async def test_a_backup_that_was_killed_is_none_and_is_no_obstacle(place: Place, target: Path) -> None:
    await place.add("e1")
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITE_AND_DIE, str(place.data_dir.path), str(target))
    assert await asyncio.wait_for(killed.wait(), 60) == -9
    assert names(target.parent) == ["backup.part", "data"]
    await place.back_up(target)
    assert names(target.parent) == ["backup", "data"]
    checked(target)


async def test_two_backups_to_one_place_do_not_meet(place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.add("e1")
    refusals: list[str] = []

    def try_too() -> None:
        with pytest.raises(BackupError) as refused:
            write_backup(place.data_dir, target, NOW, "1.0")
        refusals.append(str(refused.value))

    with at_every_rest(monkeypatch, try_too):
        await place.back_up(target)
    assert set(refusals) == {f"another backup is being written to {target}.part"}
    checked(target)


async def test_bad_places_are_refused(place: Place, target: Path, tmp_path: Path) -> None:
    await asyncio.to_thread(target.mkdir)
    for bad, sentence in {
        target: "is there already",
        place.data_dir.path / "inside": "is inside of the data directory",
        tmp_path / "nowhere" / "x": "there is no directory",
    }.items():
        with pytest.raises(BackupError, match=sentence):
            await place.back_up(bad)
    with pytest.raises(BackupError, match="there is no database"):
        write_backup(DataDir(tmp_path), tmp_path / "new", NOW, "1.0")
    assert names(tmp_path) == ["backup", "data"]


async def test_a_damaged_database_is_not_taken_for_a_backup(place: Place, target: Path) -> None:
    for number in range(50):
        await place.add(f"e{number}")
    await place.database.close()
    size = place.data_dir.database.stat().st_size
    with place.data_dir.database.open("r+b") as database:
        for page in range(2, size // 4096):
            database.seek(page * 4096 + 16)
            database.write(b"\xff" * 64)
    with pytest.raises(BackupError, match=r"damaged|cannot be copied"):
        await place.back_up(target)
    assert names(target.parent) == ["data"]


async def test_a_file_that_is_gone_is_named(place: Place, target: Path) -> None:
    file = await place.add("e1")
    (place.data_dir.files / file.sha256).unlink()
    with pytest.raises(BackupError, match=f"{file.sha256} is named in the database and is not there"):
        await place.back_up(target)


# --- what was damaged afterwards ---


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **changes}))


def fit(backup: Path) -> None:
    """Let the manifest say of the database what it is now."""
    size, digest = digest_of(backup / DATABASE)
    rewrite(backup / MANIFEST, database_bytes=size, database_sha256=digest)


def alter(backup: Path, sql: str) -> None:
    with closing(sqlite3.connect(backup / DATABASE, isolation_level=None)) as connection:
        connection.execute(sql)
    fit(backup)


def overwrite(backup: Path) -> None:
    (backup / DATABASE).write_bytes(b"x" * 9_000)
    fit(backup)


DAMAGES: dict[str, tuple[Callable[[Path, str], object], str]] = {
    "no manifest": (lambda b, _: (b / MANIFEST).unlink(), "is no backup that has ended"),
    "half a manifest": (lambda b, _: (b / MANIFEST).write_bytes((b / MANIFEST).read_bytes()[:50]), "is no backup"),
    "another manifest": (lambda b, _: (b / MANIFEST).write_text("{}"), "is no backup"),
    "a later format": (lambda b, _: rewrite(b / MANIFEST, format=2), r"was made by a later release \(format 2\)"),
    "a later schema": (lambda b, _: alter(b, "UPDATE alembic_version SET version_num = '9999'"), "was made by a later release"),
    "no database": (lambda b, _: (b / DATABASE).unlink(), "stepswitch.db cannot be read"),
    "a bit of the database": (lambda b, _: flip(b / DATABASE, 9_000), "stepswitch.db is not what was written"),
    "half the database": (lambda b, _: os.truncate(b / DATABASE, 8_192), "stepswitch.db is not what was written"),
    "no file": (lambda b, f: (b / "files" / f).unlink(), "files/.* cannot be read"),
    "a bit of a file": (lambda b, f: flip(b / "files" / f, 3), "files/.* is not what was written"),
    "a file too many in the rows": (
        lambda b, _: alter(b, "UPDATE files SET sha256 = 'ffff'"),
        "files/ffff is named in the database and was not",
    ),
    "no database at all": (lambda b, _: overwrite(b), "stepswitch.db is damaged"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
async def test_a_damaged_backup_is_refused_before_anything_is_written(place: Place, target: Path, tmp_path: Path, damage: str) -> None:
    file = await place.add("e1")
    await place.back_up(target)
    act, sentence = DAMAGES[damage]
    act(target, file.sha256)
    with pytest.raises(BackupError, match=sentence):
        begin_restore(target, DataDir(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()


# --- putting it back ---


async def test_what_is_restored_is_what_was_copied(place: Place, target: Path, tmp_path: Path) -> None:
    file = await place.add("e1", b"content of e1")
    await place.back_up(target)
    restored = DataDir(tmp_path / "restored")
    _, staged = begin_restore(target, restored)
    finish_restore(restored, staged)
    restored.release()
    assert names(restored.path) == ["files", "lock", DATABASE]
    assert rows(restored.database, "SELECT id, body FROM executions") == rows(target / DATABASE, "SELECT id, body FROM executions")
    assert (restored.files / file.sha256).read_bytes() == b"content of e1"


async def test_a_directory_that_holds_something_or_is_in_use_is_refused(place: Place, target: Path, tmp_path: Path) -> None:
    await place.add("e1")
    await place.back_up(target)
    with pytest.raises(SettingsError, match=rf"is not empty, and in use by a service \(process {os.getpid()}\)"):
        begin_restore(target, place.data_dir)
    other = DataDir(tmp_path / "other")
    other.path.mkdir()
    (other.path / "letter.txt").write_text("dear Ann")
    with pytest.raises(SettingsError, match="is not empty; restore into a new one"):
        begin_restore(target, other)
    assert names(other.path) == ["letter.txt"]


async def test_a_restore_that_was_interrupted_is_no_data_directory_and_is_begun_anew(place: Place, target: Path, tmp_path: Path) -> None:
    file = await place.add("e1")
    await place.back_up(target)
    restored = DataDir(tmp_path / "restored")
    begin_restore(target, restored)
    restored.release()
    assert (restored.path / UNFINISHED).exists()
    with pytest.raises(SettingsError, match="has not ended; run `stepswitch restore` again"):
        restored.acquire()
    (restored.files / file.sha256).write_bytes(b"half")
    _, staged = begin_restore(target, restored)
    finish_restore(restored, staged)
    restored.release()
    assert (restored.files / file.sha256).read_bytes() == b"content"
    restored.acquire()
    restored.release()


async def test_a_directory_that_another_restore_fills_is_refused(place: Place, target: Path, tmp_path: Path) -> None:
    await place.add("e1")
    await place.back_up(target)
    restored = DataDir(tmp_path / "restored")
    begin_restore(target, restored)
    with pytest.raises(SettingsError, match="is in use by another service"):
        begin_restore(target, DataDir(restored.path))
    restored.release()


async def test_a_disk_that_does_not_keep_what_is_written_is_said(
    place: Place, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.add("e1")
    await place.back_up(target)

    def copy_badly(source: Path, copy: Path) -> None:
        copy.write_bytes(source.read_bytes())
        flip(copy, 3)

    monkeypatch.setattr(shutil, "copyfile", copy_badly)
    with pytest.raises(BackupError, match="the disk does not keep what is written to it"):
        begin_restore(target, DataDir(tmp_path / "restored"))


def test_a_disk_that_is_full_during_a_restore_is_said(
    tmp_path: Path, target: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DataDir(tmp_path / "data")
    source.prepare()
    shutil.copy(template, source.database)
    write_backup(source, target, NOW, "1.0")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(BackupError, match=r"cannot be restored to .*No space left on device"):
            begin_restore(target, DataDir(tmp_path / "restored"))
    restored = DataDir(tmp_path / "restored")
    _, staged = begin_restore(target, restored)
    finish_restore(restored, staged)
    restored.release()
