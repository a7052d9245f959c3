"""Every step type in every situation of `suite`. Risk: a type that raises, hangs, leaks or lies where the others do not."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places
from stepswitch.domain.events import Task, TaskKind
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.domain.lanes import lane_of
from stepswitch.engine.confidential import Mask
from stepswitch.engine.outcomes import bounded
from stepswitch.plugin import Outcome, Result, ValueType
from stepswitch.steps.registry import installed
from stepswitch.system import SystemClock
from tests.steps.contexts import RecordingContext
from tests.steps.suite import CASES, SECRET, SITUATIONS, Situation, StepTypeCase, names_with


class NoSecrets:
    """A mask where there is nothing to hide."""

    def text(self, text: str) -> str:
        return text

    cut_text = text


ENOUGH = 3
WITHOUT_A_CASE = {"WORKFLOW": "it is never carried out by a worker, for `decide` knows how to wait for it: see `engine/test_sub_workflows`"}
FITTING = {ValueType.NUMBER: int | float, ValueType.BOOLEAN: bool}


def when(situation: str) -> pytest.MarkDecorator:
    """Run a test for the types to which a situation can happen."""
    return pytest.mark.parametrize("case", names_with(situation), indirect=True)


@pytest_asyncio.fixture(params=sorted(CASES))
async def case(request: pytest.FixtureRequest) -> AsyncIterator[StepTypeCase]:
    async with CASES[request.param](lambda: request.getfixturevalue("server")) as case:
        yield case


async def run(case: StepTypeCase, situation: Situation) -> tuple[Outcome, RecordingContext]:
    context = case.context(**situation.context)
    outcome = await case.step.run(situation.inputs, context)
    check(case, outcome, situation)
    return outcome, context


def check(case: StepTypeCase, outcome: Outcome, situation: Situation) -> None:
    """Everything that holds for every outcome of every type."""
    assert (outcome.result, outcome.error.code if outcome.error else None) == (situation.result, situation.code)
    assert situation.outputs.items() <= outcome.outputs.items()
    signature = case.step.signature
    declared = {spec.name: spec.type for spec in signature.outputs}
    assert signature.other_outputs or outcome.outputs.keys() <= declared.keys()
    assert all(isinstance(outcome.outputs[name], FITTING.get(kind, str)) for name, kind in declared.items() if name in outcome.outputs)
    assert set(outcome.truncated) <= outcome.outputs.keys()
    for value in outcome.outputs.values():
        str(value).encode("utf-8")


def test_every_registered_step_type_has_a_case_or_it_is_said_why_not() -> None:
    registered = {name for name, step_type in installed().items() if name == step_type.signature.name}
    assert registered == {case.name for case in CASES.values()} | WITHOUT_A_CASE.keys()
    assert all(installed()[name].signature.waits for name in WITHOUT_A_CASE)


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_situation_happens_to_a_type_or_it_is_said_why_it_cannot(name: str) -> None:
    happening = {situation for situation in SITUATIONS if name in names_with(situation)}
    assert happening | CASES[name].without.keys() == set(SITUATIONS)
    assert happening & CASES[name].without.keys() == set()
    assert all(len(why.split()) > 3 for why in CASES[name].without.values())


async def test_the_signature_is_well_formed(case: StepTypeCase) -> None:
    signature = case.step.signature
    assert signature.name == case.name
    for names in ([spec.name for spec in signature.inputs], [spec.name for spec in signature.outputs]):
        assert len(names) == len(set(names))
    assert all(spec.types and spec.description.endswith(".") for spec in signature.inputs)
    assert all(spec.description.endswith(".") for spec in signature.outputs)
    assert not [spec.name for spec in signature.inputs if spec.required and spec.default is not None]
    assert all(signature.input(named) is not None for named in signature.device_inputs)


async def test_it_succeeds_again_and_again(case: StepTypeCase) -> None:
    for _ in range(2):
        await run(case, case.succeeds())


@pytest.mark.parametrize("case", sorted(CASES), indirect=True)
async def test_two_at_once_on_one_device_come_one_after_the_other(case: StepTypeCase) -> None:
    """By whatever spelling, and whatever else is known of the device; where a type acts on none, nobody waits."""
    signature, situation = case.step.signature, case.succeeds()
    target = signature.target(situation.inputs)
    devices = {} if target is None else {"the-device": {"addresses": [target.host.upper()]}}
    inventory = read_inventory({"devices": devices}).inventory
    assert inventory is not None
    lane = lane_of(signature, situation.inputs, inventory)
    assert (lane is not None) is bool(signature.device_inputs)
    begun, over, runs = asyncio.Queue[str](), asyncio.Queue[str](), list[str]()
    first_may_end = asyncio.Event()

    async def carry_out(task: Task) -> None:
        runs.append(task.execution_id)
        begun.put_nowait(task.execution_id)
        outcome = await case.step.run(situation.inputs, case.context(execution_id=task.execution_id, **situation.context))
        check(case, outcome, situation)
        if task.execution_id == "e0":
            await first_may_end.wait()
        over.put_nowait(task.execution_id)

    dispatcher = LocalDispatcher(Places(), SystemClock())
    dispatcher.start(carry_out, carry_out)
    for number in range(ENOUGH):
        dispatcher.submit(Task(f"e{number}", 0, 1, TaskKind.STEP, number, device=lane, step_type=signature.name))
    async with asyncio.timeout(30):
        assert await begun.get() == "e0"
        waiting = dispatcher.waiting("e1")
        assert (waiting is not None and (waiting.kind, waiting.name) == ("device", "the-device")) is (lane is not None)
        first_may_end.set()
        ended = [await over.get() for _ in range(ENOUGH)]
    assert lane is None or ended == runs
    assert runs == [f"e{number}" for number in range(ENOUGH)]
    await dispatcher.stop(0)


@when("lacks_inputs")
async def test_missing_inputs_are_an_outcome(case: StepTypeCase) -> None:
    _, context = await run(case, case.lacks_inputs())
    assert not context.sent


@when("is_refused")
async def test_a_refusal_is_a_failure_before_anything_was_sent(case: StepTypeCase) -> None:
    outcome, context = await run(case, case.is_refused())
    assert not context.sent
    assert outcome.error is not None
    assert SECRET not in "\n".join([outcome.error.message, *context.messages])


@when("times_out")
async def test_a_limit_that_passes_is_said(case: StepTypeCase) -> None:
    outcome, context = await run(case, case.times_out())
    assert context.sent is (outcome.result is Result.UNKNOWN)


@when("is_cut")
async def test_a_cut_in_the_middle_leaves_unknown_where_the_target_may_act(case: StepTypeCase) -> None:
    situation = case.is_cut()
    context = case.context(**situation.context)
    running = asyncio.create_task(case.step.run(situation.inputs, context))
    await context.wait_for_line(case.begun)
    case.cut()
    outcome = await running
    check(case, outcome, situation)
    assert context.sent is (outcome.result is Result.UNKNOWN)


@when("goes_on")
async def test_cancelling_is_quick_and_leaves_the_type_usable(case: StepTypeCase) -> None:
    situation = case.goes_on()
    context = case.context(time_limit_seconds=100.0, **situation.context)
    running = asyncio.create_task(case.step.run(situation.inputs, context))
    await context.wait_for_line(case.begun)
    running.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running
    await run(case, case.succeeds())


@when("prints_much")
async def test_an_output_over_the_limit_is_cut_and_named(case: StepTypeCase) -> None:
    """By the type or by the worker that reports it; a file over its limit is none."""
    situation = case.prints_much()
    outcome, context = await run(case, situation)
    kept = bounded(outcome, context.output_limit_bytes, cast("Mask", NoSecrets()))
    assert bool(kept.truncated) is (situation.result is Result.SUCCEEDED)
    for value in kept.outputs.values():
        assert len(str(value).encode("utf-8")) <= 1_048_576
    assert (outcome.files, context.made) == ({}, {})
    assert all(len(message.encode("utf-8")) <= 1_048_576 for message in context.messages)


@when("prints_invalid_text")
async def test_text_that_cannot_be_decoded_does_no_harm(case: StepTypeCase) -> None:
    _, context = await run(case, case.prints_invalid_text())
    for message in context.messages:
        message.encode("utf-8")


async def test_release_and_close_may_come_at_any_time(case: StepTypeCase) -> None:
    await case.step.release("an execution that never was")
    await run(case, case.succeeds())
    await case.step.release("execution-1")
    await case.step.release("execution-1")
    await run(case, case.succeeds())
    await case.step.close()
    await case.step.close()
