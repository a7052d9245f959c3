"""Where an inventory is looked after: a data directory, also beside a running service, or a service. Called by `inventory`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from stepswitch.cli.administration import acting_at_the_command_line, in_one_place, local_administrator
from stepswitch.domain.inventory import Section

if TYPE_CHECKING:
    from stepswitch.bootstrap import OpenInventories
    from stepswitch.client import SourceStanding, StepswitchClient
    from stepswitch.config.settings import Settings
    from stepswitch.engine.callers import Caller
    from stepswitch.engine.inventories import Place
    from stepswitch.engine.inventory_sources import ShownSource

Answer = TypeVar("Answer")
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """How a source stands, as it is written. `counts` are network functions, network services and virtual machines."""

    source: str
    state: str
    read_at: datetime | None
    failing_since: datetime | None
    error: str | None
    counts: tuple[int, int, int]
    problems: tuple[str, ...]
    is_being_read: bool


class InventoryPlace(Protocol):
    """What can be done in either place."""

    async def get(self) -> tuple[Document, str | None]:
        """Return the whole inventory, and the tag of the state that it is in."""
        ...

    async def get_all(self) -> Document:
        """Return the whole inventory with what its sources bring."""
        ...

    async def source_states(self) -> Sequence[SourceLine]:
        """Return how every source stands."""
        ...

    async def refresh(self, source: str) -> SourceLine:
        """Have a source read, and return how it stands then."""
        ...

    async def entry(self, section: Section, entry_id: str) -> Document:
        """Return one entry."""
        ...

    async def replace(self, document: Document) -> str:
        """Replace the whole inventory as it is now, and return in words what that changed."""
        ...

    async def put(self, section: Section, entry_id: str, entry: Document) -> None:
        """Store one entry."""

    async def remove(self, section: Section, entry_id: str) -> None:
        """Remove one entry."""


class Beside:
    """A data directory."""

    def __init__(self, opened: "OpenInventories", caller: "Caller") -> None:
        self._inventories = opened.written
        self._sources = opened.sources
        self._caller = caller

    async def get(self) -> tuple[Document, str | None]:
        """See `InventoryPlace`."""
        found = await self._inventories.get(self._caller)
        return found.document, found.tag

    async def get_all(self) -> Document:
        """See `InventoryPlace`."""
        return (await self._inventories.get_all(self._caller)).document

    async def source_states(self) -> Sequence[SourceLine]:
        """See `InventoryPlace`."""
        return [_line(each) for each in await self._sources.states(self._caller)]

    async def refresh(self, source: str) -> SourceLine:
        """See `InventoryPlace`."""
        return _line(await self._sources.refresh(self._caller, source))

    async def entry(self, section: Section, entry_id: str) -> Document:
        """See `InventoryPlace`."""
        return await self._inventories.entry(self._caller, _place(section, entry_id))

    async def replace(self, document: Document) -> str:
        """See `InventoryPlace`."""
        before, tag = await self.get()
        caller = acting_at_the_command_line(self._caller, "replaceInventory")
        after = await self._inventories.replace(caller, document, frozenset([tag or ""]))
        return _changes(before, after.document)

    async def put(self, section: Section, entry_id: str, entry: Document) -> None:
        """See `InventoryPlace`."""
        place = _place(section, entry_id)
        await self._inventories.put_entry(self._acting("put", place), place, entry)

    async def remove(self, section: Section, entry_id: str) -> None:
        """See `InventoryPlace`."""
        place = _place(section, entry_id)
        await self._inventories.remove_entry(self._acting("remove", place), place)

    def _acting(self, verb: str, place: "Place") -> "Caller":
        kind = place.thing.kind
        return acting_at_the_command_line(self._caller, f"{verb}{kind[0].upper()}{kind[1:]}")


class Afar:
    """A service."""

    def __init__(self, client: "StepswitchClient") -> None:
        self._inventory = client.inventory

    async def get(self) -> tuple[Document, str | None]:
        """See `InventoryPlace`."""
        found = await self._inventory.get()
        return found.document, found.etag

    async def get_all(self) -> Document:
        """See `InventoryPlace`."""
        return (await self._inventory.get(with_sources=True)).document

    async def source_states(self) -> Sequence[SourceLine]:
        """See `InventoryPlace`."""
        return [_distant_line(each) for each in await self._inventory.source_states()]

    async def refresh(self, source: str) -> SourceLine:
        """See `InventoryPlace`."""
        return _distant_line(await self._inventory.refresh_source(source))

    async def entry(self, section: Section, entry_id: str) -> Document:
        """See `InventoryPlace`."""
        return (await self._inventory.get_entry(section, entry_id)).document

    async def replace(self, document: Document) -> str:
        """See `InventoryPlace`."""
        before, etag = await self.get()
        after = await self._inventory.replace(document, if_match=etag)
        return _changes(before, after.document)

    async def put(self, section: Section, entry_id: str, entry: Document) -> None:
        """See `InventoryPlace`."""
        await self._inventory.put_entry(section, entry_id, entry)

    async def remove(self, section: Section, entry_id: str) -> None:
        """See `InventoryPlace`."""
        await self._inventory.remove_entry(section, entry_id)


def look_after(use: Callable[[InventoryPlace], Awaitable[Answer]], data_dir: Path | None, config: Path | None, url: str | None) -> Answer:
    """Return what `use` makes of a place; raises SettingsError where two are named, and ends the command where a service refuses."""
    return in_one_place(lambda settings: _beside(use, settings), lambda client: use(Afar(client)), data_dir, config, url)


async def _beside(use: Callable[[InventoryPlace], Awaitable[Answer]], settings: "Settings") -> Answer:
    from stepswitch.bootstrap import open_inventories  # noqa: PLC0415 - loads what --help does not need

    async with open_inventories(settings) as opened:
        return await use(Beside(opened, local_administrator()))


def _place(section: Section, entry_id: str) -> "Place":
    from stepswitch.engine.inventories import Place  # noqa: PLC0415

    return Place(section, entry_id)


def _line(shown: "ShownSource") -> SourceLine:
    reading = shown.reading
    read, failing = (
        None if each is None else datetime.fromtimestamp(each / 1000, UTC) for each in (reading.read_at, reading.failing_since)
    )
    error = None if reading.failure is None else reading.failure.message
    counts = (shown.functions, shown.services, shown.machines)
    return SourceLine(shown.source, shown.state, read, failing, error, counts, tuple(shown.problems), shown.is_being_read)


def _distant_line(source: "SourceStanding") -> SourceLine:
    counts = (source.network_functions, source.network_services, source.virtual_machines)
    return SourceLine(
        source.source, source.state, source.read_at, source.failing_since, source.error, counts, source.problems, source.is_being_read
    )


def _changes(before: Document, after: Document) -> str:
    """Return how many entries are new, other ones, and gone."""
    old, new = (
        {(section, name): entry for section in Section for name, entry in (each.get(section) or {}).items()} for each in (before, after)
    )
    added, gone = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    changed = sum(old[place] != new[place] for place in old.keys() & new.keys())
    return f"{added} new, {changed} changed, {gone} gone"
