"""Whom a file belongs to. Written by the stores of workflows and executions together with their own rows; read by `files`."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.engine.records import Save
from stepswitch.storage.database import Op, Statement
from stepswitch.storage.encoding import dump, searchable
from stepswitch.storage.tables import file_uses, files

_ADD: Final = Statement(
    upsert(file_uses)
    .from_select(
        ["file_id", "owner"],
        select(files.c.id, bindparam("owner")).where(files.c.id == bindparam("file_id"), files.c.tenant == bindparam("tenant")),
    )
    .on_conflict_do_nothing()
)
"""Only a file that is there can be used: a workflow may name others."""
_DROP_ONE: Final = Statement(delete(file_uses).where(file_uses.c.owner == bindparam("owner"), file_uses.c.file_id == bindparam("file_id")))
_DROP: Final = Statement(delete(file_uses).where(file_uses.c.owner == bindparam("owner")))


def workflow_owner(tenant: str, workflow_id: str) -> str:
    """Return what a workflow is called as the owner of a file: its id may be given in other tenants too, and may be any text."""
    return f"w:{dump([tenant, workflow_id]).decode()}"


def execution_owner(execution_id: str) -> str:
    """Return what an execution is called as the owner of a file."""
    return f"e:{execution_id}"


def add_uses(tenant: str, owner: str, file_ids: Collection[str]) -> list[Op]:
    """Return what notes that files belong to `owner` too."""
    return [Op(_ADD, {"tenant": tenant, "owner": owner, "file_id": searchable(file_id)}) for file_id in sorted(file_ids)]


def change_uses(save: Save) -> list[Op]:
    """Return what notes which files an execution takes and leaves with a save."""
    owner = execution_owner(save.head.id)
    taken = add_uses(save.head.tenant, owner, save.taken_files) if save.taken_files else []
    return [*taken, *(Op(_DROP_ONE, {"owner": owner, "file_id": searchable(each)}) for each in sorted(save.left_files))]


def drop_uses(owner: str) -> Op:
    """Return what forgets every file of `owner`."""
    return Op(_DROP, {"owner": owner})
