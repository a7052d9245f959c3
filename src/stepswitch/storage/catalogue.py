"""Workflows, over any `Database`. Implements `engine.ports.CatalogueStore`."""

from typing import Final

from sqlalchemy import bindparam, insert, select

from stepswitch.engine.budget import Kept
from stepswitch.engine.records import StoredWorkflow
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.encoding import dump_row, load_row, searchable
from stepswitch.storage.tables import workflows

_W = workflows.c
_INSERT: Final = Statement(insert(workflows))
_GET: Final = Statement(
    select(_W.created_at, _W.creation_user, _W.revision, _W.body).where(_W.tenant == bindparam("tenant"), _W.id == bindparam("id"))
)
KEPT_BYTES: Final = 32 * 1024 * 1024


class SqlCatalogueStore:
    """Workflows in a table; those read last are kept, and every change goes through here."""

    def __init__(self, database: Database, kept_bytes: int = KEPT_BYTES) -> None:
        self._database = database
        self._kept: Kept[tuple[str, str], StoredWorkflow] = Kept(kept_bytes)

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
        return self._kept.get((tenant, workflow_id)) or await self._read(tenant, workflow_id)

    async def _read(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        (found,) = await self._database.read([Query(_GET, {"tenant": tenant, "id": workflow_id})])
        if not found:
            return None
        created_at, user, revision, body = found[0]
        workflow = StoredWorkflow(workflow_id, tenant, created_at, user, revision, load_row(body)["document"])
        self._kept.put((tenant, workflow_id), workflow, len(body))
        return workflow
