"""The lines for locks. Risks: two have one at once, somebody is passed over, a place stays for ever, a stop leaves half of a change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.errors import VersionConflictError
from stepswitch.domain.execution import Head
from stepswitch.domain.locks import Lock, LockChange, named
from stepswitch.engine.records import Due, Save
from stepswitch.storage.database import Database
from stepswitch.storage.encoding import Large, dump_head, head_from, load
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.locks import SqlLockStore
from stepswitch.storage.queue import SqlQueueStore
from tests.storage.values import NOW, SNAPSHOT, TEXTS, head, next_of, step

MINE, OTHER = named("mine"), named("other")


@pytest.fixture
def locks(database: Database) -> SqlLockStore:
    return SqlLockStore(database)


async def asks(executions: SqlExecutionStore, name: str, lock: Lock = MINE, tenant: str = "default") -> Head:
    made = replace(head(name, current=step(), awaited_lock=lock), tenant=tenant, last_time=NOW)
    await executions.create(Save(made, locks=LockChange(asked=lock)), SNAPSHOT)
    return made


async def has(executions: SqlExecutionStore, before: Head, lock: Lock = MINE) -> Head:
    given = next_of(before, awaited_lock=None, locks=(*before.locks, lock))
    await executions.save(Save(given, locks=LockChange(given=lock)))
    return given


async def leaves(executions: SqlExecutionStore, before: Head, *left: Lock) -> Head:
    after = next_of(before, locks=(), awaited_lock=None)
    await executions.save(Save(after, locks=LockChange(left=left)))
    return after


async def line(locks: SqlLockStore) -> list[str]:
    """Return who is the first in a line and does not have what it is for."""
    return [each.execution_id for each in await locks.due(100)]


async def test_only_the_first_in_line_is_given_the_lock_and_nobody_beside_it(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    first, second = await asks(executions, "e1"), await asks(executions, "e2")
    assert await line(locks) == ["e1"]
    with pytest.raises(VersionConflictError):
        await has(executions, second)
    assert await executions.load("e2") == second, "nothing of the save is there"
    held = await has(executions, first)
    assert await line(locks) == []
    with pytest.raises(VersionConflictError):
        await has(executions, second)
    await leaves(executions, held, MINE)
    assert await line(locks) == ["e2"]
    await has(executions, second)


async def test_those_who_ask_come_in_the_order_of_their_commits(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    for name in ("e3", "e1", "e2"):
        await asks(executions, name)
    places = await locks.waiting(0, 100)
    assert [each.execution_id for each in places] == ["e3", "e1", "e2"]
    assert [each.execution_id for each in await locks.waiting(places[0].place, 1)] == ["e1"]


async def test_whoever_leaves_the_line_holds_up_nobody(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    first, _ = await asks(executions, "e1"), await asks(executions, "e2")
    await leaves(executions, first, MINE)
    assert await line(locks) == ["e2"]
    assert await locks.awaited_by("e1") is None


async def test_locks_of_other_names_and_of_other_tenants_are_others(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    await has(executions, await asks(executions, "e1"))
    await asks(executions, "e2", OTHER)
    await asks(executions, "e3", tenant="north")
    assert await line(locks) == ["e2", "e3"]
    assert [each.execution_id for each, _ in await locks.held("default", 10)] == ["e1"]
    assert await locks.held("north", 10) == []


async def test_what_is_held_is_listed_with_how_many_wait_and_found_by_its_place_in_its_tenant(
    executions: SqlExecutionStore, locks: SqlLockStore
) -> None:
    await has(executions, await asks(executions, "e1"))
    for name in ("e2", "e3"):
        await asks(executions, name)
    ((held, waiting),) = await locks.held("default", 10)
    assert (held.execution_id, held.key, held.held_since, waiting) == ("e1", MINE.key, NOW, 2)
    assert await locks.place("default", held.place) == held
    assert await locks.place("north", held.place) is None


async def test_a_place_is_never_given_twice(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    held = await has(executions, await asks(executions, "e1"))
    ((before, _),) = await locks.held("default", 10)
    await leaves(executions, held, MINE)
    await has(executions, await asks(executions, "e2"))
    ((after, _),) = await locks.held("default", 10)
    assert after.place > before.place


async def test_whoever_asks_twice_stands_in_line_once(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    first = await asks(executions, "e1")
    await executions.save(Save(next_of(first), locks=LockChange(asked=MINE)))
    assert len(await locks.waiting(0, 100)) == 1


async def test_an_execution_that_is_deleted_leaves_every_line(executions: SqlExecutionStore, locks: SqlLockStore) -> None:
    await has(executions, await asks(executions, "e1"))
    await asks(executions, "e2")
    await executions.delete("e1")
    assert await line(locks) == ["e2"]


async def test_whoever_waits_for_a_lock_stands_in_the_queue_and_is_not_taken_from_it(
    executions: SqlExecutionStore, database: Database
) -> None:
    queue = SqlQueueStore(database)
    waiting = await asks(executions, "e1")
    assert await queue.runnable(None, 10) == []
    assert await queue.runnable(None, 10, Due(before=2**62)) == []
    assert (await queue.under_way(), await queue.counts()) == (1, {"default": 1})
    await has(executions, waiting)
    assert [each.execution_id for each in await queue.runnable(None, 10)] == ["e1"]


@given(keys=st.lists(TEXTS, max_size=3), awaited=st.none() | TEXTS)
def test_locks_come_back_as_they_were_stored(keys: list[str], awaited: str | None) -> None:
    made = head(locks=tuple(Lock(key, key) for key in keys), awaited_lock=None if awaited is None else named(awaited))
    found = head_from(load(dump_head(made, Large())), {})
    assert found == made
    assert [each.name for each in found.locks] == keys
