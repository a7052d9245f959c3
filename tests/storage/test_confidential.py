"""Risk: a password, or what a script made of it, stands readable in the database: in a row, a column, a page that was freed, or the WAL."""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stepswitch.domain.errors import ErrorCode, StoreError
from stepswitch.domain.execution import StepError
from stepswitch.domain.states import StepState
from stepswitch.engine.credential_records import Credential, StoredValue
from stepswitch.engine.records import Save, Snapshot, StoredWorkflow
from stepswitch.engine.selection import Order, Selection
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.commits import SqlCommitLog
from stepswitch.storage.credentials import SqlCredentialStore
from stepswitch.storage.data_keys import ENCRYPTED, SqlDataKeyStore
from stepswitch.storage.database import Database
from stepswitch.storage.encoding import LARGE
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.sealing import sealing_for_tests
from tests.storage.values import NOW, SNAPSHOT, entry, finished, head, look, next_of, step

SECRET = "correct-horse"
DOCUMENT = {"name": "n", "inputs": {"pw": {"type": "password", "defaultValue": SECRET}}, "steps": {"a": {"type": "NOOP"}}}
WORKFLOW = StoredWorkflow("w1", "default", NOW, "admin", 1, DOCUMENT)
SECRET_SNAPSHOT = Snapshot("snapshot-1", "default", DOCUMENT, is_confidential=True)
CREDENTIAL = Credential(
    "default", "core", StoredValue(SECRET), ("*",), ("*",), ("*",), without_device=False, description=f"is {SECRET}", created_at=NOW,
    created_by="admin", changed_at=NOW, changed_by="admin",
)  # fmt: skip
LARGE_SECRET = SECRET * LARGE


async def fill(database: Database) -> None:
    """Put the secret wherever something of a confidential execution can stand."""
    catalogue, executions = SqlCatalogueStore(database), SqlExecutionStore(database)
    await catalogue.create(WORKFLOW)
    await catalogue.replace(replace(WORKFLOW, revision=2, document={**DOCUMENT, "version": "2"}), NOW, "admin")
    values = {"pw": SECRET, "key": LARGE_SECRET, "handed_on": f"<{SECRET}>"}
    error = StepError(ErrorCode.SCRIPT_FAILED, f"it says {SECRET}")
    looked = look(inputs=values, outputs=values, error=error)
    made = head(
        is_confidential=True,
        values=values,
        assignments=values,
        current=step(2, inputs=values, outputs=values, variables=values, error=error, probe=looked),
    )
    behind = tuple(replace(each, inputs=values, outputs=values) for each in finished(range(2)))
    await executions.create(Save(made, behind, (entry(SECRET), entry(SECRET, 1))), SECRET_SNAPSHOT)
    await executions.save(Save(next_of(made), (step(3, state=StepState.FINISHED, outputs=values),), (entry(SECRET, 3),)))
    await executions.append_logs("e1", [entry(f"half {SECRET}", 2)], is_confidential=True)
    await SqlCredentialStore(database).add(CREDENTIAL)


async def test_nothing_on_the_disk_holds_the_secret_and_everything_comes_back(database: SqliteDatabase, path: Path) -> None:
    await fill(database)
    written = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert len(written) > len(LARGE_SECRET)
    assert SECRET.encode() not in written
    executions, catalogue = SqlExecutionStore(database), SqlCatalogueStore(database)
    found = await executions.load("e1")
    assert found is not None
    assert found.values["key"] == LARGE_SECRET
    assert [each.number for each in await executions.steps("e1", limit_bytes=10**9)] == [0, 1, 3]
    assert [each.message for each in (await executions.logs("e1"))[0]] == [SECRET, SECRET, SECRET, f"half {SECRET}"]
    assert await executions.snapshot("snapshot-1") == replace(SECRET_SNAPSHOT, is_confidential=False)
    workflow = await catalogue.get("default", "w1")
    assert workflow is not None
    assert workflow.document["inputs"] == DOCUMENT["inputs"]
    first = await catalogue.revision(workflow, 1)
    assert first is not None
    assert first.document == DOCUMENT
    assert await SqlCredentialStore(database).find("default", "core") == CREDENTIAL


async def test_lists_and_followers_read_what_is_encrypted(database: SqliteDatabase) -> None:
    await fill(database)
    lists, commits = SqlListStore(database, SqlExecutionStore(database)), SqlCommitLog(database)
    assert [each.values["pw"] for each in await lists.heads(["e1"])] == [SECRET]
    assert [each.document["inputs"] for each in await lists.snapshots(["snapshot-1"])] == [DOCUMENT["inputs"]]
    page = await lists.workflow_page("default", Selection(Order("createdAt")))
    assert [each.document["inputs"] for each in page.items] == [DOCUMENT["inputs"]]
    told = await commits.read((await commits.page(0, 100)).rows)
    assert [line.message for each in told for line in each.logs] == [SECRET, SECRET, SECRET, f"half {SECRET}"]
    current = [each.outline.current for each in told if each.outline is not None]
    assert {each.error.message for each in current if each is not None and each.error is not None} == {f"it says {SECRET}"}


async def test_every_table_with_bodies_says_how_many_of_them_are_encrypted(database: SqliteDatabase, path: Path) -> None:
    await fill(database)
    with sqlite3.connect(path) as connection:
        counts = {
            each.table.name: connection.execute(f"SELECT count(*) FROM {each.table.name} WHERE sealed_with = 1").fetchone()[0]
            for each in ENCRYPTED
        }
    connection.close()
    assert counts == {
        "workflows": 1,
        "workflow_revisions": 2,
        "snapshots": 1,
        "executions": 1,
        "step_executions": 2,
        "logs": 4,
        "commits": 2,
        "large_values": 1,
        "credentials": 1,
    }
    assert await SqlDataKeyStore(database).uses() == {1: sum(counts.values())}


async def test_an_execution_without_passwords_costs_no_encryption(database: SqliteDatabase, path: Path) -> None:
    executions = SqlExecutionStore(database)
    await executions.create(Save(head(values={"a": "plain text"}), finished(range(2)), (entry(),)), SNAPSHOT)
    await executions.append_logs("e1", [entry()])
    assert await SqlDataKeyStore(database).uses() == {}
    assert b"plain text" in b"".join(each.read_bytes() for each in path.parent.iterdir())


@pytest.mark.parametrize(
    ("moved", "read"),
    [
        ("UPDATE executions SET body = (SELECT body FROM executions WHERE id = 'e1') WHERE id = 'e2'", "head"),
        ("UPDATE executions SET tenant = 'other' WHERE id = 'e1'", "first head"),
        ("UPDATE step_executions SET execution_id = 'e2'", "steps"),
        ("UPDATE logs SET execution_id = 'e2'", "logs"),
        ("UPDATE snapshots SET tenant = 'other'", "snapshot"),
        ("UPDATE workflows SET tenant = 'other'", "workflow"),
    ],
)
async def test_what_is_encrypted_cannot_be_read_where_somebody_moved_it(
    database: SqliteDatabase, path: Path, moved: str, read: str
) -> None:
    await fill(database)
    executions = SqlExecutionStore(database)
    await executions.create(Save(head("e2", is_confidential=True, current=step())), SECRET_SNAPSHOT)
    with sqlite3.connect(path) as connection:
        connection.execute(moved)
    connection.close()
    reads: dict[str, Callable[[], Awaitable[object]]] = {
        "head": lambda: executions.load("e2"),
        "first head": lambda: executions.load("e1"),
        "steps": lambda: executions.steps("e2"),
        "logs": lambda: executions.logs("e2"),
        "snapshot": lambda: executions.snapshot("snapshot-1"),
        "workflow": lambda: SqlCatalogueStore(database).get("other", "w1"),
    }
    with pytest.raises(StoreError, match="stands where it does not belong"):
        await reads[read]()


async def test_a_database_without_keys_writes_no_secret_and_gives_none_away(database: SqliteDatabase, path: Path) -> None:
    await fill(database)
    keyless = SqliteDatabase(path)
    try:
        with pytest.raises(StoreError, match="there is no key"):
            await SqlExecutionStore(keyless).load("e1")
        with pytest.raises(StoreError, match="there is no key"):
            await SqlExecutionStore(keyless).create(Save(head("e3", is_confidential=True)), SNAPSHOT)
        assert await SqlExecutionStore(keyless).load("e3") is None
    finally:
        await keyless.close()


async def test_what_is_encrypted_anew_is_as_it_was_and_needs_the_old_key_no_more(path: Path) -> None:
    sealing = sealing_for_tests()
    database = SqliteDatabase(path, sealer=sealing)
    try:
        await fill(database)
        store, executions = SqlDataKeyStore(database), SqlExecutionStore(database)
        before = [await executions.load("e1"), await executions.steps("e1", limit_bytes=10**9), await executions.logs("e1")]
        sealing.install(2, b"2" * 32)
        while await store.reseal(2, 3):
            pass
        assert set(await store.uses()) == {2}
        sealing.remove(1)
        assert before == [await executions.load("e1"), await executions.steps("e1", limit_bytes=10**9), await executions.logs("e1")]
        workflow = await SqlCatalogueStore(database).get("default", "w1")
        assert workflow is not None
        assert await SqlCatalogueStore(database).revision(workflow, 1) is not None
        told = await SqlCommitLog(database).read((await SqlCommitLog(database).page(0, 100)).rows)
        assert len(told) == 3
    finally:
        await database.close()


async def test_what_somebody_saves_while_it_is_encrypted_anew_is_not_overwritten(database: SqliteDatabase) -> None:
    await fill(database)
    executions = SqlExecutionStore(database)
    (heads,) = [each for each in ENCRYPTED if each.table.name == "executions"]
    (rows,) = await database.read([heads.query(2, 10)])
    stored = await executions.load("e1")
    assert stored is not None
    await executions.save(Save(next_of(stored, pause_requested=True)))
    assert list(await database.write([heads.op(row) for row in rows])) == [0]
    found = await executions.load("e1")
    assert found is not None
    assert found.pause_requested
