"""The client: one object for everything that a service offers. Made by programs, and by the command line."""

import ssl
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Final, Self

from stepswitch.client import device_login
from stepswitch.client.answers import Health, Session
from stepswitch.client.audit import AuditTrail
from stepswitch.client.credentials import Credentials as NamedCredentials
from stepswitch.client.device_login import DeviceLogin
from stepswitch.client.errors import ClientError, UnavailableError
from stepswitch.client.events import Event, OnBreak, events
from stepswitch.client.executions import Executions
from stepswitch.client.host_keys import HostKeys
from stepswitch.client.inventory import InventoryAccess
from stepswitch.client.locks import Locks
from stepswitch.client.pacing import Pacing
from stepswitch.client.refusals import CODE_HEADER
from stepswitch.client.sessions import Sessions
from stepswitch.client.tenants import Tenants
from stepswitch.client.transport import Call, Credentials, Transport
from stepswitch.client.users import Roles, Users
from stepswitch.client.workflows import OWN_ROOT, Workflows

TIMEOUT_SECONDS: Final = 30.0


class StepswitchClient:
    """A service to talk to; use it with `async with`.

    Give a `token` that somebody has, or `username` and `password`: then it logs in when it first has to, again when the session has
    expired, and out at the end. `url` is where the service is, as in `https://stepswitch.example.net`; a path in it is kept.
    `timeout` is in seconds, for one answer as a whole. `tls` says which certificates are trusted; those of the system unless given.

    Every method raises ClientError or one of its kinds, see `stepswitch.client.errors`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        if (username is None) != (password is None):
            raise ValueError("give username and password, or neither")
        credentials = None if username is None or password is None else Credentials(username, password)
        token = token.strip() if token is not None else None
        self._transport = Transport(url, token=token, credentials=credentials, timeout=timeout, tls=tls, pacing=pacing or Pacing())
        self._is_own_session = token is None
        self.workflows = Workflows(self._transport)
        self.executions = Executions(self._transport)
        self.host_keys = HostKeys(self._transport)
        self.users = Users(self._transport)
        self.roles = Roles(self._transport)
        self.tenants = Tenants(self._transport)
        self.locks = Locks(self._transport)
        self.sessions = Sessions(self._transport)
        self.audit = AuditTrail(self._transport)
        self.credentials = NamedCredentials(self._transport)
        self.inventory = InventoryAccess(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._transport.url

    @property
    def token(self) -> str | None:
        """The token that is sent with every call: that of `login`, or the one that was given."""
        return self._transport.token

    async def close(self) -> None:
        """Log out where the client logged in by itself, and close all connections."""
        try:
            if self._is_own_session and self._transport.token is not None:
                await self._log_out_quietly()
        finally:
            await self._transport.close()

    async def login(self, username: str | None = None, password: str | None = None) -> Session:
        """Open a session and return it; raises NotAuthenticatedError. Not needed before other calls, but it tells early whether all is well.

        The session outlives the client where user and password are given here, so that its `token` can be kept and used again.
        """
        if username is None or password is None:
            return Session.read(await self._transport.log_in())
        self._is_own_session = False
        return Session.read(await self._transport.log_in(Credentials(username, password)))

    async def begin_device_login(self) -> DeviceLogin:
        """Begin a login through the service's provider; raises NotFoundError where it has none. Show the code and where to confirm it to somebody."""
        return await device_login.begin(self._transport)

    async def finish_device_login(self, login: DeviceLogin) -> Session:
        """Wait until somebody has confirmed the code, and return the session; raises InvalidRequestError where he refuses, or nobody does in time.

        The session outlives the client, so that its `token` can be kept and used again.
        """
        self._is_own_session = False
        return Session.read(await device_login.finish(self._transport, login))

    async def logout(self) -> None:
        """End the session; its token is good for nothing from then on."""
        await self._transport.log_out()

    async def change_password(self, old: str, new: str) -> None:
        """Give the caller another password. That ends every session of his, this one too; raises InvalidRequestError where one does not fit.

        A client that was given a user name and a password goes on with the new one.
        """
        body = {"oldPassword": old, "newPassword": new}
        await self._transport.json(Call("POST", f"{OWN_ROOT}/password", "password", body=body))
        self._transport.take_password(new)

    async def health(self) -> Health:
        """Return how the service is, also where it cannot do its work; needs no login. Raises UnavailableError where it is too busy to say."""
        answer, headers = await self._transport.json(Call("GET", f"{OWN_ROOT}/health", "health", accepts=frozenset({503}), is_public=True))
        if isinstance(answer, dict) and "errors" in answer:
            raise UnavailableError(503, headers.get(CODE_HEADER, ""))
        return Health.read(answer)

    def events(self, *, after: str | None = None, on_break: OnBreak | None = None) -> AsyncGenerator[Event, None]:
        """Yield what happens to all executions that the caller may see, from now on or behind the event of the id `after`; without an end.

        As with `executions.events`: after news of the kind `Reset` something is missing. `on_break` is told of a connection that broke.
        """
        return events(self._transport, f"{OWN_ROOT}/events", "API at this address", after, on_break)

    async def _log_out_quietly(self) -> None:
        """End the session; where that fails it ends by itself, and what the caller did in between is what matters to him."""
        try:
            await self.logout()
        except ClientError:
            return
