"""One attempt as a list of verbs: claim, run under a deadline, bound what came out, report. Called by `dispatch` through `pool`.

What a step did is a value; an exception that escapes a step type is a bug, logged with a reference and reported as one. An attempt
that is cancelled reports nothing: whoever cancelled it has decided already what it came to.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol, TypeVar

import structlog

from stepswitch.domain.errors import ErrorCode, NotFoundError, StoreError
from stepswitch.domain.events import Reply, Task
from stepswitch.domain.execution import Outcome, Result, StepError
from stepswitch.domain.values import Value
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.ports import Clock, StepType
from stepswitch.worker.attempt import Attempt, FencedError, Surroundings

STORE_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between two tries at a store that says no; the last one again and again."""

_T = TypeVar("_T")
_log = structlog.get_logger("stepswitch.worker")


class Attempts(Protocol):
    """Who keeps an eye on what runs: the pool."""

    def begin(self, attempt: Attempt) -> None:
        """Take note of an attempt that begins."""
        ...

    def end(self, attempt: Attempt) -> None:
        """Take note of its end."""
        ...


class StepRunner:
    """Carries out one task at a time for each caller."""

    def __init__(self, *, types: Mapping[str, StepType], around: Surroundings, attempts: Attempts, instance: str) -> None:
        self._types = types
        self._around = around
        self._attempts = attempts
        self._instance = instance

    @property
    def _claims(self) -> Claims:
        return self._around.claims

    async def carry_out(self, task: Task) -> None:
        """Carry out one attempt and hand in its report; returns at once where somebody else has the step."""
        grant = await until_stored(self._around.clock, lambda: self._claims.claim(task, self._instance))
        if not isinstance(grant, Grant):
            return
        attempt = Attempt(grant, self._around)
        self._attempts.begin(attempt)
        try:
            outcome = _bounded(await self._run(attempt), self._around.output_bytes, attempt)
            await attempt.step_log.close()
            await until_stored(self._around.clock, lambda: self._claims.report(grant, outcome))
        except asyncio.CancelledError:
            await self._let_go(attempt)
            raise
        finally:
            self._attempts.end(attempt)

    async def _let_go(self, attempt: Attempt) -> None:
        """Say that the session is closed by now, to whoever waits for it."""
        task = attempt.grant.task
        try:
            await attempt.step_log.close()
            await self._claims.cleaned_up(task.execution_id, task.number)
        except (StoreError, NotFoundError) as error:
            _log.warning("a cleanup could not be confirmed; the next start does", execution=task.execution_id, error=str(error))

    async def _run(self, attempt: Attempt) -> Outcome:
        grant = attempt.grant
        step_type = self._types[grant.step_type]
        running = asyncio.get_running_loop().create_task(step_type.run(grant.inputs, attempt))
        limit = asyncio.get_running_loop().create_task(self._around.clock.sleep(grant.time_limit_seconds))
        try:
            await asyncio.wait({running, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await _stop(running)
                return _timed_out(attempt)
            return running.result()
        except FencedError as error:
            return Outcome(Result.FAILED, error=StepError(ErrorCode.LOST, str(error)))
        except Exception:  # noqa: BLE001 # a bug in a step type must not take the worker with it
            return _bug(attempt)
        finally:
            limit.cancel()
            await _stop(running)


async def _stop(running: "asyncio.Task[Outcome]") -> None:
    running.cancel()
    await asyncio.wait({running})
    if not running.cancelled():
        running.exception()


async def until_stored(clock: Clock, ask: Callable[[], Awaitable[_T]]) -> _T | Reply:
    """Return what `ask` returns, asking again as long as the store says no; STALE where the execution is gone."""
    tries = 0
    while True:
        try:
            return await ask()
        except NotFoundError:
            return Reply.STALE
        except StoreError as error:
            pause = STORE_PAUSES[min(tries, len(STORE_PAUSES) - 1)]
            _log.error("the store says no; asking again", error=str(error), pause_seconds=pause)
            tries += 1
        await clock.sleep(pause)


def _timed_out(attempt: Attempt) -> Outcome:
    grant = attempt.grant
    seconds = f"{grant.time_limit_seconds:g} s"
    if attempt.sent and not grant.safe:
        message = f"the time limit of {seconds} passed after the command was sent; nobody can say whether the target acted"
        return Outcome(Result.UNKNOWN, error=StepError(ErrorCode.TIMEOUT, message))
    return Outcome(Result.FAILED, error=StepError(ErrorCode.TIMEOUT, f"the time limit of {seconds} passed"))


def _bug(attempt: Attempt) -> Outcome:
    reference = uuid.uuid4().hex[:12]
    _log.exception("a step type raised", reference=reference, step_type=attempt.grant.step_type, execution=attempt.execution_id)
    result = Result.UNKNOWN if attempt.sent and not attempt.grant.safe else Result.FAILED
    return Outcome(
        result, error=StepError(ErrorCode.INTERNAL, f"the step type failed in a way that it should not; the service's log has {reference}")
    )


def _bounded(outcome: Outcome, limit: int, attempt: Attempt) -> Outcome:
    """Return `outcome` with its outputs cut to the limit and nothing secret in its error."""
    cut: list[str] = [*outcome.truncated]
    outputs: dict[str, Value] = {}
    for name, value in outcome.outputs.items():
        outputs[name], was_cut = _clean(value, limit)
        if was_cut and name not in cut:
            cut.append(name)
    error = outcome.error
    if error is not None:
        error = StepError(error.code, attempt.grant.mask.text(error.message))
    elif cut:
        error = StepError(ErrorCode.OUTPUT_TOO_LARGE, f"only the first {limit} bytes were kept of {', '.join(cut)}")
    return replace(outcome, outputs=outputs, error=error, truncated=tuple(cut))


def _clean(value: Value, limit: int) -> tuple[Value, bool]:
    if not isinstance(value, str):
        return value, False
    if len(value) * 4 <= limit and value.isascii():
        return value, False
    encoded = value.encode("utf-8", "replace")
    return encoded[:limit].decode("utf-8", "ignore"), len(encoded) > limit
