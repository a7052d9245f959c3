"""Who carries out what a dispatcher hands out: every task stays until a test lets it end. A further dispatcher is one more opener."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places, Room
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Cancel, Task, TaskKind
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.dispatching import DeviceLine, Dispatcher
from stepswitch.engine.ports import Clock
from tests.clocks import FakeClock
from tests.dispatch.queue_of_tasks import Queue

Run = Callable[[Task], Awaitable[None]]


class StartedAndStopped(Dispatcher, DeviceLine, Protocol):
    """What the suite needs beside the port."""

    def start(self, take_turn: Run, carry_out: Run) -> None: ...

    async def stop(self, grace_seconds: float) -> None: ...


class Windowed(LocalDispatcher):
    """The real one with so little room that most of a long line is taken from a store, where everything stands until it begins."""

    def __init__(self, places: Places, clock: Clock) -> None:
        super().__init__(places, clock, Room(turns=8, steps=20, device=3, type=4, tenant=2))
        self._store = Queue()
        parts: Any = self._store
        self._backlog = Backlog(queue=parts, store=parts, lists=parts, conductor=parts, dispatcher=self, clock=clock, page=5)
        self._filling: asyncio.Task[None] | None = None

    def start(self, take_turn: Run, carry_out: Run) -> None:
        super().start(self._leaves(take_turn), self._leaves(carry_out))
        self._filling = asyncio.get_running_loop().create_task(self._backlog.run())

    def _leaves(self, run: Run) -> Run:
        async def leaves_the_queue(task: Task) -> None:
            if self._store.tasks.get(task.execution_id) == replace(task, has_waited=False):
                del self._store.tasks[task.execution_id]
            await run(task)

        return leaves_the_queue

    def submit(self, task: Task) -> bool:
        stored = self._store.tasks.get(task.execution_id)
        if stored is not None and (stored.number, stored.look) > (task.number, task.look):
            return True
        if task not in [replace(each, has_waited=False) for each in self.running()]:
            self._store.tasks[task.execution_id] = task
        return super().submit(task)

    def cancel(self, cancel: Cancel) -> None:
        left = self._store.tasks.get(cancel.execution_id)
        if left is not None and (left.number, left.attempt, left.look) == (cancel.number, cancel.attempt, cancel.look):
            del self._store.tasks[cancel.execution_id]
        super().cancel(cancel)

    async def stop(self, grace_seconds: float) -> None:
        await super().stop(grace_seconds)
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])


Opener = Callable[[Places, Clock], StartedAndStopped]
OPENERS: Final[dict[str, Opener]] = {"local": LocalDispatcher, "local with little room": Windowed}


class Workplace:
    """A dispatcher with a clock, and everything that it has begun."""

    def __init__(self, opener: Opener, places: Places) -> None:
        self.clock = FakeClock()
        self.dispatcher = opener(places, self.clock)
        self.begun: list[Task] = []
        self.ended: list[Task] = []
        self.cancelled: list[Task] = []
        self.failures: set[str] = set()
        """Executions whose tasks raise at their end."""
        self.stubborn: set[str] = set()
        """Executions whose tasks take a while to let go when they are cancelled."""
        self.running: dict[tuple[str, int, TaskKind], asyncio.Event] = {}

    def start(self) -> None:
        self.dispatcher.start(self._carry_out, self._carry_out)

    async def _carry_out(self, task: Task) -> None:
        self.begun.append(task)
        event = self.running[task.execution_id, task.number, task.kind] = asyncio.Event()
        try:
            await event.wait()
            if task.execution_id in self.failures:
                raise RuntimeError("a task that fails")
        except asyncio.CancelledError:
            self.cancelled.append(task)
            if task.execution_id in self.stubborn:
                await asyncio.Event().wait() if task.number < 0 else await self.clock.sleep(1)
            raise
        finally:
            del self.running[task.execution_id, task.number, task.kind]
            self.ended.append(task)

    async def submit(self, *tasks: Task) -> None:
        for task in tasks:
            self.dispatcher.submit(task)
        await self.clock.settle()

    async def end(self, execution_id: str, number: int = 0, kind: TaskKind = TaskKind.STEP) -> None:
        self.running[execution_id, number, kind].set()
        await self.clock.settle()

    async def cancel(self, execution_id: str, number: int = 0, attempt: int = 1, look: int = 0) -> None:
        self.dispatcher.cancel(Cancel(execution_id, number, attempt, look))
        await self.clock.settle()

    @property
    def names(self) -> list[str]:
        """The executions whose tasks have begun, in that order."""
        return [task.execution_id for task in self.begun]


def task(execution_id: str, since: int = 0, *, number: int = 0, device: str | None = None, not_before: int | None = None,
         attempt: int = 1, kind: TaskKind = TaskKind.STEP, tenant: str = "") -> Task:  # fmt: skip
    return Task(execution_id, number, attempt, kind, since, not_before, None if device is None else at(device), tenant=tenant)


def at(device: str, sessions: int | None = None) -> DeviceLane:
    return DeviceLane(device, device, sessions)


def look(execution_id: str, number: int) -> Task:
    """Return a look of the probe of an execution's first step."""
    return replace(task(execution_id), look=number)


def turn(execution_id: str, since: int = 0, number: int = 0) -> Task:
    return task(execution_id, since, number=number, kind=TaskKind.TURN)
