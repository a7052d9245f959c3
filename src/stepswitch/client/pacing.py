"""How often something is asked again, and after how long. Given to the client by whoever makes it; tests give one that never sleeps."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

DOUBLINGS = 16
"""After so many the delay grows no more: the number itself must stay one."""


def _new_key() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Pacing:
    """Delays in seconds, and where sleep, chance and unique keys come from.

    `tries` is how often a call that may be sent twice is sent at most. The delays double from `first` to `longest`; each is
    shortened at random by up to a half, so that many clients do not come back at the same moment.
    """

    tries: int = 4
    first: float = 0.25
    longest: float = 10.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    new_key: Callable[[], str] = _new_key

    def delay(self, failures: int, asked: float | None = None) -> float:
        """Return the seconds to wait after the n-th failure in a row; at least what the service `asked` for, up to `longest`."""
        delay = min(self.longest, self.first * 2.0 ** min(failures - 1, DOUBLINGS))
        return max(delay * (1 - self.chance() / 2), min(asked or 0.0, self.longest))
