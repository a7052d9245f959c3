"""Tasks whose time has not come. Used by `local`.

How long is left is taken from the time of day once, when a task comes; from then on only the time counts that passes, so that a clock
which is set forward or back makes no delay shorter or longer.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stepswitch.domain.events import Task
from stepswitch.engine.ports import Clock

ROOM: Final = 10_000
"""So many are held in memory; more are left in the store, until half of these are gone, or half a minute after their time."""
NOTICED_MILLISECONDS: Final = 1_000
"""A clock that is off by less was not set, but is being kept right."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A task, and when its time comes: `due` in seconds that only ever grow, `not_before` by the time of day as it was when it came."""

    arrival: int
    task: Task
    due: float
    not_before: int


class Delays:
    """One sleeper for all of them."""

    def __init__(self, clock: Clock, when_due: Callable[[Task], None]) -> None:
        self._clock = clock
        self._when_due = when_due
        self._waiting: dict[str, _Waiting] = {}
        """By execution."""
        self._order: list[tuple[float, int, str]] = []
        self._arrivals = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._wakes_at = 0.0
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
        """Hold a task for as long as it is until its time, by the time of day that it is now; return False where there is no room."""
        if self.is_full:
            self._has_left = True
            return False
        arrival, due = next(self._arrivals), self._clock.monotonic() + (not_before - self._clock.now()) / 1000
        self._waiting[task.execution_id] = _Waiting(arrival, task, due, not_before)
        heapq.heappush(self._order, (due, arrival, task.execution_id))
        if self._sleeper is None or due < self._wakes_at:
            self._sleep()
        return True

    def until(self, execution_id: str) -> int:
        """Return the time of day at which the time of a held task comes, as the clock stands now."""
        found = self._waiting[execution_id]
        until = self._clock.now() + round((found.due - self._clock.monotonic()) * 1000)
        return until if abs(until - found.not_before) >= NOTICED_MILLISECONDS else found.not_before

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

    def _is_meant(self, entry: tuple[float, int, str]) -> bool:
        found = self._waiting.get(entry[2])
        return found is not None and found.arrival == entry[1]

    async def _wait(self) -> None:
        """Wait until it is time; a sleep alone may end a moment too soon."""
        while (left := self._wakes_at - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        self._sleeper = None
        due = []
        now = self._clock.monotonic()
        while self._order and self._order[0][0] <= now:
            entry = heapq.heappop(self._order)
            if self._is_meant(entry):
                due.append(self._waiting.pop(entry[2]).task)
        self._sleep()
        for task in due:
            self._when_due(task)
