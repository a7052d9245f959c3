"""The machine's own clock and names. Implements `engine.ports.Clock` and `Ids`; chosen by `bootstrap`."""

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Final


class SystemClock:
    """The time of this machine."""

    def now(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await asyncio.sleep(seconds)


_RANDOM_BYTES: Final = 10
_AT_ONCE: Final = 400
"""For how many ids randomness is fetched together: a call of the system takes longer than all the rest of an id."""


class TimeOrderedIds:
    """UUIDs of version 7 (RFC 9562): those made later sort later, so that an index grows at its end."""

    def __init__(self) -> None:
        self._random: Iterator[int] = iter(())

    def new(self) -> str:
        """See `Ids`."""
        number = (time.time_ns() // 1_000_000) << 80 | self._random_number()
        number = number & ~(0xF << 76) | 0x7 << 76
        number = number & ~(0x3 << 62) | 0x2 << 62
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _random_number(self) -> int:
        number = next(self._random, None)
        if number is None:
            fetched = os.urandom(_RANDOM_BYTES * _AT_ONCE)
            numbers = [int.from_bytes(fetched[at : at + _RANDOM_BYTES]) for at in range(0, len(fetched), _RANDOM_BYTES)]
            number = numbers.pop()
            self._random = iter(numbers)
        return number
