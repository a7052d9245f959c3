"""Where an inventory is looked after: a data directory, also beside a running service, or a service. Called by `inventory`."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from stepswitch.cli.administration import acting_at_the_command_line, in_one_place, local_administrator
from stepswitch.domain.inventory import Section

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient
    from stepswitch.config.settings import Settings
    from stepswitch.engine.callers import Caller
    from stepswitch.engine.inventories import Inventories, Place

Answer = TypeVar("Answer")
Document = Mapping[str, Any]


class InventoryPlace(Protocol):
    """What can be done in either place."""

    async def get(self) -> tuple[Document, str | None]:
        """Return the whole inventory, and the tag of the state that it is in."""
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

    def __init__(self, inventories: "Inventories", caller: "Caller") -> None:
        self._inventories = inventories
        self._caller = caller

    async def get(self) -> tuple[Document, str | None]:
        """See `InventoryPlace`."""
        found = await self._inventories.get(self._caller)
        return found.document, found.tag

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

    async with open_inventories(settings) as inventories:
        return await use(Beside(inventories, local_administrator()))


def _place(section: Section, entry_id: str) -> "Place":
    from stepswitch.engine.inventories import Place  # noqa: PLC0415

    return Place(section, entry_id)


def _changes(before: Document, after: Document) -> str:
    """Return how many entries are new, other ones, and gone."""
    old, new = (
        {(section, name): entry for section in Section for name, entry in (each.get(section) or {}).items()} for each in (before, after)
    )
    added, gone = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    changed = sum(old[place] != new[place] for place in old.keys() & new.keys())
    return f"{added} new, {changed} changed, {gone} gone"
