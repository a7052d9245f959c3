"""Risk: readers of one moment see different states of the data, keep it from going on, or leave a connection behind that does."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select, text

from stepswitch.domain.errors import QueryTooSlowError, StoreError
from stepswitch.storage.database import Database, Moment, Query, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.storage.tables import executions as table
from tests.storage.connections import Commits
from tests.storage.values import SNAPSHOT, head, save_of

COUNT: Final = Query(Statement(select(func.count()).select_from(table)))
ENDLESS: Final = Statement(text("WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT count(*) FROM n"))


async def counts_of(moment: Moment) -> list[int]:
    """Return what every reader of a moment counts, all of them at once."""
    found = await asyncio.gather(*(moment.read([COUNT]) for _ in range(moment.readers)))
    return [rows[0][0][0] for rows in found]


async def test_a_moment_stays_whatever_is_written_meanwhile(database: Database, executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head("e1")), SNAPSHOT)
    async with database.moment() as moment:
        assert moment.readers > 1
        await executions.create(save_of(head("e2")), SNAPSHOT)
        assert set(await counts_of(moment)) == {1}
        await executions.delete("e1")
        assert set(await counts_of(moment)) == {1}
        assert await database.read([COUNT]) == [[(1,)]]
        await executions.delete("e2")
        assert set(await counts_of(moment)) == {1}
    async with database.moment() as moment:
        assert set(await counts_of(moment)) == {0}


async def test_all_readers_of_a_moment_see_the_same_while_much_is_written(database: Database, executions: SqlExecutionStore) -> None:
    has_seen_enough = asyncio.Event()

    async def write() -> None:
        number = 0
        while not has_seen_enough.is_set():
            await executions.create(save_of(head(f"e{number}")), SNAPSHOT)
            number += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        seen: list[int] = []
        while len(set(seen)) < 30:
            before = (await database.read([COUNT]))[0][0][0]
            async with database.moment() as moment:
                counts = await counts_of(moment)
            assert len(set(counts)) == 1
            assert counts[0] >= before, "what was committed before is seen"
            seen += counts
        has_seen_enough.set()
    assert seen == sorted(seen)


async def test_one_moment_after_the_other(database: Database) -> None:
    inside: list[str] = []

    async def look(name: str) -> None:
        async with database.moment() as moment:
            inside.append(name)
            await counts_of(moment)
            inside.append(name)

    await asyncio.gather(*(look(name) for name in "abc"))
    assert inside == list("aabbcc")


async def test_a_query_of_a_moment_ends_at_its_limit_and_the_moment_goes_on(database: Database) -> None:
    async with database.moment() as moment:
        with pytest.raises(QueryTooSlowError):
            await moment.read([Query(ENDLESS, limit_seconds=0.0)])
        assert set(await counts_of(moment)) == {0}
    async with database.moment() as moment:
        assert set(await counts_of(moment)) == {0}


async def test_who_is_cancelled_leaves_nothing_behind(database: Database, executions: SqlExecutionStore) -> None:
    begun, reading = asyncio.Event(), set[asyncio.Task[object]]()

    async def look() -> None:
        async with database.moment() as moment:
            begun.set()
            reading.update(asyncio.ensure_future(moment.read([Query(ENDLESS, limit_seconds=60.0)])) for _ in range(2 * moment.readers))
            await asyncio.gather(*reading)

    looking = asyncio.ensure_future(look())
    await begun.wait()
    await asyncio.sleep(0)  # its queries are given to the threads
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert all(each.done() for each in reading)
    await executions.create(save_of(head()), SNAPSHOT)
    async with database.moment() as moment:
        assert set(await counts_of(moment)) == {1}


@pytest.mark.parametrize("broken", ["BEGIN", "PRAGMA query_only=ON", "ROLLBACK"])
async def test_a_connection_that_fails_is_given_up(path: Path, broken: str) -> None:
    connections = Commits()
    database = SqliteDatabase(path, connections.connect)
    try:
        connections.broken = broken
        if broken == "ROLLBACK":
            async with database.moment() as moment:
                await counts_of(moment)
        else:
            with pytest.raises(StoreError, match="cannot be read"):
                async with database.moment():
                    pass
        await SqlExecutionStore(database).create(save_of(head()), SNAPSHOT)
        async with database.moment() as moment:
            assert set(await counts_of(moment)) == {1}
    finally:
        await database.close()


async def test_closing_waits_for_a_moment_and_lets_nobody_begin_another(path: Path) -> None:
    database = SqliteDatabase(path)
    async with database.moment() as moment:
        closing = asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
        assert set(await counts_of(moment)) == {0}
        assert not closing.done()
    await closing
    with pytest.raises(StoreError, match="closed"):
        async with database.moment():
            pass
