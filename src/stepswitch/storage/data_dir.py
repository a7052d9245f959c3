"""The data directory: who may use it, and how its database is made and kept current. Called by `bootstrap` before anything is read.

`serve` holds an exclusive lock on it; a second one is refused. Other commands open the database without the lock and never recover,
decide or dispatch.
"""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DatabaseError

from stepswitch.domain.errors import SettingsError
from stepswitch.storage.sqlite_faults import in_words_at_start

if TYPE_CHECKING:
    from alembic.config import Config

DATABASE: Final = "stepswitch.db"
LOCK: Final = "lock"
FILES: Final = "files"
DIGEST_KEY: Final = "digest.key"
SECRETS_KEY: Final = "secrets.key"
UNFINISHED: Final = "stepswitch.db.restoring"
"""The database of a restore that has not ended."""


class DataDir:
    """A directory that is ours until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """Where the database is."""
        return self.path / DATABASE

    @property
    def files(self) -> Path:
        """Where the files are."""
        return self.path / FILES

    @property
    def digest_key(self) -> Path:
        """Where the key of the digests of requests is."""
        return self.path / DIGEST_KEY

    @property
    def secrets_key(self) -> Path:
        """Where the key is that encrypts the keys of stored passwords, unless settings say otherwise."""
        return self.path / SECRETS_KEY

    def acquire(self, *, restoring: bool = False) -> None:
        """Make the directory where it is missing and lock it; raises SettingsError where that cannot be."""
        self.prepare(restoring=restoring)
        try:
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"the data directory {self.path} cannot be locked: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            raise SettingsError(f"the data directory {self.path} is in use by another service{_holder(lock)}") from None
        except OSError as error:
            os.close(lock)
            raise SettingsError(f"the data directory {self.path} cannot be locked: {error.strerror}") from error
        self._lock = lock

    def prepare(self, *, restoring: bool = False) -> None:
        """Make the directory where it is missing; raises SettingsError where it cannot be written, or a restore of it has not ended."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the data directory {self.path} cannot be made: {error.strerror}") from error
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise SettingsError(f"the data directory {self.path} cannot be written")
        if (self.path / UNFINISHED).exists() and not restoring:
            raise SettingsError(f"a restore into the data directory {self.path} has not ended; run `stepswitch restore` again")

    def user(self) -> str:
        """Return who uses the directory now, in brackets; nothing where nobody does."""
        try:
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return f", and in use by a service{_holder(lock)}"
        os.close(lock)
        return ""

    def release(self) -> None:
        """Give the directory back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _holder(lock: int) -> str:
    """Return who holds the lock, as the lock file says, and close it."""
    try:
        process = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
    finally:
        os.close(lock)
    return f" (process {process})" if process else ""


def is_known_schema(revision: str) -> bool:
    """Return whether `migrate` could go on from a database of this revision."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 # slow to import, and needed once
    from alembic.util.exc import CommandError  # noqa: PLC0415

    try:
        return ScriptDirectory.from_config(_migrations()).get_revision(revision) is not None
    except CommandError:
        return False


def _migrations() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 # slow to import, and needed once

    config = Config()
    config.set_main_option("script_location", "stepswitch:storage/migrations")
    return config


def migrate(database: Path) -> None:
    """Bring the database at `database` to the current schema; raises SettingsError where a later release made it, or it cannot be used."""
    from alembic import command  # noqa: PLC0415 # slow to import, and needed once
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = _migrations()
    config.attributes["database"] = database
    try:
        database.touch(mode=0o600, exist_ok=True)  # what SQLite puts beside it gets the same permissions
        command.upgrade(config, "head")
    except CommandError as error:
        raise SettingsError(f"the database {database} was made by a later release of Stepswitch: {error}") from error
    except DatabaseError as error:
        wrong = in_words_at_start(error.orig, database.parent) if isinstance(error.orig, sqlite3.Error) else error.orig
        raise SettingsError(f"the database {database} cannot be used: {wrong}") from error
    except OSError as error:
        raise SettingsError(f"the database {database} cannot be used: {error.strerror}") from error
