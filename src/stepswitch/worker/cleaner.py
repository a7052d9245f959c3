"""Removes at targets what attempts have left there, and says so then. Asked by `step_runner`, and by the timekeeper for processes that are gone.

Only for step types whose signature says `outlives`: of every other one nothing is left when its connection is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import chain, repeat
from typing import Final, Protocol, cast

import structlog

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import CredentialError, TargetError
from stepswitch.domain.events import Reply
from stepswitch.domain.execution import LogLevel
from stepswitch.engine.claims import Grant
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.dispatching import DeviceLine
from stepswitch.engine.ports import CleansUp, StepType
from stepswitch.engine.records import Committed
from stepswitch.worker.attempt import Attempt, Surroundings
from stepswitch.worker.patience import LET_GO_SECONDS, ends_within, until_stored

PAUSES: Final = (1.0, 5.0, 30.0, 60.0, 300.0)
"""Seconds between two tries at a target where something could not be removed; the last one again and again."""
TRY_SECONDS: Final = 60.0
"""How long one try may take."""
_log = structlog.get_logger("stepswitch.worker")


class Room(Protocol):
    """Who sees to it that a device has room for a session: the pool."""

    def visiting(self, device: DeviceLane) -> AbstractAsyncContextManager[None]:
        """Have room for a session at a device for the block."""
        ...


class Cleaner:
    """Removes what is left, each for itself, until it is gone, somebody takes it for gone, or the service stops; then the next start goes on. Implements `Observer`."""

    def __init__(self, types: Mapping[str, StepType], around: Surroundings, line: DeviceLine, room: Room) -> None:
        self._types = types
        self._around = around
        self._line = line
        self._room = room
        self._working: dict[str, asyncio.Task[None]] = {}
        self._trying: dict[str, set[str]] = {}
        """By execution, the claims under which something was left that is not known to be gone."""
        self._is_closed = False

    def begin(self, execution_id: str, nonce: str) -> None:
        """Have removed what the attempt under a claim has left; a second time is no error."""
        if nonce in self._working or self._is_closed:
            return
        task = asyncio.get_running_loop().create_task(self._clean(execution_id, nonce), name=f"cleaner of {execution_id}")
        self._working[nonce] = task
        self._trying.setdefault(execution_id, set()).add(nonce)
        task.add_done_callback(lambda _: self._end(execution_id, nonce))

    def _end(self, execution_id: str, nonce: str) -> None:
        del self._working[nonce]
        self._settle(execution_id, nonce)

    def _settle(self, execution_id: str, nonce: str) -> None:
        """Note that nothing is tried any more for what was left under a claim."""
        trying = self._trying.get(execution_id, set())
        trying.discard(nonce)
        if not trying:
            self._trying.pop(execution_id, None)

    def committed(self, change: Committed) -> None:
        """See `Observer`: stop trying, also in the middle of it, where nothing counts as left any more."""
        trying = self._trying.get(change.execution_id)
        if not trying or (change.head is None and not change.is_gone):
            return
        left = {each.nonce for each in change.head.left_behind} if change.head is not None else set()
        for nonce in sorted(trying - left):
            self._working[nonce].cancel()

    async def close(self) -> None:
        """Begin nothing more, and leave the rest to the next start."""
        self._is_closed = True
        working = list(self._working.values())
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _clean(self, execution_id: str, nonce: str) -> None:
        clock, claims = self._around.clock, self._around.claims
        for tries, pause in enumerate(chain(PAUSES, repeat(PAUSES[-1]))):
            errand = await until_stored(clock, partial(claims.errand, execution_id, nonce))
            if isinstance(errand, Reply):
                return
            if await self._is_removed(errand, tries, pause):
                break
            await clock.sleep(pause)
        self._settle(execution_id, nonce)  # what is said now is its end, and no reason to stop
        await until_stored(clock, partial(claims.cleaned_up, execution_id, nonce))

    async def _is_removed(self, errand: Grant, tries: int, pause: float) -> bool:
        attempt = Attempt(errand, self._around, self._around.clock.monotonic())
        attempt.is_claimed = False  # nobody fences who only removes
        reach(CrashPoint.REMOVAL_DUE)
        try:
            async with self._turn(errand):
                why = await self._try(attempt)
            reach(CrashPoint.REMOVAL_DONE)
            if why is not None:
                self._tell(attempt, why, pause, is_first=not tries)
        finally:
            attempt.is_closed = True
            await attempt.step_log.close(keep_trying=False)
            await attempt.made.settle()
        return why is None

    @asynccontextmanager
    async def _turn(self, errand: Grant) -> AsyncIterator[None]:
        """Stand in the line for the device of what was left, where it has one: the session is one of those that it may have."""
        task = errand.task
        if task.device is None:
            yield
            return
        async with self._line.visit(task.execution_id, task.device), self._room.visiting(task.device):
            yield

    def _tell(self, attempt: Attempt, why: str, pause: float, *, is_first: bool) -> None:
        _log.error(
            "what a step has left at its target could not be removed; it is tried again",
            execution=attempt.execution_id,
            number=attempt.grant.task.number,
            why=attempt.mask.text(why),
            pause_seconds=pause,
        )
        if is_first:
            attempt.step_log.note(f"what it left at the target could not be removed yet: {why}; it is tried again", LogLevel.WARN)

    async def _try(self, attempt: Attempt) -> str | None:
        """Return why what is left is not removed, None where it is."""
        step_type = self._types.get(attempt.grant.step_type)
        if step_type is None:
            return f"the step type {attempt.grant.step_type} is not installed any more"
        running = asyncio.get_running_loop().create_task(_clean_up(cast("CleansUp", step_type), attempt))
        try:
            is_over = await ends_within(running, TRY_SECONDS, self._around.clock)
            return running.result() if is_over else f"it takes longer than {TRY_SECONDS:.0f} s"
        finally:
            if running.cancel():
                await ends_within(running, LET_GO_SECONDS, self._around.clock)


async def _clean_up(step_type: CleansUp, attempt: Attempt) -> str | None:
    try:
        await step_type.clean_up(await attempt.inputs(), attempt)
    except (TargetError, CredentialError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 # a bug in a step type keeps nobody else from going on, and is tried again
        return f"the step type failed in a way that it should not: {type(error).__name__}: {error}"
    return None
