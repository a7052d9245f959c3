"""An SSH server with a host key and a password of its own, for one user. What is behind it is a subclass: `router`, and the routers of the tests."""

import secrets
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

import asyncssh


class OpenDoor(ABC):
    """Listens inside `async with`; `port` is there then. `how` are more options of the driver's server."""

    def __init__(self, user: str, host: str = "127.0.0.1", port: int = 0, **how: Any) -> None:
        self.user = user
        self.password = secrets.token_urlsafe(9)
        self.host = host
        self.port = port
        self._how = how
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def public_key(self) -> str:
        """The host key as an OpenSSH line without comment."""
        return self._key.export_public_key().decode("ascii").strip()

    @abstractmethod
    async def serve(self, process: Any) -> None:
        """Talk to whoever was let in: `process` is the driver's, of texts or of bytes as `encoding` has it."""

    async def __aenter__(self) -> Self:
        self._acceptor = await asyncssh.listen(
            self.host,
            self.port,
            server_host_keys=[self._key],
            server_factory=lambda: _Doorkeeper(self.user, self.password),
            process_factory=self.serve,
            config=None,
            **self._how,
        )
        self.port = self._acceptor.get_port()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()


class _Doorkeeper(asyncssh.SSHServer):
    """Lets in whoever knows the one user and the one password."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == self._user and secrets.compare_digest(password.encode(), self._password.encode())
