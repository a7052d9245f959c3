"""Where the key comes from that encrypts the data keys: a file, the environment, or HashiCorp Vault, which never gives it away. Called by `data_keys`.

A data key is encrypted for its generation: it cannot stand in for another one.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stepswitch.domain.errors import KeyMissingError, SettingsError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_NAME_CHARACTERS: Final = 16
_OTHERS: Final = 0o077
_UNFINISHED: Final = ".part"
_MAKE_ONE: Final = "32 random bytes as base64, as `openssl rand -base64 32` makes them"
_log = structlog.get_logger("stepswitch.secrets")


class KeySource(Protocol):
    """Encrypts data keys with a key-encryption key, and gives them back."""

    async def name(self) -> str:
        """Return what tells the key from another one, and nothing of it; raises KeyMissingError where it is not there, SettingsError where it is none."""

    async def wrap(self, key: bytes, generation: int) -> str:
        """Return a data key encrypted; raises SettingsError where the key-encryption key cannot be used."""

    async def unwrap(self, wrapped: str, generation: int) -> bytes:
        """Return a data key; raises SettingsError where it was encrypted with another key, or that cannot be used."""


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A key-encryption key that is at hand: `where` says where it is from, for people."""

    where: str
    key: bytes

    async def name(self) -> str:
        """See `KeySource`."""
        return "key:" + hashlib.sha256(b"the name of " + self.key).hexdigest()[:_NAME_CHARACTERS]

    async def wrap(self, key: bytes, generation: int) -> str:
        """See `KeySource`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + AESGCM(self.key).encrypt(nonce, key, _purpose(generation))).decode()

    async def unwrap(self, wrapped: str, generation: int) -> bytes:
        """See `KeySource`."""
        try:
            content = base64.b64decode(wrapped, validate=True)
            return AESGCM(self.key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _purpose(generation))
        except (InvalidTag, ValueError):
            raise SettingsError(f"{self.where} is not the key that the passwords are encrypted with") from None


def key_in_file(path: Path) -> LocalKey:
    """Return the key in a file; raises KeyMissingError where there is none, SettingsError where it cannot be read or is no key."""
    try:
        text = path.read_bytes()
        if path.stat().st_mode & _OTHERS:
            _log.warning("the key may be read by others: give its file the mode 0600", file=str(path))
    except FileNotFoundError:
        raise KeyMissingError(f"the key {path} is not there") from None
    except OSError as error:
        raise SettingsError(f"the key {path} cannot be read: {error.strerror}") from error
    return LocalKey(f"the key {path}", _decoded(text, f"the key {path}"))


def key_in_environment(variable: str, environment: Mapping[str, str]) -> LocalKey:
    """Return the key in a variable; raises KeyMissingError where it is not set, SettingsError where it is no key."""
    where = f"the key in the variable {variable}"
    if not (text := environment.get(variable)):
        raise KeyMissingError(f"{where} is not there: set it to {_MAKE_ONE}")
    return LocalKey(where, _decoded(text.encode(), where))


def make_key_file(path: Path) -> LocalKey:
    """Write a new key to the disk, for its owner alone, whole or not at all; raises SettingsError where that cannot be."""
    text = base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n"
    part = path.with_name(path.name + _UNFINISHED)
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.rename(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise SettingsError(f"the key {path} cannot be written: {error.strerror}") from error
    return key_in_file(path)


def _decoded(text: bytes, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{where} is no key: it has to be {_MAKE_ONE}")
    return key


def _purpose(generation: int) -> bytes:
    return b"stepswitch: data key %d" % generation
