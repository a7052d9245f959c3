"""After a stop that nobody announced, every execution goes on where the contract says, and nothing is done twice unasked."""

from pathlib import Path

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Resume
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.flow import MAX_LOSSES
from stepswitch.domain.states import StepState
from stepswitch.worker.step_runner import CLAIM_AFTER_SECONDS
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import open_house

TWO = document(steps=steps("a", "b"))
SAFE = document(steps=steps("a", a={"policy": {"safeToRerun": True}}))


async def test_what_was_accepted_runs_after_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        execution = await house.queue(TWO)
        noop = await house.queue(document(steps=steps("a", "b", of="NOOP")))
        await house.stop()
        await house.open()
        (await house.act.next()).end()
        (await house.act.next()).end()
        await house.until(execution, Status.COMPLETED)
        await house.until(noop, Status.COMPLETED)


async def test_what_was_being_carried_out_is_unknown_and_not_done_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(TWO)
        await house.act.next()
        await house.stop()
        await house.open()
        view = await house.until(execution, Status.FAILED)
        ((step, _),) = view.steps
        assert step.result is Result.UNKNOWN
        assert step.error is not None
        assert step.error.code is ErrorCode.LOST
        assert house.act.count == 1


async def test_what_was_being_carried_out_and_is_safe_runs_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(SAFE)
        await house.act.next()
        await house.stop()
        await house.open()
        (await house.act.next()).end()
        view = await house.until(execution, Status.COMPLETED)
        assert [(step.attempt, step.state) for step, _ in view.steps] == [(1, StepState.RETRY), (2, StepState.FINISHED)]


async def test_what_needs_no_claim_runs_again_after_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a", of="LOOK")))
        await house.look.next()
        await house.stop()
        await house.open()
        (await house.look.next()).end()
        view = await house.until(execution, Status.COMPLETED)
        assert [step.attempt for step, _ in view.steps] == [1]


async def test_what_keeps_ending_the_service_is_left_alone_although_it_begins_without_a_claim(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a", of="LOOK")))
        for _ in range(1 + MAX_LOSSES):  # of the first death nothing is known
            await house.look.next()
            await house.clock.advance(CLAIM_AFTER_SECONDS / 2)
            await house.die()
            await house.open()
        view = await house.until(execution, Status.FAILED)
        errors = [(step.result, step.error and step.error.code) for step, _ in view.steps]
        assert errors == [(Result.UNKNOWN, ErrorCode.LOST)] * MAX_LOSSES
        assert house.look.count == 1 + MAX_LOSSES


async def test_what_was_paused_stays_paused_until_somebody_resumes_it(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(TWO, debug_step_ids=("b",))
        (await house.act.next()).end()
        await house.until(execution, Status.PAUSED)
        await house.stop()
        await house.open()
        await house.clock.advance(120)
        view = await house.view(execution)
        assert view.head.status is Status.PAUSED
        assert house.act.count == 1
        await house.service.conductor.apply(execution, Resume("r", "ann", view.head.version))
        (await house.act.next()).end()
        await house.until(execution, Status.COMPLETED)


async def test_a_delay_goes_on_over_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a", a={"policy": {"delaySeconds": 600}})))
        await house.stop()
        await house.clock.advance(100)
        await house.open()
        await house.watch.until(house.service, execution, lambda view: bool(view.waiting_for))
        assert house.act.count == 0
        await house.clock.advance(500)
        (await house.act.next()).end()
        await house.until(execution, Status.COMPLETED)


async def test_what_has_ended_stays_as_it_was(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(TWO)
        (await house.act.next()).end(Result.FAILED)
        before = await house.until(execution, Status.FAILED)
        await house.stop()
        await house.open()
        await house.clock.advance(120)
        after = await house.view(execution)
        assert (after.head, after.steps, after.logs) == (before.head, before.steps, before.logs)
