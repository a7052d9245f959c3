"""How much of what a tenant may have it has, for its administrators; those of the tenant `default` see that of every tenant. Called by `api.usage`.

It is counted in indexes, at most once in `FRESH_SECONDS` however many ask, and what one tenant is told is counted of that tenant alone.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from stepswitch.domain.errors import ElsewhereError, NotFoundError
from stepswitch.domain.events import TaskKind
from stepswitch.engine.callers import Caller
from stepswitch.engine.dispatching import Dispatcher
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.quotas import Quota, Quotas

FRESH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Stored:
    """What a tenant has in the store, counted as its limits count it."""

    queued_executions: int = 0
    stored_executions: int = 0
    file_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant has, and its limits."""

    tenant: str
    executions_at_once: int
    stored: Stored
    limits: Quota


class UsageStore(Protocol):
    """Counts what tenants have. Implemented in `storage`."""

    async def tenants(self) -> Collection[str]:
        """Return every tenant that has a user."""

    async def stored(self, tenant: str | None) -> Mapping[str, Stored]:
        """Return what a tenant has, or, for None, each of them; one that has nothing may be missing."""


@dataclass(slots=True)
class _Count:
    """The last count, since when it is known, and the one who counts at a time."""

    found: Mapping[str, Stored] = field(default_factory=dict)
    good_until: float = float("-inf")
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


class Usages:
    """Tells administrators how much there is."""

    def __init__(self, store: UsageStore, dispatcher: Dispatcher, quotas: Quotas, clock: Clock) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._quotas = quotas
        self._clock = clock
        self._counts: defaultdict[str | None, _Count] = defaultdict(_Count)
        """By tenant; what all of them have by None."""

    async def of(self, caller: Caller, tenant: str | None = None) -> Sequence[Usage]:
        """Return the usage of a tenant; of those whom the caller looks after, by name, where none is named. Raises NotFoundError where he looks after none called so."""
        caller.require(Privilege.ADMINISTRATION)
        if tenant is None and caller.runs_installation:
            stored = await self._stored(None)
            return self._usages(sorted({*await self._store.tenants(), *stored}), stored)
        wanted = caller.tenant if tenant is None else tenant
        await self._check_is_there(caller, wanted)
        return self._usages([wanted], await self._stored(wanted))

    async def _check_is_there(self, caller: Caller, tenant: str) -> None:
        if tenant == caller.tenant:
            return
        if tenant not in await self._store.tenants():
            raise NotFoundError(f"no tenant {tenant}")
        if not caller.runs_installation:
            raise ElsewhereError(f"no tenant {tenant}")

    async def _stored(self, tenant: str | None) -> Mapping[str, Stored]:
        count = self._counts[tenant]
        async with count.one_at_a_time:
            if self._clock.monotonic() >= count.good_until:
                count.found = await self._store.stored(tenant)
                count.good_until = self._clock.monotonic() + FRESH_SECONDS
        return count.found

    def _usages(self, tenants: Sequence[str], stored: Mapping[str, Stored]) -> list[Usage]:
        running = Counter(task.tenant for task in self._dispatcher.running() if task.kind is TaskKind.STEP)
        return [Usage(each, running[each], stored.get(each, Stored()), self._quotas.of(each)) for each in tenants]
