"""All that runs in this worker: its signs of life, its fence, and what step types keep for an execution. Built by `bootstrap`.

A worker whose signs are not confirmed any more sends nothing and cuts its sessions: by then somebody else may have been told that
the step is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import StoreError
from stepswitch.domain.execution import ENDED, Status
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.ports import Clock, StepType
from stepswitch.engine.records import Committed
from stepswitch.worker.attempt import Attempt
from stepswitch.worker.kept_sessions import KeptSessions, Left

CLOSING_SECONDS: Final = 5.0
"""How long an attempt waits until what others have kept at its device is closed."""
_log = structlog.get_logger("stepswitch.worker")


class Pool:
    """Keeps an eye on attempts; implements `step_runner.Attempts` and `engine.ports.Observer`."""

    def __init__(self, claims: Claims, types: Mapping[str, StepType], clock: Clock, silence_seconds: float, per_device: int = 1) -> None:
        self._claims = claims
        self._types = types
        self._clock = clock
        self._silence = silence_seconds
        self._running: dict[Attempt, asyncio.Task[None] | None] = {}
        self._in_hand: set[str] = set()
        self._used: dict[str, set[str]] = {}
        self._kept = KeptSessions(per_device)
        self._closing: dict[Attempt, list[asyncio.Task[None]]] = {}
        """What is closed so that an attempt has room."""
        self._releasing: set[asyncio.Task[None]] = set()

    def take(self, nonce: str) -> None:
        """Note that a claim is about to be asked for by this nonce."""
        self._in_hand.add(nonce)

    def let_go(self, nonce: str) -> None:
        """Note that nothing is done under a claim any more, and that no session is open for it."""
        self._in_hand.discard(nonce)

    def has_in_hand(self, nonce: str) -> bool:
        """Return whether something may still be done under a claim, or a session be open for it. What is not known here was never begun, or is over."""
        return nonce in self._in_hand

    def begin(self, attempt: Attempt) -> None:
        """Take note of an attempt that begins."""
        grant = attempt.grant
        self._used.setdefault(grant.task.execution_id, set()).add(grant.step_type)
        self._running[attempt] = asyncio.current_task()
        if (device := grant.task.device) is not None:
            excess = self._kept.begin(device, self._left_by(grant))
            self._closing[attempt] = [self._release(left.step_type, left.execution_id) for left in excess]

    async def make_room(self, attempt: Attempt) -> None:
        """Return when what others have kept at the device of an attempt is closed, where that is too much beside it; at the latest after a while."""
        if closing := self._closing.pop(attempt, None):
            await asyncio.wait(closing, timeout=CLOSING_SECONDS)

    @asynccontextmanager
    async def visiting(self, device: DeviceLane) -> AsyncIterator[None]:
        """Count a clean-up at a device for the block, which begins when what others have kept there leaves room for it, as for an attempt."""
        closing = [self._release(left.step_type, left.execution_id) for left in self._kept.visit(device)]
        try:
            if closing:
                await asyncio.wait(closing, timeout=CLOSING_SECONDS)
            yield
        finally:
            self._kept.leave(device)

    def _left_by(self, grant: Grant) -> Left:
        called = self._types[grant.step_type].signature.target(grant.inputs)
        return Left(grant.task.execution_id, grant.step_type, str(called))

    def end(self, attempt: Attempt) -> None:
        """Take note of its end."""
        self._running.pop(attempt, None)
        self._closing.pop(attempt, None)
        if (device := attempt.grant.task.device) is not None:
            self._kept.end(device, self._left_by(attempt.grant))
        if attempt.grant.nonce is not None and not attempt.is_stuck:
            self.let_go(attempt.grant.nonce)

    async def sign_forever(self) -> None:
        """Give a sign of life for everything that runs, six times in the time after which it would count as lost."""
        while True:
            await self._clock.sleep(self._silence / 6)
            if self._claimed():
                await self.sign()

    async def sign(self) -> None:
        """Give one sign; stop what is no longer ours, or too long unconfirmed."""
        asked = self._clock.monotonic()
        claimed = self._claimed()
        nonces = list(claimed)
        try:
            kept = set(await self._signed(nonces))
        except StoreError as error:
            _log.error("no sign of life could be stored", error=str(error), steps=len(nonces))
            self._fence()
            return
        for nonce, attempt in claimed.items():
            if attempt not in self._running:
                continue
            if nonce in kept:
                attempt.last_sign = asked
            else:
                self._stop(attempt, self._running[attempt], "its claim is no longer stored")

    def _claimed(self) -> Mapping[str, Attempt]:
        """Return what runs with a stored claim, by the nonce of that."""
        return {attempt.grant.nonce: attempt for attempt in self._running if attempt.is_claimed and attempt.grant.nonce is not None}

    async def _signed(self, nonces: Sequence[str]) -> Sequence[str]:
        """Return the claims that are still stored; raises StoreError also where the store does not answer before the next sign is due."""
        asking = asyncio.ensure_future(self._claims.sign(nonces))
        limit = asyncio.ensure_future(self._clock.sleep(self._silence / 6))
        try:
            await asyncio.wait({asking, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise StoreError("the store does not answer")
            return asking.result()
        finally:
            for each in (asking, limit):
                each.cancel()

    def _fence(self) -> None:
        oldest = self._clock.monotonic() - self._silence / 2
        for attempt, task in list(self._running.items()):
            if attempt.is_claimed and attempt.last_sign < oldest:
                self._stop(attempt, task, "its worker cannot prove that it is alive")

    @staticmethod
    def _stop(attempt: Attempt, task: "asyncio.Task[None] | None", reason: str) -> None:
        """Cut an attempt off. One that is closed is left alone: what it came to is worth more than the doubt."""
        if attempt.is_closed or task is None:
            return
        _log.error("a step is stopped", reason=reason, execution=attempt.execution_id, number=attempt.grant.task.number)
        attempt.is_closed = True
        task.cancel()

    def committed(self, change: Committed) -> None:
        """Let step types go of what they keep for an execution that has ended or paused."""
        head = change.head
        if head is None or (head.status not in ENDED and head.status is not Status.PAUSED):
            return
        self._kept.forget(head.id)
        for name in sorted(self._used.pop(head.id, ())):  # in the same order whenever the same happens
            self._release(name, head.id)

    def _release(self, name: str, execution_id: str) -> "asyncio.Task[None]":
        """Have a step type let go of what it keeps for an execution."""
        release = asyncio.get_running_loop().create_task(_outlive(name, self._types[name].release(execution_id)))
        self._releasing.add(release)
        release.add_done_callback(self._releasing.discard)
        return release

    async def close(self) -> None:
        """Let every step type go of everything."""
        await asyncio.gather(*self._releasing)
        for step_type in {id(each): each for each in self._types.values()}.values():
            await _outlive(step_type.signature.name, step_type.close())


async def _outlive(name: str, letting_go: Awaitable[None]) -> None:
    """Wait for a step type to let go; a bug in it keeps nobody else from going on."""
    try:
        await letting_go
    except Exception:  # noqa: BLE001 # whatever it was: the service goes on, or stops in order
        _log.exception("a step type could not let go", step_type=name)
