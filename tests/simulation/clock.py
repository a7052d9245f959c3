"""The clocks and names of a simulation. Implements `engine.ports.Clock` and `Ids`."""

import asyncio
import itertools
from typing import Final

from tests.simulation.loop import sleep

START: Final = 1_800_000_000_000


class SimulatedClock:
    """The loop's time, with a time of day that may jump."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jumped = 0

    def now(self) -> int:
        return START + self._jumped + round(self._loop.time() * 1000)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await sleep(seconds)

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back."""
        self._jumped += round(seconds * 1000)


class Numbers:
    """Names in the order in which they are asked for."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"id-{next(self._numbers):06d}"
