"""Workflows, over any `Database`. Implements `engine.ports.CatalogueStore`."""

from collections import OrderedDict
from typing import Final

from sqlalchemy import bindparam, insert, select

from stepswitch.engine.records import StoredWorkflow
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.encoding import dump_row, load_row, searchable
from stepswitch.storage.tables import workflows

_W = workflows.c
_INSERT: Final = Statement(insert(workflows))
_GET: Final = Statement(
    select(_W.created_at, _W.creation_user, _W.revision, _W.body).where(_W.tenant == bindparam("tenant"), _W.id == bindparam("id"))
)
KEPT: Final = 500


class SqlCatalogueStore:
    """Workflows in a table; those read last are kept, and every change goes through here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[str, str], StoredWorkflow] = OrderedDict()

    async def create(self, workflow: StoredWorkflow) -> None:
        """See `CatalogueStore`."""
        row = {
            "id": workflow.id,
            "tenant": workflow.tenant,
            "name": searchable(workflow.document["name"]),
            "created_at": workflow.created_at,
            "creation_user": workflow.creation_user,
            "revision": workflow.revision,
            "body": dump_row({"document": workflow.document}),
        }
        await self._database.write([Op(_INSERT, row, 1)])

    async def get(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        """See `CatalogueStore`."""
        kept = self._kept.get((tenant, workflow_id))
        if kept is None:
            return await self._read(tenant, workflow_id)
        self._kept.move_to_end((tenant, workflow_id))
        return kept

    async def _read(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        (found,) = await self._database.read([Query(_GET, {"tenant": tenant, "id": workflow_id})])
        if not found:
            return None
        created_at, user, revision, body = found[0]
        workflow = StoredWorkflow(workflow_id, tenant, created_at, user, revision, load_row(body)["document"])
        self._kept[tenant, workflow_id] = workflow
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return workflow
