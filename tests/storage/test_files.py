"""Risk: a row names a file that is not there, a file lies about without a row, or a name leads out of the directory."""

import asyncio
import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from stepswitch.domain.errors import CommitInDoubtError, StoreError, TooLargeError
from stepswitch.engine.audit import Entry
from stepswitch.engine.encryption import Sealer
from stepswitch.engine.records import StoredFile
from stepswitch.storage.database import Database, Moment, Op, Query, Row
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.tables import files
from tests.storage.rows import count
from tests.storage.values import STRANGE_TEXTS

LIMIT = 2 * 1024 * 1024


class CountingIds:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"file-{next(self._numbers)}"


class FailingDatabase:
    """A database that says something else to one writer, before or after it has written."""

    def __init__(self, database: Database, error: StoreError, *, writes: bool) -> None:
        self._database = database
        self._error = error
        self._writes = writes

    @property
    def sealer(self) -> Sealer:
        return self._database.sealer

    async def write(self, ops: Sequence[Op], entry: Entry | None = None) -> Sequence[int]:
        if self._writes:
            await self._database.write(ops, entry)
        raise self._error

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        return await self._database.read(queries)

    def moment(self) -> AbstractAsyncContextManager[Moment]:
        return self._database.moment()

    async def close(self) -> None:
        await self._database.close()


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def store(database: Database, directory: Path) -> DiskFileStore:
    return DiskFileStore(directory, database, CountingIds(), LIMIT)


def on_disk(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


@pytest.mark.parametrize("content", [b"", b"\0\xff\xfe", bytes(range(256)) * 4_096, b"x" * LIMIT], ids=len)
async def test_a_file_comes_back_byte_for_byte(store: DiskFileStore, content: bytes) -> None:
    stored = await store.put("default", "config.txt", pieces(content[:7], content[7:]))
    assert (stored.size, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert await store.find("default", stored.id) == stored
    assert await store.read(stored) == content


@pytest.mark.parametrize("name", [*STRANGE_TEXTS, "../../etc/passwd", "/etc/passwd", "..", ".", "a/b\\c", "x" * 5_000], ids=ascii)
async def test_a_name_is_only_a_name(store: DiskFileStore, directory: Path, name: str) -> None:
    stored = await store.put("default", name, pieces(b"content"))
    assert await store.find("default", stored.id) == stored
    assert stored.name == name
    assert on_disk(directory) == [stored.sha256]
    await store.settle([stored.id])
    assert on_disk(directory) == []


async def test_a_file_of_another_tenant_does_not_exist(store: DiskFileStore) -> None:
    stored = await store.put("default", "f", pieces(b"content"))
    assert await store.find("other", stored.id) is None
    for strange in ("", "\0", "\ud800", "../x"):
        assert await store.find("default", strange) is None


async def test_a_file_over_the_limit_leaves_nothing(store: DiskFileStore, database: Database, directory: Path) -> None:
    with pytest.raises(TooLargeError, match=r"config\.txt is over the limit of 2097152 bytes"):
        await store.put("default", "config.txt", pieces(b"x" * LIMIT, b"x"))
    assert on_disk(directory) == []
    assert await count(database, files) == 0


async def test_a_body_that_breaks_off_leaves_nothing(store: DiskFileStore, database: Database, directory: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError("the caller has gone")

    with pytest.raises(StoreError):
        await store.put("default", "f", breaking())
    assert on_disk(directory) == []
    assert await count(database, files) == 0


async def test_two_files_of_one_content_share_it_until_both_are_gone(store: DiskFileStore, directory: Path) -> None:
    one, other = [await store.put("default", name, pieces(b"content")) for name in ("a", "b")]
    assert len(on_disk(directory)) == 1
    await store.settle([one.id])
    assert await store.find("default", one.id) is None
    assert await store.read(other) == b"content"
    await store.settle([other.id])
    await store.settle([other.id])
    assert on_disk(directory) == []
    with pytest.raises(StoreError, match="cannot be read"):
        await store.read(other)


async def test_a_deletion_takes_no_content_from_a_file_that_is_being_stored(store: DiskFileStore) -> None:
    for _ in range(20):
        old = await store.put("default", "old", pieces(b"content"))
        new, _ = await asyncio.gather(store.put("default", "new", pieces(b"content")), store.settle([old.id]))
        assert await store.read(new) == b"content"
        await store.settle([new.id])


async def test_many_files_at_once_all_arrive(store: DiskFileStore) -> None:
    stored = await asyncio.gather(*(store.put("default", str(place), pieces(bytes([place % 5]))) for place in range(40)))
    assert [await store.read(each) for each in stored] == [bytes([place % 5]) for place in range(40)]


async def test_a_content_that_changed_on_the_disk_is_noticed(store: DiskFileStore, directory: Path) -> None:
    stored = await store.put("default", "f", pieces(b"content"))
    (directory / stored.sha256).write_bytes(b"something else")
    with pytest.raises(StoreError, match="is not what was stored"):
        await store.read(stored)
    (directory / stored.sha256).unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        await store.read(stored)


async def test_storing_it_again_repairs_a_content_that_changed(store: DiskFileStore, directory: Path) -> None:
    stored = await store.put("default", "f", pieces(b"content"))
    (directory / stored.sha256).write_bytes(b"something else")
    await store.put("default", "g", pieces(b"content"))
    assert await store.read(stored) == b"content"


async def test_a_row_that_is_not_stored_leaves_no_content(database: Database, directory: Path) -> None:
    failing = DiskFileStore(directory, FailingDatabase(database, StoreError("no"), writes=False), CountingIds(), LIMIT)
    with pytest.raises(StoreError):
        await failing.put("default", "f", pieces(b"content"))
    assert on_disk(directory) == []


@pytest.mark.parametrize("writes", [True, False])
async def test_a_commit_in_doubt_never_leaves_a_row_without_content(database: Database, directory: Path, writes: bool) -> None:
    failing = DiskFileStore(directory, FailingDatabase(database, CommitInDoubtError("?"), writes=writes), CountingIds(), LIMIT)
    stored: StoredFile | None = None
    try:
        stored = await failing.put("default", "f", pieces(b"content"))
    except CommitInDoubtError:
        assert not writes
    assert (stored is not None) is writes
    assert await count(database, files) == int(writes)
    assert on_disk(directory) == [hashlib.sha256(b"content").hexdigest()]


async def test_a_full_disk_is_an_error_of_the_store(store: DiskFileStore, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="the file f cannot be stored: No space left on device"):
        await store.put("default", "f", pieces(b"content"))
    monkeypatch.undo()
    assert on_disk(directory) == []
    assert await store.read(await store.put("default", "f", pieces(b"content"))) == b"content"


async def test_the_content_is_on_the_disk_before_its_row(database: Database, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    fsync, write = os.fsync, database.write

    def noted_fsync(descriptor: int) -> None:
        told.append("directory" if Path(f"/proc/self/fd/{descriptor}").resolve() == directory else "file")
        fsync(descriptor)

    async def noted_write(ops: Sequence[Op]) -> Sequence[int]:
        told.append("row")
        return await write(ops)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(database, "write", noted_write)
    await DiskFileStore(directory, database, CountingIds(), LIMIT).put("default", "f", pieces(b"content"))
    assert told == ["file", "directory", "row"]


async def test_what_a_crash_left_half_written_goes_at_the_next_start(database: Database, store: DiskFileStore, directory: Path) -> None:
    stored = await store.put("default", "f", pieces(b"content"))
    (directory / "file-9.part").write_bytes(b"half")
    DiskFileStore(directory, database, CountingIds(), LIMIT)
    assert on_disk(directory) == [stored.sha256]


async def test_what_a_stop_left_on_the_disk_without_a_row_is_removed(store: DiskFileStore, directory: Path) -> None:
    kept = [await store.put("default", str(place), pieces(bytes([place]))) for place in range(3)]
    for content in (b"renamed, never stored", b"forgotten, never removed"):
        (directory / hashlib.sha256(content).hexdigest()).write_bytes(content)
    being_received = directory / "id.part"
    being_received.touch()
    await store.clear()
    assert on_disk(directory) == sorted([*(file.sha256 for file in kept), being_received.name])
    assert [await store.read(file) for file in kept] == [b"\0", b"\1", b"\2"]


async def test_tidying_takes_no_content_from_a_file_that_is_being_stored(store: DiskFileStore) -> None:
    for place in range(20):
        file, _ = await asyncio.gather(store.put("default", "f", pieces(bytes([place]))), store.clear())
        assert await store.read(file) == bytes([place])
