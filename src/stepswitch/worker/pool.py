"""All that runs in this worker: its signs of life, its fence, and what step types keep for an execution. Built by `bootstrap`.

A worker whose signs are not confirmed any more sends nothing and cuts its sessions: by then somebody else may have been told that
the step is lost.
"""

import asyncio
from collections.abc import Mapping

import structlog

from stepswitch.domain.errors import StoreError
from stepswitch.domain.execution import ENDED, Status
from stepswitch.engine.claims import Claims
from stepswitch.engine.ports import Clock, Committed, StepType
from stepswitch.worker.attempt import Attempt

_log = structlog.get_logger("stepswitch.worker")


class Pool:
    """Keeps an eye on attempts; implements `step_runner.Attempts` and `engine.ports.Observer`."""

    def __init__(self, claims: Claims, types: Mapping[str, StepType], clock: Clock, silence_seconds: float) -> None:
        self._claims = claims
        self._types = types
        self._clock = clock
        self._silence = silence_seconds
        self._running: dict[str, tuple[Attempt, asyncio.Task[None] | None]] = {}
        self._used: dict[str, set[str]] = {}
        self._releasing: set[asyncio.Task[None]] = set()

    def begin(self, attempt: Attempt) -> None:
        """Take note of an attempt that begins."""
        grant = attempt.grant
        self._used.setdefault(grant.task.execution_id, set()).add(grant.step_type)
        if grant.nonce is not None:
            self._running[grant.nonce] = (attempt, asyncio.current_task())

    def end(self, attempt: Attempt) -> None:
        """Take note of its end."""
        if attempt.grant.nonce is not None:
            self._running.pop(attempt.grant.nonce, None)

    async def sign_forever(self) -> None:
        """Give a sign of life for everything that runs, six times in the time after which it would count as lost."""
        while True:
            await self._clock.sleep(self._silence / 6)
            if self._running:
                await self.sign()

    async def sign(self) -> None:
        """Give one sign; stop what is no longer ours, or too long unconfirmed."""
        asked = self._clock.monotonic()
        nonces = list(self._running)
        try:
            kept = set(await self._claims.sign(nonces))
        except StoreError as error:
            _log.error("no sign of life could be stored", error=str(error), steps=len(nonces))
            self._fence()
            return
        for nonce in nonces:
            attempt, task = self._running.get(nonce, (None, None))
            if attempt is not None and nonce in kept:
                attempt.last_sign = asked
            elif task is not None:
                task.cancel()

    def _fence(self) -> None:
        oldest = self._clock.monotonic() - self._silence / 2
        for attempt, task in list(self._running.values()):
            if attempt.last_sign < oldest and task is not None:
                _log.error("a step is stopped: its worker cannot prove that it is alive", execution=attempt.execution_id)
                task.cancel()

    def committed(self, change: Committed) -> None:
        """Let step types go of what they keep for an execution that has ended or paused."""
        head = change.head
        if head is None or (head.status not in ENDED and head.status is not Status.PAUSED):
            return
        for name in self._used.pop(head.id, ()):
            release = asyncio.get_running_loop().create_task(self._types[name].release(head.id))
            self._releasing.add(release)
            release.add_done_callback(self._releasing.discard)

    async def close(self) -> None:
        """Let every step type go of everything."""
        await asyncio.gather(*self._releasing, return_exceptions=True)
        for step_type in {id(each): each for each in self._types.values()}.values():
            await step_type.close()
