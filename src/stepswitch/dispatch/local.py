"""Wakes up whoever can carry out a step, inside this process. Implements `engine.ports.Dispatcher`; built by `bootstrap`.

The step that became executable first goes first. A task that waits for its device or for its time takes no place from others.
What is queued here can be lost without harm: the timekeeper submits again what has waited too long.
"""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from stepswitch.domain.events import Cancel, Task, TaskKind
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import Waiting

TURNS_AT_ONCE: Final = 64
"""Turns only wait for a commit: so many share one."""
CANCEL_SECONDS: Final = 10.0
"""How long `stop` waits for what it has cancelled: a step type that does not let go must not keep the service from stopping."""

Key = tuple[str, int, int, int, TaskKind]
Run = Callable[[Task], Awaitable[None]]
_log = structlog.get_logger("stepswitch.dispatch")


@dataclass(frozen=True, slots=True)
class Places:
    """How much may go on at once: steps in this process, sessions to one device, and steps of a type that has few places of its own."""

    steps: int = 100
    per_device: int = 1
    by_type: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    """A task in line: those that became executable first go first, of equal ones those that came first."""

    since: int
    arrival: int
    task: Task = field(compare=False)


_Heap = list[_Entry]


class LocalDispatcher:
    """Queues in memory; single-threaded, on the event loop.

    Every execution has at most one queued entry. One that was taken back or replaced stays in its heap until it comes up, and is
    then passed over.
    """

    def __init__(self, places: Places, clock: Clock) -> None:
        self._places = places
        self._clock = clock
        self._arrivals = itertools.count()
        self._queued: dict[str, _Entry] = {}
        self._running: dict[Key, asyncio.Future[None]] = {}
        self._again: dict[Key, Task] = {}
        """Tasks asked for while the same one was being stopped: they follow it."""
        self._executions: Counter[str] = Counter()
        self._turns: _Heap = []
        self._steps: _Heap = []
        self._delayed: dict[str, asyncio.Task[None]] = {}
        self._by_scarce: dict[str, _Heap] = {}
        self._since: dict[str, int] = {}
        self._busy: Counter[str] = Counter()
        self._turns_running = 0
        self._steps_running = 0
        self._last: _Entry | None = None
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
        delayed = list(self._delayed.values())
        for each in delayed:
            each.cancel()
        if grace_seconds > 0:
            await self._wait_for_running(grace_seconds)
        for running in self._running.values():
            running.cancel()
        await self._wait_for_running(CANCEL_SECONDS)
        if self._running:
            _log.error("steps do not let go although they were cancelled", steps=len(self._running))
        await asyncio.gather(*delayed, return_exceptions=True)

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

    def submit(self, task: Task) -> None:
        """See `Dispatcher`."""
        key = _key(task)
        running = self._running.get(key)
        if running is not None:
            if isinstance(running, asyncio.Task) and running.cancelling():
                self._again[key] = task
            return
        queued = self._queued.get(task.execution_id)
        if queued is not None:
            if _key(queued.task) == key or (queued.task.number, queued.task.look) > (task.number, task.look):
                return
            self._forget(queued.task)
        self._queue(task)

    def cancel(self, cancel: Cancel) -> None:
        """See `Dispatcher`."""
        queued = self._queued.get(cancel.execution_id)
        key = (cancel.execution_id, cancel.number, cancel.attempt, cancel.look, TaskKind.STEP)
        if queued is not None and _key(queued.task)[:-1] == key[:-1]:
            self._forget(queued.task)
        self._again.pop(key, None)
        running = self._running.get(key)
        if running is not None:
            running.cancel()

    def holds(self, execution_id: str) -> bool:
        """See `Dispatcher`."""
        return execution_id in self._queued or execution_id in self._executions

    def waiting(self, execution_id: str, *, is_counted: bool = True) -> Waiting | None:
        """See `Dispatcher`."""
        entry = self._queued.get(execution_id)
        if entry is None:
            return None
        task, position = entry.task, self._position(entry) if is_counted else 0
        if execution_id in self._delayed:
            return Waiting("time", "delay", task.since, position, task.not_before)
        if task.device is not None and not self._is_free(task.device):
            return Waiting("device", task.device, task.since, position)
        return Waiting("place", task.step_type if task.step_type in self._places.by_type else "worker", task.since, position)

    def running_since(self, execution_id: str) -> int | None:
        """See `Dispatcher`."""
        return self._since.get(execution_id)

    # --- queues ---

    def _position(self, entry: _Entry) -> int:
        if entry is self._last:
            return len(self._queued)
        return 1 + sum(other < entry for other in self._queued.values())

    def _queue(self, task: Task) -> None:
        entry = _Entry(task.since, next(self._arrivals), task)
        self._queued[task.execution_id] = entry
        if self._last is None or self._last < entry:
            self._last = entry
        if self._is_early(task):
            if not self._stopped:
                self._delayed[task.execution_id] = asyncio.get_running_loop().create_task(self._line_up_later(entry))
        else:
            self._line_up(entry)

    def _is_early(self, task: Task) -> bool:
        return task.not_before is not None and task.not_before > self._clock.now()

    def _line_up(self, entry: _Entry) -> None:
        heapq.heappush(self._turns if entry.task.kind is TaskKind.TURN else self._steps, entry)
        self._pump()

    async def _line_up_later(self, entry: _Entry) -> None:
        """Wait until it is time by the clock that decisions go by; a sleep alone may end a moment too soon."""
        while self._is_early(entry.task):
            await self._clock.sleep(((entry.task.not_before or 0) - self._clock.now()) / 1000)
        del self._delayed[entry.task.execution_id]
        self._line_up(entry)

    def _forget(self, task: Task) -> None:
        del self._queued[task.execution_id]
        delayed = self._delayed.pop(task.execution_id, None)
        if delayed is not None:
            delayed.cancel()

    def _is_meant(self, entry: _Entry) -> bool:
        return self._queued.get(entry.task.execution_id) is entry

    def _pump(self) -> None:
        """Start whatever may start now."""
        while self._run and self._turns and self._turns_running < TURNS_AT_ONCE:
            entry = heapq.heappop(self._turns)
            if self._is_meant(entry):
                self._turns_running += 1
                self._begin(entry.task)
        while self._run and self._steps and self._steps_running < self._places.steps:
            self._take(heapq.heappop(self._steps))

    def _take(self, entry: _Entry) -> None:
        """Start a step, or let it wait for its device, or for a place of its type, without a place among all."""
        scarce = self._scarce(entry.task)
        if not self._is_meant(entry):
            self._wake(scarce)
        elif scarce is not None and not self._is_free(scarce):
            heapq.heappush(self._by_scarce.setdefault(scarce, []), entry)
        else:
            self._steps_running += 1
            if scarce is not None:
                self._busy[scarce] += 1
            self._since[entry.task.execution_id] = self._clock.now()
            self._begin(entry.task)

    def _scarce(self, task: Task) -> str | None:
        """Return what the task needs of which there is little: its device, else its type where that has places of its own."""
        return task.device or (task.step_type if task.step_type in self._places.by_type else None)

    def _is_free(self, scarce: str) -> bool:
        return self._busy[scarce] < self._places.by_type.get(scarce, self._places.per_device)

    def _begin(self, task: Task) -> None:
        del self._queued[task.execution_id]
        self._executions[task.execution_id] += 1
        running = asyncio.ensure_future(self._run[task.kind](task))
        self._running[_key(task)] = running
        running.add_done_callback(lambda done: self._end(task, done))  # also where it is cancelled before it has begun
        reach(CrashPoint.TASK_BEGUN)

    def _end(self, task: Task, done: "asyncio.Future[None]") -> None:
        """Give back the places of a task, whatever became of it."""
        fault = None if done.cancelled() else done.exception()
        if fault is not None:
            _log.error("a task failed; it is taken up again later", execution=task.execution_id, number=task.number, exc_info=fault)
        del self._running[_key(task)]
        _count_down(self._executions, task.execution_id)
        if task.kind is TaskKind.TURN:
            self._turns_running -= 1
        else:
            self._steps_running -= 1
            self._since.pop(task.execution_id, None)
            scarce = self._scarce(task)
            if scarce is not None:
                _count_down(self._busy, scarce)
                self._wake(scarce)
        again = self._again.pop(_key(task), None)
        if again is not None:
            self.submit(again)
        self._pump()

    def _wake(self, scarce: str | None) -> None:
        """Let the oldest task that waits for what has become free stand in line again."""
        if scarce is None or not self._is_free(scarce):
            return
        waiting = self._by_scarce.get(scarce)
        while waiting:
            entry = heapq.heappop(waiting)
            if self._is_meant(entry):
                heapq.heappush(self._steps, entry)
                break
        if not waiting:
            self._by_scarce.pop(scarce, None)


def _count_down(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]


def _key(task: Task) -> Key:
    return (task.execution_id, task.number, task.attempt, task.look, task.kind)
