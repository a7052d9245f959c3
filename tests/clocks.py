"""A clock that the tests own: time passes when they say so, and what sleeps wakes up then."""

import asyncio
import heapq
import itertools
from typing import Final

SETTLED_AFTER: Final = 50
"""Turns of the event loop after which whatever was ready has run; what is handed on further takes its own `settle`."""


class FakeClock:
    """Implements `engine.ports.Clock`. `advance` moves both times; `jump` the time of day alone."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self._start = now
        self._seconds = 0.0
        self._jumped = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._begun = asyncio.Event()

    def now(self) -> int:
        return self._start + self._jumped + round(self._seconds * 1000)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), woken))
        self._begun.set()
        await woken

    @property
    def sleeping(self) -> int:
        """How many wait for this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def until_sleeping_for(self, seconds: float) -> None:
        """Return as soon as somebody sleeps who wakes up in just so many seconds."""
        async with asyncio.timeout(30):
            while not any(abs(due - self._seconds - seconds) < 1e-6 and not woken.done() for due, _, woken in self._sleepers):
                self._begun.clear()
                await self._begun.wait()

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back; nobody wakes up."""
        self._jumped += round(seconds * 1000)

    def stand_still(self, seconds: float) -> None:
        """Let time pass while the process stands still: nobody wakes up before the next `advance`."""
        self._seconds += seconds

    async def advance(self, seconds: float) -> None:
        """Let time pass: whoever sleeps wakes up in turn, each at its own moment."""
        target = self._seconds + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._seconds = max(self._seconds, due)
            woken.set_result(None)
            await self.settle()
        self._seconds = target
        await self.settle()

    async def settle(self) -> None:
        """Let everything run that is ready, without time passing."""
        for _ in range(SETTLED_AFTER):
            await asyncio.sleep(0)
