"""Risk: the queue leaves somebody out, shows somebody who cannot run, or counts wrong who comes before."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from stepswitch.domain.events import lane_of_tenant
from stepswitch.domain.execution import COUNTED_PLACES, Head, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.records import Due, Runnable
from stepswitch.storage import queue as queues
from stepswitch.storage.database import Database, Op, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.queue import LANES_PASSED, SqlQueueStore
from stepswitch.storage.sqlite_connections import DIALECT, connect
from tests.storage.values import NOW, SNAPSHOT, claimed, head, next_of, save_of, step


@pytest.fixture
def queue(database: Database) -> SqlQueueStore:
    return SqlQueueStore(database)


async def stand(
    executions: SqlExecutionStore,
    name: str,
    since: int = NOW,
    *,
    lane: str | None = None,
    not_before: int | None = None,
    tenant: str = "default",
) -> Head:
    """Let an execution stand in the queue."""
    made = replace(head(name, current=step(since=since, not_before=not_before)), tenant=tenant)
    await executions.create(save_of(made, lane=lane), SNAPSHOT)
    return made


async def names(queue: SqlQueueStore, due: Due) -> list[str]:
    return [each.execution_id for each in await queue.runnable(None, 1_000, due)]


async def test_executions_come_oldest_first_and_page_by_page(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    made = [(f"e{place:02}", NOW + place // 3) for place in range(20)]
    for execution_id, since in reversed(made):
        await stand(executions, execution_id, since)
    for size in (1, 2, 3, 7, 20, 100):
        found: list[Runnable] = []
        while page := await queue.runnable(found[-1] if found else None, size):
            assert len(page) <= size
            found += page
        assert found == [Runnable(execution_id, since) for execution_id, since in made]


@pytest.mark.parametrize("state", list(StepState))
async def test_only_a_step_that_is_executable_stands_in_it(executions: SqlExecutionStore, queue: SqlQueueStore, state: StepState) -> None:
    current = claimed() if state is StepState.EXECUTING else step(state=state)
    await executions.create(save_of(head(current=current)), SNAPSHOT)
    assert bool(await queue.runnable(None, 10)) is (state is StepState.EXECUTABLE)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.ABORTED])
async def test_what_has_ended_stands_in_it_no_longer(executions: SqlExecutionStore, queue: SqlQueueStore, status: Status) -> None:
    before = await stand(executions, "e1")
    await executions.save(save_of(next_of(before, status=status)))
    assert await queue.runnable(None, 10) == []


async def test_crowded_lanes_and_the_other_kind_are_passed_over(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    lanes = {"a": "device r1:22", "b": "turn", "c": "type JS", "d": "device r2:22", "e": None}
    for name, lane in lanes.items():
        await stand(executions, name, lane=lane)
    assert [each.lane for each in await queue.runnable(None, 10)] == [lane or "" for lane in lanes.values()]
    assert await names(queue, Due(turns=True)) == ["b"]
    assert await names(queue, Due(turns=False)) == ["a", "c", "d", "e"]
    assert await names(queue, Due(turns=False, crowded=("device r1:22", "type JS"))) == ["d", "e"]
    assert await names(queue, Due(crowded={f"device x{number}" for number in range(LANES_PASSED + 50)})) == list(lanes)


async def test_tenants_of_which_enough_is_held_are_passed_over(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    for name, tenant in {"a": "north", "b": "south", "c": "north", "d": "", "e": "turn"}.items():
        await stand(executions, name, lane="device r1:22", tenant=tenant)
    assert [each.tenant for each in await queue.runnable(None, 10)] == ["north", "south", "north", "", "turn"]
    assert await names(queue, Due(crowded={lane_of_tenant("north")})) == ["b", "d", "e"]
    assert await names(queue, Due(crowded={lane_of_tenant("south"), lane_of_tenant(""), "turn"})) == ["a", "c", "e"]
    assert await names(queue, Due(crowded={lane_of_tenant("north"), "device r1:22"})) == []


async def test_the_lane_stays_until_another_step_follows(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    before = await stand(executions, "e1", lane="device r1:22")
    await executions.save(save_of(next_of(before, retained_til=NOW)))
    assert [each.lane for each in await queue.runnable(None, 10)] == ["device r1:22"]
    await executions.save(save_of(next_of(next_of(before), current=step(1)), lane="turn"))
    assert [each.lane for each in await queue.runnable(None, 10)] == ["turn"]


async def test_what_is_delayed_is_shown_to_whoever_can_wait_for_it(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    for name, not_before in (("now", None), ("soon", NOW + 5), ("late", NOW + 50)):
        await stand(executions, name, not_before=not_before)
    assert set(await names(queue, Due())) == {"now", "soon", "late"}
    assert set(await names(queue, Due(before=NOW + 5))) == {"now", "soon"}
    assert set(await names(queue, Due(before=NOW))) == {"now"}


async def test_places_count_everybody_of_the_tenant_who_comes_before(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    chance = random.Random(7)
    made = [Runnable(f"e{number}", NOW + chance.randrange(10)) for number in range(40)]
    for each in made:
        await stand(executions, each.execution_id, each.since, lane=chance.choice(["turn", "device r"]))
    for number in range(20):
        await stand(executions, f"other{number}", NOW + chance.randrange(10), tenant="elsewhere")
    line = sorted((each.since, each.execution_id) for each in made)
    asked = [*chance.sample(made, 15), made[3], made[3], Runnable("not there", NOW + 5)]
    expected = [sum(place < (each.since, each.execution_id) for place in line) for each in asked]
    assert await queue.before("default", asked) == expected
    assert await queue.before("default", []) == []
    assert await queue.before("nobody's", asked) == [0] * len(asked)


async def test_what_waits_and_what_is_carried_out_are_counted(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    assert (await queue.counts(), await queue.under_way()) == ({}, 0)
    for number in range(5):
        await stand(executions, f"e{number}", tenant="elsewhere" if number == 3 else "default")
    await executions.create(save_of(head("running", current=claimed())), SNAPSHOT)
    await executions.create(save_of(head("paused", current=step(state=StepState.WAITING_BEFORE))), SNAPSHOT)
    assert (await queue.counts(), await queue.under_way()) == ({"default": 4, "elsewhere": 1}, 6)


async def test_what_one_tenant_has_is_counted_apart(executions: SqlExecutionStore, queue: SqlQueueStore) -> None:
    for number in range(4):
        await stand(executions, f"e{number}", tenant="elsewhere" if number == 3 else "default")
    await executions.create(save_of(head("running", current=claimed())), SNAPSHOT)
    await executions.create(save_of(head("paused", current=step(state=StepState.WAITING_BEFORE))), SNAPSHOT)
    assert [await queue.under_way_of(tenant) for tenant in ("default", "elsewhere", "nobody's")] == [4, 1, 0]
    assert [await queue.stored(tenant) for tenant in ("default", "elsewhere", "nobody's")] == [5, 1, 0]


async def many(database: Database, count: int) -> None:
    """Let so many executions stand in the queue, without what they are made of."""
    columns = (
        "id, tenant, version, status, workflow_id, snapshot_id, creation_user, creation_time, retained_til, runnable_since, workflow_name"
    )
    columns += ", context_type, body"
    values = "printf('e%06d', n), 't', 1, 'QUEUED', 'w', 's', 'u', n, n, n, 'w', 'NONE', x'00'"
    counting = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) "
    await database.write([Op(Statement(text(f"INSERT INTO executions ({columns}) {counting} SELECT {values} FROM c")), {})])


async def test_nobody_counts_further_than_is_said(database: Database, queue: SqlQueueStore) -> None:
    await many(database, COUNTED_PLACES + 500)
    places = (1, 2, COUNTED_PLACES, COUNTED_PLACES + 1, COUNTED_PLACES + 2, COUNTED_PLACES + 400)
    assert await queue.before("t", [Runnable(f"e{each:06}", each) for each in places]) == [
        0, 1, COUNTED_PLACES - 1, COUNTED_PLACES, COUNTED_PLACES + 1, COUNTED_PLACES + 399,
    ]  # fmt: skip
    for far in (COUNTED_PLACES + 2, COUNTED_PLACES + 400):
        assert await queue.before("t", [Runnable(f"e{far:06}", far)]) == [COUNTED_PLACES + 1]
    assert (await queue.counts(), await queue.under_way()) == ({"t": COUNTED_PLACES + 1}, COUNTED_PLACES + 500)


@pytest.mark.parametrize("asked", [queues._RUNNABLE, queues._COUNT_BETWEEN, queues._COUNTS, queues._COUNT_ALL, queues._COUNT_OF_TENANT])
def test_the_queue_is_read_from_its_index_alone_and_in_its_order(path: Path, asked: Statement) -> None:
    compiled = asked.compiled(DIALECT)
    connection = connect(path)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", [1] * len(compiled.names))]
    connection.close()
    read = [line for line in plan if line.split()[1] == "executions"]
    assert len(read) == 1
    assert "USING COVERING INDEX executions_runnable" in read[0]
    assert not any("TEMP B-TREE FOR ORDER" in line for line in plan)
