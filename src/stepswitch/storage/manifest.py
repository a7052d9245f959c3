"""What a backup says of itself, and whether that is so. Written by `backup`, read before anything is restored.

A backup is a directory: the database, the files by their content, and `manifest.json` with the size and the SHA-256 of each.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from stepswitch.domain.errors import BackupError
from stepswitch.storage.data_dir import DATABASE, FILES, is_known_schema

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
"""Format number of a backup."""
CHUNK: Final = 1024 * 1024
FAULTS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup in numbers: `made_at` in milliseconds since 1970, sizes in bytes; `files` has the size of each content by its SHA-256."""

    format: int
    made_at: int
    release: str
    schema: str
    database_bytes: int
    database_sha256: str
    files: Mapping[str, int]

    def written(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n"


def checked(backup: Path) -> Manifest:
    """Return the manifest of a backup that is whole, every byte of it; raises BackupError with what is wrong with it."""
    manifest = _read(backup / MANIFEST)
    faults = [*_database_faults(backup / DATABASE, manifest), *_file_faults(backup / FILES, manifest)]
    if faults:
        more = f"\nand {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise BackupError(f"the backup {backup} is not whole:\n" + "\n".join(faults[:FAULTS_SHOWN]) + more)
    return manifest


def contents_named_in(database: sqlite3.Connection) -> set[str]:
    """Return the SHA-256 of every file that a row names."""
    return {digest for (digest,) in database.execute("SELECT DISTINCT sha256 FROM files")}


def schema_of(database: sqlite3.Connection) -> str:
    """Return the revision of the schema of a database."""
    ((revision,),) = database.execute("SELECT version_num FROM alembic_version")
    return str(revision)


def opened_copy(path: Path) -> sqlite3.Connection:
    """Return a connection to a database that nobody else uses and nobody may change."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def digest_of(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file as it is on the disk."""
    size, digest = 0, hashlib.sha256()
    with path.open("rb") as content:
        os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # what is in the cache only would prove nothing
        while chunk := content.read(CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


def _read(path: Path) -> Manifest:
    try:
        plain: Any = orjson.loads(path.read_bytes())
        found = plain["format"]
        if isinstance(found, int) and found > FORMAT:
            raise BackupError(f"{path.parent} was made by a later release (format {found}); this one reads up to {FORMAT}")
        return Manifest(**{name: plain[name] for name in Manifest.__dataclass_fields__})
    except OSError as error:
        raise BackupError(f"{path.parent} is no backup that has ended: {path.name} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{path.parent} is no backup: {path.name} is not what a backup writes there") from error


def _database_faults(path: Path, manifest: Manifest) -> Iterator[str]:
    try:
        if digest_of(path) != (manifest.database_bytes, manifest.database_sha256):
            yield f"{path.name} is not what was written"
            return
        with closing(opened_copy(path)) as database:
            (verdict,), *_ = database.execute("PRAGMA integrity_check(1)")
            if verdict != "ok":
                yield f"{path.name} is damaged: {verdict}"
                return
            if not is_known_schema(schema_of(database)):
                yield f"{path.name} was made by a later release of Stepswitch ({manifest.release})"
            missing = contents_named_in(database) - manifest.files.keys()
            yield from (f"{FILES}/{digest} is named in the database and was not copied" for digest in sorted(missing))
    except OSError as error:
        yield f"{path.name} cannot be read: {error.strerror}"
    except (sqlite3.Error, ValueError) as error:
        yield f"{path.name} is damaged: {error}"


def _file_faults(directory: Path, manifest: Manifest) -> Iterator[str]:
    for digest, size in manifest.files.items():
        try:
            if digest_of(directory / digest) != (size, digest):
                yield f"{FILES}/{digest} is not what was written"
        except OSError as error:
            yield f"{FILES}/{digest} cannot be read: {error.strerror}"
