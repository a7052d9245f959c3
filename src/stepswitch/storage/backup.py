"""Copies a data directory while a service uses it. Called by `bootstrap`; blocks, and so runs in no event loop.

The database is copied page by page inside one read transaction: it is the state of one moment, however much is written
meanwhile. Then the files that its rows name are copied; a lock keeps the service from removing any until that is done. A backup
gets its name when all of it is on the disk and has been read back: what has the name is whole.
"""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import BackupError
from stepswitch.storage.data_dir import DATABASE, FILES, DataDir
from stepswitch.storage.manifest import CHUNK, FORMAT, MANIFEST, Manifest, checked, contents_named_in, digest_of, opened_copy, schema_of

PAGES: Final = 256
"""Pages of the database in one go: a megabyte."""
UNFINISHED: Final = ".part"


class _Pace:
    """Rests as long as it has worked, so that a backup never takes more than half of a processor or a disk."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def rest(self) -> None:
        time.sleep(min(1.0, time.monotonic() - self._since))
        self._since = time.monotonic()


def write_backup(data_dir: DataDir, target: Path, made_at: int, release: str) -> Manifest:
    """Copy a data directory, in use or not, to the new directory `target`; raises BackupError, and then nothing is called `target`."""
    _refuse_bad_places(data_dir, target)
    with _unfinished(target) as part:
        try:
            return _write(data_dir, part, target, made_at, release)
        except OSError as error:
            raise BackupError(f"the backup cannot be written to {target}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise BackupError(f"the database {data_dir.database} cannot be copied: {error}") from error


def _refuse_bad_places(data_dir: DataDir, target: Path) -> None:
    if not data_dir.database.is_file():
        raise BackupError(f"there is no database in {data_dir.path}: nothing to back up")
    if os.path.lexists(target):
        raise BackupError(f"{target} is there already; name a new directory for each backup")
    if not target.parent.is_dir():
        raise BackupError(f"there is no directory {target.parent}")
    if data_dir.path.resolve() in target.resolve().parents:
        raise BackupError(f"{target} is inside of the data directory; a backup belongs elsewhere, best on another disk")


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Give the empty directory that becomes `target`, for us alone; what is left of it at the end goes."""
    part = target.with_name(target.name + UNFINISHED)
    try:
        part.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BackupError(f"the backup cannot be written to {part}: {error.strerror}") from error
    try:
        if not _is_ours(lock, part):
            raise BackupError(f"another backup is being written to {part}")
        try:
            for left in part.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield part
        finally:
            if _is_at(lock, part):
                shutil.rmtree(part, ignore_errors=True)
    finally:
        os.close(lock)


def _is_ours(lock: int, part: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(lock, part)


def _is_at(lock: int, part: Path) -> bool:
    """Return whether the directory that was opened still has this name."""
    return part.exists() and part.stat().st_ino == os.fstat(lock).st_ino


def _write(data_dir: DataDir, part: Path, target: Path, made_at: int, release: str) -> Manifest:
    pace = _Pace()
    (part / FILES).mkdir(mode=0o700)
    with _no_file_is_removed(data_dir.files):
        _copy_database(data_dir.database, part / DATABASE, pace)
        with closing(opened_copy(part / DATABASE)) as copy:
            wanted, schema = contents_named_in(copy), schema_of(copy)
        files = {digest: _copy_file(data_dir.files / digest, part / FILES / digest, pace) for digest in sorted(wanted)}
    size, digest = digest_of(part / DATABASE)
    manifest = Manifest(FORMAT, made_at, release, schema, size, digest, files)
    (part / MANIFEST).touch(mode=0o600)
    (part / MANIFEST).write_bytes(manifest.written())
    for each in (part / MANIFEST, part / FILES, part):
        to_disk(each)
    checked(part)
    part.rename(target)
    to_disk(target.parent)
    return manifest


@contextmanager
def _no_file_is_removed(files: Path) -> Iterator[None]:
    """Hold the lock that whoever removes a content has to have alone (`files.DiskFileStore`)."""
    if not files.is_dir():
        yield
        return
    lock = os.open(files, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def _copy_database(source: Path, copy: Path, pace: _Pace) -> None:
    copy.touch(mode=0o600)
    with (
        closing(sqlite3.connect(source, timeout=30.0, isolation_level=None)) as database,
        closing(sqlite3.connect(copy, isolation_level=None)) as written,
    ):
        database.execute("PRAGMA query_only=ON")
        database.execute("BEGIN")
        schema_of(database)  # the transaction begins with the first read; without it every commit of the service would begin the copy anew
        written.execute("PRAGMA synchronous=OFF")
        database.backup(written, pages=PAGES, progress=lambda *_: pace.rest())
        written.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
    to_disk(copy)


def _copy_file(source: Path, copy: Path, pace: _Pace) -> int:
    """Copy a content and return its size; what it is, is seen when the backup is read back."""
    size = 0
    try:
        content = source.open("rb")
    except FileNotFoundError:
        raise BackupError(f"the file {source} is named in the database and is not there") from None
    copy.touch(mode=0o600)
    with content, copy.open("wb") as out:
        while chunk := content.read(CHUNK):
            out.write(chunk)
            size += len(chunk)
            pace.rest()
    to_disk(copy)
    return size


def to_disk(path: Path) -> None:
    """Return when a file, or the names in a directory, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
