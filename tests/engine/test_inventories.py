"""Risk: a change overwrites what another process has changed in the moment between."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from stepswitch.domain.errors import InvalidRequestError, PreconditionFailedError, VersionConflictError
from stepswitch.domain.inventory import Section
from stepswitch.engine.audit import Entry
from stepswitch.engine.callers import administrator
from stepswitch.engine.credential_checks import NO_CHECKS
from stepswitch.engine.inventories import Inventories, Place
from stepswitch.engine.inventory_ports import Reading, StoredInventory
from tests.clocks import FakeClock

ANN = administrator("ann")
ROME = Place(Section.SITES, "rome")


class Shared:
    """A store of one inventory, which another process changes right before a change comes, as often as is said."""

    def __init__(self, meanwhile: dict[str, Any], times: int = 1) -> None:
        self.stored = StoredInventory("default", {"sites": {"paris": {}}}, 1)
        self.meanwhile, self.left = meanwhile, times

    async def moment(self, tenant: str) -> tuple[int, int]:
        return self.stored.revision, self.stored.findings

    async def load(self, tenant: str) -> StoredInventory:
        return self.stored

    async def put(self, inventory: StoredInventory, entry: Entry | None = None, gone: Sequence[str] = ()) -> None:
        if self.left:
            self.left -= 1
            self.stored = replace(self.stored, document=self.meanwhile, revision=self.stored.revision + 1)
        if inventory.revision != self.stored.revision + 1:
            raise VersionConflictError("somebody was first")
        self.stored = inventory

    async def with_sources(self) -> Sequence[str]:
        return []

    async def readings(self, tenant: str) -> Sequence[Reading]:
        return []

    async def reading(self, tenant: str, source: str) -> Reading | None:
        return None

    async def note(self, tenant: str, reading: Reading, *, with_findings: bool) -> None:
        raise AssertionError("nothing is read here")


def over(store: Shared) -> Inventories:
    return Inventories(store, NO_CHECKS._store, FakeClock())


async def test_a_change_is_made_to_what_another_process_has_left() -> None:
    store = Shared({"sites": {"paris": {}, "oslo": {}}})
    await over(store).put_entry(ANN, ROME, {})
    assert list(store.stored.document["sites"]) == ["paris", "oslo", "rome"]
    assert store.stored.revision == 3


async def test_a_change_that_does_not_fit_what_another_process_has_left_is_refused() -> None:
    used = {"sites": {"paris": {}}, "devices": {"d": {"addresses": ["d.example"], "site": "paris"}}}
    store = Shared(used)
    with pytest.raises(InvalidRequestError, match=r"devices\.d\.site"):
        await over(store).remove_entry(ANN, Place(Section.SITES, "paris"))
    assert store.stored.document == used
    store = Shared(used)
    with pytest.raises(PreconditionFailedError):
        await over(store).replace(ANN, {}, frozenset([store.stored.tag]))
    assert store.stored.document == used


async def test_who_is_always_too_late_is_told_in_the_end() -> None:
    store = Shared({"sites": {}}, times=1_000)
    with pytest.raises(VersionConflictError):
        await over(store).put_entry(ANN, ROME, {})
    assert store.left > 900
