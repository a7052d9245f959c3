"""What needs nobody at the beginning of an execution is stored with it. Risk: it is seen half done, goes before who waits longer, or begins what must wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stepswitch.domain.execution import Status
from stepswitch.domain.states import StepState
from stepswitch.engine.records import Committed
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import House, open_house

NOOPS = document(steps=steps("a", "b", "c", of="NOOP"))
TWO = steps("a", "b", of="NOOP")
THEN_ACT = document(steps={"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "ACT"}})


class Heard:
    """An observer that keeps what was committed, in its order."""

    def __init__(self) -> None:
        self.changes: list[Committed] = []

    def committed(self, change: Committed) -> None:
        self.changes.append(change)

    def told(self) -> list[tuple[str, int]]:
        """Return how the execution stood after each commit, and its version."""
        return [(change.head.status, change.head.version) for change in self.changes if change.head is not None]


async def is_ready(house: House) -> None:
    """Return when a service has read its store: from then on it knows that nobody waits there."""
    async with asyncio.timeout(30):
        while not house.service.conductor.takes_turns():
            await house.service._database.probe()


@asynccontextmanager
async def ready_house(directory: Path) -> AsyncIterator[House]:
    async with open_house(directory) as house:
        await is_ready(house)
        yield house


def listen(house: House) -> Heard:
    heard = Heard()
    house.service.observe(heard)
    return heard


async def test_it_is_one_commit_and_the_answer_says_that_it_is_queued(tmp_path: Path) -> None:
    async with ready_house(tmp_path) as house:
        heard = listen(house)
        queued = await house.create(NOOPS)
        seen = await house.view(queued.head.id)
        assert (queued.head.status, queued.head.start_time) == (Status.QUEUED, None)
        assert [(step.step_id, step.state) for step, _ in queued.steps] == [("a", StepState.EXECUTABLE)]
        assert (seen.head.status, seen.head.version) == (Status.COMPLETED, 1)
        assert [(step.number, step.step_id, step.state) for step, _ in seen.steps] == [
            (0, "a", StepState.FINISHED),
            (1, "b", StepState.FINISHED),
            (2, "c", StepState.FINISHED),
        ]
        assert heard.told() == [(Status.COMPLETED, 1)]
        assert [line.message for line in seen.logs][:2] == ["queued by ann", "started"]


async def test_it_is_the_same_execution_as_where_the_turn_comes_later(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        later = await house.queue(NOOPS)
        assert (await house.view(later)).head.status is Status.QUEUED
        await house.service.start()
        await house.until(later, Status.COMPLETED)
        await is_ready(house)
        at_once = await house.queue(NOOPS)
        found: list[Any] = []
        for each in (later, at_once):
            view = await house.view(each)
            found.append(
                ([(step.step_id, step.state, step.result, step.attempt) for step, _ in view.steps], [line.message for line in view.logs])
            )
        assert found[0] == found[1]


async def test_no_more_than_fifty_steps_are_in_it(tmp_path: Path) -> None:
    async with ready_house(tmp_path) as house:
        heard = listen(house)
        names = [f"s{number}" for number in range(52)]
        execution = await house.queue(document(startStepId="s0", steps=steps(*names, of="NOOP")))
        await house.until(execution, Status.COMPLETED)
        assert [change.head and change.head.steps_begun for change in heard.changes] == [51, 52]


async def test_a_step_for_a_worker_is_only_queued_in_it(tmp_path: Path) -> None:
    async with ready_house(tmp_path) as house:
        heard = listen(house)
        execution = await house.queue(THEN_ACT)
        call = await house.act.next()
        assert heard.told()[0] == (Status.RUNNING, 1)
        assert heard.changes[0].head is not None
        assert heard.changes[0].head.current is not None
        assert heard.changes[0].head.current.state is StepState.EXECUTABLE
        call.end()
        await house.until(execution, Status.COMPLETED)


@pytest.mark.parametrize(
    ("source", "more", "status"),
    [
        (document(steps=TWO), {"debug_step_ids": ("a",)}, Status.PAUSED),
        (document(steps={**TWO, "a": {**TWO["a"], "policy": {"delaySeconds": 5}}}), {}, Status.QUEUED),
        (document(steps=steps("a")), {}, Status.QUEUED),
        (document(steps=steps("a", of="LOOK")), {}, Status.QUEUED),
    ],
    ids=["at a breakpoint", "after a delay", "for a worker", "a script"],
)
async def test_what_has_to_wait_is_not_begun_in_it(tmp_path: Path, source: Any, more: dict[str, Any], status: Status) -> None:
    async with ready_house(tmp_path) as house:
        heard = listen(house)
        await house.queue(source, **more)
        assert heard.told()[0] == (status, 1)


async def test_whoever_waits_for_a_turn_goes_first(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        first = await house.queue(NOOPS)
        second = await house.create(NOOPS)
        assert (await house.view(second.head.id)).head.status is Status.QUEUED
        await house.service.start()
        for each in (first, second.head.id):
            await house.until(each, Status.COMPLETED)


async def test_a_service_that_is_to_stop_begins_nothing(tmp_path: Path) -> None:
    async with ready_house(tmp_path) as house:
        house.service.hold()
        execution = await house.queue(NOOPS)
        assert (await house.view(execution)).head.status is Status.QUEUED
        await house.stop()
        await house.open()
        await house.until(execution, Status.COMPLETED)
