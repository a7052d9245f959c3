"""Where users, roles and sessions are looked after: a data directory, also beside a running service, or a service. Called by `user`, `role`, `session`.

Whoever can write a data directory may do everything in it, with no login; a service asks who it is.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from stepswitch.cli.people import process_user, user_name
from stepswitch.cli.places import refuse_missing
from stepswitch.domain.errors import SettingsError

if TYPE_CHECKING:
    from stepswitch.bootstrap import People
    from stepswitch.cli.remote import Place
    from stepswitch.client import StepswitchClient
    from stepswitch.config.settings import Settings
    from stepswitch.engine.callers import Caller
    from stepswitch.engine.privileges import Role
    from stepswitch.engine.records import Account, Session

Answer = TypeVar("Answer")
DataDir = Annotated[
    Path | None, typer.Option(help="Data directory of the service. [default: as in the settings: stepswitch-data]", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")]
Url = Annotated[
    str | None, typer.Option(metavar="URL", help="Of this service, with your login there, instead of a data directory.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
LOCAL_TENANT = "default"


@dataclass(frozen=True, slots=True)
class ShownUser:
    """A user, wherever he is from."""

    username: str
    tenant: str
    roles: tuple[str, ...]
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class ShownRole:
    """A role, wherever it is from."""

    name: str
    privileges: tuple[str, ...]
    workflow_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A login or an API token, wherever it is from."""

    id: str
    username: str
    created_at: datetime
    expires_at: datetime
    name: str | None
    privileges: tuple[str, ...] | None
    address: str | None


class Administration(Protocol):
    """What can be done in either place. Sessions are those of a user; at a service, one's own where nobody is named."""

    async def users(self) -> Sequence[ShownUser]:
        """Return the users, by name."""

    async def add_user(self, name: str, password: str, roles: Sequence[str], tenant: str | None) -> None:
        """Make a user."""

    async def change_user(
        self, name: str, *, password: str | None = None, roles: Sequence[str] | None = None, is_disabled: bool | None = None
    ) -> ShownUser:
        """Change what is given, and return the user."""
        ...

    async def roles(self) -> Sequence[ShownRole]:
        """Return the roles that users can have."""

    async def add_role(self, name: str, privileges: Sequence[str], workflow_names: Sequence[str]) -> ShownRole:
        """Make a role and return it."""
        ...

    async def remove_role(self, name: str) -> None:
        """Remove a role."""

    async def sessions(self, username: str | None) -> Sequence[ShownSession]:
        """Return the sessions that go on, the newest first."""

    async def end_session(self, session_id: str, username: str | None) -> None:
        """End one."""

    async def create_token(
        self, name: str, privileges: Sequence[str] | None, expires_at: datetime | None, username: str | None
    ) -> tuple[str, ShownSession]:
        """Make an API token."""
        ...


def acting_at_the_command_line(caller: "Caller", operation: str) -> "Caller":
    """Return somebody as one whose change is recorded, under the name that the API has for it."""
    from stepswitch.engine.audit import Act, Actor  # noqa: PLC0415 - loads what --help does not need
    from stepswitch.system import SystemClock  # noqa: PLC0415

    act = Act(operation, SystemClock().now(), Actor.COMMAND_LINE)
    act.user = process_user()
    return caller.acting(act)


class Beside:
    """A data directory."""

    def __init__(self, people: "People", caller: "Caller") -> None:
        self._people = people
        self._caller = caller

    async def users(self) -> Sequence[ShownUser]:
        """See `Administration`."""
        return [_user(each) for each in await self._people.users.all(self._caller)]

    async def add_user(self, name: str, password: str, roles: Sequence[str], tenant: str | None) -> None:
        """See `Administration`."""
        await self._people.users.add(acting_at_the_command_line(self._caller, "createUser"), name, password, roles, tenant)

    async def change_user(
        self, name: str, *, password: str | None = None, roles: Sequence[str] | None = None, is_disabled: bool | None = None
    ) -> ShownUser:
        """See `Administration`."""
        from stepswitch.engine.users import UserOrder  # noqa: PLC0415 - loads what --help does not need

        order = UserOrder(password, None if roles is None else tuple(roles), is_disabled)
        return _user(await self._people.users.change(acting_at_the_command_line(self._caller, "changeUser"), name, order))

    async def roles(self) -> Sequence[ShownRole]:
        """See `Administration`."""
        return [_role(each) for each in await self._people.roles.all(self._caller)]

    async def add_role(self, name: str, privileges: Sequence[str], workflow_names: Sequence[str]) -> ShownRole:
        """See `Administration`."""
        return _role(await self._people.roles.add(acting_at_the_command_line(self._caller, "createRole"), name, privileges, workflow_names))

    async def remove_role(self, name: str) -> None:
        """See `Administration`."""
        await self._people.roles.remove(acting_at_the_command_line(self._caller, "removeRole"), name)

    async def sessions(self, username: str | None) -> Sequence[ShownSession]:
        """See `Administration`."""
        return [_session(each) for each in await self._people.logins.of(self._caller, _named(username))]

    async def end_session(self, session_id: str, username: str | None) -> None:
        """See `Administration`."""
        await self._people.logins.end(acting_at_the_command_line(self._caller, "endSessionOfUser"), session_id, _named(username))

    async def create_token(
        self, name: str, privileges: Sequence[str] | None, expires_at: datetime | None, username: str | None
    ) -> tuple[str, ShownSession]:
        """See `Administration`."""
        from stepswitch.engine.logins import TokenOrder  # noqa: PLC0415 - loads what --help does not need

        until = None if expires_at is None else round(expires_at.timestamp() * 1000)
        order = TokenOrder(name, None if privileges is None else tuple(privileges), until)
        token, session = await self._people.logins.make_token(
            acting_at_the_command_line(self._caller, "createTokenOfUser"), order, _named(username)
        )
        return token, _session(session)


class Afar:
    """A service."""

    def __init__(self, client: "StepswitchClient") -> None:
        self._client = client

    async def users(self) -> Sequence[ShownUser]:
        """See `Administration`."""
        return [ShownUser(each.username, each.tenant_id, each.roles, each.is_disabled) for each in await self._client.users.list()]

    async def add_user(self, name: str, password: str, roles: Sequence[str], tenant: str | None) -> None:
        """See `Administration`."""
        await self._client.users.create(name, password, roles, tenant_id=tenant)

    async def change_user(
        self, name: str, *, password: str | None = None, roles: Sequence[str] | None = None, is_disabled: bool | None = None
    ) -> ShownUser:
        """See `Administration`."""
        user = await self._client.users.change(name, password=password, roles=roles, is_disabled=is_disabled)
        return ShownUser(user.username, user.tenant_id, user.roles, user.is_disabled)

    async def roles(self) -> Sequence[ShownRole]:
        """See `Administration`."""
        return [ShownRole(each.name, each.privileges, each.workflow_names) for each in await self._client.roles.list()]

    async def add_role(self, name: str, privileges: Sequence[str], workflow_names: Sequence[str]) -> ShownRole:
        """See `Administration`."""
        role = await self._client.roles.create(name, privileges, workflow_names=workflow_names)
        return ShownRole(role.name, role.privileges, role.workflow_names)

    async def remove_role(self, name: str) -> None:
        """See `Administration`."""
        await self._client.roles.delete(name)

    async def sessions(self, username: str | None) -> Sequence[ShownSession]:
        """See `Administration`."""
        return [
            ShownSession(each.id, each.username, each.created_at, each.expires_at, each.name, each.privileges, each.address)
            for each in await self._client.sessions.list(username)
        ]

    async def end_session(self, session_id: str, username: str | None) -> None:
        """See `Administration`."""
        await self._client.sessions.end(session_id, username)

    async def create_token(
        self, name: str, privileges: Sequence[str] | None, expires_at: datetime | None, username: str | None
    ) -> tuple[str, ShownSession]:
        """See `Administration`."""
        token, made = await self._client.sessions.create_token(name, privileges=privileges, expires_at=expires_at, username=username)
        return token, ShownSession(made.id, made.username, made.created_at, made.expires_at, made.name, made.privileges, made.address)


def administer(
    use: Callable[[Administration], Awaitable[Answer]],
    data_dir: Path | None,
    config: Path | None,
    url: str | None,
    tenant: str = LOCAL_TENANT,
) -> Answer:
    """Return what `use` makes of a place; raises SettingsError where two are named, and ends the command where a service refuses."""
    return in_one_place(lambda settings: _beside(use, settings, tenant), lambda client: use(Afar(client)), data_dir, config, url)


def administer_own(
    use: Callable[[Administration], Awaitable[Answer]], data_dir: Path | None, config: Path | None, url: str | None
) -> Answer:
    """Return what `use` makes of the service where one is logged in, unless a data directory is named."""
    if data_dir is not None or config is not None:
        return administer(use, data_dir, config, url)
    return asyncio.run(_afar(lambda client: use(Afar(client)), service_at(url)))


async def _beside(use: Callable[[Administration], Awaitable[Answer]], settings: "Settings", tenant: str) -> Answer:
    from stepswitch.bootstrap import open_people  # noqa: PLC0415 - loads what --help does not need

    async with open_people(settings.data_dir) as people:
        return await use(Beside(people, local_administrator(tenant)))


def local_administrator(tenant: str = LOCAL_TENANT) -> "Caller":
    """Return who acts on a data directory."""
    from stepswitch.engine.callers import administrator  # noqa: PLC0415 - loads what --help does not need

    return administrator(f"{user_name()} at the command line", tenant)


def in_one_place(
    beside: Callable[["Settings"], Coroutine[Any, Any, Answer]],
    afar: Callable[["StepswitchClient"], Awaitable[Answer]],
    data_dir: Path | None,
    config: Path | None,
    url: str | None,
) -> Answer:
    """Return what `beside` makes of a data directory or, where there is a URL, `afar` of a service. Raises as `administer` does."""
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415 - loads what --help does not need

    if url is not None and (data_dir is not None or config is not None):
        raise SettingsError("say --url, or --data-dir or --config: in one of the two places, not in both")
    if url is not None:
        return asyncio.run(_afar(afar, service_at(url)))
    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)
    return asyncio.run(beside(settings))


async def _afar(use: Callable[["StepswitchClient"], Awaitable[Answer]], place: "Place") -> Answer:
    from stepswitch.cli.remote import explain_refusal  # noqa: PLC0415
    from stepswitch.client import ClientError  # noqa: PLC0415

    try:
        async with place.client() as client:
            return await use(client)
    except ClientError as error:
        raise typer.Exit(explain_refusal(error, place)) from None


def service_at(url: str | None) -> "Place":
    """Return the service that is meant: as for the commands that only talk to one, variables say what options do not."""
    from stepswitch.cli.remote import CA_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE, place_of  # noqa: PLC0415

    ca_file = os.environ.get(CA_VARIABLE)
    return place_of(url or os.environ.get(URL_VARIABLE), os.environ.get(TOKEN_VARIABLE), Path(ca_file) if ca_file else None)


def _named(username: str | None) -> str:
    if username is None:
        raise SettingsError("whose? A data directory has no login that could say so: name the user with --user")
    return username


def _user(account: "Account") -> ShownUser:
    return ShownUser(account.name, account.tenant, account.roles, account.is_disabled)


def _role(role: "Role") -> ShownRole:
    return ShownRole(role.name, tuple(sorted(role.privileges)), role.workflow_names)


def _session(session: "Session") -> ShownSession:
    created, expires = (datetime.fromtimestamp(each / 1000, UTC) for each in (session.created_at, session.expires_at))
    privileges = None if session.privileges is None else tuple(sorted(session.privileges))
    return ShownSession(session.id, session.user, created, expires, session.token_name, privileges, session.address or None)
