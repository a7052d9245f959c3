"""Wakes up whoever can carry out a step, inside this process. Implements `engine.dispatching.Dispatcher`; built by `bootstrap`.

The step that became executable first goes first. A task that waits for its device or for its time takes no place from others.
What is queued here can be lost without harm, and is only as much as can be used soon: the backlog takes the rest from the store.
"""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from stepswitch.dispatch.delays import Delays
from stepswitch.dispatch.places import FOR_EVER, NO_BOUND, TENANT, Places, Room
from stepswitch.dispatch.refill import LocalRefill
from stepswitch.dispatch.visits import Visit, Visits
from stepswitch.dispatch.window import Window
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Cancel, Task, TaskKind, lane_of_tenant
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import Waiting

TURNS_AT_ONCE: Final = 64
"""Turns only wait for a commit: so many share one."""
CANCEL_SECONDS: Final = 10.0
"""How long `stop` waits for what it has cancelled: a step type that does not let go must not keep the service from stopping."""

STALE_KEPT: Final = 1_000
"""So many tasks that were taken back may stand in the heaps until they are cleared out."""

Key = tuple[str, int, int, int, TaskKind]
Run = Callable[[Task], Awaitable[None]]
_log = structlog.get_logger("stepswitch.dispatch")


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    """A task in line: those that became executable first go first, of equal ones those that came first."""

    since: int
    arrival: int
    task: Task = field(compare=False)
    lanes: tuple[str, ...] = field(compare=False)


_Heap = list[_Entry]


class LocalDispatcher:
    """Queues in memory; single-threaded, on the event loop.

    Every execution has at most one queued entry. One that was taken back or replaced stays in its heap until it comes up, and is
    then passed over. Without a `room` everything that is submitted is held; with one, the store is read before anything begins, so that
    what stands there from before goes first.
    """

    def __init__(self, places: Places, clock: Clock, room: Room = NO_BOUND) -> None:
        self._places = places
        self._clock = clock
        is_read = room is NO_BOUND
        self._windows = {
            TaskKind.TURN: Window(room.turns, lambda _: room.turns, is_read=is_read),
            TaskKind.STEP: Window(room.steps, lambda lane: room.of_lane(lane, places), is_read=is_read),
        }
        self._delays = Delays(clock, self._line_up)
        self._stale = 0
        self._arrivals = itertools.count()
        self._queued: dict[str, _Entry] = {}
        self._in_line: Counter[str] = Counter()
        """How many are queued, by tenant."""
        self._running: dict[Key, asyncio.Future[None]] = {}
        self._tasks: dict[Key, Task] = {}
        self._again: dict[Key, Task] = {}
        """Tasks asked for while the same one was being stopped: they follow it."""
        self._executions: Counter[str] = Counter()
        self._turns: _Heap = []
        self._steps: _Heap = []
        self._by_lane: dict[str, _Heap] = {}
        """Steps that wait for their device, for a place of their type, or for one of their tenant."""
        self._visits = Visits()
        self._busy: Counter[str] = Counter()
        self._turns_running = 0
        self._steps_running = 0
        self._run: dict[TaskKind, Run] = {}
        self._stopped = False

    def start(self, take_turn: Run, carry_out: Run) -> None:
        """Begin to hand out tasks: turns to one, steps to the other."""
        self._run = {TaskKind.TURN: take_turn, TaskKind.STEP: carry_out}
        self._pump()

    def hold(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._run = {}

    async def stop(self, grace_seconds: float) -> None:
        """Hand out nothing more, let what runs end within the grace period, and cancel the rest."""
        self.hold()
        await self._delays.stop()
        if grace_seconds > 0:
            await self._wait_for_running(grace_seconds)
        for running in self._running.values():
            running.cancel()
        await self._wait_for_running(CANCEL_SECONDS)
        if self._running:
            _log.error("steps do not let go although they were cancelled", steps=len(self._running))

    def cancel_all(self) -> None:
        """Cut the grace period of a stop short."""
        for running in self._running.values():
            running.cancel()

    async def _wait_for_running(self, seconds: float) -> None:
        running = list(self._running.values())
        if not running:
            return
        ended = asyncio.ensure_future(asyncio.wait(running))
        limit = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({ended, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            limit.cancel()
            await asyncio.wait({ended, limit})

    # --- Dispatcher ---

    def submit(self, task: Task) -> bool:
        """See `Dispatcher`."""
        return self._accept(task, is_new=True)

    def _accept(self, task: Task, *, is_new: bool) -> bool:
        key = _key(task)
        running = self._running.get(key)
        if running is not None:
            if isinstance(running, asyncio.Task) and running.cancelling():
                self._again[key] = task
            return True
        queued = self._queued.get(task.execution_id)
        if queued is not None:
            if _key(queued.task) == key or (queued.task.number, queued.task.look) > (task.number, task.look):
                return True
            self._forget(queued)
        return self._queue(task, is_new=is_new)

    def refill(self, kind: TaskKind) -> LocalRefill:
        """See `Dispatcher`."""
        return LocalRefill(self._windows[kind], lambda task: self._accept(task, is_new=False), self.submit, self._delays, self._in_line)

    async def room(self) -> None:
        """See `Dispatcher`."""
        waiting = [asyncio.ensure_future(window.has_room.wait()) for window in self._windows.values()]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def cancel(self, cancel: Cancel) -> None:
        """See `Dispatcher`."""
        queued = self._queued.get(cancel.execution_id)
        key = (cancel.execution_id, cancel.number, cancel.attempt, cancel.look, TaskKind.STEP)
        if queued is not None and _key(queued.task)[:-1] == key[:-1]:
            self._forget(queued)
        self._again.pop(key, None)
        running = self._running.get(key)
        if running is not None:
            running.cancel()

    def takes_turns(self) -> bool:
        """See `TaskTaker`."""
        return bool(self._run) and not self._turns and self._turns_running < TURNS_AT_ONCE and self._windows[TaskKind.TURN].holds_all

    def holds(self, execution_id: str) -> bool:
        """See `Dispatcher`."""
        return execution_id in self._queued or execution_id in self._executions

    def is_queued(self, execution_id: str) -> bool:
        """See `Dispatcher`."""
        return execution_id in self._queued

    def held(self) -> int:
        """See `Dispatcher`."""
        return len(self._queued)

    def waiting(self, execution_id: str) -> Waiting | None:
        """See `Dispatcher`."""
        entry = self._queued.get(execution_id)
        if entry is None:
            return None
        task = entry.task
        if execution_id in self._delays:
            return Waiting("time", "delay", task.since, self._delays.until(execution_id))
        if task.device is not None and self.is_busy(task.device):
            return Waiting("device", task.device.name, task.since)
        return Waiting("place", self.place(task.step_type, task.tenant), task.since)

    @asynccontextmanager
    async def visit(self, execution_id: str, device: DeviceLane) -> AsyncIterator[None]:
        """See `DeviceLine`."""
        visit = Visit(execution_id, device, self._clock.now(), asyncio.get_running_loop().create_future())
        self._visits.ask(visit)
        self._wake(device.lane)
        try:
            await visit.turn
            yield
        finally:
            if self._visits.end(visit):
                _count_down(self._busy, device.lane)
            self._wake(device.lane)
            self._pump()

    def visiting(self, execution_id: str) -> Waiting | None:
        """See `Dispatcher`."""
        visit = self._visits.of(execution_id)
        return None if visit is None else Waiting("device", visit.device.name, visit.since)

    def is_busy(self, device: DeviceLane) -> bool:
        """See `Dispatcher`."""
        return not self._is_free(device.lane, self._places.at(device))

    def place(self, step_type: str, tenant: str) -> str:
        """See `Dispatcher`."""
        most = self._places.of_tenant(tenant)
        if most is not None and not self._is_free(lane_of_tenant(tenant), most):
            return TENANT
        return step_type if step_type in self._places.by_type else "worker"

    def running(self) -> Sequence[Task]:
        """See `Dispatcher`."""
        return list(self._tasks.values())

    def in_line(self, tenant: str) -> int:
        """See `Dispatcher`."""
        return self._in_line[tenant] + sum(window.left[tenant] for window in self._windows.values())

    # --- queues ---

    def _queue(self, task: Task, *, is_new: bool) -> bool:
        """Let a task stand in line, or wait for its time; return False where it is left in the store."""
        lanes = self._places.lanes(task)
        if task.not_before is not None and not task.has_waited and task.not_before > self._clock.now():
            return self._delay(task, lanes, task.not_before)
        window = self._windows[task.kind]
        if not (window.admits(task, lanes) if is_new else window.enters(lanes)):
            return False
        entry = self._enqueue(task, lanes)
        heapq.heappush(self._turns if task.kind is TaskKind.TURN else self._steps, entry)
        self._pump()
        return True

    def _delay(self, task: Task, lanes: tuple[str, ...], not_before: int) -> bool:
        if self._stopped or not self._delays.add(task, not_before):
            return False
        self._enqueue(task, lanes)
        return True

    def _enqueue(self, task: Task, lanes: tuple[str, ...]) -> _Entry:
        self._queued[task.execution_id] = entry = _Entry(task.since, next(self._arrivals), task, lanes)
        self._in_line[task.tenant] += 1
        return entry

    def _unqueue(self, task: Task) -> None:
        del self._queued[task.execution_id]
        _count_down(self._in_line, task.tenant)

    def _line_up(self, task: Task) -> None:
        """Let a task stand in line whose time has come."""
        self._unqueue(task)
        self._queue(replace(task, has_waited=True), is_new=True)
        self._call_for_delays()

    def _call_for_delays(self) -> None:
        """Have the store read where there is room again for what waits for its time."""
        if self._delays.wants_more():
            self._windows[TaskKind.STEP].has_room.set()

    def _forget(self, entry: _Entry) -> None:
        task = entry.task
        self._unqueue(task)
        if task.execution_id in self._delays:
            self._delays.discard(task.execution_id)
            self._call_for_delays()
            return
        self._windows[task.kind].goes(entry.lanes)
        self._stale += 1
        if self._stale > len(self._queued) + STALE_KEPT:
            self._clear_out()

    def _clear_out(self) -> None:
        """Take out of the heaps what was taken back."""
        self._stale = 0
        for heap in (self._turns, self._steps, *self._by_lane.values()):
            heap[:] = filter(self._is_meant, heap)
            heapq.heapify(heap)

    def _is_meant(self, entry: _Entry) -> bool:
        return self._queued.get(entry.task.execution_id) is entry

    def _pump(self) -> None:
        """Start whatever may start now."""
        while self._run and self._turns and self._turns_running < TURNS_AT_ONCE:
            entry = heapq.heappop(self._turns)
            if self._is_meant(entry):
                self._turns_running += 1
                self._begin(entry)
        while self._run and self._steps and self._steps_running < self._places.steps:
            self._take(heapq.heappop(self._steps))

    def _take(self, entry: _Entry) -> None:
        """Start a step, or let it wait for its device, or for a place of its type or its tenant, without a place among all."""
        few = self._places.of(entry.task)
        taken = next((lane for lane, places in few.items() if not self._is_free(lane, places)), None)
        if taken is not None and self._is_meant(entry):
            heapq.heappush(self._by_lane.setdefault(taken, []), entry)
        elif self._is_meant(entry):
            self._steps_running += 1
            self._busy.update(few.keys())
            for lane in few:
                self._visits.step_begins(lane)
            self._begin(entry)
        for lane in few:  # it may have been woken for one of them, which is left to the next; and that one may be allowed more than it was
            self._wake(lane)

    def _is_free(self, lane: str, places: int) -> bool:
        return self._busy[lane] < places

    def _begin(self, entry: _Entry) -> None:
        task = entry.task
        self._unqueue(task)
        self._windows[task.kind].goes(entry.lanes)
        self._executions[task.execution_id] += 1
        running = asyncio.ensure_future(self._run[task.kind](task))
        key = _key(task)
        self._running[key] = running
        self._tasks[key] = task
        running.add_done_callback(lambda done: self._end(entry, key, done))  # also where it is cancelled before it has begun
        reach(CrashPoint.TASK_BEGUN)

    def _end(self, entry: _Entry, key: Key, done: "asyncio.Future[None]") -> None:
        """Give back the places of a task, whatever became of it."""
        task = entry.task
        fault = None if done.cancelled() else done.exception()
        if fault is not None:
            _log.error("a task failed; it is taken up again later", execution=task.execution_id, number=task.number, exc_info=fault)
        del self._running[key], self._tasks[key]
        _count_down(self._executions, task.execution_id)
        if task.kind is TaskKind.TURN:
            self._turns_running -= 1
        else:
            self._steps_running -= 1
            few = self._places.of(task)
            for lane in few:
                _count_down(self._busy, lane)
            for lane in few:
                self._wake(lane)
        again = self._again.pop(key, None)
        if again is not None:
            self.submit(again)
        self._pump()

    def _wake(self, lane: str) -> None:
        """Let the oldest one that waits for what has become free have it: a visit at once, a task stands in line again. How many may have it is what that one was told."""
        waiting = self._by_lane.get(lane)
        while waiting and not self._is_meant(waiting[0]):
            heapq.heappop(waiting)
        visit = None if self._stopped else self._visits.next(lane, waiting[0].since if waiting else None)
        if visit is not None and self._is_free(lane, self._places.at(visit.device)):
            self._busy[lane] += 1
            self._visits.begin(visit)
        if waiting and self._is_free(lane, self._places.of(waiting[0].task).get(lane, FOR_EVER)):
            heapq.heappush(self._steps, heapq.heappop(waiting))
        if not waiting:
            self._by_lane.pop(lane, None)


def _count_down(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]


def _key(task: Task) -> Key:
    return (task.execution_id, task.number, task.attempt, task.look, task.kind)
