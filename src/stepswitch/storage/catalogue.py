"""Workflows with their revisions, over any `Database`. Implements `engine.ports.CatalogueStore`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from stepswitch.domain.errors import CommitInDoubtError
from stepswitch.engine.audit import Entry
from stepswitch.engine.budget import Kept, size_in_memory
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.kept_passwords import mentions_passwords
from stepswitch.engine.records import Revision, StoredWorkflow
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.documents import dump_document, workflow_in
from stepswitch.storage.encoding import searchable
from stepswitch.storage.file_uses import add_uses, drop_uses, workflow_owner
from stepswitch.storage.places import revision_place, workflow_place
from stepswitch.storage.searched import SEARCHED, searched_of_workflow
from stepswitch.storage.tables import workflow_revisions, workflows

_W, _R = workflows.c, workflow_revisions.c
_INSERT: Final = Statement(insert(workflows))
_GET: Final = Statement(
    select(_W.created_at, _W.creation_user, _W.revision, _W.body).where(_W.tenant == bindparam("tenant"), _W.id == bindparam("id"))
)
_REPLACE: Final = Statement(
    update(workflows)
    .where(_W.id == bindparam("the_id"), _W.tenant == bindparam("the_tenant"), _W.revision == bindparam("read_revision"))
    .values({name: bindparam(name) for name in ("name", "revision", "body", "sealed_with", *SEARCHED)})
)
_DELETE: Final = Statement(
    delete(workflows).where(_W.id == bindparam("id"), _W.tenant == bindparam("tenant"), _W.revision == bindparam("revision"))
)
_OF_ONE: Final = (_R.tenant == bindparam("tenant"), _R.workflow_id == bindparam("id"))
_ADD_REVISION: Final = Statement(insert(workflow_revisions))
_DELETE_REVISIONS: Final = Statement(delete(workflow_revisions).where(*_OF_ONE))
_REVISIONS: Final = Statement(select(_R.revision, _R.changed_at, _R.changed_by).where(*_OF_ONE).order_by(_R.revision))
_REVISION: Final = Statement(select(_R.body).where(*_OF_ONE, _R.revision == bindparam("number")))
KEPT_BYTES: Final = 16 * 1024 * 1024


class SqlCatalogueStore:
    """Workflows in a table; those read last are kept, and every change goes through here."""

    def __init__(self, database: Database, kept_bytes: int = KEPT_BYTES) -> None:
        self._database = database
        self._changes = 0
        self._kept: Kept[tuple[str, str], StoredWorkflow] = Kept(kept_bytes)

    async def create(self, workflow: StoredWorkflow, entry: Entry | None = None) -> None:
        """See `CatalogueStore`."""
        row = {
            "id": workflow.id,
            "tenant": workflow.tenant,
            "created_at": workflow.created_at,
            "creation_user": workflow.creation_user,
            **_columns(workflow),
        }
        revision = _revision(workflow, workflow.created_at, workflow.creation_user)
        await self._write([Op(_INSERT, row, 1, _place_of(workflow)), revision, *_uses(workflow)], entry)

    async def replace(self, workflow: StoredWorkflow, changed_at: int, changed_by: str, entry: Entry | None = None) -> None:
        """See `CatalogueStore`."""
        row = {
            "the_id": workflow.id,
            "the_tenant": workflow.tenant,
            "read_revision": workflow.revision - 1,
            **_columns(workflow),
        }
        ops = [Op(_REPLACE, row, 1, _place_of(workflow)), _revision(workflow, changed_at, changed_by), *_uses(workflow)]
        await self._change(workflow, ops, entry)

    async def delete(self, workflow: StoredWorkflow, entry: Entry | None = None) -> None:
        """See `CatalogueStore`."""
        row = {"id": workflow.id, "tenant": workflow.tenant, "revision": workflow.revision}
        ops = [Op(_DELETE, row, 1), Op(_DELETE_REVISIONS, {"tenant": workflow.tenant, "id": workflow.id}), drop_uses(_owner(workflow))]
        await self._change(workflow, ops, entry)

    async def _change(self, workflow: StoredWorkflow, ops: Sequence[Op], entry: Entry | None) -> None:
        """Write `ops`; nothing that was read before they were on disk is kept."""
        try:
            await self._write(ops, entry)
        except CommitInDoubtError:
            self._forget(workflow)
            raise
        self._forget(workflow)

    async def _write(self, ops: Sequence[Op], entry: Entry | None) -> None:
        reach(CrashPoint.WORKFLOW_UNSAVED)
        await write_audited(self._database, ops, entry)
        reach(CrashPoint.WORKFLOW_SAVED)

    def _forget(self, workflow: StoredWorkflow) -> None:
        self._changes += 1
        self._kept.pop((workflow.tenant, workflow.id))

    async def get(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        """See `CatalogueStore`."""
        return self._kept.get((tenant, workflow_id)) or await self._read(tenant, workflow_id)

    async def _read(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        changes = self._changes
        query = Query(_GET, {"tenant": tenant, "id": workflow_id}, place=lambda _: workflow_place(tenant, workflow_id))
        (found,) = await self._database.read([query])
        if not found:
            return None
        created_at, user, revision, body = found[0]
        workflow = StoredWorkflow(workflow_id, tenant, created_at, user, revision, **workflow_in(body))
        if changes == self._changes:  # else it may be this very workflow that has just changed
            self._kept.put((tenant, workflow_id), workflow, size_in_memory(workflow.document))
        return workflow

    async def revisions(self, workflow: StoredWorkflow) -> Sequence[Revision]:
        """See `CatalogueStore`."""
        (found,) = await self._database.read([Query(_REVISIONS, {"tenant": workflow.tenant, "id": workflow.id})])
        return [Revision(*row) for row in found]

    async def revision(self, workflow: StoredWorkflow, number: int) -> StoredWorkflow | None:
        """See `CatalogueStore`."""
        place = revision_place(workflow.tenant, workflow.id, number)
        params = {"tenant": workflow.tenant, "id": workflow.id, "number": number}
        (found,) = await self._database.read([Query(_REVISION, params, place=lambda _: place)])
        return replace(workflow, revision=number, **workflow_in(found[0][0])) if found else None


def _place_of(workflow: StoredWorkflow) -> bytes | None:
    return workflow_place(workflow.tenant, workflow.id) if mentions_passwords(workflow.document) else None


def _owner(workflow: StoredWorkflow) -> str:
    return workflow_owner(workflow.tenant, workflow.id)


def _columns(workflow: StoredWorkflow) -> dict[str, Any]:
    return {
        "name": searchable(workflow.document["name"]),
        "revision": workflow.revision,
        "body": dump_document(workflow),
        **searched_of_workflow(workflow.document),
    }


def _revision(workflow: StoredWorkflow, changed_at: int, changed_by: str) -> Op:
    row = {
        "tenant": workflow.tenant,
        "workflow_id": workflow.id,
        "revision": workflow.revision,
        "changed_at": changed_at,
        "changed_by": changed_by,
        "body": dump_document(workflow),
    }
    is_confidential = mentions_passwords(workflow.document)
    place = revision_place(workflow.tenant, workflow.id, workflow.revision) if is_confidential else None
    return Op(_ADD_REVISION, row, 1, place)


def _uses(workflow: StoredWorkflow) -> Sequence[Op]:
    """Return what keeps the files of this revision; those of the ones before stay, for they can be brought back."""
    attachments = workflow.document.get("attachments")
    entries = attachments.values() if isinstance(attachments, Mapping) else attachments if isinstance(attachments, list) else ()
    ids = {entry["id"] for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)}
    return add_uses(workflow.tenant, _owner(workflow), ids)
