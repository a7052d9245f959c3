"""Risk: this machine has no file or process left, and a step fails for that, or is sent twice, or waits for ever."""

import asyncio
import errno

import pytest

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Abort
from stepswitch.domain.execution import Outcome, Result, Status, Values
from stepswitch.engine.ports import StepContext
from stepswitch.plugin import exhausted, failed
from stepswitch.worker.patience import STORE_PAUSES
from tests.worker.house import House

NO_FILE = OSError(errno.EMFILE, "Too many open files")


class Shortage:
    """A step type for which there is no room so many times; it says so, or lets the system's own error escape."""

    def __init__(self, times: int, *, escapes: bool = False, sent: bool = False) -> None:
        self.times = times
        self._escapes = escapes
        self._sent = sent

    async def __call__(self, _inputs: Values, context: StepContext) -> Outcome:
        if self.times:
            self.times -= 1
            if self._sent:
                context.mark_sent()
            error = exhausted(NO_FILE)
            if self._escapes:
                raise NO_FILE
            assert error is not None
            return failed(error.code, error.message)
        context.mark_sent()
        return Outcome(Result.SUCCEEDED)


@pytest.mark.parametrize("escapes", [False, True])
async def test_a_step_that_found_no_room_is_run_again_until_there_is_some(house: House, escapes: bool) -> None:
    task = await house.begin()
    house.ask.script = Shortage(3, escapes=escapes)
    running = house.carry_out(task)
    for pause in STORE_PAUSES[:3]:
        await house.clock.until_sleeping_for(pause)
        await house.clock.advance(pause)
    await asyncio.wait_for(running, 30)
    step = await house.step(task)
    assert (step.result, step.attempt, house.ask.runs) == (Result.SUCCEEDED, 1, 4)
    said = [entry.message for entry in await house.logged(task)]
    assert said == ["nothing was sent: the machine of this service has run out: Too many open files; it is tried again"] * 3


async def test_one_that_finds_no_room_within_its_time_limit_has_failed(house: House) -> None:
    task = await house.begin(policy={"timeoutSeconds": 3})
    house.ask.script = Shortage(1_000)
    running = house.carry_out(task)
    for pause in STORE_PAUSES[:3]:
        await house.clock.until_sleeping_for(pause)
        await house.clock.advance(pause)
    await asyncio.wait_for(running, 30)
    step = await house.step(task)
    assert step.error is not None
    assert (step.result, step.error.code) == (Result.FAILED, ErrorCode.EXHAUSTED)


@pytest.mark.parametrize(("escapes", "result"), [(True, Result.UNKNOWN), (False, Result.FAILED)])
async def test_what_was_sent_is_not_run_again(house: House, escapes: bool, result: Result) -> None:
    task = await house.begin()
    house.ask.script = Shortage(1, escapes=escapes, sent=True)
    step = await house.done(task)
    assert (step.result, house.ask.runs) == (result, 1)


async def test_one_that_waits_for_room_can_be_aborted(house: House) -> None:
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    house.ask.script = Shortage(1_000)
    task = await house.begin()
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    await house.conductor.apply(task.execution_id, Abort("stop", "ann", None))
    assert (await house.notes.ended(task.execution_id)).status is Status.ABORTED
    async with asyncio.timeout(30):
        while house.dispatcher.holds(task.execution_id):
            await house.store.load(task.execution_id)
    assert house.ask.runs == 1
    await house.dispatcher.stop(0)


async def test_one_whose_claim_is_gone_while_it_waits_is_not_run_again(house: House) -> None:
    task = await house.begin()
    house.ask.script = Shortage(1_000)
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    await house.store.delete(task.execution_id)
    await house.pool.sign()
    await asyncio.wait([running])
    assert (running.cancelled(), house.ask.runs) == (True, 1)


@pytest.mark.parametrize(
    ("number", "is_exhausted"), [(errno.EMFILE, True), (errno.ENOMEM, True), (errno.EHOSTUNREACH, False), (None, False)]
)
def test_only_a_shortage_of_our_own_counts(number: int | None, is_exhausted: bool) -> None:
    assert (exhausted(OSError(number, "why") if number else OSError("why")) is not None) is is_exhausted
