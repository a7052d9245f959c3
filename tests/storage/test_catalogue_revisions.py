"""Risk: a revision is lost or overwritten, a change lands on one that nobody saw, or what was deleted is still found."""

import asyncio
from dataclasses import replace

import pytest

from stepswitch.domain.errors import CommitInDoubtError, StoreError, VersionConflictError
from stepswitch.engine.records import Revision, StoredWorkflow
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.database import Database
from stepswitch.storage.tables import workflow_revisions, workflows
from tests.storage.rows import count, everything
from tests.storage.test_files import FailingDatabase
from tests.storage.values import NOW, STRANGE_TEXTS

FIRST = StoredWorkflow("w1", "default", NOW, "admin", 1, {"name": "n", "steps": {}})
SECOND = replace(FIRST, revision=2, document={"name": "m", "text": STRANGE_TEXTS[-1]})


async def test_every_revision_comes_back(catalogue: SqlCatalogueStore) -> None:
    await catalogue.create(FIRST)
    await catalogue.replace(SECOND, NOW + 5, "designer")
    assert await catalogue.get("default", "w1") == SECOND
    assert await catalogue.revisions(SECOND) == [Revision(1, NOW, "admin"), Revision(2, NOW + 5, "designer")]
    assert [await catalogue.revision(SECOND, number) for number in (1, 2, 3, 2**70)] == [FIRST, SECOND, None, None]


@pytest.mark.parametrize(
    "wrong", [replace(SECOND, revision=3), replace(SECOND, revision=1), replace(SECOND, tenant="other"), replace(SECOND, id="w2")]
)
async def test_a_change_of_what_is_not_stored_changes_nothing(
    catalogue: SqlCatalogueStore, database: Database, wrong: StoredWorkflow
) -> None:
    await catalogue.create(FIRST)
    before = await everything(database)
    with pytest.raises(VersionConflictError):
        await catalogue.replace(wrong, NOW, "admin")
    if wrong.revision != 1:
        with pytest.raises(VersionConflictError):
            await catalogue.delete(wrong)
    assert await everything(database) == before
    assert await catalogue.get("default", "w1") == FIRST


async def test_a_deleted_workflow_leaves_nothing(catalogue: SqlCatalogueStore, database: Database) -> None:
    other = replace(FIRST, id="w2")
    for each in (FIRST, other):
        await catalogue.create(each)
    await catalogue.replace(SECOND, NOW, "admin")
    await catalogue.get("default", "w1")
    await catalogue.delete(SECOND)
    assert await catalogue.get("default", "w1") is None
    assert await catalogue.revisions(SECOND) == []
    assert (await count(database, workflows), len(await catalogue.revisions(other))) == (1, 1)


async def test_a_read_beside_a_change_never_keeps_what_was_before(database: Database) -> None:
    store = SqlCatalogueStore(database)
    await store.create(FIRST)
    for number in range(2, 30):
        changed = replace(FIRST, revision=number, document={"name": str(number)})
        await asyncio.gather(store.get("default", "w1"), store.replace(changed, NOW, "admin"), store.get("default", "w1"))
        assert await store.get("default", "w1") == changed


@pytest.mark.parametrize("writes", [True, False])
async def test_after_a_commit_in_doubt_the_disk_is_asked(database: Database, writes: bool) -> None:
    await SqlCatalogueStore(database).create(FIRST)
    store = SqlCatalogueStore(FailingDatabase(database, CommitInDoubtError("?"), writes=writes))
    assert await store.get("default", "w1") == FIRST
    with pytest.raises(StoreError):
        await store.replace(SECOND, NOW, "admin")
    assert await store.get("default", "w1") == (SECOND if writes else FIRST)
    assert await count(database, workflow_revisions) == 1 + writes
