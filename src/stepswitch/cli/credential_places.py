"""Where credentials are looked after: a data directory, also beside a running service, or a service. Called by `credential`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from stepswitch.cli.administration import acting_at_the_command_line, in_one_place, local_administrator

if TYPE_CHECKING:
    from stepswitch.client import Credential as ShownCredential
    from stepswitch.client import StepswitchClient
    from stepswitch.config.settings import Settings
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


class CredentialPlace(Protocol):
    """What can be done in either place."""

    async def all(self) -> "Sequence[ShownCredential]":
        """Return the credentials, by name."""

    async def get(self, name: str) -> "ShownCredential":
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

    async def all(self) -> "Sequence[ShownCredential]":
        """See `CredentialPlace`."""
        found: list[ShownCredential] = []
        while page := await self._credentials.page(self._caller, found[-1].name if found else ""):
            found += map(_shown, page)
        return found

    async def get(self, name: str) -> "ShownCredential":
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

    async def all(self) -> "Sequence[ShownCredential]":
        """See `CredentialPlace`."""
        return await self._credentials.list()

    async def get(self, name: str) -> "ShownCredential":
        """See `CredentialPlace`."""
        return await self._credentials.get(name)

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
    return in_one_place(lambda settings: _beside(use, settings), lambda client: use(Afar(client)), data_dir, config, url)


async def _beside(use: Callable[[CredentialPlace], Awaitable[Answer]], settings: "Settings") -> Answer:
    from stepswitch.bootstrap import open_credentials  # noqa: PLC0415 - loads what --help does not need

    async with open_credentials(settings) as credentials:
        return await use(Beside(credentials, local_administrator()))


def _order(order: Order) -> "CredentialOrder":
    from stepswitch.engine.credential_records import KINDS  # noqa: PLC0415
    from stepswitch.engine.credentials import CredentialOrder  # noqa: PLC0415

    fields = dict(order.source or {})
    source = None if order.source is None else KINDS[fields.pop("kind")](**fields)
    roles, workflows, devices = (None if each is None else tuple(each) for each in (order.roles, order.workflows, order.devices))
    return CredentialOrder(source, roles, workflows, devices, order.without_device, order.description)


def _shown(credential: "Credential") -> "ShownCredential":
    from stepswitch.client import Credential as ShownCredential  # noqa: PLC0415
    from stepswitch.engine.credentials import shown  # noqa: PLC0415

    told = shown(credential)
    created, changed = (datetime.fromtimestamp(each / 1000, UTC) for each in (credential.created_at, credential.changed_at))
    return ShownCredential(
        name=credential.name,
        description=credential.description,
        source=told["source"],
        roles=credential.roles,
        workflows=credential.workflows,
        devices=credential.devices,
        without_device=credential.without_device,
        created_at=created,
        created_by=credential.created_by,
        changed_at=changed,
        changed_by=credential.changed_by,
        etag=None,
        raw=told,
    )
