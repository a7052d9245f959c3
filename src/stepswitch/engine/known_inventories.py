"""The inventories that executions look into, kept at hand for as long as they are the stored ones. Implements `InventoryFinder`; made by `bootstrap`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.errors import StoreError
from stepswitch.domain.findings import Merged, merged
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.engine.budget import aside
from stepswitch.engine.inventory_ports import InventoryStore, Reading, StoredInventory
from stepswitch.engine.inventory_records import is_large


@dataclass(frozen=True, slots=True)
class KnownInventory:
    """An inventory with what its sources brought; by source what of that nobody can use, and who has changed the source last."""

    inventory: Inventory = NOTHING_KNOWN
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)
    editors: Mapping[str, str] = field(default_factory=dict)


_NOTHING: Final = KnownInventory()


class KnownInventories:
    """Asks each time what is stored by now, which is one row by its key, and reads the document when it is another one.

    So what another process has changed is known with the next look.
    """

    def __init__(self, store: InventoryStore) -> None:
        self._store = store
        self._held: dict[str, tuple[tuple[int, int], KnownInventory]] = {}
        self._reading = asyncio.Lock()

    async def of(self, tenant: str) -> Inventory:
        """See `InventoryFinder`; raises StoreError where the stored document cannot be read by this release."""
        return (await self.known(tenant)).inventory

    async def known(self, tenant: str) -> KnownInventory:
        """Return the inventory with all that is known of it; raises as `of` does."""
        moment = await self._store.moment(tenant)
        if not moment[0]:
            return _NOTHING
        held = self._held.get(tenant)
        if held is not None and held[0] == moment:
            return held[1]
        async with self._reading:  # a large one takes seconds: all who ask meanwhile wait for one reading
            held = self._held.get(tenant)
            if held is None or held[0] < moment:
                held = self._held[tenant] = await self._read(tenant)
        return held[1]

    async def _read(self, tenant: str) -> tuple[tuple[int, int], KnownInventory]:
        stored = await self._store.load(tenant)  # before the readings: what is found meanwhile is read once more, and never missed
        readings = await self._store.readings(tenant) if stored.document.get("sources") else ()
        is_slow = bool(readings) or is_large(stored.document)
        found = await aside(lambda: _with_findings(stored, readings), is_slow=is_slow)
        return (stored.revision, stored.findings), KnownInventory(found.inventory, found.problems, stored.editors)


def _with_findings(stored: StoredInventory, readings: Sequence[Reading]) -> Merged:
    read = read_inventory(stored.document)
    if read.inventory is None:
        raise StoreError(f"the stored inventory of the tenant {stored.tenant} cannot be read: {read.faults[0]}")
    sources = read.inventory.sources
    valid = {each.source: each.findings for each in readings if each.source in sources and each.place == sources[each.source].place}
    return merged(read.inventory, valid)
