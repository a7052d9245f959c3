"""Tasks whose time has not come. Used by `local`."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final

from stepswitch.domain.events import Task
from stepswitch.engine.ports import Clock

ROOM: Final = 10_000
"""So many are held in memory; more are left in the store, until half of these are gone, or half a minute after their time."""


class Delays:
    """One sleeper for all of them."""

    def __init__(self, clock: Clock, when_due: Callable[[Task], None]) -> None:
        self._clock = clock
        self._when_due = when_due
        self._waiting: dict[str, tuple[int, Task]] = {}
        """Execution → the arrival of its task, and the task."""
        self._order: list[tuple[int, int, str]] = []
        self._arrivals = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._wakes_at = 0
        self._has_left = False

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another one."""
        return len(self._waiting) >= ROOM

    def add(self, task: Task, not_before: int) -> bool:
        """Hold a task until the clock that decisions go by has reached its time; return False where there is no room."""
        if self.is_full:
            self._has_left = True
            return False
        arrival = next(self._arrivals)
        self._waiting[task.execution_id] = (arrival, task)
        heapq.heappush(self._order, (not_before, arrival, task.execution_id))
        if self._sleeper is None or not_before < self._wakes_at:
            self._sleep()
        return True

    def discard(self, execution_id: str) -> None:
        """Forget the task of an execution."""
        if self._waiting.pop(execution_id, None) is None:
            return
        if not self._waiting:
            self._order.clear()
            self._sleep()
        elif len(self._order) > 2 * len(self._waiting) + ROOM:
            self._order = [entry for entry in self._order if self._is_meant(entry)]
            heapq.heapify(self._order)

    def wants_more(self) -> bool:
        """Return whether there is room again for what was left; asked once, for what is left again is noted again."""
        if self._has_left and len(self._waiting) <= ROOM // 2:
            self._has_left = False
            return True
        return False

    async def stop(self) -> None:
        """Hold them for ever."""
        self._waiting.clear()
        self._order.clear()
        sleeper = self._sleeper
        self._sleep()
        if sleeper is not None:
            await asyncio.wait([sleeper])

    def _sleep(self) -> None:
        """Sleep until the next one is due."""
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None
        while self._order and not self._is_meant(self._order[0]):
            heapq.heappop(self._order)
        if self._order:
            self._wakes_at = self._order[0][0]
            self._sleeper = asyncio.get_running_loop().create_task(self._wait())

    def _is_meant(self, entry: tuple[int, int, str]) -> bool:
        found = self._waiting.get(entry[2])
        return found is not None and found[0] == entry[1]

    async def _wait(self) -> None:
        """Wait until it is time by the clock that decisions go by; a sleep alone may end a moment too soon."""
        while (left := self._wakes_at - self._clock.now()) > 0:
            await self._clock.sleep(left / 1000)
        self._sleeper = None
        due = []
        now = self._clock.now()
        while self._order and self._order[0][0] <= now:
            entry = heapq.heappop(self._order)
            if self._is_meant(entry):
                due.append(self._waiting.pop(entry[2])[1])
        self._sleep()
        for task in due:
            self._when_due(task)
