"""The inventory, wired: who looks after it, and the file that is loaded at a start. Called by `wiring` and the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from stepswitch.bootstrap.keys import open_keys_beside
from stepswitch.bootstrap.sources import wire_sources
from stepswitch.config.settings import Settings
from stepswitch.engine.audit import Actor, Entry
from stepswitch.engine.callers import DEFAULT_TENANT
from stepswitch.engine.inventories import Inventories
from stepswitch.engine.inventory_sources import InventorySources
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.ports import Clock
from stepswitch.inventory.file import InventoryFile, read_file
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.credentials import SqlCredentialStore
from stepswitch.storage.database import Database
from stepswitch.storage.inventories import SqlInventoryStore
from stepswitch.system import SystemClock

_log = structlog.get_logger("stepswitch")


def wire_inventories(database: Database, known: KnownInventories, clock: Clock) -> Inventories:
    """Return who looks after inventories, in a database whose keys are at hand."""
    return Inventories(SqlInventoryStore(database), SqlCredentialStore(database), clock, known)


def known_inventories(database: Database) -> KnownInventories:
    """Return who keeps inventories at hand for those who look into them."""
    return KnownInventories(SqlInventoryStore(database))


def read_inventory_file(settings: Settings) -> InventoryFile | None:
    """Return what the inventory file says, None where the settings name none; raises SettingsError with every fault, before anything is made."""
    return None if settings.inventory_file is None else read_file(settings.inventory_file)


async def load_inventory(inventories: Inventories, file: InventoryFile | None, clock: Clock) -> None:
    """Store what the file says unless it was loaded already, and say in the log which credentials it wants that nobody has made."""
    if file is None:
        return
    entry = Entry("replaceInventory", clock.now(), "", "", Actor.SYSTEM)
    if await inventories.load_file(file.document, file.digest, entry):
        _log.info("the inventory file was loaded")
    missing = await inventories.missing_credentials(DEFAULT_TENANT, file.document)
    if missing:
        _log.warning("the inventory file names credentials that nobody has made", credentials=missing[:20], number=len(missing))


@dataclass(frozen=True, slots=True)
class OpenInventories:
    """Who looks after the inventories of a data directory, and who reads their sources."""

    written: Inventories
    sources: InventorySources


@asynccontextmanager
async def open_inventories(settings: Settings) -> AsyncIterator[OpenInventories]:
    """Give the inventories of the settings' data directory, which a running service may be using at the same time."""
    async with open_keys_beside(settings) as database:
        known, clock = known_inventories(database), SystemClock()
        sources = wire_sources(settings, database, known, SqlAccountStore(database), clock)
        try:
            yield OpenInventories(wire_inventories(database, known, clock), sources)
        finally:
            await sources.close()
