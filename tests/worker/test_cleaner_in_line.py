"""A clean-up acts on a device like a step. Risk: the device has a session too many, somebody waits for ever, or a dead device keeps its place."""

import asyncio
from typing import Any

import pytest

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Abort, Task
from stepswitch.domain.execution import Outcome, PlainValues, Result, Status
from stepswitch.engine.ports import StepContext
from stepswitch.engine.records import Waiting
from stepswitch.worker.cleaner import PAUSES, TRY_SECONDS
from stepswitch.worker.kept_sessions import Left
from stepswitch.worker.patience import LET_GO_SECONDS
from tests.worker.house import House

ROUTER = {"inBindings": {"where": {"type": "string", "defaultValue": "router"}}}
LANE = DeviceLane("router", "router")


class AtWork:
    """What happens at the device: never more at once than it bears."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.there: list[str] = []
        self.most = 0
        self.may_end: dict[str, asyncio.Event] = {}
        house.copy.script, house.copy.cleaning = self._step, self._clean
        house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)

    async def _stay(self, name: str) -> None:
        self.there.append(name)
        self.most = max(self.most, len(self.there))
        self.may_end.setdefault(name, asyncio.Event())
        try:
            await self.may_end[name].wait()
        finally:
            self.there.remove(name)

    async def _step(self, _inputs: PlainValues, context: StepContext) -> Outcome:
        context.mark_sent()
        await self._stay(context.attempt_name)
        return Outcome(Result.SUCCEEDED)

    async def _clean(self, context: StepContext) -> None:
        await self._stay(f"clean {context.attempt_name}")

    def let(self, name: str) -> None:
        """Let somebody end, now or as soon as he comes."""
        self.may_end.setdefault(name, asyncio.Event()).set()

    async def until(self, *names: str) -> None:
        """Return when just these are at the device."""
        async with asyncio.timeout(30):
            while self.there != list(names):
                await self._house.clock.settle()

    async def begin(self, **step: Any) -> Task:
        task = await self._house.begin("COPY", **{**ROUTER, **step})
        await self._house.clock.settle()
        return task

    async def abort(self, task: Task) -> None:
        await self._house.conductor.apply(task.execution_id, Abort(f"abort {task.execution_id}", "admin", None))


async def until_waits(house: House, execution_id: str) -> Waiting:
    async with asyncio.timeout(30):
        while (waiting := house.dispatcher.visiting(execution_id)) is None:
            await house.clock.settle()
    return waiting


async def is_clean(house: House, task: Task) -> None:
    await house.notes.until_head(task.execution_id, lambda head: not head.left_behind)


async def test_a_clean_up_waits_for_the_step_at_its_device_and_the_next_step_waits_for_the_clean_up(house: House) -> None:
    work = AtWork(house)
    first = await work.begin()
    await work.until("e1-0-1")
    second = await work.begin()
    await work.abort(first)
    await work.until("e2-0-1")
    assert await until_waits(house, first.execution_id) == Waiting("device", "router", house.clock.now())
    await house.clock.advance(1)
    third = await work.begin()
    work.let("e2-0-1")
    await work.until("clean e1-0-1")
    assert house.dispatcher.visiting(first.execution_id) is None
    waiting = house.dispatcher.waiting(third.execution_id)
    assert waiting is not None
    assert (waiting.kind, waiting.name) == ("device", "router")
    work.let("clean e1-0-1")
    await is_clean(house, first)
    await work.until("e3-0-1")
    work.let("e3-0-1")
    for each in (second, third):
        assert (await house.notes.ended(each.execution_id)).status is Status.COMPLETED
    assert work.most == 1
    async with asyncio.timeout(30):
        while house.dispatcher.is_busy(LANE):
            await house.clock.settle()


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_step_and_the_clean_up_of_its_own_earlier_attempt_let_each_other_through(house: House, *, is_first: bool) -> None:
    """Whichever of them is at the device, the other one waits in line and not there."""
    work = AtWork(house)
    policy = {"policy": {"safeToRerun": True, "retry": {"maxAttempts": 2}, "timeoutSeconds": 50}}
    task = await work.begin(**policy)
    await work.until("e1-0-1")
    if is_first:
        work.let("e1-1-2")
    await house.clock.advance(50)
    if not is_first:
        await work.until("e1-1-2")
        await until_waits(house, task.execution_id)
        work.let("e1-1-2")
    await work.until("clean e1-0-1")
    work.let("clean e1-0-1")
    await is_clean(house, task)
    assert (await house.notes.ended(task.execution_id)).status is Status.COMPLETED
    assert work.most == 1


async def test_a_clean_up_that_hangs_gives_its_place_back_in_time_and_stands_in_line_again(house: House) -> None:
    work = AtWork(house)
    first = await work.begin()
    await work.until("e1-0-1")
    await work.abort(first)
    await work.until("clean e1-0-1")
    second, third = await work.begin(), await work.begin()
    await house.clock.until_sleeping_for(TRY_SECONDS)
    await house.clock.advance(TRY_SECONDS - 1)
    assert work.there == ["clean e1-0-1"]
    await house.clock.advance(1)
    await work.until("e2-0-1")
    await house.clock.until_sleeping_for(PAUSES[0])
    await house.clock.advance(PAUSES[0])
    await until_waits(house, first.execution_id)
    work.let("e2-0-1")
    await work.until("e3-0-1")  # it has waited longer than the second try
    work.let("e3-0-1")
    await work.until("clean e1-0-1")
    work.let("clean e1-0-1")
    await is_clean(house, first)
    for each in (second, third):
        assert (await house.notes.ended(each.execution_id)).status is Status.COMPLETED
    assert work.most == 1


async def test_a_clean_up_that_does_not_even_let_go_keeps_no_place(house: House) -> None:
    work = AtWork(house)
    holds_on = asyncio.Event()

    async def clings(_context: StepContext) -> None:
        while not holds_on.is_set():
            try:
                await holds_on.wait()
            except asyncio.CancelledError:
                continue

    house.copy.cleaning = clings
    first = await work.begin()
    await work.until("e1-0-1")
    await work.abort(first)
    await house.clock.until_sleeping_for(TRY_SECONDS)
    await work.begin()
    await house.clock.advance(TRY_SECONDS)
    await house.clock.until_sleeping_for(LET_GO_SECONDS)
    assert work.there == []
    await house.clock.advance(LET_GO_SECONDS)
    await work.until("e2-0-1")
    holds_on.set()
    work.let("e2-0-1")


async def test_what_others_have_kept_at_the_device_is_closed_before_a_clean_up_begins(house: House) -> None:
    work = AtWork(house)
    first = await work.begin()
    await work.until("e1-0-1")
    await work.abort(first)
    await work.until("clean e1-0-1")
    kept = Left("somebody", "ASK", "router")
    house.pool._kept.begin(LANE, kept)
    house.pool._kept.end(LANE, kept)
    await house.clock.until_sleeping_for(TRY_SECONDS)
    await house.clock.advance(TRY_SECONDS)
    await house.clock.until_sleeping_for(PAUSES[0])
    assert house.ask.released == []
    await house.clock.advance(PAUSES[0])
    await work.until("clean e1-0-1")
    assert house.ask.released == ["somebody"]
    work.let("clean e1-0-1")
    await is_clean(house, first)
    assert house.pool._kept._devices == {}
