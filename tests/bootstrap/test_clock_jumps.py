"""Risk: the clock of the machine is set an hour forward or back, and a step is lost, begun twice, ended too soon, or never begun."""

from contextlib import suppress
from pathlib import Path

import pytest

from stepswitch.domain.errors import ErrorCode, NotFoundError
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.timekeeper import QUIET_AFTER_JUMP_SECONDS
from stepswitch.engine.views import ExecutionView
from tests.clocks import FakeClock
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import House, open_house

HOUR = 3_600.0
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
DELAY = 120.0
BIT = 4.0
"""Seconds that may pass at once: a sign of life that is not answered for five is none."""
MARGIN = 60.0
"""Seconds that may pass beyond what is awaited: the work of a thread may take a few bits of a clock that does not stand still for it."""
LIMIT = 60.0
"""The time limit of a step of type ACT."""
DELAYED = document(steps=steps("a", a={"policy": {"delaySeconds": DELAY}}))
ONE = document(steps=steps("a"))


async def let_pass(house: House, seconds: float, at_once: float = 1) -> None:
    """Let time pass bit by bit, and whatever falls due be on disk before the next bit begins."""
    for _ in range(round(seconds / at_once)):
        await house.clock.advance(at_once)
        await house.service._database.probe()
        await house.clock.settle()


async def is_removed(house: House, execution: str) -> bool:
    """Return whether an execution is removed in the next rounds of the timekeeper."""
    for _ in range(20):
        with suppress(NotFoundError):
            await house.view(execution)
            await let_pass(house, 1)
            continue
        return True
    return False


async def until_begun(house: House, seconds: float) -> float:
    """Return after how many seconds, up to that many, a step was begun."""
    passed = 0.0
    while house.act.calls.empty():
        assert passed <= seconds, "nobody begins it"
        await let_pass(house, BIT, at_once=BIT)
        passed += BIT
    return passed


def current(view: ExecutionView) -> StepState:
    return view.steps[-1][0].state


@JUMPS
async def test_a_step_that_runs_goes_on_and_is_begun_once(tmp_path: Path, jump: float) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(ONE)
        call = await house.act.next()
        house.clock.jump(jump)
        await let_pass(house, 45)  # longer than a claim may be silent
        assert current(await house.view(execution)) is StepState.EXECUTING
        call.end()
        view = await house.until(execution, Status.COMPLETED)
        (step, _) = view.steps[0]
        assert step.end_time is not None
        assert step.start_time <= step.end_time
        assert house.act.count == 1


@JUMPS
async def test_a_time_limit_is_neither_shorter_nor_longer(tmp_path: Path, jump: float) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(ONE)
        await house.act.next()
        await let_pass(house, 5)
        house.clock.jump(jump)
        await let_pass(house, LIMIT - 7)
        assert current(await house.view(execution)) is StepState.EXECUTING
        await let_pass(house, 3)
        view = await house.until(execution, Status.FAILED)
        (step, _) = view.steps[0]
        assert step.error is not None
        assert (step.result, step.error.code, house.act.count) == (Result.UNKNOWN, ErrorCode.TIMEOUT, 1)


@JUMPS
async def test_a_step_that_is_delayed_is_begun_once_and_after_its_delay(tmp_path: Path, jump: float) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(DELAYED)
        await let_pass(house, 2)
        assert house.act.count == 0
        house.clock.jump(jump)
        assert DELAY - 2 - BIT <= await until_begun(house, DELAY + BIT) <= DELAY - 2 + BIT
        (await house.act.next()).end()
        await house.until(execution, Status.COMPLETED)
        await let_pass(house, 40)  # whoever was forgotten is woken again meanwhile
        assert house.act.count == 1


@JUMPS
async def test_a_start_after_a_jump_loses_what_was_carried_out_once_and_goes_on_with_the_rest(tmp_path: Path, jump: float) -> None:
    house = House(tmp_path, FakeClock())
    await house.open()
    running, waiting = await house.queue(ONE), await house.queue(DELAYED)
    await house.act.next()
    await house.stop()
    house.clock.jump(jump)
    await house.open()
    try:
        view = await house.until(running, Status.FAILED)
        (step, _) = view.steps[0]
        assert (step.result, step.error and step.error.code) == (Result.UNKNOWN, ErrorCode.LOST)
        await until_begun(house, DELAY + HOUR + MARGIN)
        (await house.act.next()).end()
        await house.until(waiting, Status.COMPLETED)
        assert house.act.count == 2
    finally:
        await house.stop()


@JUMPS
async def test_nobody_is_logged_out_before_his_time(tmp_path: Path, jump: float) -> None:
    async with open_house(tmp_path, session_hours=2) as house:
        token, _ = await house.service.accounts.login("admin", "long enough")
        house.clock.jump(jump)
        await let_pass(house, 40)
        assert (await house.service.accounts.authenticate(token)).user == "admin"


async def test_what_a_wrong_clock_calls_old_is_still_there_when_it_is_set_right(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(ONE, retained_til=house.clock.now() + 1_800_000)
        (await house.act.next()).end()
        await house.until(execution, Status.COMPLETED)
        await let_pass(house, QUIET_AFTER_JUMP_SECONDS + 60, at_once=BIT)
        house.clock.jump(HOUR)
        await let_pass(house, 60)
        house.clock.jump(-HOUR)
        await let_pass(house, QUIET_AFTER_JUMP_SECONDS + 60, at_once=BIT)
        assert (await house.view(execution)).head.status is Status.COMPLETED
        house.clock.jump(HOUR)
        await let_pass(house, QUIET_AFTER_JUMP_SECONDS + 60, at_once=BIT)
        assert await is_removed(house, execution)
