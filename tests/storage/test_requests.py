"""Risk: a mark of a request is there without its execution, or goes before its time, or holds up everything when many go at once."""

from dataclasses import replace

import pytest

from stepswitch.domain.errors import VersionConflictError
from stepswitch.engine.records import RequestKind, RequestMark, Snapshot
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.requests import SqlRequestStore
from stepswitch.storage.tables import requests
from tests.storage.rows import count, everything
from tests.storage.values import NOW, head, save_of

MARK = RequestMark("default", "ann", RequestKind.KEYED, "k1", "digest", "e1", NOW)


@pytest.fixture
def store(database: Database) -> SqlRequestStore:
    return SqlRequestStore(database)


async def test_a_mark_is_stored_with_its_execution_or_not_at_all(
    store: SqlRequestStore, executions: SqlExecutionStore, database: Database
) -> None:
    save = save_of(head(id="e1"))
    snapshot = Snapshot(save.head.snapshot_id, "default", {})
    await executions.create(save, snapshot, MARK)
    assert await store.keyed("default", "ann", "k1") == MARK
    before = await everything(database)
    with pytest.raises(VersionConflictError):
        await executions.create(save_of(head(id="e2")), snapshot, replace(MARK, execution_id="e2"))
    with pytest.raises(VersionConflictError):
        await executions.create(save, snapshot, replace(MARK, name="k2"))
    assert await everything(database) == before
    await executions.delete("e1")
    assert await store.keyed("default", "ann", "k1") == MARK


@pytest.mark.parametrize(("tenant", "user", "key"), [("other", "ann", "k1"), ("default", "bob", "k1"), ("default", "ann", "K1")])
async def test_a_mark_of_somebody_else_is_not_found(store: SqlRequestStore, tenant: str, user: str, key: str) -> None:
    await store.note(MARK)
    assert await store.keyed("default", "ann", "k1") == MARK
    assert await store.keyed(tenant, user, key) is None


async def test_marks_of_cut_answers_are_told_from_keys_and_by_their_age(store: SqlRequestStore) -> None:
    cut = [replace(MARK, kind=RequestKind.CUT, name=f"e{number}", made_at=NOW + number) for number in range(4)]
    for each in (MARK, *reversed(cut)):
        await store.note(each)
    assert await store.cut_since(NOW + 1) == cut[1:]
    assert await store.keyed("default", "ann", "e1") is None
    await store.forget(cut[2])
    await store.forget(cut[2])
    assert await store.cut_since(NOW + 1) == [cut[1], cut[3]]
    await store.note(replace(cut[1], digest="other"))
    assert await store.cut_since(NOW + 1) == [cut[1], cut[3]]


async def test_old_marks_go_in_portions_the_oldest_first(store: SqlRequestStore, database: Database) -> None:
    for number in range(7):
        await store.note(replace(MARK, user=f"u{number}", kind=list(RequestKind)[number % 2], made_at=NOW + number))
    assert [await store.prune(NOW + 5, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await count(database, requests) == 2
    assert [each.user for each in await store.cut_since(0)] == ["u5"]
