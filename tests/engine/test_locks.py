"""Giving locks. Risks: nobody is told that a lock is free, two wait for each other for ever, a stop in between leaves somebody waiting."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from structlog.testing import capture_logs

from stepswitch.domain.errors import DamagedError, ErrorCode
from stepswitch.domain.events import Abort, BreakLock, Pause, Resume
from stepswitch.domain.execution import Head, Status
from stepswitch.domain.locks import named
from stepswitch.engine.lock_ports import LockPlace
from stepswitch.engine.locks import LockLines
from stepswitch.engine.records import Committed
from stepswitch.storage.locks import SqlLockStore
from tests.domain.documents import JsonObject, document
from tests.domain.lives import steps
from tests.engine.rig import PATIENCE, Rig, open_rig


def locked(*ids: str, locks: dict[str, str] | None = None) -> JsonObject:
    """Return a workflow whose first step wants the lock `mine`, or whose steps want `locks`."""
    wanted = {ids[0]: "mine"} if locks is None else locks
    policies: dict[str, Any] = {name: {"policy": {"lock": lock}} for name, lock in wanted.items()}
    return document(startStepId=ids[0], steps=steps(*ids, **policies))


class Line:
    """A rig with somebody who gives locks, at once where something happens or only when he is asked to look."""

    def __init__(self, rig: Rig, *, is_told: bool = True) -> None:
        self.rig = rig
        self.store = SqlLockStore(rig.database)
        self.lines = LockLines(self.store, rig.conductor)
        if is_told:
            rig.conductor.observe(self.lines)

    async def settle(self) -> None:
        """See to whatever was touched."""
        while not self.lines._touched.empty():
            touched = self.lines._touched.get_nowait()
            await self.lines.see_to(touched.tenant, touched.key, touched.asked_by)

    async def queue(self, source: JsonObject, **more: Any) -> str:
        execution_id = await self.rig.create(source, **more)
        await self.settle()
        return execution_id

    async def steer(self, kind: Any, execution_id: str, **more: Any) -> None:
        await self.rig.apply(execution_id, kind(self.rig.event_id(), "bob", None, **more))
        await self.settle()

    async def step(self, execution_id: str, number: int = 0) -> None:
        await self.rig.claim(execution_id, number)
        await self.rig.report(execution_id, number)
        await self.settle()

    async def head(self, execution_id: str) -> Head:
        return await self.rig.stored(execution_id)

    async def has(self, execution_id: str) -> list[str]:
        return [lock.name for lock in (await self.head(execution_id)).locks]

    async def waits(self, execution_id: str) -> str | None:
        lock = (await self.head(execution_id)).awaited_lock
        return None if lock is None else lock.name


@pytest_asyncio.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_rig(tmp_path) as rig:
        yield Line(rig)


async def test_the_first_has_it_and_the_others_have_it_one_after_the_other(line: Line) -> None:
    first, second, third = [await line.queue(locked("a")) for _ in range(3)]
    assert [await line.has(each) for each in (first, second, third)] == [["mine"], [], []]
    assert [task.execution_id for task in line.rig.dispatcher.tasks] == [first]
    await line.step(first)
    assert [await line.has(each) for each in (first, second, third)] == [[], ["mine"], []]
    await line.steer(Abort, second)
    assert await line.has(third) == ["mine"]
    assert [task.execution_id for task in line.rig.dispatcher.tasks] == [first, second, third]


async def test_a_paused_holder_keeps_it_until_it_is_broken(line: Line) -> None:
    first = await line.queue(locked("a", "b"), debug_step_ids=("b",))
    await line.step(first)
    second = await line.queue(locked("a"))
    assert ((await line.head(first)).status, await line.has(first), await line.waits(second)) == (Status.PAUSED, ["mine"], "mine")
    await line.steer(BreakLock, first, key=named("mine").key)
    assert (await line.has(first), await line.has(second)) == ([], ["mine"])


async def test_whoever_is_paused_in_line_goes_to_its_end_when_it_is_resumed(line: Line) -> None:
    first, second, third = [await line.queue(locked("a")) for _ in range(3)]
    await line.steer(Pause, second)
    await line.steer(Resume, second)
    await line.step(first)
    assert (await line.has(second), await line.has(third)) == ([], ["mine"])


async def test_whoever_lets_go_and_asks_again_at_once_stands_behind_those_who_wait(line: Line) -> None:
    policy: JsonObject = {"policy": {"lock": "mine", "unlock": "mine"}}
    round_and_round = document(startStepId="a", steps={"a": {"type": "ACT", "nextStepId": "a", **policy}})
    first = await line.queue(round_and_round)
    await line.step(first, 0)
    assert await line.has(first) == ["mine"], "nobody else wants it"
    second = await line.queue(locked("a"))
    await line.step(first, 1)
    assert (await line.has(first), await line.waits(first), await line.has(second)) == ([], "mine", ["mine"])
    await line.step(second)
    assert await line.has(first) == ["mine"]


async def test_two_that_take_two_locks_in_opposite_order_do_not_wait_for_ever(line: Line) -> None:
    one = await line.queue(locked("a", "b", locks={"a": "x", "b": "y"}))
    two = await line.queue(locked("a", "b", locks={"a": "y", "b": "x"}))
    await line.step(one)
    assert (await line.has(one), await line.waits(one)) == (["x"], "y")
    await line.step(two)
    failed = await line.head(two)
    assert failed.status is Status.FAILED
    assert failed.current is not None
    assert failed.current.error is not None
    assert failed.current.error.code is ErrorCode.DEADLOCK
    assert "'x' would never be free, for this execution has 'y', and whoever has 'x' waits for that" in failed.current.error.message
    assert await line.has(one) == ["x", "y"], "whoever has waited longer goes on"


async def test_who_fails_in_a_circle_is_told_no_other_execution_and_no_lock_but_his_own_and_the_log_of_the_service_has_them(
    line: Line,
) -> None:
    circle = [("x", "y"), ("y", "core of another customer"), ("core of another customer", "x")]
    one, two, three = [await line.queue(locked("a", "b", locks={"a": has, "b": wants})) for has, wants in circle]
    await line.step(two)
    await line.step(three)
    with capture_logs() as logs:
        await line.step(one)
    failed = await line.head(one)
    assert failed.current is not None
    assert failed.current.error is not None
    told = failed.current.error.message + "".join(entry.message for entry in (await line.rig.store.logs(one))[0])
    assert "'y' would never be free, for this execution has 'x', and whoever has 'y' waits for that, himself or by way of others" in told
    assert [each for each in (two, three, "core of another customer") if each in told] == []
    (said,) = [entry for entry in logs if "waited for each other" in entry["event"]]
    assert (said["execution"], said["others"]) == (one, [two, three])


async def test_attempts_that_ask_in_vain_again_are_used_up_and_nobody_waits_for_ever(line: Line) -> None:
    one = await line.queue(locked("a", "b", locks={"a": "x", "b": "y"}))
    stubborn: JsonObject = {"policy": {"lock": "x", "retry": {"maxAttempts": 3}}}
    two = await line.queue(document(startStepId="a", steps=steps("a", "b", a={"policy": {"lock": "y"}}, b=stubborn)))
    await line.step(one)
    await line.step(two)
    failed = await line.head(two)
    assert failed.status is Status.FAILED
    assert failed.current is not None
    assert failed.current.attempt == 3
    assert await line.has(one) == ["x", "y"]


async def test_whoever_asks_for_the_same_lock_with_another_step_goes_to_the_end_of_the_line(line: Line) -> None:
    one = await line.queue(locked("a", "b", locks={"a": "x", "b": "y"}))
    leads: JsonObject = {"policy": {"lock": "x", "onFailureStepId": "c"}}
    two_document = document(
        startStepId="a", steps=steps("a", "b", a={"policy": {"lock": "y"}}, b=leads) | {"c": {"type": "ACT", "policy": {"lock": "x"}}}
    )
    two = await line.queue(two_document)
    await line.step(one)
    await line.step(two)
    failed = await line.head(two)
    assert (failed.status, failed.current.step_id if failed.current else None) == (Status.FAILED, "c")
    assert await line.has(one) == ["x", "y"]


async def test_a_circle_of_three_loses_one_and_the_last_that_asked(line: Line) -> None:
    names = ["x", "y", "z"]
    made = [await line.queue(locked("a", "b", locks={"a": name, "b": names[(at + 1) % 3]})) for at, name in enumerate(names)]
    for each in made:
        await line.step(each)
    assert [(await line.head(each)).status for each in made] == [Status.RUNNING, Status.RUNNING, Status.FAILED]
    await line.step(made[1], 1)
    await line.step(made[0], 1)
    assert [(await line.head(each)).status for each in made] == [Status.COMPLETED, Status.COMPLETED, Status.FAILED]


async def test_whoever_waits_for_a_chain_that_ends_waits(line: Line) -> None:
    one = await line.queue(locked("a", "b", locks={"a": "x"}))
    two = await line.queue(locked("a", "b", locks={"a": "y", "b": "x"}))
    await line.step(two)
    three = await line.queue(locked("a", locks={"a": "y"}))
    await line.lines.look()
    assert [await line.waits(each) for each in (one, two, three)] == [None, "x", "y"]


async def test_what_nobody_was_told_of_is_found_by_looking(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        line = Line(rig, is_told=False)
        one = await line.queue(locked("a", "b", locks={"a": "x", "b": "y"}))
        two = await line.queue(locked("a", "b", locks={"a": "y", "b": "x"}))
        await line.lines.look()
        assert (await line.has(one), await line.has(two)) == (["x"], ["y"])
        for each in (one, two):
            await line.step(each)
        await line.lines.look()
        assert (await line.head(two)).status is Status.FAILED
        await line.lines.look()
        assert await line.has(one) == ["x", "y"]


async def test_a_long_line_costs_one_look_and_hides_no_circle(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        line = Line(rig, is_told=False)
        one = await line.queue(locked("a", "b", locks={"a": "x", "b": "y"}))
        two = await line.queue(locked("a", "b", locks={"a": "y", "b": "x"}))
        await line.lines.look()
        for _ in range(5):
            await line.queue(locked("a", locks={"a": "x"}))
        for each in (one, two):
            await line.step(each)
        asked: list[str] = []
        first = line.store.first

        async def noted(tenant: str, key: str) -> LockPlace | None:
            asked.append(key)
            return await first(tenant, key)

        line.store.first = noted  # type: ignore[method-assign] # only this one's
        await line.lines.look()
        assert (await line.head(two)).status is Status.FAILED
        assert len(asked) <= 5, "and not once for each of those who wait"


async def test_two_processes_never_give_one_lock_to_two(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        line = Line(rig)
        others = LockLines(line.store, rig.another())
        made = [await rig.create(locked("a")) for _ in range(3)]
        await asyncio.gather(line.lines.look(), others.look(), line.settle())
        assert [await line.has(each) for each in made] == [["mine"], [], []]


async def test_one_that_cannot_be_read_keeps_nobody_else_from_its_lock(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        line = Line(rig, is_told=False)
        first, second = await rig.create(locked("a")), await rig.create(locked("a", locks={"a": "other"}))
        for each in (first, second):
            rig.conductor.forget(each)
        rig.store.fail_loads.append(DamagedError("its bytes are others than they were"))
        await line.lines.look()
        assert (await line.has(first), await line.has(second)) == ([], ["other"])


async def test_a_fault_of_the_store_is_outlived_and_the_lock_given_later(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        line = Line(rig)

        class FailsOnce:
            def committed(self, change: Committed) -> None:
                if change.locks is not None and change.locks.asked is not None:
                    rig.store.arrived.clear()
                    rig.store.fail_before = OSError("no room")

        rig.conductor.observe(FailsOnce())
        running = asyncio.create_task(line.lines.run())
        execution_id = await rig.create(locked("a"))
        await asyncio.wait_for(rig.store.arrived.wait(), PATIENCE)
        await rig.conductor.drain()
        assert await line.has(execution_id) == []
        await line.lines.look()
        assert await line.has(execution_id) == ["mine"]
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])


async def test_an_execution_without_a_lock_costs_no_look_at_the_lines(line: Line) -> None:
    execution_id = await line.queue(document(startStepId="a", steps=steps("a")))
    await line.step(execution_id)
    assert all(change.locks is None for change in line.rig.observer.changes)
