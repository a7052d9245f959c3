"""What it means when SQLite says no, in words for whoever looks after the service. Used by `sqlite` and its readers."""

import shutil
import sqlite3
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import DamagedError, StoreError

DAMAGED: Final = "what is stored is damaged; stop the service and restore a backup (stepswitch restore)"
_GOES_ON: Final = "the service goes on by itself as soon as it can"
LEAST_FREE_BYTES: Final = 256 * 1024
"""Where less is free, a file that could not grow is taken for the fault of the disk's size, not of the disk."""
_MEANINGS: Final = {
    sqlite3.SQLITE_FULL: f"the disk is full; make room, {_GOES_ON}",
    sqlite3.SQLITE_BUSY: f"another process keeps the database locked; end it, {_GOES_ON}",
    sqlite3.SQLITE_READONLY: f"the database is read-only; let the service write to it, {_GOES_ON}",
    sqlite3.SQLITE_CANTOPEN: f"the files of the database cannot be opened; look at their owner and at the limit on open files, {_GOES_ON}",
    sqlite3.SQLITE_IOERR: f"the disk is faulty, or a limit on the size of files is reached; mend that, {_GOES_ON}",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}

NO_SUCH_KEY: Final = (UnicodeError, OverflowError)
"""What the driver raises for a text or number that the database cannot hold."""


def in_words(error: sqlite3.Error) -> str:
    """Return what is wrong and what to do, with SQLite's own words behind it."""
    meaning = _MEANINGS.get(_code(error))
    return str(error) if meaning is None else f"{meaning} ({error})"


def in_words_at_start(error: sqlite3.Error, directory: Path) -> str:
    """Return the same of a start, which fails: nothing goes on by itself. A full disk is said to be full whatever SQLite takes it for."""
    is_full = _code(error) == sqlite3.SQLITE_IOERR and shutil.disk_usage(directory).free < LEAST_FREE_BYTES
    words = f"{_MEANINGS[sqlite3.SQLITE_FULL]} ({error})" if is_full else in_words(error)
    return said_at_start(words)


def said_at_start(words: str) -> str:
    """Return what is said of a fault in a service that runs, as it is true of one that starts."""
    return words.replace(_GOES_ON, "then start the service again")


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another connection is in the way."""
    return _code(error) == sqlite3.SQLITE_BUSY


def is_full(error: sqlite3.Error) -> bool:
    """Return whether there was no room for what was to be written: then nothing of the transaction is on disk, also where COMMIT said so.

    What commits a transaction is its last frame in the log of the database (`sqlite_connections` sees to it that it is the last), and that is valid when
    it was written whole. What fails behind it, the sync, is another error and leaves a doubt.
    """
    return _code(error) == sqlite3.SQLITE_FULL


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the files are no longer what SQLite has written."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def refusal_of(what: str, error: BaseException) -> StoreError:
    """Return what somebody is told whose work met `error`."""
    if not isinstance(error, sqlite3.Error):
        return StoreError(f"{what}: {error}")
    refusal = (DamagedError if is_damage(error) else StoreError)(f"{what}: {in_words(error)}")
    refusal.__cause__ = error
    return refusal


def _code(error: sqlite3.Error) -> int:
    """Return the primary code; 0 where the error is the driver's own."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF
