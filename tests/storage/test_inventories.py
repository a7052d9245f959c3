"""Risk: of two changes at once one is lost without a word, a tenant is given another one's inventory, or a change is known too late or to nobody."""

from dataclasses import replace

import pytest

from stepswitch.domain.errors import ErrorCode, StoreError, VersionConflictError
from stepswitch.domain.findings import Findings, FoundFunction, FoundMachine, FoundService
from stepswitch.domain.inventory import NOTHING_KNOWN
from stepswitch.engine.inventory_ports import Failure, Reading, StoredInventory
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.storage.database import Database
from stepswitch.storage.inventories import SqlInventoryStore
from tests.domain.inventories import FULL

FIRST = StoredInventory("north", {"sites": {"paris": {}}}, 1, 1_900_000_000_000, "ann", "digest")


@pytest.fixture
def store(database: Database) -> SqlInventoryStore:
    return SqlInventoryStore(database)


async def test_an_inventory_comes_back_as_it_was_stored_and_to_its_tenant_only(store: SqlInventoryStore) -> None:
    assert (await store.load("north"), await store.moment("north")) == (StoredInventory("north"), (0, 0))
    await store.put(FIRST)
    second = replace(FIRST, document=FULL, revision=2, changed_by="eve")
    await store.put(second)
    assert (await store.load("north"), await store.moment("north")) == (second, (2, 0))
    assert (await store.load("south"), await store.moment("south")) == (StoredInventory("south"), (0, 0))


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


SOURCES = {"vnfm": {"kind": "SOL003", "url": "https://vnfm.example.net"}, "nfvo": {"kind": "SOL005", "url": "https://nfvo.example.net"}}
WITH_SOURCES = replace(
    FIRST, document={"vimLocations": {"v": {"vro": {"url": "https://vro.example.net"}}}, "sources": SOURCES}, editors={"vnfm": "ann"}
)
FINDINGS = Findings(
    (FoundFunction("nf", "SMF", "d", True, False, (("vim-1", "v"),), (FoundMachine("vm-1", ("v",)), FoundMachine("vm-2"))),),
    (FoundService("ns", "core", "d", ("nf",)),),
    ("a problem",),
)
READING = Reading("vnfm", "SOL003 https://vnfm.example.net ", FINDINGS, 3, 4, 2, Failure(ErrorCode.LOGIN_REFUSED, "no"))


async def test_what_was_read_comes_back_as_it_was_and_what_is_found_is_known_with_the_next_look(store: SqlInventoryStore) -> None:
    await store.put(WITH_SOURCES)
    known = KnownInventories(store)
    assert (await known.of("north")).network_functions == {}
    await store.note("north", READING, with_findings=True)
    assert (await store.reading("north", "vnfm"), await store.readings("north")) == (READING, [READING])
    assert (await store.reading("north", "nfvo"), await store.readings("south")) == (None, [])
    assert await store.moment("north") == (1, 1)
    found = await known.known("north")
    assert (found.inventory.network_functions["nf"].vim_location, found.problems["vnfm"], found.editors) == (
        "v",
        ("a problem",),
        {"vnfm": "ann"},
    )
    state = replace(READING, findings=Findings(), failure=None, failing_since=None, read_at=9)
    await store.note("north", state, with_findings=False)
    assert await store.reading("north", "vnfm") == replace(state, findings=FINDINGS)
    assert await known.known("north") is found
    changed = replace(WITH_SOURCES, revision=2, document={**WITH_SOURCES.document, "sites": {"paris": {}}})
    await store.put(changed)
    assert await store.load("north") == replace(changed, findings=1)


async def test_what_was_read_elsewhere_or_from_a_source_that_is_gone_is_not_known(store: SqlInventoryStore) -> None:
    await store.put(WITH_SOURCES)
    await store.note("north", replace(READING, place="SOL003 https://old.example.net "), with_findings=True)
    known = KnownInventories(store)
    assert (await known.of("north")).network_functions == {}
    await store.note("north", READING, with_findings=True)
    assert "nf" in (await known.of("north")).network_functions
    await store.note("north", replace(READING, source="nfvo"), with_findings=True)
    await store.put(replace(WITH_SOURCES, revision=2, document={"sources": {"nfvo": SOURCES["nfvo"]}}), gone=["vnfm"])
    assert [each.source for each in await store.readings("north")] == ["nfvo"]
    assert (await known.of("north")).network_functions == {}


async def test_tenants_with_sources_are_found_and_nothing_is_stored_for_one_without_inventory(store: SqlInventoryStore) -> None:
    await store.put(FIRST)
    assert await store.with_sources() == []
    await store.put(replace(WITH_SOURCES, tenant="south"))
    assert await store.with_sources() == ["south"]
    with pytest.raises(VersionConflictError):
        await store.note("west", READING, with_findings=True)
    assert await store.readings("west") == []
    await store.put(replace(FIRST, tenant="south", revision=2), gone=list(SOURCES))
    assert await store.with_sources() == []


async def test_a_stored_inventory_that_cannot_be_read_is_said_so_and_not_taken_for_an_empty_one(store: SqlInventoryStore) -> None:
    await store.put(replace(FIRST, document={"sites": {"paris": {"later": 1}}}))
    with pytest.raises(StoreError, match=r"north cannot be read: sites\.paris\.later"):
        await KnownInventories(store).of("north")
