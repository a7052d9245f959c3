"""Risk: of two changes at once one is lost without a word, a tenant is given another one's inventory, or a change is known too late or to nobody."""

from dataclasses import replace

import pytest

from stepswitch.domain.errors import StoreError, VersionConflictError
from stepswitch.domain.inventory import NOTHING_KNOWN
from stepswitch.engine.inventory_ports import StoredInventory
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.storage.database import Database
from stepswitch.storage.inventories import SqlInventoryStore
from tests.domain.inventories import FULL

FIRST = StoredInventory("north", {"sites": {"paris": {}}}, 1, 1_900_000_000_000, "ann", "digest")


@pytest.fixture
def store(database: Database) -> SqlInventoryStore:
    return SqlInventoryStore(database)


async def test_an_inventory_comes_back_as_it_was_stored_and_to_its_tenant_only(store: SqlInventoryStore) -> None:
    assert (await store.load("north"), await store.revision("north")) == (StoredInventory("north"), 0)
    await store.put(FIRST)
    second = replace(FIRST, document=FULL, revision=2, changed_by="eve")
    await store.put(second)
    assert (await store.load("north"), await store.revision("north")) == (second, 2)
    assert (await store.load("south"), await store.revision("south")) == (StoredInventory("south"), 0)


@pytest.mark.parametrize("revision", [1, 2, 4])
async def test_a_change_of_what_is_no_longer_stored_changes_nothing(store: SqlInventoryStore, revision: int) -> None:
    await store.put(FIRST)
    stored = replace(FIRST, revision=2)
    await store.put(stored)
    with pytest.raises(VersionConflictError):
        await store.put(replace(FIRST, revision=revision, document=FULL))
    assert await store.load("north") == stored


async def test_what_another_process_has_changed_is_known_with_the_next_look(
    store: SqlInventoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KnownInventories(store)
    assert await known.of("north") is NOTHING_KNOWN
    await store.put(FIRST)
    found = await known.of("north")
    assert list(found.sites) == ["paris"]
    with monkeypatch.context() as patched:
        patched.setattr(store, "load", None)  # what is at hand is not read once more
        assert await known.of("north") is found
    await store.put(replace(FIRST, document=FULL, revision=2))
    assert (await known.of("north")).network_functions["nf-1"].vim_location == "paris-vc"
    assert await known.of("south") is NOTHING_KNOWN


async def test_a_stored_inventory_that_cannot_be_read_is_said_so_and_not_taken_for_an_empty_one(store: SqlInventoryStore) -> None:
    await store.put(replace(FIRST, document={"sites": {"paris": {"later": 1}}}))
    with pytest.raises(StoreError, match=r"north cannot be read: sites\.paris\.later"):
        await KnownInventories(store).of("north")
