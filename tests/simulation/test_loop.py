"""Risk: the simulated loop lets something run that must not, or forgets something that must, and proves the wrong thing."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from tests.simulation.loop import Node, SimulatedLoop, StuckError, here, sleep


@pytest.fixture(params=[0.0, 1.0], ids=["in order", "drawn"])
def loop(request: pytest.FixtureRequest) -> SimulatedLoop:
    return SimulatedLoop(Random(1), request.param)


def run(loop: SimulatedLoop, work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return loop.run_until_complete(work)
    finally:
        assert loop.bury() == []


def test_an_hour_passes_in_no_time_and_everybody_wakes_at_their_own(loop: SimulatedLoop) -> None:
    woken: list[tuple[str, float]] = []

    async def wake(name: str, seconds: float) -> None:
        await sleep(seconds)
        woken.append((name, loop.time()))

    async def main() -> None:
        await asyncio.gather(wake("late", 3_600.0), wake("soon", 0.5), wake("later", 60.0))

    run(loop, main())
    assert woken == [("soon", 0.5), ("later", 60.0), ("late", 3_600.0)]


def test_what_waits_for_ever_is_noticed(loop: SimulatedLoop) -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError):
        loop.run_until_complete(main())
    loop.bury()


def test_of_what_has_died_nothing_runs_any_more(loop: SimulatedLoop) -> None:
    ran: list[str] = []
    node = Node("process")
    part = Node("worker", node)

    async def work(name: str) -> None:
        assert here().name == name
        try:
            while True:
                ran.append(name)
                await sleep(1.0)
        finally:
            ran.append("cleaned up")

    async def main() -> None:
        loop.run_on(node, work("process"))
        loop.run_on(part, work("worker"))
        await sleep(1.5)
        node.die()
        await sleep(100.0)
        assert sorted(ran) == ["process", "process", "worker", "worker"]

    run(loop, main())


def test_what_stands_still_does_all_of_it_late(loop: SimulatedLoop) -> None:
    ran: list[float] = []
    node = Node("worker")

    async def work() -> None:
        while True:
            ran.append(loop.time())
            await sleep(1.0)

    async def main() -> None:
        loop.run_on(node, work())
        await sleep(1.5)
        node.freeze()
        await sleep(10.0)
        assert ran == [0.0, 1.0]
        node.thaw()
        await sleep(1.2)
        assert ran == [0.0, 1.0, 11.5, 12.5]

    run(loop, main())


def test_a_thread_of_its_own_keeps_its_order_and_is_waited_for(loop: SimulatedLoop) -> None:
    done: list[int] = []
    with ThreadPoolExecutor(1) as pool:

        async def main() -> None:
            for number in range(20):
                loop.run_in_executor(pool, done.append, number)
            await asyncio.to_thread(pool.shutdown)
            assert done == list(range(20))

        run(loop, main())


def test_a_fault_that_nobody_takes_note_of_is_told(loop: SimulatedLoop) -> None:
    async def fail() -> None:
        raise ValueError("nobody waits for this")

    async def main() -> None:
        asyncio.get_running_loop().create_task(fail())
        await sleep(1.0)

    loop.run_until_complete(main())
    assert [str(fault) for fault in loop.bury()] == ["nobody waits for this"]
