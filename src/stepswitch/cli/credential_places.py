"""Where credentials are looked after: a data directory, also beside a running service, or a service. Called by `credential`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from stepswitch.cli.administration import LOCAL_TENANT, acting_at_the_command_line, service_at
from stepswitch.cli.people import user_name
from stepswitch.cli.places import refuse_missing
from stepswitch.domain.errors import SettingsError

if TYPE_CHECKING:
    from stepswitch.cli.remote import Place
    from stepswitch.client import Credential as ToldCredential
    from stepswitch.client import StepswitchClient
    from stepswitch.engine.callers import Caller
    from stepswitch.engine.credential_records import Credential
    from stepswitch.engine.credentials import CredentialOrder, Credentials

Answer = TypeVar("Answer")
Source = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What a credential is to be; None leaves it as it is. `source` is written as in a request."""

    source: Source | None = None
    roles: Sequence[str] | None = None
    workflows: Sequence[str] | None = None
    devices: Sequence[str] | None = None
    without_device: bool | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ShownCredential:
    """A credential, wherever it is from; never with its value."""

    name: str
    description: str
    source: Source
    roles: tuple[str, ...]
    workflows: tuple[str, ...]
    devices: tuple[str, ...]
    without_device: bool
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


class CredentialPlace(Protocol):
    """What can be done in either place."""

    async def all(self) -> Sequence[ShownCredential]:
        """Return the credentials, by name."""

    async def get(self, name: str) -> ShownCredential:
        """Return one."""
        ...

    async def add(self, name: str, order: Order) -> None:
        """Make one."""

    async def change(self, name: str, order: Order) -> None:
        """Change what is given."""

    async def remove(self, name: str) -> None:
        """Remove one."""

    async def problem(self, name: str) -> str | None:
        """Return why one cannot be opened there; None where it can."""


class Beside:
    """A data directory. Values elsewhere are looked for as this process would: with its settings, and in its environment."""

    def __init__(self, credentials: "Credentials", caller: "Caller") -> None:
        self._credentials = credentials
        self._caller = caller

    async def all(self) -> Sequence[ShownCredential]:
        """See `CredentialPlace`."""
        found: list[ShownCredential] = []
        while page := await self._credentials.page(self._caller, found[-1].name if found else ""):
            found += map(_shown, page)
        return found

    async def get(self, name: str) -> ShownCredential:
        """See `CredentialPlace`."""
        return _shown(await self._credentials.get(self._caller, name))

    async def add(self, name: str, order: Order) -> None:
        """See `CredentialPlace`."""
        await self._credentials.add(self._acting("createCredential"), name, _order(order))

    async def change(self, name: str, order: Order) -> None:
        """See `CredentialPlace`."""
        await self._credentials.change(self._acting("changeCredential"), name, _order(order))

    async def remove(self, name: str) -> None:
        """See `CredentialPlace`."""
        await self._credentials.remove(self._acting("removeCredential"), name)

    async def problem(self, name: str) -> str | None:
        """See `CredentialPlace`."""
        return (await self._credentials.check(self._caller, name)).problem

    def _acting(self, operation: str) -> "Caller":
        """Return who does it, as somebody whose change is recorded."""
        return acting_at_the_command_line(self._caller, operation)


class Afar:
    """A service."""

    def __init__(self, client: "StepswitchClient") -> None:
        self._credentials = client.credentials

    async def all(self) -> Sequence[ShownCredential]:
        """See `CredentialPlace`."""
        return [_told(each) for each in await self._credentials.list()]

    async def get(self, name: str) -> ShownCredential:
        """See `CredentialPlace`."""
        return _told(await self._credentials.get(name))

    async def add(self, name: str, order: Order) -> None:
        """See `CredentialPlace`."""
        await self._credentials.create(
            name,
            order.source or {},
            roles=order.roles or (),
            workflows=order.workflows or (),
            devices=order.devices or (),
            without_device=order.without_device or False,
            description=order.description or "",
        )

    async def change(self, name: str, order: Order) -> None:
        """See `CredentialPlace`."""
        await self._credentials.change(
            name,
            source=order.source,
            roles=order.roles,
            workflows=order.workflows,
            devices=order.devices,
            without_device=order.without_device,
            description=order.description,
        )

    async def remove(self, name: str) -> None:
        """See `CredentialPlace`."""
        await self._credentials.delete(name)

    async def problem(self, name: str) -> str | None:
        """See `CredentialPlace`."""
        return (await self._credentials.check(name)).problem


def keep(use: Callable[[CredentialPlace], Awaitable[Answer]], data_dir: Path | None, config: Path | None, url: str | None) -> Answer:
    """Return what `use` makes of a place; raises SettingsError where two are named, and ends the command where a service refuses."""
    if url is not None and (data_dir is not None or config is not None):
        raise SettingsError("say --url, or --data-dir or --config: in one of the two places, not in both")
    return asyncio.run(_beside(use, data_dir, config) if url is None else _afar(use, service_at(url)))


async def _beside(use: Callable[[CredentialPlace], Awaitable[Answer]], data_dir: Path | None, config: Path | None) -> Answer:
    from stepswitch.bootstrap import open_credentials  # noqa: PLC0415 - loads what --help does not need
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415
    from stepswitch.engine.callers import administrator  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)
    async with open_credentials(settings) as credentials:
        return await use(Beside(credentials, administrator(f"{user_name()} at the command line", LOCAL_TENANT)))


async def _afar(use: Callable[[CredentialPlace], Awaitable[Answer]], place: "Place") -> Answer:
    from stepswitch.cli.remote import explain_refusal  # noqa: PLC0415
    from stepswitch.client import ClientError  # noqa: PLC0415

    try:
        async with place.client() as client:
            return await use(Afar(client))
    except ClientError as error:
        raise typer.Exit(explain_refusal(error, place)) from None


def _order(order: Order) -> "CredentialOrder":
    from stepswitch.engine.credential_records import KINDS  # noqa: PLC0415
    from stepswitch.engine.credentials import CredentialOrder  # noqa: PLC0415

    fields = dict(order.source or {})
    source = None if order.source is None else KINDS[fields.pop("kind")](**fields)
    roles, workflows, devices = (None if each is None else tuple(each) for each in (order.roles, order.workflows, order.devices))
    return CredentialOrder(source, roles, workflows, devices, order.without_device, order.description)


def _shown(credential: "Credential") -> ShownCredential:
    from stepswitch.engine.credential_records import StoredValue, kind_of  # noqa: PLC0415

    source = {} if isinstance(credential.source, StoredValue) else asdict(credential.source)
    return ShownCredential(
        credential.name,
        credential.description,
        {"kind": kind_of(credential.source), **source},
        credential.roles,
        credential.workflows,
        credential.devices,
        credential.without_device,
        datetime.fromtimestamp(credential.created_at / 1000, UTC),
        credential.created_by,
        datetime.fromtimestamp(credential.changed_at / 1000, UTC),
        credential.changed_by,
    )


def _told(credential: "ToldCredential") -> ShownCredential:
    return ShownCredential(
        credential.name,
        credential.description,
        credential.source,
        credential.roles,
        credential.workflows,
        credential.devices,
        credential.without_device,
        credential.created_at,
        credential.created_by,
        credential.changed_at,
        credential.changed_by,
    )
