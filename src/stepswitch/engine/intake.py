"""How many executions may wait or run at once, and how many a tenant may have: whoever wants one more is told. Asked by `executions`.

What is known between two counts can only be too much: it grows with each execution that is let in. So a count is only wanted where the
limit may be reached, and the limit is never passed. Executions that go on after a pause or a failure are not asked whether there is room.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, OverloadedError
from stepswitch.engine.dispatching import QueueStore
from stepswitch.engine.ports import Clock
from stepswitch.engine.quotas import NO_QUOTAS, Quotas
from stepswitch.engine.records import Committed

COUNT_SECONDS: Final = 0.5
"""While the limit is reached it is not counted more often than that, however many ask."""
RETRY_SECONDS: Final = 5
_log = structlog.get_logger("stepswitch.intake")


class Gate:
    """Lets in until there are as many as may be. `told` goes with what is logged of it."""

    def __init__(self, count: Callable[[], Awaitable[int]], clock: Clock, most: int, **told: str) -> None:
        self._ask = count
        self._clock = clock
        self.most = most
        self._told = told
        self.known = most
        """At most so many there are, with those that are on their way to the disk; nobody knows before the first count."""
        self._on_their_way = 0
        self._next_count = float("-inf")
        self._is_stale = False
        self._one_at_a_time = asyncio.Lock()
        self._is_full = False

    async def admits(self) -> bool:
        """Return whether one more was let in, which wants `settled` in the end."""
        if self.known >= self.most:
            await self._count()
            self._tell()
        if self.known >= self.most:
            return False
        self.known += 1
        self._on_their_way += 1
        return True

    def settled(self) -> None:
        """Take note that one that was let in is on the disk, or will never be."""
        self._on_their_way -= 1

    def withdrawn(self) -> None:
        """Take note that one that was let in is refused by somebody else, so that its place is free again."""
        self._on_their_way -= 1
        self.known -= 1

    def look_again(self) -> None:
        """Count as soon as somebody asks: there may be fewer."""
        self._is_stale = True

    async def _count(self) -> None:
        async with self._one_at_a_time:
            if self._clock.monotonic() < self._next_count and not self._is_stale:
                return
            self._is_stale = False
            uncounted = self._on_their_way  # nobody is let in meanwhile, and who comes to the disk meanwhile may not be counted
            self.known = await self._ask() + uncounted
            self._next_count = self._clock.monotonic() + COUNT_SECONDS

    def _tell(self) -> None:
        """Log once that no more are let in, and once that they are again."""
        if self._is_full is not (self.known >= self.most):
            self._is_full = not self._is_full
            _log.warning(
                "no more executions are accepted" if self._is_full else "executions are accepted again", limit=self.most, **self._told
            )


class Intake:
    """Lets new executions in, until there are too many: of the tenant, or of all together. Implements `Observer`: what is removed makes room."""

    def __init__(self, queue: QueueStore, clock: Clock, most: int, quotas: Quotas = NO_QUOTAS) -> None:
        self._queue = queue
        self._clock = clock
        self._quotas = quotas
        self._all = Gate(queue.under_way, clock, most)
        self._queued: dict[str, Gate] = {}
        self._stored: dict[str, Gate] = {}

    async def admit(self, tenant: str) -> "Admission":
        """Let one more execution in, which wants to be settled in the end; raises OverloadedError where there is no room now.

        Raises InvalidRequestError where the tenant has as many as it may have: that does not change by itself.
        """
        admission = Admission()
        try:
            await self._admit(tenant, admission)
        except BaseException:
            admission.withdrawn()
            raise
        return admission

    async def admit_called(self, tenant: str) -> "Admission":
        """Let one more execution in that takes the place of the one that waits for it; raises InvalidRequestError as `admit`."""
        admission = Admission()
        try:
            await self._admit_stored(tenant, admission)
        except BaseException:
            admission.withdrawn()
            raise
        return admission

    async def _admit_stored(self, tenant: str, admission: "Admission") -> None:
        quota = self._quotas.of(tenant)
        if quota.stored_executions is not None:
            gate = self._gate(self._stored, tenant, self._queue.stored, quota.stored_executions, "stored")
            if not await admission.by(gate):
                message = (
                    f"the tenant {tenant} has {gate.known} executions, and may have {gate.most}; nothing was stored: "
                    "delete some that have ended, or let them be kept for a shorter time"
                )
                raise InvalidRequestError([Fault(ErrorCode.LIMIT_REACHED, "", message)])

    async def _admit(self, tenant: str, admission: "Admission") -> None:
        await self._admit_stored(tenant, admission)
        quota = self._quotas.of(tenant)
        if quota.queued_executions is not None:
            gate = self._gate(self._queued, tenant, self._queue.under_way_of, quota.queued_executions, "queued")
            if not await admission.by(gate):
                message = f"as many executions of the tenant {tenant} wait or run as may ({gate.most}); nothing was stored: try again later"
                raise OverloadedError(message, RETRY_SECONDS)
        if not await admission.by(self._all):
            message = f"as many executions wait or run as may ({self._all.most}); nothing was stored: try again later"
            raise OverloadedError(message, RETRY_SECONDS)

    def _gate(self, gates: dict[str, Gate], tenant: str, count: Callable[[str], Awaitable[int]], most: int, of: str) -> Gate:
        gate = gates.get(tenant)
        if gate is None:
            gate = gates[tenant] = Gate(partial(count, tenant), self._clock, most, tenant=tenant, of=of)
        return gate

    def committed(self, change: Committed) -> None:
        """See `Observer`."""
        if change.is_gone:
            for gate in self._stored.values():
                gate.look_again()


class Admission:
    """The places that a new execution has taken until it is on the disk."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []

    async def by(self, gate: Gate) -> bool:
        """Return whether a gate has let it in."""
        if not await gate.admits():
            return False
        self._gates.append(gate)
        return True

    def settled(self) -> None:
        """Take note that it is on the disk, or will never be."""
        for gate in self._gates:
            gate.settled()

    def withdrawn(self) -> None:
        """Give back the places that were taken: it is refused."""
        for gate in self._gates:
            gate.withdrawn()
