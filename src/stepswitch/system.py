"""The machine's own clock and names. Implements `engine.ports.Clock` and `Ids`; chosen by `bootstrap`."""

import asyncio
import os
import time


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


class TimeOrderedIds:
    """UUIDs of version 7 (RFC 9562): those made later sort later, so that an index grows at its end."""

    def new(self) -> str:
        """See `Ids`."""
        number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
        number = number & ~(0xF << 76) | 0x7 << 76
        number = number & ~(0x3 << 62) | 0x2 << 62
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
