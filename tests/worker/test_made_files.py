"""Risk: a file that a step made is lost, stays where nobody owns it, takes the place of one that it must not, or is seen before its report counts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepswitch.domain.errors import AttachmentError, ErrorCode
from stepswitch.domain.events import Abort
from stepswitch.domain.execution import Outcome, Result, Values
from stepswitch.engine.ports import StepContext
from tests.worker.house import House

DOCUMENTS_OWN = {"fixed.js": {"id": "w1", "reference": "fixed.js"}}


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


def contents(house: House) -> list[bytes]:
    return sorted(path.read_bytes() for path in house.directory.iterdir())


async def attachments(house: House, execution_id: str) -> dict[str, str]:
    head = await house.store.load(execution_id)
    assert head is not None
    return dict(head.attachments)


async def test_a_file_becomes_the_executions_with_the_report_and_not_before(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        file = await context.attach("made", pieces(b"one", b"two"))
        assert (file.size, await attachments(house, task.execution_id)) == (6, {})
        await house.files.sweep()
        return Outcome(Result.SUCCEEDED, files={"made": file.id})

    house.ask.script = script
    assert (await house.done(task)).result is Result.SUCCEEDED
    (key, file_id), *others = (await attachments(house, task.execution_id)).items()
    await house.files.sweep()
    file = await house.files.find("default", file_id)
    assert file is not None
    assert (key, others, await house.files.read(file), file.name) == ("made", [], b"onetwo", "made")
    await house.store.delete(task.execution_id)
    await house.files.sweep()
    assert contents(house) == []


@pytest.mark.parametrize("result", [Result.SUCCEEDED, Result.FAILED])
async def test_a_file_that_the_outcome_does_not_name_is_removed(house: House, result: Result) -> None:
    async def script(_inputs: Values, context: StepContext) -> Outcome:
        await context.attach("made", pieces(b"forgotten"))
        assert contents(house) == [b"forgotten"]
        return Outcome(result)

    house.ask.script = script
    task = await house.begin()
    await house.done(task)
    assert (await attachments(house, task.execution_id), contents(house)) == ({}, [])


async def test_a_file_of_a_report_that_comes_too_late_is_removed(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        file = await context.attach("made", pieces(b"too late"))
        await house.conductor.apply(task.execution_id, Abort("abort", "ann", None))
        return Outcome(Result.SUCCEEDED, files={"made": file.id})

    house.ask.script = script
    await house.carry_out(task)
    assert (await attachments(house, task.execution_id), contents(house)) == ({}, [])


async def test_a_step_that_is_stopped_leaves_no_file(house: House) -> None:
    is_reading = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"half"
        is_reading.set()
        await asyncio.Event().wait()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        await context.attach("made", pieces(b"one"))
        await context.attach("other", endless())
        raise AssertionError("it is stopped before that")

    house.ask.script = script
    running = house.carry_out(await house.begin())
    await is_reading.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert contents(house) == []


async def test_a_file_that_was_not_made_cannot_be_named(house: House) -> None:
    other = await house.files.put("default", "f", pieces(b"another one's"))

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        await context.attach("mine", pieces(b"mine"))
        return Outcome(Result.SUCCEEDED, files={"mine": other.id})

    house.ask.script = script
    task = await house.begin()
    step = await house.done(task)
    assert step.error is not None
    assert (step.error.code, await attachments(house, task.execution_id)) == (ErrorCode.INTERNAL, {})


@pytest.mark.parametrize("key", ["fixed.js", "", "a\nb", "w1"])
async def test_a_key_that_must_not_be_taken_is_refused_before_anything_is_read(house: House, key: str) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        with pytest.raises(AttachmentError) as refused:
            await context.attach(key, unread())
        assert refused.value.code is ErrorCode.INVALID_VALUE
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    task = await house.begin(attachments={"fixed.js": "w1"}, own=DOCUMENTS_OWN)
    assert (await house.done(task)).result is Result.SUCCEEDED


async def test_a_file_that_is_too_large_or_has_no_room_is_said(house: House) -> None:
    async def script(_inputs: Values, context: StepContext) -> Outcome:
        with pytest.raises(AttachmentError) as refused:
            await context.attach("big", pieces(*[bytes(100_000)] * 20))
        assert refused.value.code is ErrorCode.TOO_LARGE
        house.database.refuses = True
        with pytest.raises(AttachmentError) as refused:
            await context.attach("small", pieces(b"x"))
        house.database.refuses = False
        assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    assert (await house.done(await house.begin())).result is Result.SUCCEEDED
    assert contents(house) == []


async def test_a_report_that_is_told_again_after_a_doubt_gives_the_file_once(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        file = await context.attach("made", pieces(b"x"))
        house.database.doubts = 1
        return Outcome(Result.SUCCEEDED, files={"made": file.id})

    house.ask.script = script
    assert (await house.done(task)).result is Result.SUCCEEDED
    await house.files.sweep()
    assert (list(await attachments(house, task.execution_id)), contents(house)) == (["made"], [b"x"])


async def test_a_file_is_read_in_pieces_by_its_key(house: House) -> None:
    stored = await house.files.put("default", "f", pieces(bytes(700_000)))
    task = await house.begin(attachments={"key": stored.id})

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        sizes: list[Any] = [len(piece) async for piece in context.pieces(await context.attached("key"))]
        assert (sum(sizes), max(sizes)) == (700_000, 256 * 1024)
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    assert (await house.done(task)).result is Result.SUCCEEDED
