"""Clean-ups in the line for a device. Risk: one has a session beside a step's, keeps a device from those who work there, or is never let in."""

import asyncio
from dataclasses import replace

from stepswitch.domain.devices import DeviceLane
from stepswitch.engine.records import Waiting
from tests.dispatch.conftest import Open
from tests.dispatch.workplace import Workplace, at, task


class Visitor:
    """Somebody who wants to act on a device; once there he stays until a test lets him go."""

    def __init__(self, place: Workplace, name: str, device: DeviceLane) -> None:
        self.is_there = False
        self._may_go = asyncio.Event()
        self._place = place
        self._visiting = asyncio.ensure_future(self._visit(name, device))

    async def _visit(self, name: str, device: DeviceLane) -> None:
        async with self._place.dispatcher.visit(name, device):
            self.is_there = True
            try:
                await self._may_go.wait()
            finally:
                self.is_there = False

    async def go(self) -> None:
        self._may_go.set()
        await self._place.clock.settle()
        self._visiting.result()  # which it has, and no fault

    async def be_cancelled(self) -> None:
        self._visiting.cancel()
        await self._place.clock.settle()
        assert self._visiting.cancelled()


async def visit(place: Workplace, name: str = "gone", device: DeviceLane | None = None) -> Visitor:
    visitor = Visitor(place, name, device or at("router"))
    await place.clock.settle()
    return visitor


def since(place: Workplace, seconds: int) -> int:
    """Return a moment that was so many seconds ago."""
    return place.clock.now() - seconds * 1000


async def test_a_visit_waits_for_the_step_that_has_the_device_and_the_next_step_waits_for_the_visit(opened: Open) -> None:
    place = opened(9)
    await place.submit(task("e1", since(place, 9), device="router"))
    visitor = await visit(place)
    assert not visitor.is_there
    assert place.dispatcher.visiting("gone") == Waiting("device", "router", place.clock.now())
    await place.clock.advance(1)
    await place.submit(task("e2", since(place, 0), device="router"))
    await place.end("e1")
    assert (visitor.is_there, place.names, place.dispatcher.visiting("gone")) == (True, ["e1"], None)
    assert place.dispatcher.waiting("e2") == Waiting("device", "router", since(place, 0))
    assert place.dispatcher.is_busy(at("router"))
    await visitor.go()
    assert place.names == ["e1", "e2"]
    await place.end("e2")
    assert not place.dispatcher.is_busy(at("router"))


async def test_a_free_device_is_visited_at_once_and_others_are_none_of_its_business(opened: Open) -> None:
    place = opened(9)
    await place.submit(task("e1", device="switch"))
    visitor = await visit(place)
    await place.submit(task("e2"), task("e3", device="router"))
    assert (visitor.is_there, place.names) == (True, ["e1", "e2"])
    await visitor.go()
    assert place.names == ["e1", "e2", "e3"]


async def test_a_visit_takes_no_place_of_steps(opened: Open) -> None:
    place = opened(1)
    visitor = await visit(place)
    await place.submit(task("e1", device="switch"))
    assert (visitor.is_there, place.names) == (True, ["e1"])
    await visitor.go()


async def test_a_step_that_has_waited_longer_goes_first(opened: Open) -> None:
    place = opened(9)
    await place.submit(task("e1", since(place, 9), device="router"), task("e2", since(place, 8), device="router"))
    visitor = await visit(place)
    await place.end("e1")
    assert (visitor.is_there, place.names) == (False, ["e1", "e2"])
    await place.end("e2")
    assert visitor.is_there
    await visitor.go()


async def test_however_many_visits_want_a_device_a_step_there_waits_for_one_of_them(opened: Open) -> None:
    place = opened(9)
    visitors = [await visit(place, f"gone{number}") for number in range(5)]
    await place.clock.advance(1)
    await place.submit(task("e1", since(place, 0), device="router"), task("e2", since(place, 0), device="router"))
    story = []
    for _ in range(7):
        there = [number for number, each in enumerate(visitors) if each.is_there]
        at_work = [name for name, _, _ in place.running]
        assert len(there) + len(at_work) == 1, "the device has one session"
        story.append(f"gone{there[0]}" if there else at_work[0])
        if there:
            await visitors[there[0]].go()
        else:
            await place.end(at_work[0])
    assert story == ["gone0", "e1", "gone1", "e2", "gone2", "gone3", "gone4"]


async def test_steps_that_keep_coming_do_not_keep_a_visit_out(opened: Open) -> None:
    place = opened(9)
    await place.submit(task("e0", since(place, 0), device="router"))
    visitor = await visit(place)
    for number in range(1, 4):
        await place.clock.advance(1)
        await place.submit(task(f"e{number}", since(place, 0), device="router"))
    await place.end("e0")
    assert visitor.is_there
    await visitor.go()
    assert place.names == ["e0", "e1"]


async def test_visits_take_one_of_several_sessions_and_leave_the_others_to_steps(opened: Open) -> None:
    place, two = opened(9), at("router", 2)
    first, second = await visit(place, "gone1", two), await visit(place, "gone2", two)
    assert (first.is_there, second.is_there) == (True, False)
    await place.submit(*(replace(task(f"e{number}", place.clock.now()), device=two) for number in range(3)))
    assert place.names == ["e0"]
    await place.end("e0")
    assert place.names == ["e0", "e1"]
    await first.go()
    assert (second.is_there, place.names) == (True, ["e0", "e1"]), "a step has begun since the first visit, and it has waited longer"
    await place.end("e1")
    assert place.names == ["e0", "e1", "e2"]
    await second.go()


async def test_who_stands_up_again_holds_nobody_up(opened: Open) -> None:
    place = opened(9)
    await place.submit(task("e1", since(place, 9), device="router"))
    impatient, patient = await visit(place, "impatient"), await visit(place, "patient")
    await impatient.be_cancelled()
    assert place.dispatcher.visiting("impatient") is None
    await place.end("e1")
    assert patient.is_there
    await place.submit(task("e2", place.clock.now(), device="router"))
    await patient.be_cancelled()
    assert place.names == ["e1", "e2"]


async def test_who_stands_up_in_the_moment_in_which_it_is_his_turn_gives_it_to_the_next(opened: Open) -> None:
    place = opened(9)
    first = await visit(place, "first")
    second, third = await visit(place, "second"), await visit(place, "third")
    first._may_go.set()  # he goes before the second one, who is cancelled by then, has stood up
    second._visiting.cancel()
    await first.go()
    assert (second.is_there, third.is_there) == (False, True)
    await third.go()
    await place.submit(task("e1", device="router"))
    assert place.names == ["e1"]


async def test_nobody_is_let_in_once_the_service_stops(opened: Open) -> None:
    place = opened(9)
    first, second = await visit(place, "first"), await visit(place, "second")
    await place.dispatcher.stop(0)
    await first.go()
    assert not second.is_there
    await second.be_cancelled()
