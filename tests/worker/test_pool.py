"""Risk: a worker that cannot prove that it is alive goes on sending, or one that can is cut off."""

import asyncio

import pytest

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Abort, Lost, Task
from stepswitch.domain.execution import Outcome, Result, Status, Values
from stepswitch.engine.ports import StepContext
from stepswitch.worker.attempt import OLD_CLAIM_SECONDS, FencedError
from stepswitch.worker.patience import STORE_PAUSES
from stepswitch.worker.step_runner import CLAIM_AFTER_SECONDS
from tests.worker.house import SILENCE, House


class Gate:
    """A script that waits until a test lets it send, and says what became of it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.sent = False
        self.refused = ""

    async def __call__(self, _inputs: Values, context: StepContext) -> Outcome:
        await self.open.wait()
        try:
            context.mark_sent()
        except FencedError as error:
            self.refused = str(error)
            raise
        self.sent = True
        return Outcome(Result.SUCCEEDED)


async def _lose(house: House, task: Task) -> None:
    """Let the claim of a running step be given up, as after a silence."""
    (claim,) = await house.store.open_claims(2**62, 0)
    await house.conductor.apply(task.execution_id, Lost("lost-1", claim.number, claim.attempt, claim.nonce, "silence"))


async def test_signs_that_are_confirmed_keep_a_step_alive(house: House) -> None:
    task = await house.begin()
    gate = house.ask.script = Gate()
    running = house.carry_out(task)
    await house.ask.started.wait()
    for _ in range(20):
        await house.clock.advance(SILENCE / 6)
        await house.pool.sign()
        assert await house.store.open_claims(house.clock.now() - round(SILENCE * 1000), house.clock.now()) == []
    gate.open.set()
    await running
    assert gate.sent
    assert (await house.step(task)).result is Result.SUCCEEDED


@pytest.mark.parametrize(("stood_still", "is_sent"), [(60 + OLD_CLAIM_SECONDS - 1, True), (60 + OLD_CLAIM_SECONDS + 1, False)])
async def test_nothing_is_sent_when_the_deadline_of_the_claim_is_near_however_fresh_its_sign(
    house: House, *, stood_still: float, is_sent: bool
) -> None:
    """The process stood still after the step had begun; a sign was the first that it gave afterwards, and the step was quicker than its time limit."""
    task = await house.begin(policy={"timeoutSeconds": 60})
    gate = house.ask.script = Gate()
    running = house.carry_out(task)
    await house.ask.started.wait()
    house.clock.stand_still(stood_still)
    await house.pool.sign()
    gate.open.set()
    await running
    assert gate.sent is is_sent
    assert gate.refused == ("" if is_sent else "the time of this worker's claim is over, so it may not send anything")
    step = await house.step(task)
    assert (step.result, step.error and step.error.code) == ((Result.SUCCEEDED, None) if is_sent else (Result.FAILED, ErrorCode.LOST))


async def test_without_a_confirmed_sign_nothing_is_sent(house: House) -> None:
    task = await house.begin()
    gate = house.ask.script = Gate()
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(SILENCE / 2 + 1)
    gate.open.set()
    await running
    step = await house.step(task)
    assert not gate.sent
    assert step.result is Result.FAILED
    assert step.error is not None
    assert step.error.code is ErrorCode.LOST
    assert step.error.message.startswith("nothing was sent")


async def test_a_fence_after_something_was_sent_leaves_doubt(house: House) -> None:
    task = await house.begin()
    again = asyncio.Event()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        await again.wait()
        context.mark_sent()
        return Outcome(Result.SUCCEEDED)

    house.ask.script = script
    running = house.carry_out(task)
    await house.ask.started.wait()
    await house.clock.advance(SILENCE)
    again.set()
    await running
    step = await house.step(task)
    assert step.error is not None
    assert (step.result, step.error.code) == (Result.UNKNOWN, ErrorCode.LOST)


async def test_a_step_is_not_fenced_as_long_as_its_late_claim_is_not_stored(house: House) -> None:
    task = await house.begin("SAFE")
    gate = house.safe.script = Gate()
    running = house.carry_out(task)
    await house.safe.started.wait()
    house.database.refuses = True
    await house.clock.advance(SILENCE * 3)
    await house.pool.sign()
    gate.open.set()
    await house.clock.settle()
    house.database.refuses = False
    await house.clock.advance(STORE_PAUSES[-1])
    await running
    assert gate.sent
    assert (await house.step(task)).result is Result.SUCCEEDED


async def test_signs_keep_a_step_alive_whose_claim_came_late(house: House) -> None:
    task = await house.begin("SAFE")
    gate = house.safe.script = Gate()
    running = house.carry_out(task)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    for _ in range(20):
        await house.clock.advance(SILENCE / 6)
        await house.pool.sign()
        assert await house.store.open_claims(house.clock.now() - round(SILENCE * 1000), house.clock.now()) == []
    assert len(await house.store.open_claims(2**62, 0)) == 1
    gate.open.set()
    await running
    assert gate.sent


async def test_a_late_claim_that_was_given_up_cuts_the_step_off(house: House) -> None:
    task = await house.begin("SAFE")
    house.safe.script = Gate()
    running = house.carry_out(task)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    await _lose(house, task)
    await house.pool.sign()
    await asyncio.wait([running])
    assert running.cancelled()
    assert house.safe.cancelled == 1


@pytest.mark.parametrize("answer", ["no", "nothing"])
async def test_a_store_that_confirms_no_sign_cuts_the_sessions(house: House, answer: str) -> None:
    task = await house.begin()
    gate = house.ask.script = Gate()
    running = house.carry_out(task)
    await house.ask.started.wait()
    if answer == "no":
        house.database.refuses = True
    else:
        house.database.held = asyncio.Event()
    signing = asyncio.ensure_future(house.pool.sign_forever())
    await house.clock.advance(SILENCE / 2)
    assert house.ask.cancelled == 0
    await house.clock.advance(SILENCE / 2)
    assert house.ask.cancelled == 1
    gate.open.set()
    signing.cancel()
    await asyncio.wait([signing])
    house.database.refuses = False
    if house.database.held is not None:
        house.database.held.set()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not gate.sent
    assert (await house.step(task)).result is None


async def test_a_claim_that_is_no_longer_stored_stops_its_step(house: House) -> None:
    task = await house.begin()
    gate = house.ask.script = Gate()
    running = house.carry_out(task)
    await house.ask.started.wait()
    await _lose(house, task)
    await house.pool.sign()
    gate.open.set()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not gate.sent
    assert house.ask.cancelled == 1


async def test_only_the_step_whose_claim_is_gone_is_stopped(house: House) -> None:
    tasks = [await house.begin(), await house.begin()]
    gate = house.ask.script = Gate()
    running = [house.carry_out(task) for task in tasks]
    await asyncio.gather(*(house.notes.until_head(task.execution_id, lambda head: head.version == 2) for task in tasks))
    await house.clock.settle()
    assert house.ask.runs == 2
    await house.conductor.apply(tasks[0].execution_id, Abort("abort-1", "admin", None))
    await house.pool.sign()
    gate.open.set()
    await asyncio.wait(running)
    assert [each.cancelled() for each in running] == [True, False]
    assert (await house.step(tasks[1])).result is Result.SUCCEEDED


async def test_what_a_step_came_to_is_not_thrown_away_by_the_fence(house: House) -> None:
    task = await house.begin()

    async def script(_inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        house.database.refuses = True
        return Outcome(Result.SUCCEEDED, {"answer": 42})

    house.ask.script = script
    running = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    signing = asyncio.ensure_future(house.pool.sign_forever())
    await house.clock.advance(SILENCE * 2)
    assert not running.done()
    house.database.refuses = False
    while not running.done():
        await house.clock.advance(1)
    signing.cancel()
    await asyncio.wait([signing])
    step = await house.step(task)
    assert (step.result, step.outputs) == (Result.SUCCEEDED, {"answer": 42})


async def test_the_first_sign_is_the_moment_of_asking_and_not_of_the_answer(house: House) -> None:
    task = await house.begin()
    gate = house.ask.script = Gate()
    house.database.held = asyncio.Event()
    running = house.carry_out(task)
    await house.clock.advance(SILENCE / 2 + 1)
    house.database.held.set()
    house.database.held = None
    await house.ask.started.wait()
    gate.open.set()
    await running
    assert not gate.sent


# --- letting go ---


async def test_step_types_let_go_of_what_has_ended(house: House) -> None:
    task = await house.begin()
    await house.runner.carry_out(task)
    await house.notes.ended(task.execution_id)
    await house.pool.close()
    assert house.ask.released == [task.execution_id]
    assert house.safe.released == []
    assert (house.ask.closed, house.safe.closed) == (True, True)


async def test_a_step_type_that_cannot_let_go_hinders_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(house.ask, "release", broken)
    monkeypatch.setattr(house.ask, "close", broken)
    task = await house.begin()
    await house.runner.carry_out(task)
    await house.notes.ended(task.execution_id)
    await house.pool.close()
    assert house.safe.closed
