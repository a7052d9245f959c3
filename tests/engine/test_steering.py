"""Risk: two people's acts on one execution mix, or what is removed leaves something behind, or takes what others have."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from stepswitch.domain.errors import ErrorCode, NotFoundError, StateConflictError, StepswitchError
from stepswitch.domain.execution import Head, LogEntry, Result, Status
from stepswitch.engine import known_secrets, logbook
from stepswitch.engine.callers import administrator
from stepswitch.engine.edits import edit
from stepswitch.engine.snapshots import compile_snapshot
from stepswitch.engine.steering import ChangeOrder, ValuesOrder
from stepswitch.engine.views import ExecutionView
from tests.domain.documents import document
from tests.domain.lives import TYPES, steps
from tests.engine.scripted import ANN, House, open_house

BOB = administrator("bob")
TWO = document(steps=steps("a", "b"))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def test_what_the_second_of_two_saw_is_not_what_is_there(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    steering = house.service.steering
    execution = await house.queue(TWO, debug_step_ids=("a", "b"))
    with monkeypatch.context() as patch:
        patch.setattr(house.service.conductor, "head", both_at_once(house.service.conductor.head))
        answers = await asyncio.gather(steering.resume(ANN, execution), steering.resume(BOB, execution), return_exceptions=True)
    (refusal,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(refusal, StateConflictError)
    assert refusal.code is ErrorCode.MOVED_ON
    (await house.act.next()).end()
    view = await house.until(execution, Status.PAUSED)
    winner = "ann" if isinstance(answers[0], ExecutionView) else "bob"
    assert [entry.message for entry in view.logs if "resumed" in entry.message] == [
        f"resumed by {winner} while PAUSED at step a (0, waitingBeforeExecution)"
    ]


@pytest.mark.parametrize("act", ["resume", "retry", "change", "values"])
async def test_nothing_is_done_to_a_state_that_nobody_saw(house: House, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steering = house.service.steering
    execution = await house.queue(document(variables={"x": {"type": "string"}}, steps=steps("a", "b")), pause_at_failure=True)
    (await house.act.next()).end(Result.FAILED)
    await house.until(execution, Status.PAUSED)
    acts = {
        "resume": steering.resume(BOB, execution),
        "retry": steering.retry(BOB, execution),
        "change": steering.change(BOB, execution, ChangeOrder(steps={"b": {"type": "NOOP"}})),
        "values": steering.set_values(BOB, execution, ValuesOrder({"x": "bob's"})),
    }
    second = acts.pop(act)
    for other in acts.values():
        other.close()
    with monkeypatch.context() as patch:
        patch.setattr(house.service.conductor, "head", both_at_once(house.service.conductor.head))
        answers = await asyncio.gather(steering.set_values(ANN, execution, ValuesOrder({"x": "ann's"})), second, return_exceptions=True)
    (refusal,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(refusal, StateConflictError)
    assert refusal.code in (ErrorCode.MOVED_ON, ErrorCode.STATE_CONFLICT)
    view = await house.view(execution)
    is_anns = isinstance(answers[0], ExecutionView)
    assert (view.head.values.get("x") == "ann's") is is_anns
    assert any("by bob" in entry.message for entry in view.logs) is not is_anns


def both_at_once(read: Callable[[str], Awaitable[Head | None]]) -> Callable[[str], Awaitable[Head | None]]:
    """Let the first two who read go on only when both have read, so that both saw the same."""
    barrier, readers = asyncio.Barrier(2), itertools.count()

    async def read_together(execution_id: str) -> Head | None:
        head = await read(execution_id)
        if next(readers) < 2:
            await barrier.wait()
        return head

    return read_together


async def test_an_act_meets_a_deletion_with_an_answer_that_is_true(house: House) -> None:
    steering = house.service.steering
    execution = await house.queue(TWO, debug_step_ids=("a",))
    await steering.abort(ANN, execution)
    answers = await asyncio.gather(
        steering.delete(ANN, execution),
        steering.delete(BOB, execution),
        steering.change(BOB, execution, ChangeOrder(retained_til=house.clock.now() + 5)),
        steering.abort(BOB, execution),
        return_exceptions=True,
    )
    assert answers[:2].count(None) == 1
    assert all(answer is None or isinstance(answer, NotFoundError) for answer in answers[:2])
    assert all(isinstance(answer, ExecutionView | NotFoundError) for answer in answers[2:])
    with pytest.raises(NotFoundError):
        await house.view(execution)


async def test_a_deletion_takes_the_files_that_are_nobody_elses(house: House) -> None:
    service = house.service

    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    files = [await service.files.put("default", name, content()) for name in ("own", "shared")]
    own, shared = (file.id for file in files)
    executions = [await house.queue(TWO, debug_step_ids=("a",), attachments={"f": shared} | more) for more in ({"g": own}, {})]
    await service.files.settle((own, shared))
    for execution in executions:
        await service.steering.abort(ANN, execution)
    await service.steering.delete(ANN, executions[0])
    assert [await service.files.find("default", each) is not None for each in (own, shared)] == [False, True]
    await service.steering.delete(ANN, executions[1])
    assert await service.files.find("default", shared) is None


async def test_a_long_log_is_whole_and_masked_page_by_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "PAGE_BYTES", 1)
    monkeypatch.setattr(known_secrets, "STEPS_AT_ONCE", 1)
    source = document(
        inputs={"pw": {"type": "password"}},
        steps=steps("a", "b", a={"inBindings": {"pw": {"type": "password", "exportName": "pw"}}}),
    )
    execution = await house.queue(source, assignments={"pw": "hunter22"}, debug_step_ids=("b",))
    (await house.act.next()).end(Result.FAILED)
    await house.until(execution, Status.FAILED)
    await house.service.steering.set_values(ANN, execution, ValuesOrder({"pw": "hunter33"}), "no longer hunter22")
    await house.service.steering.retry(ANN, execution)
    call = await house.act.next()
    await call.context.log("hello hunter33")
    call.end()
    await house.until(execution, Status.PAUSED)
    await house.service.steering.set_values(ANN, execution, ValuesOrder({"pw": "hunter44"}), "no longer hunter33")
    pages: list[Sequence[LogEntry]] = [page async for page in await house.service.logbook.pages(ANN, execution)]
    messages = [entry.message for page in pages for entry in page]
    assert messages == [entry.message for entry in (await house.view(execution)).logs]
    assert len(pages) > 3
    assert not [message for message in messages if "hunter" in message]


async def test_a_log_that_is_deleted_while_it_is_read_does_not_seem_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "PAGE_BYTES", 1)
    execution = await house.queue(TWO, debug_step_ids=("a",))
    await house.service.steering.abort(ANN, execution)
    pages = await house.service.logbook.pages(ANN, execution)
    await anext(pages)
    await house.service.steering.delete(ANN, execution)
    with pytest.raises(StepswitchError):
        await anext(pages)


def test_the_first_step_may_go_once_the_way_is_past_it() -> None:
    compiled = compile_snapshot("default", document(steps=steps("a", "b")))
    assert edit(compiled, {"a": None}, "b", TYPES).compiled is not None
    faults = edit(compiled, {"a": None}, "a", TYPES).faults
    assert [(fault.code, fault.path) for fault in faults] == [(ErrorCode.UNKNOWN_STEP, "startStepId")]
    assert {fault.code for fault in edit(compiled, {"a": None, "b": None}, "a", TYPES).faults} == {ErrorCode.DRAFT}


def test_a_type_that_is_not_installed_cannot_be_edited_in() -> None:
    compiled = compile_snapshot("default", document(steps=steps("a")))
    faults = edit(compiled, {"a": {"type": "NETCONF"}}, "a", TYPES).faults
    assert ErrorCode.STEP_TYPE_NOT_INSTALLED in {fault.code for fault in faults}
