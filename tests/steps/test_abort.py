"""An abort of every step type while it acts, in a whole service whose clock stands still, and looked up at the target. Risk: one type lets an execution
hang with its target, or leaves there what nobody removes.

No clock passes between an abort and the end: the ten seconds that an abort may take are not waited for, they are not needed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.domain.execution import Status
from stepswitch.domain.states import StepState
from stepswitch.engine.views import ExecutionView
from stepswitch.plugin import Result
from stepswitch.steps.registry import installed
from tests.domain.documents import JsonObject, document
from tests.engine.scripted import ANN, House, open_house
from tests.steps.at_target import AtTarget, one_step
from tests.steps.suite import CASES, StepTypeCase, names_with

NEVER_ACTS: Final = {"NOOP": "it has ended before anybody can abort it: `decide` carries it out while the step's turn comes"}
ONLY_COMPUTES: Final = frozenset({"JS"})
"""Types without a target that could hang."""
WAITS: Final = {"WORKFLOW": "HTTP"}
"""Types that wait for another execution, and the case that acts in it."""
ACTING: Final = {**{name: name for name in names_with("traces")}, **WAITS}


@dataclass
class Scene:
    """An execution whose step acts at its target."""

    house: House
    case: StepTypeCase
    at_target: AtTarget
    execution: str
    acting: str
    """The execution that acts: another one, where the first one waits for it."""

    async def abort(self) -> ExecutionView:
        """Abort, and hold to it that all has ended by the time of the answer, without time that passes."""
        before = self.house.clock.monotonic()
        view = await self.house.service.steering.abort(ANN, self.execution)
        assert view.head.status is Status.ABORTED
        await self.house.until(self.acting, Status.ABORTED)
        assert self.house.clock.monotonic() == before
        return view

    async def is_clean(self) -> None:
        """Return when nothing is said to be left at the target."""
        for each in {self.execution, self.acting}:
            await self.house.watch.until(self.house.service, each, lambda view: not view.head.left_behind)


@asynccontextmanager
async def acting(directory: Path, name: str, case: StepTypeCase) -> AsyncIterator[Scene]:
    """Give an execution that has begun to act."""
    at_target = AtTarget(case, case.goes_on())
    async with open_house(directory, start=False) as house:
        await house.stop()
        house.more = {case.name: at_target}
        await house.open()
        child = one_step(case.name)
        if name in WAITS:
            await house.service.catalogue.create(ANN, child)
            execution = await house.queue(one_step(name, workflowName=child["name"]))
        else:
            execution = await house.queue(child)
        await at_target.seen.wait_for_line(case.begun)
        ((step, _),) = (await house.view(execution)).steps
        below = execution if step.child is None else step.child.execution_id
        yield Scene(house, case, at_target, execution, below)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def scene(tmp_path: Path, request: pytest.FixtureRequest, name: str) -> AsyncIterator[Scene]:
    async with CASES[ACTING[name]](lambda: request.getfixturevalue("server")) as case, acting(tmp_path, name, case) as scene:
        yield scene


def test_every_registered_type_is_aborted_here_or_it_is_said_why_it_cannot_be() -> None:
    registered = {name for name, step_type in installed().items() if name == step_type.signature.name}
    rows = {CASES[each].name for each in names_with("traces")} | WAITS.keys()
    assert (registered, rows & NEVER_ACTS.keys()) == (rows | NEVER_ACTS.keys(), set())
    assert names_with("traces") == names_with("goes_on") == names_with("is_clear")
    assert names_with("hang") == names_with("recover") == [each for each in names_with("traces") if each not in ONLY_COMPUTES]


@pytest.mark.parametrize("name", sorted(ACTING), indirect=True)
async def test_an_abort_has_ended_before_any_time_passes_and_nothing_is_left_at_the_target(scene: Scene) -> None:
    assert await scene.case.traces()
    await scene.abort()
    await scene.is_clean()
    await scene.case.is_clear()
    ((step, _),) = (await scene.house.view(scene.acting)).steps
    assert (step.aborted, step.state) == (True, StepState.FINISHED)


@pytest.mark.parametrize("name", sorted(ACTING.keys() - ONLY_COMPUTES), indirect=True)
async def test_an_abort_waits_for_no_target_that_hangs_and_what_is_left_goes_when_it_answers_again(scene: Scene) -> None:
    assert await scene.case.traces()
    scene.case.hang()
    await scene.abort()
    async with asyncio.timeout(20):
        await scene.at_target.over.wait()
    scene.case.recover()
    await scene.house.stop()
    await scene.house.open()
    await scene.is_clean()
    await scene.case.is_clear(has_hung=True)
    assert scene.case.cannot_reach in "\n".join(scene.at_target.seen.messages)


@pytest.mark.parametrize("wait", ["a delay", "a person", "its device", "a lock", "a repair"])
async def test_an_abort_of_what_only_waits_ends_it_at_once_and_asks_no_target(tmp_path: Path, wait: str) -> None:
    policies: dict[str, JsonObject] = {"a delay": {"delaySeconds": 3600}, "a lock": {"lock": "core"}}
    host = {"host": {"type": "string", "defaultValue": "192.0.2.7"}}
    source = document(name=wait, startStepId="a", steps={"a": {"type": "ACT", "inBindings": host, "policy": policies.get(wait, {})}})
    begun = 0
    async with open_house(tmp_path) as house:
        if wait in {"its device", "a lock"}:
            await house.queue(source)
            await house.act.next()
            begun = 1
        waits: dict[str, dict[str, Any]] = {"a person": {"debug_step_ids": ("a",)}, "a repair": {"pause_at_failure": True}}
        execution = await house.queue(source, **waits.get(wait, {}))
        if wait == "a repair":
            (await house.act.next()).end(Result.FAILED)
            begun = 1
        if wait in {"a person", "a repair"}:
            await house.until(execution, Status.PAUSED)
        before = house.clock.monotonic()
        view = await house.service.steering.abort(ANN, execution)
        assert (view.head.status, view.head.left_behind, house.clock.monotonic()) == (Status.ABORTED, (), before)
        ((step, _),) = view.steps
        assert (step.state, step.result) == (StepState.FINISHED, Result.FAILED if wait == "a repair" else Result.SKIPPED)
        await house.clock.settle()
        assert house.act.count == begun
