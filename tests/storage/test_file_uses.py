"""Risk: a file goes while a workflow, a revision or an execution still has it, or stays when nobody has it any more."""

from dataclasses import replace
from pathlib import Path

import pytest

from stepswitch.domain.errors import VersionConflictError
from stepswitch.engine.records import Snapshot, StoredFile, StoredWorkflow
from stepswitch.storage import files as files_module
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.tables import file_uses
from tests.storage.rows import count
from tests.storage.test_files import CountingIds, on_disk, pieces
from tests.storage.values import NOW, head, save_of


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def store(database: Database, directory: Path) -> DiskFileStore:
    return DiskFileStore(directory, database, CountingIds(), 1_000_000)


def workflow(*files: StoredFile, revision: int = 1) -> StoredWorkflow:
    attachments = {file.name: {"id": file.id, "reference": file.name} for file in files}
    return StoredWorkflow("w1", "default", NOW, "admin", revision, {"name": "n", "attachments": attachments})


async def test_a_file_stays_as_long_as_any_revision_names_it(store: DiskFileStore, catalogue: SqlCatalogueStore, directory: Path) -> None:
    file = await store.put("default", "f", pieces(b"content"))
    await catalogue.create(workflow(file))
    await store.settle([file.id])
    await catalogue.replace(workflow(revision=2), NOW, "admin")
    await store.sweep()
    assert await store.find("default", file.id) == file
    await catalogue.delete(workflow(revision=2))
    await store.sweep()
    assert await store.find("default", file.id) is None
    assert on_disk(directory) == []


async def test_a_file_that_somebody_holds_is_not_swept(store: DiskFileStore, directory: Path) -> None:
    file = await store.put("default", "f", pieces(b"content"))
    store.hold([file.id])
    for _ in range(2):
        await store.sweep()
        assert await store.read(file) == b"content"
        await store.settle([file.id])
    assert await store.find("default", file.id) is None
    assert on_disk(directory) == []


async def test_what_a_stop_left_unused_goes_with_the_next_sweep(store: DiskFileStore, database: Database, directory: Path) -> None:
    kept = files_module.PAGE + 3
    for number in range(kept):
        await store.put("default", str(number), pieces(str(number).encode()))
    await DiskFileStore(directory, database, CountingIds(), 1_000_000).sweep()
    assert on_disk(directory) == []


async def test_a_workflow_keeps_no_file_of_another_tenant(store: DiskFileStore, catalogue: SqlCatalogueStore, database: Database) -> None:
    file = await store.put("other", "f", pieces(b"content"))
    strange = replace(file, id="\ud800", name="g")
    await catalogue.create(workflow(file, strange, replace(file, id="unknown", name="h")))
    assert await count(database, file_uses) == 0


async def test_an_execution_keeps_its_files_until_it_is_deleted(
    store: DiskFileStore, executions: SqlExecutionStore, database: Database
) -> None:
    file = await store.put("default", "f", pieces(b"content"))
    save = save_of(head(attachments={"a": file.id, "b": file.id, "c": "unknown"}))
    await executions.create(save, Snapshot(save.head.snapshot_id, "default", {}))
    await store.settle([file.id])
    assert await store.read(file) == b"content"
    await executions.delete(save.head.id)
    await store.sweep()
    assert await store.find("default", file.id) is None


async def test_an_execution_takes_and_leaves_files_with_a_save(
    store: DiskFileStore, executions: SqlExecutionStore, database: Database
) -> None:
    old, new, foreign = [await store.put(tenant, tenant, pieces(b"content")) for tenant in ("default", "default", "other")]
    save = save_of(head(attachments={"a": old.id}))
    await executions.create(save, Snapshot(save.head.snapshot_id, "default", {}))
    after = replace(save.head, attachments={"a": new.id}, version=save.head.version + 1)
    changed = replace(save_of(after), taken_files=frozenset({new.id, foreign.id}), left_files=frozenset({old.id}))
    with pytest.raises(VersionConflictError):
        await executions.save(replace(changed, head=replace(after, version=after.version + 1)))
    await executions.save(changed)
    await store.settle([old.id, new.id, foreign.id])
    assert [await store.find(each.tenant, each.id) for each in (old, new, foreign)] == [None, new, None]
    await executions.delete(save.head.id)
    assert await count(database, file_uses) == 0


async def test_a_file_is_given_in_pieces(store: DiskFileStore) -> None:
    content = bytes(range(256)) * 4_000
    file = await store.put("default", "f", pieces(content[:1_000_000]))
    given = [piece async for piece in store.stream(file)]
    assert b"".join(given) == content[:1_000_000]
    assert max(map(len, given)) <= files_module.CHUNK
