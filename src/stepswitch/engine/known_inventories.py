"""The inventories that executions look into, kept at hand for as long as they are the stored ones. Implements `InventoryFinder`; made by `bootstrap`."""

import asyncio

from stepswitch.domain.errors import StoreError
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.engine.budget import aside
from stepswitch.engine.inventory_ports import InventoryStore
from stepswitch.engine.inventory_records import is_large


class KnownInventories:
    """Asks each time which revision is stored, which is one row by its key, and reads the document when it is another one.

    So what another process has changed is known with the next look.
    """

    def __init__(self, store: InventoryStore) -> None:
        self._store = store
        self._held: dict[str, tuple[int, Inventory]] = {}
        self._reading = asyncio.Lock()

    async def of(self, tenant: str) -> Inventory:
        """See `InventoryFinder`; raises StoreError where the stored document cannot be read by this release."""
        revision = await self._store.revision(tenant)
        if not revision:
            return NOTHING_KNOWN
        held = self._held.get(tenant)
        if held is not None and held[0] == revision:
            return held[1]
        async with self._reading:  # a large one takes seconds: all who ask meanwhile wait for one reading
            held = self._held.get(tenant)
            if held is None or held[0] < revision:
                held = self._held[tenant] = await self._read(tenant)
        return held[1]

    async def _read(self, tenant: str) -> tuple[int, Inventory]:
        stored = await self._store.load(tenant)
        read = await aside(lambda: read_inventory(stored.document), is_slow=is_large(stored.document))
        if read.inventory is None:
            raise StoreError(f"the stored inventory of the tenant {tenant} cannot be read: {read.faults[0]}")
        return stored.revision, read.inventory
