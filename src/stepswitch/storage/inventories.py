"""Inventories, over any `Database`. Implements `engine.inventory_ports.InventoryStore`.

Nothing is kept at hand here: the revision is asked each time, so that what another process has changed is found.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from stepswitch.engine.audit import Entry
from stepswitch.engine.inventory_ports import Reading, StoredInventory
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.encoding import dump_row, load_row, refuse_foreign
from stepswitch.storage.readings import all_readings, forgetting, noting, one_reading, reading_of
from stepswitch.storage.tables import inventories

_I: Final = inventories.c
_MOMENT: Final = Statement(select(_I.revision, _I.findings).where(_I.tenant == bindparam("of")))
_LOAD: Final = Statement(select(_I.revision, _I.findings, _I.body).where(_I.tenant == bindparam("of")))
_WITH_SOURCES: Final = Statement(select(_I.tenant).where(_I.sources > 0).order_by(_I.tenant))
_FIRST: Final = Statement(insert(inventories))
_NEXT: Final = Statement(
    update(inventories)
    .where(_I.tenant == bindparam("of"), _I.revision == bindparam("read_revision"))
    .values(revision=bindparam("revision"), sources=bindparam("sources"), body=bindparam("body"))
)
_BODY: Final = ("document", "changed_at", "changed_by", "file_digest", "editors")


class SqlInventoryStore:
    """Inventories in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def moment(self, tenant: str) -> tuple[int, int]:
        """See `InventoryStore`."""
        (found,) = await self._database.read([Query(_MOMENT, {"of": tenant})])
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)

    async def load(self, tenant: str) -> StoredInventory:
        """See `InventoryStore`."""
        (found,) = await self._database.read([Query(_LOAD, {"of": tenant})])
        return _inventory(tenant, found[0]) if found else StoredInventory(tenant)

    async def put(self, inventory: StoredInventory, entry: Entry | None = None, gone: Sequence[str] = ()) -> None:
        """See `InventoryStore`."""
        body = {name: getattr(inventory, name) for name in _BODY}
        sources = len(inventory.document.get("sources") or {})
        row: dict[str, Any] = {"revision": inventory.revision, "sources": sources, "body": dump_row(body)}
        if inventory.revision == 1:
            op = Op(_FIRST, {"tenant": inventory.tenant, "findings": 0, **row}, 1)
        else:
            op = Op(_NEXT, {"of": inventory.tenant, "read_revision": inventory.revision - 1, **row}, 1)
        await write_audited(self._database, [op, *(forgetting(inventory.tenant, source) for source in gone)], entry)

    async def with_sources(self) -> Sequence[str]:
        """See `InventoryStore`."""
        (found,) = await self._database.read([Query(_WITH_SOURCES)])
        return [tenant for (tenant,) in found]

    async def readings(self, tenant: str) -> Sequence[Reading]:
        """See `InventoryStore`."""
        (found,) = await self._database.read([all_readings(tenant)])
        return [reading_of(row) for row in found]

    async def reading(self, tenant: str, source: str) -> Reading | None:
        """See `InventoryStore`."""
        (found,) = await self._database.read([one_reading(tenant, source)])
        return reading_of(found[0]) if found else None

    async def note(self, tenant: str, reading: Reading, *, with_findings: bool) -> None:
        """See `InventoryStore`."""
        await self._database.write(noting(tenant, reading, with_findings=with_findings))


def _inventory(tenant: str, row: Row) -> StoredInventory:
    plain = load_row(row[2])
    with refuse_foreign("an inventory"):
        return StoredInventory(tenant, revision=row[0], findings=row[1], **{name: plain[name] for name in _BODY})
