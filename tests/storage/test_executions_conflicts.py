"""Risk: two writers both believe that they were first, or half of a save is on disk."""

import asyncio
from dataclasses import replace

import pytest

from stepswitch.domain.errors import StoreError, VersionConflictError
from stepswitch.domain.execution import Status
from stepswitch.engine.records import Snapshot
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from tests.storage.rows import everything
from tests.storage.values import NOW, SNAPSHOT, claimed, entry, finished, head, next_of, save_of, step

OTHER = Snapshot("snapshot-2", "default", {"name": "edited"})
LARGE = {"v": "y" * 100_000}


async def test_creating_twice_changes_nothing(executions: SqlExecutionStore, database: Database) -> None:
    await executions.create(save_of(head(), finished(range(1)), (entry(),)), SNAPSHOT)
    before = await everything(database)
    with pytest.raises(VersionConflictError):
        await executions.create(save_of(head(values=LARGE, snapshot_id=OTHER.id), finished(range(9)), (entry("again"),)), OTHER)
    assert await everything(database) == before


async def test_a_snapshot_that_went_with_its_last_execution_is_stored_with_the_next_one(executions: SqlExecutionStore) -> None:
    for name in ("e1", "e2"):  # the second one finds it there
        await executions.create(save_of(head(id=name)), SNAPSHOT)
    for name in ("e1", "e2"):
        await executions.delete(name)
    assert await executions.snapshot(SNAPSHOT.id) is None
    await executions.create(save_of(head(id="e3")), SNAPSHOT)
    assert await executions.snapshot(SNAPSHOT.id) == SNAPSHOT


async def test_a_snapshot_that_goes_while_an_execution_is_made_of_it_is_stored_with_that(executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head(id="e1")), SNAPSHOT)
    await asyncio.gather(executions.delete("e1"), executions.create(save_of(head(id="e2")), SNAPSHOT))
    assert await executions.load("e2") is not None
    assert await executions.snapshot(SNAPSHOT.id) == SNAPSHOT


async def test_a_save_over_an_older_version_changes_nothing(executions: SqlExecutionStore, database: Database) -> None:
    first = head()
    await executions.create(save_of(first), SNAPSHOT)
    await executions.save(save_of(next_of(first, status=Status.RUNNING)))
    before = await everything(database)
    stale = next_of(first, status=Status.FAILED, current=claimed(), values=LARGE, snapshot_id=OTHER.id)
    with pytest.raises(VersionConflictError):
        await executions.save(save_of(stale, finished(range(3)), (entry(),)), OTHER)
    assert await everything(database) == before


async def test_a_save_of_what_was_never_created_is_refused(executions: SqlExecutionStore, database: Database) -> None:
    before = await everything(database)
    with pytest.raises(VersionConflictError):
        await executions.save(save_of(head(version=2), (), (entry(),)))
    assert await everything(database) == before


async def test_a_step_that_was_written_once_is_not_written_over(executions: SqlExecutionStore) -> None:
    first = head()
    await executions.create(save_of(first, finished(range(2))), SNAPSHOT)
    with pytest.raises(VersionConflictError):
        await executions.save(save_of(next_of(first), (step(0, step_id="other"),)))
    assert await executions.load("e1") == first
    assert list(await executions.steps("e1")) == list(finished(range(2)))


async def test_of_many_writers_at_once_exactly_one_wins(executions: SqlExecutionStore) -> None:
    at_version = head()
    await executions.create(save_of(at_version), SNAPSHOT)
    for _ in range(5):
        rivals = [next_of(at_version, workflow_name=f"writer {place}") for place in range(50)]
        told = await asyncio.gather(
            *(executions.save(save_of(rival, (step(at_version.version),), (entry(rival.workflow_name),))) for rival in rivals),
            return_exceptions=True,
        )
        (winner,) = [rival for rival, result in zip(rivals, told, strict=True) if result is None]
        assert all(result is None or isinstance(result, VersionConflictError) for result in told)
        assert await executions.load("e1") == winner
        at_version = winner
    assert len(await executions.steps("e1")) == 5
    assert len((await executions.logs("e1"))[0]) == 5


async def test_of_many_creations_of_one_id_exactly_one_wins(executions: SqlExecutionStore) -> None:
    rivals = [head(workflow_name=f"writer {place}") for place in range(50)]
    told = await asyncio.gather(*(executions.create(save_of(rival), SNAPSHOT) for rival in rivals), return_exceptions=True)
    assert [type(result) for result in told].count(VersionConflictError) == 49
    assert await executions.load("e1") == rivals[told.index(None)]


async def test_one_unit_that_fails_leaves_its_neighbours_alone(executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head("taken")), SNAPSHOT)
    names = [f"n{place}" for place in range(30)]
    unfit = head("unfit", retained_til=2**70)
    told = await asyncio.gather(
        *(executions.create(save_of(each), SNAPSHOT) for name in names for each in (head(name), head("taken"), unfit)),
        return_exceptions=True,
    )
    assert told[0::3] == [None] * 30
    assert {type(result) for result in told[1::3]} == {VersionConflictError}
    assert {type(result) for result in told[2::3]} == {StoreError}
    assert [await executions.load(name) for name in names] == [head(name) for name in names]
    assert await executions.load("unfit") is None


async def test_a_caller_that_is_cancelled_loses_the_answer_and_nobody_elses(executions: SqlExecutionStore) -> None:
    saves = [asyncio.ensure_future(executions.create(save_of(head(f"c{place}")), SNAPSHOT)) for place in range(10)]
    await asyncio.sleep(0)
    saves[3].cancel()
    told = await asyncio.gather(*saves, return_exceptions=True)
    assert [type(result) for result in told].count(asyncio.CancelledError) == 1
    assert [result for result in told if result is None] == [None] * 9
    assert await executions.load("c9") is not None


async def test_a_reader_never_sees_half_of_a_save(executions: SqlExecutionStore) -> None:
    at_version = head(steps_begun=0)
    await executions.create(save_of(at_version), SNAPSHOT)

    async def write() -> None:
        nonlocal at_version
        for number in range(60):
            at_version = next_of(at_version, steps_begun=number + 1)
            await executions.save(save_of(at_version, (step(number),), (entry(str(number)),)))

    writing = asyncio.ensure_future(write())
    while not writing.done():
        before = await executions.load("e1")
        steps = await executions.steps("e1")
        after = await executions.load("e1")
        assert before is not None
        assert after is not None
        assert before.steps_begun <= len(steps) <= after.steps_begun
    await writing


async def test_ids_that_nobody_can_have_are_found_nowhere(executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head()), SNAPSHOT)
    for strange in ("\0", "e1\0", "\ud800", "", "e1 ", "E1", "x" * 100_000):
        assert await executions.load(strange) is None
        assert await executions.snapshot(strange) is None
        assert list(await executions.steps(strange)) == []
        assert await executions.logs(strange) == ([], None)
        await executions.append_logs(strange if strange.isprintable() else "nobody", [entry()])
        await executions.delete(strange if strange.isprintable() else "nobody")
    assert await executions.load("e1") == replace(head(), last_time=head().last_time)
    assert await executions.expired(NOW, 10) == []
