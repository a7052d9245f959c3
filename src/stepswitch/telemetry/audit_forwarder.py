"""Sends the audit trail on to a syslog server, from where it was when the service stopped. Run by `bootstrap.service`.

What waits is in the database and not in memory, so it may wait as long as the server is away. What was under way when a connection broke is sent
again: its number tells the receiver that it has it already.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from stepswitch.domain.errors import StoreError
from stepswitch.engine.audit_ports import AuditStore
from stepswitch.engine.ports import Clock
from stepswitch.telemetry.syslog import Destination, Line, Origin, message, open_line

AT_ONCE: Final = 100
LOOK_SECONDS: Final = 1.0
LONGEST_WAIT: Final = 60.0
_log = structlog.get_logger("stepswitch.audit")


class AuditForwarder:
    """One way out of the audit trail."""

    def __init__(
        self,
        store: AuditStore,
        clock: Clock,
        destination: Destination,
        origin: Origin,
        open_to: Callable[[Destination], Awaitable[Line]] = open_line,
    ) -> None:
        self._store = store
        self._clock = clock
        self._destination = destination
        self._origin = origin
        self._open_to = open_to
        self._sent = self._noted = 0
        self._pending: tuple[float, int] | None = None
        """Since when up to which record was sent that is not noted yet."""
        self.reason: str | None = None
        """Why nothing can be sent now."""

    async def run(self) -> None:
        """Send for ever; what cannot be sent waits."""
        wait = LOOK_SECONDS
        while True:
            before = self._noted
            try:
                await self._send_from_where_it_was()
            except (OSError, TimeoutError, StoreError) as error:
                self._note(error)
            wait = LOOK_SECONDS if self._noted > before else min(LONGEST_WAIT, wait * 2)
            await self._clock.sleep(wait)

    async def standing(self) -> str | None:
        """Return in words that records are still to be sent, and why; None where all is well."""
        if self.reason is None:
            return None
        left = await self._store.newest() - (await self._store.sent(self._destination.name) or 0)
        if not left:
            return None
        return f"{left} record{' is' if left == 1 else 's are'} still to be sent: {self.reason}"

    async def _send_from_where_it_was(self) -> None:
        self._sent = self._noted = await self._store.sent(self._destination.name) or 0
        self._pending = None
        line = await self._open_to(self._destination)
        try:
            while True:
                if await self._send_some(line) < AT_ONCE:
                    await self._clock.sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(OSError):
                await line.close()

    async def _send_some(self, line: Line) -> int:
        """Send the next records and return how many those were."""
        await line.check()
        await self._note_sent()
        rows = await self._store.behind(self._sent, AT_ONCE)
        if rows:
            await line.send([message(row.record, self._origin) for row in rows])
            self._sent = rows[-1].record.number
            self._pending = self._pending or (self._clock.monotonic(), self._sent)
        if self.reason is not None:
            _log.info("the audit trail is sent on again", to=self._destination.name)
            self.reason = None
        return len(rows)

    async def _note_sent(self) -> None:
        """Note what was sent a while ago: a connection that goes on since then has brought it there."""
        now = self._clock.monotonic()
        if self._pending is None or now - self._pending[0] < LOOK_SECONDS:
            return
        self._noted = self._pending[1]
        self._pending = (now, self._sent) if self._sent > self._noted else None
        await self._store.note_sent(self._destination.name, self._noted)

    def _note(self, error: Exception) -> None:
        reason = (str(error) if isinstance(error, StoreError) else getattr(error, "strerror", None) or str(error)) or "it does not answer"
        if self.reason is None:
            _log.warning("the audit trail cannot be sent on; it is kept, and sent later", to=self._destination.name, error=reason)
        self.reason = reason
