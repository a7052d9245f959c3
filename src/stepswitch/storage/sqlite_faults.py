"""What it means when SQLite says no, in words for whoever looks after the service. Used by `sqlite` and its readers."""

import sqlite3
from typing import Final

from stepswitch.domain.errors import DamagedError, StoreError

DAMAGED: Final = "what is stored is damaged; stop the service and restore a backup (stepswitch restore)"
_GOES_ON: Final = "the service goes on by itself as soon as it can"
_MEANINGS: Final = {
    sqlite3.SQLITE_FULL: f"the disk is full; make room, {_GOES_ON}",
    sqlite3.SQLITE_BUSY: f"another process keeps the database locked; end it, {_GOES_ON}",
    sqlite3.SQLITE_READONLY: f"the database is read-only; let the service write to it, {_GOES_ON}",
    sqlite3.SQLITE_CANTOPEN: f"the files of the database cannot be opened; look at their owner and at the limit on open files, {_GOES_ON}",
    sqlite3.SQLITE_IOERR: f"the disk is faulty, or a limit on the size of files is reached; {_GOES_ON}",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}

NO_SUCH_KEY: Final = (UnicodeError, OverflowError)
"""What the driver raises for a text or number that the database cannot hold."""


def in_words(error: sqlite3.Error) -> str:
    """Return what is wrong and what to do, with SQLite's own words behind it."""
    meaning = _MEANINGS.get(_code(error))
    return str(error) if meaning is None else f"{meaning} ({error})"


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another connection is in the way."""
    return _code(error) == sqlite3.SQLITE_BUSY


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
