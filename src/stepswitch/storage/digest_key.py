"""The key of the digests of requests, in a file beside the database and never in it. Read by `bootstrap` when the service starts."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import SettingsError

KEY_BYTES: Final = 32
_UNFINISHED: Final = ".part"


def digest_key(path: Path) -> bytes:
    """Return the key, made where there is none; raises SettingsError where it cannot be read or written."""
    try:
        with contextlib.suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
        return _make(path)
    except OSError as error:
        raise SettingsError(f"the key {path} cannot be used: {error.strerror}") from error


def _make(path: Path) -> bytes:
    """Write a new key to the disk, whole or not at all; in place of one that is none."""
    key = secrets.token_bytes(KEY_BYTES)
    part = path.with_name(path.name + _UNFINISHED)
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.rename(path)
    return key
