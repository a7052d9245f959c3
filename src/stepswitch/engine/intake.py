"""How many executions may wait or run at once: whoever wants one more is told to come back. Asked by `executions`.

What is known between two counts can only be too much: it grows with each execution that is let in. So a count is only wanted where the
limit may be reached, and the limit is never passed. Executions that go on after a pause or a failure are not asked whether there is room.
"""

import asyncio
from typing import Final

import structlog

from stepswitch.domain.errors import OverloadedError
from stepswitch.engine.dispatching import QueueStore
from stepswitch.engine.ports import Clock

COUNT_SECONDS: Final = 0.5
"""While the limit is reached it is not counted more often than that, however many ask."""
RETRY_SECONDS: Final = 5
_log = structlog.get_logger("stepswitch.intake")


class Intake:
    """Lets new executions in, until there are too many."""

    def __init__(self, queue: QueueStore, clock: Clock, most: int) -> None:
        self._queue = queue
        self._clock = clock
        self._most = most
        self._known = most
        """At most so many there are, with those that are on their way to the disk; nobody knows before the first count."""
        self._let_in = 0
        self._on_their_way = 0
        self._next_count = float("-inf")
        self._one_at_a_time = asyncio.Lock()
        self._is_full = False

    async def admit(self) -> None:
        """Let one more execution in, which wants `settled` in the end; raises OverloadedError where there is no room."""
        if self._known >= self._most:
            await self._count()
            self._tell()
        if self._known >= self._most:
            raise OverloadedError(
                f"as many executions wait or run as may ({self._most}); nothing was stored: try again later", RETRY_SECONDS
            )
        self._known += 1
        self._let_in += 1
        self._on_their_way += 1

    def settled(self) -> None:
        """Take note that an execution that was let in is on the disk, or will never be."""
        self._on_their_way -= 1

    async def _count(self) -> None:
        async with self._one_at_a_time:
            if self._clock.monotonic() < self._next_count:
                return
            uncounted, let_in = self._on_their_way, self._let_in
            counted = await self._queue.under_way()
            self._known = counted + uncounted + self._let_in - let_in
            self._next_count = self._clock.monotonic() + COUNT_SECONDS

    def _tell(self) -> None:
        """Log once that no more are let in, and once that they are again."""
        if self._is_full is not (self._known >= self._most):
            self._is_full = not self._is_full
            _log.warning("no more executions are accepted" if self._is_full else "executions are accepted again", limit=self._most)
