"""Snapshots: stored with the first execution that has them, gone with the last one. Called by `executions`.

Most executions have a snapshot that is there already; so as not to write a document only to find that out, it is remembered which were stored.
That may be over: whoever relies on it has SQL look (`if_there`), and stores the snapshot after all where there is none.
"""

from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, not_, select, union
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.engine.records import Snapshot
from stepswitch.storage.database import Op, Query, Statement
from stepswitch.storage.documents import dump_document
from stepswitch.storage.places import snapshot_place
from stepswitch.storage.tables import executions, snapshot_uses, snapshots

REMEMBERED: Final = 2_000
_N, _E, _U = snapshots.c, executions.c, snapshot_uses.c
_ADD: Final = Statement(upsert(snapshots).on_conflict_do_nothing())
_ONE: Final = Statement(select(_N.tenant, _N.body).where(_N.id == bindparam("id")))
_USED: Final = union(
    select(_E.snapshot_id).where(_E.id == bindparam("execution_id")),
    select(_U.snapshot_id).where(_U.execution_id == bindparam("execution_id")),
)
_DROP: Final = Statement(
    delete(snapshots).where(
        _N.id.in_(_USED),
        not_(exists().where(_E.snapshot_id == _N.id, _E.id != bindparam("execution_id"))),
        not_(exists().where(_U.snapshot_id == _N.id, _U.execution_id != bindparam("execution_id"))),
    )
)


def add_snapshot(snapshot: Snapshot) -> Op:
    """Return what stores a snapshot where it is not there."""
    row = {"id": snapshot.id, "tenant": snapshot.tenant, "body": dump_document(snapshot)}
    return Op(_ADD, row, place=snapshot_place(snapshot.tenant, snapshot.id) if snapshot.is_confidential else None)


def drop_snapshots(execution_id: str) -> Op:
    """Return what removes the snapshots that only this execution has; before its own rows go."""
    return Op(_DROP, {"execution_id": execution_id})


def snapshot_query(snapshot_id: str) -> Query:
    """Return what reads tenant and body of a snapshot."""
    return Query(_ONE, {"id": snapshot_id}, place=lambda row: snapshot_place(row[0], snapshot_id))


def if_there(parameter: str) -> Any:
    """Return, as SQL, the id that a parameter gives where there is such a snapshot, else NULL."""
    return select(_N.id).where(_N.id == bindparam(parameter)).scalar_subquery()


class StoredSnapshots:
    """Which snapshots were stored lately: they are there unless their last execution was removed since."""

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def __contains__(self, snapshot_id: str) -> bool:
        return snapshot_id in self._ids

    def add(self, snapshot_id: str) -> None:
        """Note that a snapshot is stored."""
        if len(self._ids) >= REMEMBERED:
            self._ids.clear()
        self._ids.add(snapshot_id)

    def discard(self, snapshot_id: str) -> None:
        """Forget a snapshot: it may be gone."""
        self._ids.discard(snapshot_id)
