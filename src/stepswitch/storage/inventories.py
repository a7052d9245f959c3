"""Inventories, over any `Database`. Implements `engine.inventory_ports.InventoryStore`.

Nothing is kept at hand here: the revision is asked each time, so that what another process has changed is found.
"""

from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from stepswitch.engine.audit import Entry
from stepswitch.engine.inventory_ports import StoredInventory
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.encoding import dump_row, load_row, refuse_foreign
from stepswitch.storage.tables import inventories

_I: Final = inventories.c
_REVISION: Final = Statement(select(_I.revision).where(_I.tenant == bindparam("of")))
_LOAD: Final = Statement(select(_I.revision, _I.body).where(_I.tenant == bindparam("of")))
_FIRST: Final = Statement(insert(inventories))
_NEXT: Final = Statement(
    update(inventories)
    .where(_I.tenant == bindparam("of"), _I.revision == bindparam("read_revision"))
    .values(revision=bindparam("revision"), body=bindparam("body"))
)


class SqlInventoryStore:
    """Inventories in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self, tenant: str) -> int:
        """See `InventoryStore`."""
        (found,) = await self._database.read([Query(_REVISION, {"of": tenant})])
        return int(found[0][0]) if found else 0

    async def load(self, tenant: str) -> StoredInventory:
        """See `InventoryStore`."""
        (found,) = await self._database.read([Query(_LOAD, {"of": tenant})])
        return _inventory(tenant, found[0]) if found else StoredInventory(tenant)

    async def put(self, inventory: StoredInventory, entry: Entry | None = None) -> None:
        """See `InventoryStore`."""
        body = {name: getattr(inventory, name) for name in ("document", "changed_at", "changed_by", "file_digest")}
        row: dict[str, Any] = {"revision": inventory.revision, "body": dump_row(body)}
        if inventory.revision == 1:
            op = Op(_FIRST, {"tenant": inventory.tenant, **row}, 1)
        else:
            op = Op(_NEXT, {"of": inventory.tenant, "read_revision": inventory.revision - 1, **row}, 1)
        await write_audited(self._database, [op], entry)


def _inventory(tenant: str, row: Row) -> StoredInventory:
    plain = load_row(row[1])
    with refuse_foreign("an inventory"):
        return StoredInventory(tenant, dict(plain["document"]), row[0], plain["changed_at"], plain["changed_by"], plain["file_digest"])
