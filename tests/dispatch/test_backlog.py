"""Risk: of what is left in the store something is forgotten, runs twice or out of its turn, or memory grows with the queue.

The real dispatcher with little room, and the real backlog, over a queue that is open to look at.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from stepswitch.dispatch.delays import Delays
from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places, Room
from stepswitch.domain.events import Cancel, Task, TaskKind, lane_of_tenant
from stepswitch.engine.backlog import Backlog
from tests.clocks import FakeClock
from tests.dispatch.queue_of_tasks import Queue
from tests.dispatch.workplace import at, task, turn

LIMITED = "small"
"""A tenant that may have one step carried out at once."""
PLACES = Places(steps=3, per_device=1, by_type={"JS": 1}, of_tenant={LIMITED: 1}.get)
ROOM = Room(turns=4, steps=14, device=2, type=4, tenant=2)


class Line:
    """A dispatcher with its backlog. What is carried out leaves the queue when it is claimed, and lasts until a test ends it."""

    def __init__(self, places: Places = PLACES, room: Room = ROOM) -> None:
        self.clock = FakeClock()
        self.queue = Queue()
        self.dispatcher = LocalDispatcher(places, self.clock, room)
        parts: Any = self.queue
        self.backlog = Backlog(queue=parts, store=parts, lists=parts, conductor=parts, dispatcher=self.dispatcher, clock=self.clock, page=7)
        self.begun: list[Task] = []
        self.running: dict[str, asyncio.Event] = {}
        self.going_on: set[str] = set()
        """Executions whose step is followed by another one."""
        self.lingering: set[str] = set()
        """Executions whose step takes until `let_go` to close its session."""
        self.let_go = asyncio.Event()
        self.dispatcher.start(self._carry_out, self._carry_out)
        self.filling = asyncio.get_running_loop().create_task(self.backlog.run())
        self._numbers = 0

    async def _carry_out(self, one: Task) -> None:
        stored = self.queue.tasks.get(one.execution_id)
        if stored is None or stored.number != one.number:
            return
        del self.queue.tasks[one.execution_id]
        self.begun.append(one)
        event = self.running[one.execution_id] = asyncio.Event()
        try:
            await event.wait()
        finally:
            del self.running[one.execution_id]
        if one.execution_id in self.going_on:
            self.going_on.remove(one.execution_id)
            self._go_on(one)
            await self.clock.settle()  # whoever has carried out a step closes his session only now
        if one.execution_id in self.lingering:
            self.lingering.remove(one.execution_id)
            await self.let_go.wait()

    def _go_on(self, one: Task) -> None:
        """Let the next step of an execution stand in the queue."""
        self._numbers += 1
        follows = replace(one, number=one.number + 1, since=self._numbers, not_before=None)
        self.queue.tasks[one.execution_id] = follows
        self.dispatcher.submit(follows)

    def add(self, kind: str, *, delay: float = 0.0) -> Task:
        """Let one more execution stand in the queue."""
        self._numbers += 1
        name = f"e{self._numbers:05}"
        made = turn(name, self._numbers) if kind == "turn" else task(name, self._numbers, device=None if kind == "JS" else kind)
        made = replace(made, tenant=LIMITED) if kind.startswith(LIMITED) else made
        made = replace(made, step_type="JS" if kind == "JS" else "", not_before=self.clock.now() + round(delay * 1000) if delay else None)
        self.queue.tasks[name] = made
        self.dispatcher.submit(made)
        return made

    def remove(self, name: str) -> None:
        """Take somebody out of the queue, as an abort does."""
        gone = self.queue.tasks.pop(name)
        self.dispatcher.cancel(Cancel(name, gone.number, gone.attempt))

    async def settle(self) -> None:
        """Let everything run that is ready, and the store be read as long as there is room."""
        await self.clock.settle()
        for _ in range(1_000):
            if not (self.backlog.is_reading or any(each.has_room.is_set() for each in self.dispatcher._windows.values())):
                return
            await self.clock.settle()
        raise AssertionError("the store is read again and again")

    async def end(self, name: str) -> None:
        self.running[name].set()
        await self.settle()

    async def end_all(self) -> None:
        """Let everything end that runs, and what follows."""
        while self.running:
            for event in list(self.running.values()):
                event.set()
            await self.settle()

    @property
    def holds_all(self) -> bool:
        """Whether nothing is left in the store."""
        return all(window.holds_all for window in self.dispatcher._windows.values())

    async def stop(self) -> None:
        self.filling.cancel()
        await asyncio.wait([self.filling])
        for event in self.running.values():
            event.set()
        await self.dispatcher.stop(0)

    def lanes(self) -> Counter[str]:
        """Return how many of each lane are carried out."""
        by_name = {each.execution_id: PLACES.lanes(each) for each in self.begun}
        return Counter(lane for name in self.running for lane in by_name[name])


KINDS = ("turn", "JS", *(f"r{number}" for number in range(12)), *(f"{LIMITED} {number}" for number in range(4)))
OF_LIMITED = lane_of_tenant(LIMITED)


class AnyOrder(RuleBasedStateMachine):
    """Executions come, go, end and are taken back, many more than there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.line = self.loop.run_until_complete(self._open())
        self.removed: set[tuple[str, int]] = set()
        self.delayed: set[str] = set()

    async def _open(self) -> Line:
        return Line()

    def _do(self, act: Any) -> None:
        async def done() -> None:
            act()

        self.loop.run_until_complete(done())

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), settles=st.booleans())
    def add(self, kinds: list[str], *, settles: bool) -> None:
        for kind in kinds:
            self._do(lambda kind=kind: self.line.add(kind))
        if settles:
            self.loop.run_until_complete(self.line.settle())

    @rule(kind=st.sampled_from(KINDS[1:]), seconds=st.integers(1, 4))
    def add_later(self, kind: str, seconds: int) -> None:
        self._do(lambda: self.delayed.add(self.line.add(kind, delay=seconds).execution_id))

    @precondition(lambda self: self.line.running)
    @rule(data=st.data())
    def end_one(self, data: Any) -> None:
        self.loop.run_until_complete(self.line.end(data.draw(st.sampled_from(sorted(self.line.running)))))

    @precondition(lambda self: self.line.running)
    @rule(data=st.data())
    def end_one_that_goes_on(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.line.running)))
        self.line.going_on.add(name)
        self.loop.run_until_complete(self.line.end(name))

    @precondition(lambda self: self.line.queue.tasks)
    @rule(data=st.data())
    def remove_one(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.line.queue.tasks)))
        self.removed.add((name, self.line.queue.tasks[name].number))
        self._do(lambda: self.line.remove(name))

    @rule()
    def fill_again(self) -> None:
        """As the timekeeper does now and then."""
        self.loop.run_until_complete(self.line.backlog.fill())

    @rule(seconds=st.integers(1, 3))
    def let_time_pass(self, seconds: int) -> None:
        self.loop.run_until_complete(self.line.clock.advance(seconds))

    @invariant()
    def memory_is_bounded(self) -> None:
        held = self.line.dispatcher.held() - len(self.line.dispatcher._delays)
        assert held <= ROOM.turns + ROOM.steps + ROOM.of_lane(OF_LIMITED, PLACES)
        for kind, window in self.line.dispatcher._windows.items():
            entries = [each.task for each in self.line.dispatcher._queued.values() if each.task.kind is kind]
            entries = [each for each in entries if each.execution_id not in self.line.dispatcher._delays]
            assert window._held == len([each for each in entries if each.tenant != LIMITED])
            assert window._lanes == Counter(lane for each in entries for lane in PLACES.lanes(each))
            assert window._lanes[OF_LIMITED] <= ROOM.of_lane(OF_LIMITED, PLACES)

    @invariant()
    def nothing_runs_twice(self) -> None:
        begun = [(each.execution_id, each.number) for each in self.line.begun]
        assert len(begun) == len(set(begun))
        assert not self.removed & set(begun)

    @invariant()
    def everybody_has_his_turn_in_his_lane(self) -> None:
        by_lane: dict[str, list[int]] = {}
        for each in self.line.begun:
            if each.execution_id not in self.delayed:
                by_lane.setdefault(each.lane, []).append(each.since)
        assert all(line == sorted(line) for line in by_lane.values())

    @invariant()
    def nobody_waits_for_a_place_that_is_free(self) -> None:
        self.loop.run_until_complete(self.line.settle())
        lanes = self.line.lanes()
        steps = sum(count for lane, count in lanes.items() if lane not in ("turn", OF_LIMITED))
        assert lanes[OF_LIMITED] <= 1
        for waiting in self.line.queue.tasks.values():
            is_early = waiting.not_before is not None and waiting.execution_id in self.line.dispatcher._delays
            if waiting.lane == "turn" or is_early:
                assert is_early or lanes["turn"] >= 1
                continue
            assert steps == PLACES.steps or any(lanes[lane] for lane in PLACES.lanes(waiting)), f"{waiting} could run"

    def teardown(self) -> None:
        self.loop.run_until_complete(self._finish())
        self.loop.close()
        assert not self.line.queue.tasks, "somebody was forgotten"

    async def _finish(self) -> None:
        await self.line.clock.advance(10)
        await self.line.settle()
        await self.line.end_all()
        await self.line.stop()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


# --- one thing at a time ---


async def test_a_device_that_hangs_keeps_nobody_from_standing_in_line() -> None:
    line = Line()
    for _ in range(500):
        line.add("hangs")
    others = [line.add(kind) for kind in ("r1", "turn", "JS", "r2")]
    await line.settle()
    begun = {each.execution_id for each in line.begun}
    assert begun >= {each.execution_id for each in others[:3]}
    assert line.dispatcher.held() <= ROOM.device + 1
    await line.end(others[0].execution_id)
    assert others[3].execution_id in {each.execution_id for each in line.begun}
    await line.stop()


async def test_what_is_left_runs_in_its_turn_and_none_is_forgotten() -> None:
    line = Line()
    made = [line.add("turn") for _ in range(300)] + [line.add("r1") for _ in range(30)]
    await line.clock.settle()
    assert line.dispatcher.held() <= ROOM.turns + ROOM.steps
    assert not line.holds_all
    assert line.dispatcher.in_line("") > ROOM.turns + ROOM.steps
    await line.end_all()
    assert sorted(each.execution_id for each in line.begun) == [each.execution_id for each in made]
    assert line.holds_all
    assert line.dispatcher.in_line("") == 0
    await line.stop()


async def test_a_store_that_says_no_is_asked_again() -> None:
    line = Line()
    for _ in range(100):
        line.add("turn")
    line.queue.refusals = 3
    with capture_logs() as told:
        for _ in range(50):
            for event in list(line.running.values()):
                event.set()
            await line.clock.settle()
            await line.clock.advance(1)
    assert len(line.begun) == 100
    assert [each["event"] for each in told] == ["what waits could not be read; it is tried again"] * 3
    await line.stop()


async def test_what_comes_while_the_store_is_read_is_not_forgotten_and_not_read_again() -> None:
    line = Line(room=Room(turns=200, steps=200, device=200, type=200, tenant=200))
    await line.settle()
    for _ in range(300):
        line.add("turn")
    await line.clock.settle()
    line.queue.gate.clear()
    before = line.queue.reads
    for event in list(line.running.values()):
        event.set()
    await line.clock.settle()
    assert line.queue.reads == before + 1
    for _ in range(10):
        line.add("turn")
    line.queue.gate.set()
    await line.settle()
    assert line.holds_all
    reads = line.queue.reads
    await line.end_all()
    assert (len(line.begun), line.queue.reads) == (310, reads)
    await line.stop()


async def test_what_comes_after_the_last_page_was_read_is_not_forgotten() -> None:
    line = Line()
    await line.settle()
    for _ in range(ROOM.turns + 64 + 3):
        line.add("turn")
    await line.clock.settle()
    line.queue.gate.clear()  # a page that was read is handed on later
    for event in list(line.running.values())[: ROOM.turns]:
        event.set()
    await line.clock.settle()
    assert line.backlog.is_reading
    late = [line.add("turn").execution_id for _ in range(2)]
    line.queue.gate.set()
    await line.settle()
    await line.end_all()
    assert {each.execution_id for each in line.begun} >= set(late)
    assert not line.queue.tasks
    await line.stop()


async def test_what_follows_is_not_passed_over_because_the_step_before_has_not_let_go_yet() -> None:
    line = Line()
    await line.settle()
    first, second, third, *_ = [line.add("r1").execution_id for _ in range(5)]
    await line.settle()
    line.lingering.add(first)
    line.going_on.add(first)
    await line.end(first)
    line.remove(second)
    line.remove(third)
    await line.settle()
    line.let_go.set()
    await line.settle()
    await line.end_all()
    assert [each.number for each in line.begun if each.execution_id == first] == [0, 1]
    assert not line.queue.tasks
    await line.stop()


async def test_more_than_can_be_kept_while_the_store_is_read_is_read_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.dispatch.window.MEANWHILE", 3)
    line = Line()
    for _ in range(100):
        line.add("turn")
    await line.clock.settle()
    line.queue.gate.clear()
    for event in list(line.running.values()):
        event.set()
    await line.clock.settle()
    for _ in range(10):
        line.add("turn")
    line.queue.gate.set()
    await line.settle()
    await line.end_all()
    assert len(line.begun) == 110
    await line.stop()


async def test_a_lane_that_always_gets_more_lets_the_reading_come_to_an_end() -> None:
    line = Line()
    for _ in range(20):
        line.add("turn")
    for _ in range(200):
        line.add("turn")
        for event in list(line.running.values()):
            event.set()
        await asyncio.sleep(0)
    await line.end_all()
    assert len(line.begun) == 220
    assert line.holds_all
    await line.stop()


async def test_more_delays_than_there_is_room_for_are_taken_from_the_store_as_soon_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stepswitch.dispatch.delays.ROOM", 6)
    line = Line(Places(steps=50, per_device=50), Room(100, 100, 100, 100, 100))
    await line.settle()
    made = [line.add("r1", delay=10 + number) for number in range(30)]
    assert line.dispatcher.held() == 6
    await line.backlog.fill()
    assert line.dispatcher.held() == 6
    await line.clock.advance(12)
    assert [each.execution_id for each in line.begun] == [each.execution_id for each in made[:3]]
    await line.settle()
    assert line.dispatcher.held() == 6
    for _ in range(30):
        await line.clock.advance(1)
        await line.settle()
    assert [each.execution_id for each in line.begun] == [each.execution_id for each in made]
    await line.stop()


async def test_what_stands_in_the_store_from_before_goes_before_what_comes_now() -> None:
    line = Line(Places(steps=1))
    for number in range(30):
        before = replace(task(f"e{number:05}", number), device=at(f"r{number}"))
        line.queue.tasks[before.execution_id] = before
    line.queue.gate.clear()
    line._numbers = 100
    line.add("switch")
    await line.clock.settle()
    assert line.begun == []
    line.queue.gate.set()
    await line.settle()
    line.add("another switch")
    await line.end_all()
    assert [each.execution_id for each in line.begun] == [*(f"e{number:05}" for number in range(30)), "e00101", "e00102"]
    await line.stop()


@pytest.mark.parametrize("what", ["damaged", "without_snapshot"])
async def test_one_that_cannot_be_read_is_said_once_and_keeps_nobody_else_from_going_on(what: str) -> None:
    line = Line()
    made = [line.add("turn") for _ in range(50)]
    getattr(line.queue, what).update({made[2].execution_id, made[30].execution_id})
    with capture_logs() as told:
        await line.settle()
        await line.end_all()
        await line.backlog.fill()
    assert len(line.begun) == 48
    assert [each["execution"] for each in told] == [made[2].execution_id, made[30].execution_id]
    assert {each["event"] for each in told} == {"an execution is damaged and left alone"}
    await line.stop()


async def test_a_lane_of_which_the_store_says_another_is_taken_all_the_same() -> None:
    """The type of a step was installed since it was queued: what stood as a turn wants a worker now."""
    line = Line()
    line.queue.gate.clear()
    made = line.add("turn")
    line.queue.lanes[made.execution_id] = "turn"
    line.queue.tasks[made.execution_id] = replace(made, kind=TaskKind.STEP, device=at("r1"))
    line.queue.gate.set()
    await line.settle()
    assert [(each.kind, each.device) for each in line.begun] == [(TaskKind.STEP, at("r1"))]
    await line.stop()


async def test_delays_that_are_taken_back_leave_nothing_behind() -> None:
    clock, due = FakeClock(), list[Task]()
    delays = Delays(clock, due.append)
    for number in range(50_000):
        delays.add(task(f"e{number}"), 1_000)
        if number > 10:
            delays.discard(f"e{number}")
    assert len(delays._order) < 12_000
    await clock.advance(1_000)
    assert len(due) == 11
    assert clock.sleeping == 0


async def test_tasks_that_are_taken_back_leave_nothing_behind() -> None:
    line = Line()
    line.add("hangs")
    await line.clock.settle()
    for _ in range(10_000):
        line.remove(line.add("hangs").execution_id)
    heaps = [line.dispatcher._steps, *line.dispatcher._by_lane.values()]
    assert sum(map(len, heaps)) < 3_000
    await line.stop()
