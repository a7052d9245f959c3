"""Wakes up whoever can carry out a step, inside this process. Implements `engine.ports.Dispatcher`; built by `bootstrap`.

The step that became executable first goes first. A task that waits for its device or for its time takes no place from others.
What is queued here can be lost without harm: the timekeeper submits again what has waited too long.
"""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from stepswitch.domain.events import Cancel, Task, TaskKind
from stepswitch.engine.ports import Clock, Waiting

TURNS_AT_ONCE: Final = 64
"""Turns only wait for a commit: so many share one."""

Key = tuple[str, int, int, TaskKind]
Run = Callable[[Task], Awaitable[None]]
_Heap = list[tuple[int, int, Task]]
_log = structlog.get_logger("stepswitch.dispatch")


@dataclass(frozen=True, slots=True)
class Places:
    """How much may go on at once: steps in this process, and sessions to one device."""

    steps: int = 100
    per_device: int = 1


class LocalDispatcher:
    """Queues in memory; single-threaded, on the event loop."""

    def __init__(self, places: Places, clock: Clock) -> None:
        self._places = places
        self._clock = clock
        self._order = itertools.count()
        self._queued: dict[str, Task] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._turns: _Heap = []
        self._steps: _Heap = []
        self._delayed: dict[str, asyncio.Task[None]] = {}
        self._by_device: dict[str, _Heap] = {}
        self._busy: dict[str, int] = {}
        self._turns_running = 0
        self._steps_running = 0
        self._newest = 0
        self._run: dict[TaskKind, Run] = {}

    def start(self, take_turn: Run, carry_out: Run) -> None:
        """Begin to hand out tasks: turns to one, steps to the other."""
        self._run = {TaskKind.TURN: take_turn, TaskKind.STEP: carry_out}
        self._pump()

    async def stop(self, grace_seconds: float) -> None:
        """Hand out nothing more, let what runs end within the grace period, and cancel the rest."""
        self._run = {}
        for delayed in self._delayed.values():
            delayed.cancel()
        running = set(self._running.values())
        if running and grace_seconds > 0:
            _, running = await asyncio.wait(running, timeout=grace_seconds)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, *self._delayed.values(), return_exceptions=True)

    # --- Dispatcher ---

    def submit(self, task: Task) -> None:
        """See `Dispatcher`."""
        queued = self._queued.get(task.execution_id)
        if _key(task) in self._running or (queued is not None and _key(queued) == _key(task)):
            return
        self._queued[task.execution_id] = task
        self._newest = max(self._newest, task.since)
        if task.not_before is not None and task.not_before > self._clock.now():
            self._delay(task, task.not_before)
        else:
            self._enqueue(task)
            self._pump()

    def cancel(self, cancel: Cancel) -> None:
        """See `Dispatcher`."""
        queued = self._queued.get(cancel.execution_id)
        if queued is not None and (queued.number, queued.attempt) == (cancel.number, cancel.attempt):
            self._forget(queued)
        running = self._running.get((cancel.execution_id, cancel.number, cancel.attempt, TaskKind.STEP))
        if running is not None:
            running.cancel()

    def holds(self, execution_id: str) -> bool:
        """See `Dispatcher`."""
        return execution_id in self._queued or any(key[0] == execution_id for key in self._running)

    def waiting(self, execution_id: str) -> Waiting | None:
        """See `Dispatcher`."""
        task = self._queued.get(execution_id)
        if task is None:
            return None
        position = self._position(task)
        if execution_id in self._delayed:
            return Waiting("time", "delay", task.since, position, task.not_before)
        if task.device is not None and not self._is_free(task.device):
            return Waiting("device", task.device, task.since, position)
        return Waiting("place", "worker", task.since, position)

    # --- queues ---

    def _position(self, task: Task) -> int:
        if task.since >= self._newest:
            return len(self._queued)
        return 1 + sum(other.since < task.since for other in self._queued.values())

    def _enqueue(self, task: Task) -> None:
        heap = self._turns if task.kind is TaskKind.TURN else self._steps
        heapq.heappush(heap, (task.since, next(self._order), task))

    def _forget(self, task: Task) -> None:
        if self._queued.get(task.execution_id) is task:
            del self._queued[task.execution_id]
        delayed = self._delayed.pop(task.execution_id, None)
        if delayed is not None:
            delayed.cancel()

    def _delay(self, task: Task, due: int) -> None:
        before = self._delayed.get(task.execution_id)
        if before is not None:
            before.cancel()
        self._delayed[task.execution_id] = asyncio.get_running_loop().create_task(self._enqueue_later(task, due))

    async def _enqueue_later(self, task: Task, due: int) -> None:
        await self._clock.sleep(max(0.0, (due - self._clock.now()) / 1000))
        if self._queued.get(task.execution_id) is task:
            del self._delayed[task.execution_id]
            self._enqueue(task)
            self._pump()

    def _pump(self) -> None:
        """Start whatever may start now."""
        if not self._run:
            return
        while self._turns and self._turns_running < TURNS_AT_ONCE:
            task = heapq.heappop(self._turns)[2]
            if self._queued.get(task.execution_id) is task:
                self._turns_running += 1
                self._begin(task)
        while self._steps and self._steps_running < self._places.steps:
            entry = heapq.heappop(self._steps)
            task = entry[2]
            if self._queued.get(task.execution_id) is not task:
                self._wake(task.device)
                continue
            if task.device is not None and not self._is_free(task.device):
                heapq.heappush(self._by_device.setdefault(task.device, []), entry)
                continue
            self._steps_running += 1
            if task.device is not None:
                self._busy[task.device] = self._busy.get(task.device, 0) + 1
            self._begin(task)

    def _is_free(self, device: str) -> bool:
        return self._busy.get(device, 0) < self._places.per_device

    def _begin(self, task: Task) -> None:
        del self._queued[task.execution_id]
        self._running[_key(task)] = asyncio.get_running_loop().create_task(self._carry_out(task, self._run[task.kind]))

    async def _carry_out(self, task: Task, run: Run) -> None:
        try:
            await run(task)
        except Exception:  # noqa: BLE001 # whatever it was, the places have to be given back
            _log.exception("a task failed; it is taken up again later", execution=task.execution_id, number=task.number)
        finally:
            self._end(task)

    def _end(self, task: Task) -> None:
        del self._running[_key(task)]
        if task.kind is TaskKind.TURN:
            self._turns_running -= 1
        else:
            self._steps_running -= 1
            if task.device is not None:
                self._free(task.device)
        self._pump()

    def _free(self, device: str) -> None:
        self._busy[device] -= 1
        if not self._busy[device]:
            del self._busy[device]
        self._wake(device)

    def _wake(self, device: str | None) -> None:
        """Let the oldest task that waits for a free device stand in line again."""
        if device is None or not self._is_free(device):
            return
        waiting = self._by_device.get(device)
        while waiting:
            entry = heapq.heappop(waiting)
            if self._queued.get(entry[2].execution_id) is entry[2]:
                heapq.heappush(self._steps, entry)
                break
        if not waiting:
            self._by_device.pop(device, None)


def _key(task: Task) -> Key:
    return (task.execution_id, task.number, task.attempt, task.kind)
