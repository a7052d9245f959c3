"""Risk: after a restore an attempt takes for its own what the lost time has left at a target under the same name, or what was left before is never found."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from stepswitch.domain.events import Abort, Restored, Resume, Retry, Task
from stepswitch.domain.execution import Head, Outcome, PlainValues, Result
from stepswitch.engine.leftovers import Leftovers, attempt_name
from stepswitch.engine.ports import StepContext
from stepswitch.engine.snapshots import Snapshots
from stepswitch.storage.encoding import Large, dump_head, head_from, load
from stepswitch.storage.sqlite import SqliteDatabase
from tests.sealing import sealing_for_tests
from tests.worker.house import House

SECOND, THIRD = "0193d0c5-7c1e-7a52-9d61-1b6a4e0f7a01", "0193d0c5-7c1e-7a52-9d61-1b6a4e0f7a02"


class Stays:
    """A script that begins something under its name and does not end."""

    def __init__(self, house: House) -> None:
        self.names: list[str] = []
        house.remote.script = self.run

    async def run(self, _inputs: PlainValues, context: StepContext) -> Outcome:
        context.mark_sent()
        self.names.append(context.attempt_name)
        await asyncio.Event().wait()
        return Outcome(Result.SUCCEEDED)


@pytest_asyncio.fixture
async def restored(house: House, tmp_path: Path) -> AsyncIterator["Restores"]:
    made = Restores(house, tmp_path)
    yield made
    await made.close()


class Restores:
    """A store that is restored, as it stands, again and again; each time another process serves it."""

    def __init__(self, house: House, directory: Path) -> None:
        self._first = house
        self._directory = directory
        self._houses: list[House] = []

    async def to(self, epoch: str, task: Task) -> House:
        """Tell an execution that its store was restored; return the process that goes on."""
        database = SqliteDatabase(self._directory / "stepswitch.db", sealer=sealing_for_tests())
        house = House(database, self._directory, epoch)
        self._houses.append(house)
        await house.conductor.apply(task.execution_id, Restored(f"restored:{epoch}", epoch, house.clock.now()))
        return house

    async def close(self) -> None:
        for house in self._houses:
            await house.dispatcher.stop(0)
            await house.conductor.drain()
            await house.cleaner.close()
            await house.pool.close()
            await house.database.close()


async def runs(house: House, kind: type[Resume | Retry], task: Task) -> str:
    """Say that an execution goes on; return the name of the attempt that begins, once it is under way."""
    stays = Stays(house)
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.conductor.apply(task.execution_id, kind(f"go-on:{house.rules.epoch}", "admin", None))
    async with asyncio.timeout(30):
        await house.remote.started.wait()
    (name,) = stays.names
    return name


async def cleaned(house: House, task: Task) -> list[str]:
    """Have everything removed that the execution may have left; return the names that were looked for."""
    head = await stored(house, task)
    for left in head.left_behind:
        house.cleaner.begin(task.execution_id, left.nonce)
    await house.notes.until_head(task.execution_id, lambda head: not head.left_behind)
    return sorted(name for name, _ in house.remote.cleaned)


async def stored(house: House, task: Task) -> Head:
    head = await house.store.load(task.execution_id)
    assert head is not None
    return head


async def test_an_attempt_of_which_the_lost_time_made_one_too_has_another_name(house: House, restored: Restores) -> None:
    task = await house.begin("REMOTE")
    second = await restored.to(SECOND, task)
    name = await runs(second, Resume, task)
    assert (name, (await stored(second, task)).current.attempt) == (attempt_name("e1", 0, 1, 0, SECOND), 1)  # type: ignore[union-attr]
    lost_time = attempt_name("e1", 0, 1, 0, "")
    assert name != lost_time
    assert name.startswith("e1-"), "whatever begins with the execution is of an earlier attempt"


async def test_what_the_restored_store_knows_to_be_under_way_is_looked_for_by_the_name_that_it_was_begun_under(
    house: House, restored: Restores
) -> None:
    stays = Stays(house)
    task = await house.begin("REMOTE")
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.remote.started.wait()
    second = await restored.to(SECOND, task)
    (place,) = (await Leftovers(second.store, Snapshots(second.store), second.rules.types).places(await stored(second, task))).values()
    assert place.endswith(", under the name e1-0-1")
    assert (stays.names, await cleaned(second, task)) == (["e1-0-1"], ["e1-0-1"])


async def test_a_claim_or_a_mark_that_names_no_epoch_has_the_name_of_the_time_before_names_had_one(house: House) -> None:
    """As an earlier release stored them, also in a store that had been restored."""
    stays = Stays(house)
    task = await house.begin("REMOTE")
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.remote.started.wait()
    await house.conductor.apply(task.execution_id, Restored("restored:1", SECOND, house.clock.now()))
    head = await stored(house, task)
    plain = load(dump_head(head, Large()))
    for each in (plain["current"]["claim"], *plain["left_behind"]):
        assert each.pop("epoch") == ""
    assert head_from(plain, {}) == head
    assert (head.epoch, await cleaned(house, task)) == (SECOND, stays.names)


async def test_what_each_epoch_has_left_is_looked_for_by_its_own_name(house: House, restored: Restores) -> None:
    Stays(house)
    task = await house.begin("REMOTE")
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.remote.started.wait()
    second = await restored.to(SECOND, task)
    in_second = await runs(second, Retry, task)
    third = await restored.to(THIRD, task)
    in_third = await runs(third, Retry, task)
    await third.conductor.apply(task.execution_id, Abort("abort", "admin", None))
    await third.notes.ended(task.execution_id)
    names = {"e1-0-1", in_second, in_third}
    assert len(names) == 3
    async with asyncio.timeout(30):
        assert set(await cleaned(third, task)) == names
