"""Logging in to an SSH server with what the step was given and nothing else. Called by `ssh` and `host_keys`, imported when first used.

No agent, no configuration file, no known_hosts file and no key of the account that the service runs under is ever read. Every
failure is a `LoginError` with a code and a sentence that names the server and shows no secret.
"""

import asyncio
import errno
import getpass
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncssh

from stepswitch.plugin import ErrorCode, HostKeys
from stepswitch.steps.host_keys import algorithms, fingerprint, line_of, scan
from stepswitch.steps.output import harmless

_NO_KNOWN_HOSTS: Final[tuple[list[str], list[str], list[str]]] = ([], [], [])
_REASON_CHARACTERS: Final = 200
_REFUSED: Final = f"[Errno {errno.ECONNREFUSED}]"

# The driver's log shows every command that it sends, and commands carry secrets.
asyncssh.set_log_level(logging.WARNING)
asyncssh.set_sftp_log_level(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Login:
    """Where to log in and as whom. `host_key` is a line, `host_fingerprint` its fingerprint; at most one of them is given."""

    host: str
    port: int
    username: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    host_key: str | None = None
    host_fingerprint: str | None = None


class LoginError(Exception):
    """Nobody is logged in, and nothing was done at the server."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """A logged-in connection, with the host key that it was made with."""

    def __init__(self, connection: asyncssh.SSHClientConnection, host_key: str) -> None:
        self.connection = connection
        self.host_key = host_key

    def is_closed(self) -> bool:
        """Return whether the connection is known to be dead."""
        return self.connection.is_closed()

    def close(self) -> None:
        """Take leave and drop the connection."""
        self.connection.close()

    def abort(self) -> None:
        """Drop the connection."""
        self.connection.abort()

    async def wait_closed(self) -> None:
        """Return when nothing is left of the connection."""
        await self.connection.wait_closed()


class _Client(asyncssh.SSHClient):
    """Decides about the host key, and remembers how far the login came."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = frozenset(allowed)
        self.shown: str | None = None
        self.logging_in = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.shown = line_of(key.export_public_key("openssh"))
        return fingerprint(self.shown) in self._allowed

    def begin_auth(self, username: str) -> None:  # noqa: ARG002
        self.logging_in = True


async def connect(login: Login, host_keys: HostKeys, timeout_seconds: float) -> Session:
    """Return a session at a server whose host key is the wanted or a trusted one; raises LoginError."""
    client = _Client(())
    try:
        async with asyncio.timeout(timeout_seconds):
            keys = await _client_keys(login)
            return await _connect_checked(login, keys, host_keys, timeout_seconds)
    except LoginError:
        raise
    except Exception as error:
        code, sentence = explained(error, login.host, login.port, timeout_seconds)
        raise LoginError(code, sentence) from error
