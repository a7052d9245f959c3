"""Risk: what a tenant is told of its usage is another number than its limits count, counts others too, or costs a walk through the tables."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from stepswitch.domain.states import StepState
from stepswitch.engine.records import Account
from stepswitch.engine.usage import Stored
from stepswitch.storage import usage
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.database import Database, Op, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.queue import SqlQueueStore
from stepswitch.storage.sqlite_connections import DIALECT, connect
from stepswitch.storage.tables import files
from stepswitch.storage.usage import SqlUsageStore
from tests.storage.values import SNAPSHOT, claimed, head, save_of, step


async def fill(database: Database, executions: SqlExecutionStore) -> None:
    """Let two tenants have executions, and two have files."""
    steps = {"e0": step(), "e1": step(), "e2": claimed(), "e3": step(state=StepState.WAITING_BEFORE), "e4": step()}
    for name, current in steps.items():
        await executions.create(save_of(replace(head(name, current=current), tenant="south" if name == "e4" else "north")), SNAPSHOT)
    rows = [("f1", "north", 3), ("f2", "north", 4), ("f3", "east", 2**40)]
    for file_id, tenant, size in rows:
        await database.write([Op(Statement(insert(files)), {"id": file_id, "tenant": tenant, "sha256": "s", "size": size, "body": b""})])


async def test_each_tenant_has_what_its_limits_count_and_nothing_of_another(database: Database, executions: SqlExecutionStore) -> None:
    await fill(database, executions)
    store, queue = SqlUsageStore(database), SqlQueueStore(database)
    has = {"north": Stored(3, 4, 7), "south": Stored(1, 1, 0), "east": Stored(0, 0, 2**40)}
    assert await store.stored(None) == has
    for tenant, stored in has.items():
        assert await store.stored(tenant) == {tenant: stored}
        assert (await queue.under_way_of(tenant), await queue.stored(tenant)) == (stored.queued_executions, stored.stored_executions)
    assert await store.stored("nobody's") == {}


async def test_there_is_a_tenant_as_soon_as_it_has_a_user(database: Database) -> None:
    accounts = SqlAccountStore(database)
    for name, tenant in (("ann", "north"), ("ben", "north"), ("cid", "south")):
        await accounts.add_account(Account(name, tenant, "", ()))
    assert await SqlUsageStore(database).tenants() == {"north", "south"}


@pytest.mark.parametrize("asked", [*usage._OF_ONE, *usage._OF_EACH])
def test_whatever_is_counted_is_counted_in_an_index(path: Path, asked: Statement) -> None:
    connection = connect(path)
    compiled = asked.compiled(DIALECT)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", [1] * len(compiled.names))]
    connection.close()
    read = [line for line in plan if line.split()[1] in ("executions", "files")]
    assert len(read) == 1, plan
    assert "COVERING INDEX" in read[0] or "(id=?)" in read[0], plan  # of a claim, its one execution
