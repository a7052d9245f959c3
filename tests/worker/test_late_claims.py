"""Risk: a step that begins without a claim is seen as what it is not, or a claim that comes late meets something else than it was asked for."""

import asyncio
from dataclasses import replace

from stepswitch.domain.events import Abort, Lost, Pause, Reply, Resume
from stepswitch.domain.execution import Head, Outcome, Result, Status, Values
from stepswitch.domain.states import StepState
from stepswitch.engine.claims import Grant
from stepswitch.engine.ports import StepContext
from stepswitch.worker.patience import STORE_PAUSES
from stepswitch.worker.step_runner import CLAIM_AFTER_SECONDS
from tests.worker.house import SILENCE, House


class Held:
    """A script that ends when a test says so."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, _inputs: Values, _context: StepContext) -> Outcome:
        await self.ended.wait()
        return Outcome(Result.SUCCEEDED)


async def stored(house: House, execution_id: str) -> Head:
    head = await house.store.load(execution_id)
    assert head is not None
    return head


async def test_a_step_that_ends_soon_costs_one_save(house: House) -> None:
    task = await house.begin("SAFE")
    before = (await stored(house, task.execution_id)).version
    held = house.safe.script = Held()
    running = house.carry_out(task)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS * 0.9)
    held.ended.set()
    await running
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    head = await stored(house, task.execution_id)
    assert (head.status, head.version) == (Status.COMPLETED, before + 1)


async def test_a_step_that_does_not_is_stored_as_what_it_is(house: House) -> None:
    task = await house.begin("SAFE")
    held = house.safe.script = Held()
    running = house.carry_out(task)
    await house.safe.started.wait()
    begun = house.clock.now()
    assert (await house.step(task)).state is StepState.EXECUTABLE
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    head = await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    assert head == await stored(house, task.execution_id)
    assert head.current is not None
    assert head.current.state is StepState.EXECUTING
    assert head.start_time == head.current.claimed_time == begun
    assert [claim.execution_id for claim in await house.store.open_claims(2**62, 0)] == [task.execution_id]
    held.ended.set()
    await running
    assert (await house.notes.ended(task.execution_id)).status is Status.COMPLETED
    assert await house.store.open_claims(2**62, 2**62) == []
    assert house.safe.runs == 1


async def test_a_report_that_comes_while_the_claim_is_being_saved_counts_once(house: House) -> None:
    task = await house.begin("SAFE")
    held = house.safe.script = Held()
    running = house.carry_out(task)
    await house.safe.started.wait()
    gate = house.database.held = asyncio.Event()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    held.ended.set()
    await house.clock.settle()
    house.database.held = None
    gate.set()
    await asyncio.wait_for(running, 30)
    step = await house.step(task)
    assert (step.state, step.result, step.attempt) == (StepState.FINISHED, Result.SUCCEEDED, 1)
    assert (await stored(house, task.execution_id)).status is Status.COMPLETED


async def test_a_late_claim_is_asked_for_until_the_store_takes_it(house: House) -> None:
    task = await house.begin("SAFE")
    held = house.safe.script = Held()
    running = house.carry_out(task)
    await house.safe.started.wait()
    house.database.refuses = True
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    house.database.refuses = False
    await house.clock.advance(STORE_PAUSES[0])
    head = await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    assert head.current is not None
    assert head.current.state is StepState.EXECUTING
    held.ended.set()
    await running


async def test_a_late_claim_that_the_store_refused_for_long_counts_as_heard_of_when_it_is_stored(house: House) -> None:
    task = await house.begin("SAFE")
    grant = await house.claims.claim(task, "here")
    begun = house.clock.now()
    await house.clock.advance(2 * SILENCE)
    assert isinstance(grant, Grant)
    late = replace(grant, nonce="late")
    assert await house.claims.claim_late(late, "here") == late
    assert (await house.step(task)).claimed_time == begun
    (claim,) = await house.store.open_claims(2**62, 0)
    assert claim.last_sign == house.clock.now() == begun + 2 * SILENCE * 1_000


async def test_an_abort_before_the_claim_leaves_a_step_that_nobody_had_claimed(house: House) -> None:
    task = await house.begin("SAFE")
    house.safe.script = Held()
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.safe.started.wait()
    gate = house.database.held = asyncio.Event()
    aborting = asyncio.ensure_future(house.conductor.apply(task.execution_id, Abort("abort", "ann", None)))
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    house.database.held = None
    gate.set()
    await aborting
    await house.clock.settle()
    step, head = await house.step(task), await stored(house, task.execution_id)
    assert (step.state, step.result, step.aborted, step.claim, head.left_behind) == (
        StepState.FINISHED,
        Result.SKIPPED,
        True,
        None,
        (),
    )
    assert house.safe.cancelled == 1


async def test_an_abort_after_the_claim_leaves_nothing_behind(house: House) -> None:
    task = await house.begin("SAFE")
    house.safe.script = Held()
    house.dispatcher.start(house.runner.carry_out, house.runner.carry_out)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    await house.conductor.apply(task.execution_id, Abort("abort", "ann", None))
    head = await house.notes.until_head(task.execution_id, lambda head: head.current is not None and not head.left_behind)
    assert head.current is not None
    assert (head.status, head.current.result, head.current.aborted) == (Status.ABORTED, Result.UNKNOWN, True)
    assert house.safe.cancelled == 1


async def test_a_claim_that_was_asked_for_before_a_pause_does_not_hold_the_step_that_is_resumed(house: House) -> None:
    task = await house.begin("SAFE")
    grant = await house.claims.claim(task, "here")
    await house.clock.advance(1)
    await house.conductor.apply(task.execution_id, Pause("pause", "ann", None))
    await house.conductor.apply(task.execution_id, Resume("resume", "ann", None))
    assert isinstance(grant, Grant)
    assert await house.claims.claim_late(replace(grant, nonce="late"), "here") is Reply.STALE
    assert (await house.step(task)).state is StepState.EXECUTABLE


async def test_a_step_that_was_lost_or_waited_before_a_start_is_claimed_first(house: House) -> None:
    task = await house.begin("SAFE")
    held = house.safe.script = Held()
    running = house.carry_out(task)
    await house.safe.started.wait()
    await house.clock.advance(CLAIM_AFTER_SECONDS)
    await house.notes.until_head(task.execution_id, lambda head: head.status is Status.RUNNING)
    (claim,) = await house.store.open_claims(2**62, 0)
    await house.conductor.apply(task.execution_id, Lost("lost", claim.number, claim.attempt, claim.nonce, "silence"))
    held.ended.set()
    await running
    again = await house.conductor.pending(await stored(house, task.execution_id))
    assert again is not None
    grant = await house.claims.claim(again, "here")
    assert isinstance(grant, Grant)
    assert grant.nonce is not None
    waiting = await house.begin("SAFE")
    await house.clock.advance(1)
    grant = await house.reopened_claims().claim(waiting, "here")
    assert isinstance(grant, Grant)
    assert grant.nonce is not None
    assert (await house.step(waiting)).state is StepState.EXECUTING
