"""The sources of inventories: read from time to time, when somebody wants it, and when a context names what nobody knows. Started by `bootstrap`.

A complete reading takes the place of the one before. One that fails changes nothing of what is known, and is said: since when, and why. No source
waits for another one, and none is asked twice at the same time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import structlog

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import CredentialError, ErrorCode, NotFoundError, SourceError, StepswitchError, StoreError
from stepswitch.domain.findings import Findings
from stepswitch.domain.inventory import Inventory, Section, Source, SourceKind
from stepswitch.domain.references import Reference
from stepswitch.engine.callers import Caller
from stepswitch.engine.inventory_ports import Failure, InventoryStore, Reading
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.source_credentials import SourceCredentials, Want
from stepswitch.engine.source_ports import AsksSources, Opens

LOOK_SECONDS: Final = 2.0
"""How often it is looked which source is due; a new one is read so soon."""
READ_SECONDS: Final = 600.0
"""How long one reading may take in all."""
WAIT_SECONDS: Final = 30.0
"""How long somebody who wants a reading waits for its end; it goes on without him."""
FIND_SECONDS: Final = 5.0
"""How long an execution that is created may wait for a source to know its context."""
FINDS_AT_ONCE: Final = 5
UNKNOWN_SECONDS: Final = 10.0
"""So long nobody is asked again for what nobody knew."""
MOST_UNKNOWN: Final = 10_000
AGAIN_SECONDS: Final = 15.0
"""How soon after a failure a source is asked again; twice as long after each further one, up to its own time."""
LONGEST_PAUSE_SECONDS: Final = 3_600.0
_MOST_DOUBLINGS: Final = 16
_ASKED: Final = {Section.NETWORK_FUNCTIONS: SourceKind.SOL003, Section.NETWORK_SERVICES: SourceKind.SOL005}
_log = structlog.get_logger("stepswitch.inventory")


class SourceState(StrEnum):
    """How a source stands."""

    UNREAD = "UNREAD"
    """It was never read to its end."""
    CURRENT = "CURRENT"
    """The last reading came to its end."""
    STALE = "STALE"
    """It cannot be read: what it brought is as it was the last time that it could."""


@dataclass(frozen=True, slots=True)
class ShownSource:
    """A source, what it brought, and how it stands. Times in milliseconds."""

    source: str
    state: SourceState
    is_being_read: bool
    reading: Reading
    problems: Sequence[str]
    functions: int
    services: int
    machines: int


@dataclass(slots=True)
class _Turn:
    """When a source is due, on the monotonic clock, and the reading that goes on."""

    source: Source
    due: float
    failures: int = 0
    reading: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class _Finds:
    """What was looked for lately in vain, and how many are looked for now."""

    missed: dict[tuple[str, Section, str], float] = field(default_factory=dict)
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FINDS_AT_ONCE))


class InventorySources:
    """Reads sources, and says how they stand. Implements `LooksAgain`."""

    def __init__(
        self, *, store: InventoryStore, known: KnownInventories, asks: AsksSources, credentials: SourceCredentials, clock: Clock
    ) -> None:
        self._store = store
        self._known = known
        self._asks = asks
        self._credentials = credentials
        self._clock = clock
        self._turns: dict[tuple[str, str], _Turn] = {}
        self._finds = _Finds()

    async def run(self) -> None:
        """Read whatever is due, until cancelled; a fault of the store is logged and outlived."""
        try:
            while True:
                try:
                    await self.look()
                except StepswitchError as error:
                    _log.error("the sources of inventories cannot be looked at; the next round tries again", error=str(error))
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """End every reading that goes on."""
        going_on = [turn.reading for turn in self._turns.values() if turn.reading is not None]
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)

    async def look(self) -> None:
        """Begin to read every source that is due."""
        tenants = await self._store.with_sources()
        found = {(tenant, source.id): source for tenant in tenants for source in (await self._known.of(tenant)).sources.values()}
        for key in self._turns.keys() - found.keys():
            if (task := self._turns.pop(key).reading) is not None:
                task.cancel()
        for (tenant, _), source in found.items():
            turn = self._turn(tenant, source)
            if turn.due <= self._clock.monotonic():
                self._begin(tenant, turn)

    async def refresh(self, caller: Caller, source_id: str) -> ShownSource:
        """Read a source now, or wait for the reading that goes on, and return how it stands; raises NotFoundError."""
        caller.require(Privilege.ADMINISTRATION)
        source = (await self._known.of(caller.tenant)).sources.get(source_id)
        if source is None:
            raise NotFoundError(f"no source {source_id}")
        await asyncio.wait([self._begin(caller.tenant, self._turn(caller.tenant, source))], timeout=WAIT_SECONDS)
        shown = next((each for each in await self.states(caller) if each.source == source_id), None)
        if shown is None:
            raise NotFoundError(f"no source {source_id}")
        return shown

    async def states(self, caller: Caller) -> Sequence[ShownSource]:
        """Return how the sources of the caller's tenant stand, in the order of the inventory."""
        caller.require(Privilege.INVENTORY_READ)
        known = await self._known.known(caller.tenant)
        readings = {each.source: each for each in await self._store.readings(caller.tenant)}
        return [
            self._shown(caller.tenant, source, _of_place(readings.get(name), source), known.inventory, known.problems.get(name, ()))
            for name, source in known.inventory.sources.items()
        ]

    async def look_for(self, tenant: str, section: Section, entry_id: str) -> bool:
        """See `LooksAgain`."""
        sources = [each for each in (await self._known.of(tenant)).sources.values() if each.kind is _ASKED.get(section)]
        wanted, now = (tenant, section, entry_id), self._clock.monotonic()
        if not sources or self._finds.at_once.locked() or self._finds.missed.get(wanted, now) > now:
            return False
        async with self._finds.at_once:
            if any(await asyncio.gather(*(self._find(tenant, source, entry_id) for source in sources))):
                return True
        if len(self._finds.missed) >= MOST_UNKNOWN:
            self._finds.missed.clear()
        self._finds.missed[wanted] = self._clock.monotonic() + UNKNOWN_SECONDS
        return False

    def _turn(self, tenant: str, source: Source) -> _Turn:
        """Return the turn of a source; one that was changed is due at once."""
        turn = self._turns.get((tenant, source.id))
        if turn is None or turn.source != source:
            if turn is not None and turn.reading is not None:
                turn.reading.cancel()
            turn = self._turns[tenant, source.id] = _Turn(source, self._clock.monotonic())
        return turn

    def _begin(self, tenant: str, turn: _Turn) -> "asyncio.Task[None]":
        if turn.reading is None:
            turn.reading = asyncio.create_task(self._read(tenant, turn), name=f"source {turn.source.id}")
        return turn.reading

    async def _read(self, tenant: str, turn: _Turn) -> None:
        pause = turn.source.every_seconds
        try:
            pause = await self._read_once(tenant, turn)
        except StoreError as error:
            _log.error("what was read from a source cannot be stored", source=turn.source.id, tenant=tenant, error=str(error))
            pause = AGAIN_SECONDS
        finally:
            turn.due, turn.reading = self._clock.monotonic() + pause, None

    async def _read_once(self, tenant: str, turn: _Turn) -> float:
        """Read a source and store what came of it; return after how many seconds it is due again."""
        source, asked_at = turn.source, self._clock.now()
        retry_after = 0.0
        found: Findings | Failure
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = await self._asks.read(source, self._opens(tenant, source))
        except SourceError as error:
            found, retry_after = Failure(error.code, str(error)), error.retry_after
        except CredentialError as error:
            found = Failure(error.code, str(error))
        except TimeoutError:
            found = Failure(ErrorCode.TIMEOUT, f"it was not read to its end within {READ_SECONDS:g} seconds")
        before = _of_place(await self._store.reading(tenant, source.id), source)
        after = _after(before, found, asked_at, self._clock.now())
        _tell(source, tenant, before, after)
        await self._store.note(tenant, after, with_findings=before.findings != after.findings)
        if after.failure is None:
            turn.failures = 0
            return source.every_seconds
        pause = min(AGAIN_SECONDS * 2.0**turn.failures, source.every_seconds)
        turn.failures = min(turn.failures + 1, _MOST_DOUBLINGS)
        return min(max(pause, retry_after), LONGEST_PAUSE_SECONDS)

    async def _find(self, tenant: str, source: Source, entry_id: str) -> bool:
        """Return whether a source knows an entry, which is known then."""
        known = _of_place(await self._store.reading(tenant, source.id), source).findings
        if any(each.id == entry_id for each in known.functions) or any(each.id == entry_id for each in known.services):
            return False  # it was found, and cannot be used as it is
        try:
            async with asyncio.timeout(FIND_SECONDS):
                found = await self._asks.find(source, entry_id, self._opens(tenant, source))
        except (SourceError, CredentialError, TimeoutError) as error:
            why = str(error) or f"no answer within {FIND_SECONDS:g} seconds"
            _log.warning("a source could not be asked for what a context names", source=source.id, tenant=tenant, why=why)
            return False
        if found:
            before = _of_place(await self._store.reading(tenant, source.id), source)
            await self._store.note(tenant, replace(before, findings=_added(before.findings, found)), with_findings=True)
        return bool(found)

    def _opens(self, tenant: str, source: Source) -> Opens:
        async def open_(reference: Reference, device: Device, field: str) -> str:
            editors = (await self._known.known(tenant)).editors
            by = editors.get(source.id)
            if by is None:
                raise CredentialError(ErrorCode.CREDENTIAL_REFUSED, "nothing was asked: the source is gone by now")
            return await self._credentials.open(Want(tenant, source, field, reference.credential, device, by))

        return open_

    def _shown(self, tenant: str, source: Source, reading: Reading, inventory: Inventory, problems: Sequence[str]) -> ShownSource:
        turn = self._turns.get((tenant, source.id))
        state = SourceState.UNREAD if reading.read_at is None else SourceState.STALE if reading.failure else SourceState.CURRENT
        counts = (inventory.network_functions, inventory.network_services, inventory.virtual_machines)
        functions, services, machines = (sum(each.source == source.id for each in entries.values()) for entries in counts)
        is_being_read = turn is not None and turn.reading is not None
        return ShownSource(source.id, state, is_being_read, reading, problems, functions, services, machines)


def _of_place(reading: Reading | None, source: Source) -> Reading:
    """Return what was read where the source says now; nothing where it was read elsewhere."""
    return reading if reading is not None and reading.place == source.place else Reading(source.id, source.place)


def _after(before: Reading, found: Findings | Failure, asked_at: int, now: int) -> Reading:
    """Return how a source stands when it was read, or could not be: then what is known of it stays."""
    if isinstance(found, Findings):
        return replace(before, findings=found, read_at=now, asked_at=asked_at, failing_since=None, failure=None)
    since = asked_at if before.failing_since is None else before.failing_since
    return replace(before, asked_at=asked_at, failing_since=since, failure=found)


def _added(known: Findings, found: Findings) -> Findings:
    """Return what is known with what was found beside it, which counts before."""
    functions = {each.id: each for each in (*known.functions, *found.functions)}
    services = {each.id: each for each in (*known.services, *found.services)}
    return Findings(tuple(functions.values()), tuple(services.values()), known.problems)


def _tell(source: Source, tenant: str, before: Reading, after: Reading) -> None:
    """Say in the log that a source can no longer be read, or can again; once."""
    if after.failure is not None and (before.failure is None or before.failure.code is not after.failure.code):
        _log.warning("a source of the inventory cannot be read", source=source.id, tenant=tenant, why=after.failure.message)
    elif after.failure is None and (before.failure is not None or before.read_at is None):
        found = after.findings
        _log.info("a source of the inventory was read", source=source.id, functions=len(found.functions), services=len(found.services))
