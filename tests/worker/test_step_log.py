"""Risk: a step's log shows a secret, loses a line, grows without end, or appears only when all is over."""

import asyncio
from dataclasses import replace

from stepswitch.domain.execution import LogLevel, Outcome, Result, Values
from stepswitch.domain.secrecy import CUT
from stepswitch.engine.ports import StepContext
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.worker import attempt
from tests.worker.house import House


async def test_lines_are_written_in_their_order_while_the_step_goes_on(house: House) -> None:
    task = await house.begin()
    finish = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        for number in range(100):
            await context.log(str(number), LogLevel.DEBUG)
        await finish.wait()
        await context.log("last")
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.notes.until(lambda: len(house.notes.lines) == 100)
    assert not running.done()
    finish.set()
    await running
    assert [each.message for each in await house.logged(task)] == [*map(str, range(100)), "last"]
    assert {each.level for each in await house.logged(task)} == {LogLevel.DEBUG, LogLevel.INFO}


async def test_secrets_never_reach_the_store(house: House) -> None:
    task = await house.begin(inBindings={"password": {"type": "password", "exportName": "secret"}})

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        await context.log("login hunter22")
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    await house.runner.carry_out(task)
    assert [each.message for each in await house.logged(task)] == ["login ********"]


async def test_a_chatty_step_does_not_keep_the_disk_busy(house: House) -> None:
    task = await house.begin()
    finish = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        for number in range(1_000):
            await context.log(str(number))
            await asyncio.sleep(0)
        finish.set()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    await house.runner.carry_out(task)
    assert len(house.notes.lines) == 1_000
    assert len(house.notes.batches) <= 3


async def test_a_log_is_cut_at_its_limit_with_a_mark(house: House) -> None:
    house.runner._around = replace(house.runner._around, log_bytes=1_000)
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        await context.log("a" * 600)
        await context.log("ü" * 100_000)
        await context.log("never seen")
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    await house.runner.carry_out(task)
    first, second, mark = await house.logged(task)
    assert first.message == "a" * 600
    assert second.message == "ü" * 199 + CUT
    assert (mark.message, mark.level) == ("the log of this step was cut here, at 1000 bytes", LogLevel.WARN)


async def test_lines_of_next_to_nothing_are_cut_before_there_are_a_million(house: House) -> None:
    house.runner._around = replace(house.runner._around, log_bytes=100 * attempt.LEAST_LINE_BYTES)
    task = await house.begin()
    was_full: list[bool] = []

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        for _ in range(1_000):
            await context.log("y")
            was_full.append(context.is_log_full)
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    await house.runner.carry_out(task)
    *lines, mark = await house.logged(task)
    assert [each.message for each in lines] == ["y"] * 100
    assert mark.level is LogLevel.WARN
    assert was_full.index(True) == 99


async def test_strange_lines_come_back(house: House) -> None:
    task = await house.begin()
    lines = ["\0", "\ud800", b"\xff".decode("utf-8", "surrogateescape"), "", "\r\n"]

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        for line in lines:
            await context.log(line)
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    await house.runner.carry_out(task)
    assert [each.message for each in await house.logged(task)] == lines


async def test_a_step_that_logs_faster_than_it_is_written_waits(house: House) -> None:
    task = await house.begin()
    written = 0
    line = "x" * 100_000

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        nonlocal written
        house.database.held = asyncio.Event()
        for _ in range(8):
            await context.log(line)
            written += 1
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.settle()
    assert written < 6
    assert house.database.held is not None
    house.database.held.set()
    house.database.held = None
    while not running.done():
        await house.clock.advance(attempt.PAUSE_SECONDS)
    assert [each.message for each in await house.logged(task)] == [line] * 8


async def test_lines_that_could_not_be_stored_are_tried_again(house: House) -> None:
    task = await house.begin()
    finish = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        house.database.refuses = True
        await context.log("first")
        await finish.wait()
        await context.log("second")
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(attempt.RETRY_SECONDS)
    assert house.notes.lines == []
    finish.set()
    house.database.refuses = False
    await house.clock.advance(attempt.RETRY_SECONDS)
    await running
    assert [each.message for each in await house.logged(task)] == ["first", "second"]


async def test_a_stopped_step_gives_up_lines_that_nobody_takes(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        house.database.refuses = True
        await context.log("never stored")
        await asyncio.get_running_loop().create_future()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(attempt.RETRY_SECONDS)
    running.cancel()
    await asyncio.wait_for(asyncio.wait([running]), 30)
    assert running.cancelled()


def test_the_house_uses_a_real_database(house: House) -> None:
    assert isinstance(house.database._database, SqliteDatabase)


async def test_lines_whose_storing_is_in_doubt_are_there_once(house: House) -> None:
    task = await house.begin()
    is_said = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        house.database.doubts = 2
        await context.log("first")
        await house.clock.until_sleeping_for(attempt.RETRY_SECONDS)
        await context.log("second")
        await context.log("second")
        await house.clock.advance(attempt.RETRY_SECONDS)
        is_said.set()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await is_said.wait()
    while not running.done():
        await house.clock.advance(attempt.RETRY_SECONDS)
    await running
    assert [each.message for each in await house.logged(task)] == ["first", "second", "second"]
