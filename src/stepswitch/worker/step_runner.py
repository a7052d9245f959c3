"""One attempt as a list of verbs: claim, run under a deadline, bound what came out, report. Called by `dispatch` through `pool`.

What a step did is a value; an exception that escapes a step type is a bug, logged with a reference and reported as one. An attempt
that is cancelled reports nothing: whoever cancelled it has decided already what it came to. Where nobody has, because this process stops, it
is given back if nothing was sent; else it is in doubt, and the next start says so.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import Any, Final, Protocol, TypeVar

import structlog

from stepswitch.domain.errors import CredentialError, ErrorCode, NotFoundError, ServiceError
from stepswitch.domain.events import Reply, Task
from stepswitch.domain.execution import LogLevel, Outcome, Result, StepError
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.outcomes import bounded, timed_out
from stepswitch.engine.ports import StepType
from stepswitch.plugin import exhausted
from stepswitch.worker.attempt import OLD_CLAIM_SECONDS, Attempt, FencedError, Surroundings
from stepswitch.worker.cleaner import Cleaner
from stepswitch.worker.patience import LET_GO_SECONDS, STORE_PAUSES, ends_within, until_stored

LEFT_BEHIND: Final = "the step type does not let go: its session at the target may be open until it does, or this service ends"
STILL_COMPUTES: Final = "the step type does not let go: it may go on computing until it does, or this service ends"
CLAIM_AFTER_SECONDS: Final = 0.1
"""How long a step that is safe by its type runs without a stored claim: most have ended by then, and cost one commit (docs/decisions/0006)."""

_T = TypeVar("_T")
_log = structlog.get_logger("stepswitch.worker")


class Attempts(Protocol):
    """Who keeps an eye on what runs: the pool."""

    def take(self, nonce: str) -> None:
        """Take note of a claim that is about to be asked for."""
        ...

    def let_go(self, nonce: str) -> None:
        """Take note that nothing is done under it any more, and no session open."""
        ...

    def begin(self, attempt: Attempt) -> None:
        """Take note of an attempt that begins."""
        ...

    async def make_room(self, attempt: Attempt) -> None:
        """Return when its device has room for its session."""
        ...

    def end(self, attempt: Attempt) -> None:
        """Take note of its end."""
        ...


class StepRunner:
    """Carries out one task at a time for each caller."""

    def __init__(self, *, types: Mapping[str, StepType], around: Surroundings, attempts: Attempts, cleaner: Cleaner, instance: str) -> None:
        self._types = types
        self._cleaner = cleaner
        self._around = around
        self._attempts = attempts
        self._instance = instance
        self._letting_go: set[asyncio.Task[None]] = set()

    @property
    def _claims(self) -> Claims:
        return self._around.claims

    async def carry_out(self, task: Task) -> None:
        """Carry out one attempt and hand in its report; returns at once where somebody else has the step."""
        attempt = await self._claim(task)
        if attempt is None:
            return
        self._attempts.begin(attempt)
        reach(CrashPoint.ATTEMPT_BEGUN)
        outcome: Outcome | None = None
        try:
            await self._attempts.make_room(attempt)
            outcome = bounded(await self._run_patiently(attempt), self._around.output_bytes, attempt.mask)
            reach(CrashPoint.ATTEMPT_ENDED)
            await attempt.step_log.close()
            await until_stored(self._around.clock, partial(self._report, attempt, outcome))
            reach(CrashPoint.ATTEMPT_REPORTED)
            if attempt.stays and not attempt.is_stuck and attempt.grant.nonce is not None:
                self._cleaner.begin(attempt.execution_id, attempt.grant.nonce)
        except asyncio.CancelledError:
            await self._let_go(attempt, outcome)
            raise
        finally:
            if attempt.claiming is not None:
                attempt.claiming.cancel()
            self._attempts.end(attempt)
            await attempt.made.settle()

    async def _claim(self, task: Task) -> Attempt | None:
        """Return the attempt that is ours; None where it is somebody else's or over.

        The same nonce is given again where the store said no. The first sign of life is the moment of asking, not of the answer. Where an
        earlier asking may have been stored, the sign that is stored may be as old as that: then one is given anew before it counts. So may its
        deadline, also where one asking was enough and only its answer took long: a claim of which an attempt would outlive that is given back,
        and whoever asks next has a new one.
        """
        nonce = self._around.ids.new()
        self._attempts.take(nonce)
        grant: Grant | Reply = Reply.STALE
        first = self._around.clock.monotonic()
        try:
            grant, asked = await self._granted(lambda: self._claims.claim(task, self._instance, nonce))
            age = self._around.clock.monotonic() - first
            if isinstance(grant, Grant) and grant.nonce is not None and age > OLD_CLAIM_SECONDS:
                grant = Reply.STALE
                await self._to_the_end(self._give_back(task, nonce))
        except asyncio.CancelledError:
            await self._to_the_end(self._give_back(task, nonce))  # the claim may have been stored; nothing was opened yet
            raise
        finally:
            if not isinstance(grant, Grant) or grant.nonce is None:
                self._attempts.let_go(nonce)
        return Attempt(grant, self._around, asked, first) if isinstance(grant, Grant) else None

    async def _granted(self, claim: Callable[[], Awaitable[Grant | Reply]]) -> tuple[Grant | Reply, float]:
        """Return what `claim` returns, which is called until the store takes it, and the monotonic moment of the first sign of life."""
        asked, asks = 0.0, 0

        async def ask() -> Grant | Reply:
            nonlocal asked, asks
            asked, asks = self._around.clock.monotonic(), asks + 1
            grant = await claim()
            if (
                asks > 1
                and isinstance(grant, Grant)
                and grant.nonce is not None
                and grant.nonce not in await self._claims.sign([grant.nonce])
            ):
                return Reply.STALE
            return grant

        return await until_stored(self._around.clock, ask), asked

    def _claim_late(self, attempt: Attempt) -> None:
        """See to a claim for an attempt that began without one and does not end soon, while it goes on.

        From now on it speaks by the nonce of that claim, whether that is stored by then or not.
        """
        if attempt.grant.nonce is None:
            nonce = self._around.ids.new()
            self._attempts.take(nonce)
            attempt.grant = replace(attempt.grant, nonce=nonce)
            attempt.claiming = asyncio.get_running_loop().create_task(self._store_claim(attempt))

    async def _store_claim(self, attempt: Attempt) -> None:
        grant, asked = await self._granted(partial(self._claims.claim_late, attempt.grant, self._instance))
        if isinstance(grant, Grant):
            attempt.last_sign = asked
            attempt.is_claimed = True

    async def _let_go(self, attempt: Attempt, outcome: Outcome | None) -> None:
        """Hand in what is known by now, once, or give the step back, and say that the session is closed, to whoever waits for it."""
        attempt.is_closed = True
        await attempt.step_log.close(keep_trying=False)
        if outcome is not None:
            try:
                await self._report(attempt, outcome)
            except (ServiceError, NotFoundError) as error:
                _log.error("what a stopped step came to could not be stored", execution=attempt.execution_id, error=str(error))
        nonce = attempt.grant.nonce
        if outcome is None and nonce is not None and attempt.can_be_given_back:
            await self._to_the_end(self._give_back(attempt.grant.task, nonce, attempt))
        elif nonce is not None and not attempt.is_stuck:
            await self._see_to_target(attempt, nonce)

    async def _report(self, attempt: Attempt, outcome: Outcome) -> Reply:
        return await self._claims.report(attempt.grant, outcome, is_left_behind=attempt.is_stuck or attempt.stays)

    async def _see_to_target(self, attempt: Attempt, nonce: str) -> None:
        """Have removed what an attempt that did not end by itself may have left at the target, or say that nothing is left."""
        if attempt.stays or (attempt.sent and self._outlives(attempt)):
            self._cleaner.begin(attempt.execution_id, nonce)
        else:
            await self._confirm_cleanup(attempt.grant.task, nonce)

    def _outlives(self, attempt: Attempt) -> bool:
        return self._types[attempt.grant.step_type].signature.outlives

    async def _give_back(self, task: Task, nonce: str, attempt: Attempt | None = None) -> None:
        """Let somebody else carry out a step of which nothing was sent; where others have given it up already, see that nothing of it is left.

        `attempt` is None where none had begun. Asked once: a claim that the store does not let go of is lost, and in doubt.
        """
        try:
            reply = await self._claims.give_back(task, nonce)
        except (ServiceError, NotFoundError) as error:
            _log.error("a step of which nothing was sent could not be given back", execution=task.execution_id, error=str(error))
            reply = Reply.STALE
        if reply is Reply.STALE and attempt is not None:
            await self._see_to_target(attempt, nonce)
        elif reply is Reply.STALE:
            await self._confirm_cleanup(task, nonce)

    async def _confirm_cleanup(self, task: Task, nonce: str) -> None:
        """Say that nothing is left at the target. Where the store does not take that, it is said again until it does; no place is held meanwhile."""
        confirm = partial(self._claims.cleaned_up, task.execution_id, nonce)
        try:
            await confirm()
        except NotFoundError:
            _log.warning("a cleanup of an execution that is gone", execution=task.execution_id)
        except ServiceError as error:
            _log.warning("a cleanup could not be confirmed; it is tried again", execution=task.execution_id, error=str(error))
            self._begin(self._confirm_again(confirm))

    async def _confirm_again(self, confirm: Callable[[], Awaitable[None]]) -> None:
        await until_stored(self._around.clock, confirm)

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what is owed to others although somebody cancels once more meanwhile."""
        await asyncio.shield(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._letting_go.add(task)
        task.add_done_callback(self._letting_go.discard)
        return task

    async def _run_patiently(self, attempt: Attempt) -> Outcome:
        """Carry an attempt out; where this machine had no room for it, again after a while, as long as its time limit allows."""
        clock = self._around.clock
        until = clock.monotonic() + attempt.grant.time_limit_seconds
        for pause in chain(STORE_PAUSES, repeat(STORE_PAUSES[-1])):
            outcome = await self._run(attempt)
            if attempt.sent or not _had_no_room(outcome) or clock.monotonic() + pause > until:
                break
            self._claim_late(attempt)
            attempt.is_closed = False  # so that it can be stopped while it waits
            await attempt.log(f"{outcome.error.message if outcome.error else ''}; it is tried again", LogLevel.WARN)
            _log.error("there is no room for a step; it is tried again", execution=attempt.execution_id, pause_seconds=pause)
            await clock.sleep(pause)
        return outcome

    async def _run(self, attempt: Attempt) -> Outcome:
        grant = attempt.grant
        running = asyncio.get_running_loop().create_task(_call(self._types[grant.step_type], attempt))
        try:
            if not await self._ends_in_time(running, attempt):
                attempt.is_closed = True
                return timed_out(grant.time_limit_seconds, may_have_acted=attempt.sent and not grant.safe)
            return _bug(attempt, None, self._around.ids.new()) if running.cancelled() else running.result()
        except FencedError as error:
            return _fenced(attempt, error)
        except Exception as error:  # noqa: BLE001 # a bug in a step type must not take the worker with it
            ran_out = exhausted(error) if isinstance(error, OSError) and not attempt.sent else None
            return _bug(attempt, error, self._around.ids.new()) if ran_out is None else Outcome(Result.FAILED, error=ran_out)
        finally:
            attempt.is_closed = True
            if attempt.sent and self._outlives(attempt) and not _has_ended(running):
                attempt.stays = True
            await self._stop(running, attempt)
            del running  # it holds what was raised, and that by its trace this call: all of the attempt would wait for the collector

    async def _stop(self, running: "asyncio.Task[Outcome]", attempt: Attempt) -> None:
        """Cancel a step type and wait until it has closed its session; one that does not is left behind after a while.

        Whoever cancels once more meanwhile waits for the same: a session that is open must not count as closed.
        """
        limit = asyncio.get_running_loop().create_task(self._around.clock.sleep(LET_GO_SECONDS))
        is_cancelled = False
        is_asked = running.cancel()
        while is_asked and not (running.done() or limit.done()):
            try:
                await asyncio.wait({running, limit}, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                is_cancelled = True
        limit.cancel()
        if not running.done():
            attempt.is_stuck = True
            _log.error("a step type does not let go", step_type=attempt.grant.step_type, execution=attempt.execution_id)
            only_computes = self._types[attempt.grant.step_type].signature.only_computes
            attempt.step_log.note(STILL_COMPUTES if only_computes else LEFT_BEHIND, LogLevel.WARN)
            self._begin(self._outlast(running, attempt))
        elif not running.cancelled():
            running.exception()
        if is_cancelled:
            raise asyncio.CancelledError

    async def _outlast(self, running: "asyncio.Task[Outcome]", attempt: Attempt) -> None:
        """Wait, however long it takes, for a step type that did not let go, and see then that nothing is left of its session."""
        await asyncio.wait([running])
        nonce = attempt.grant.nonce
        if nonce is not None:
            self._attempts.let_go(nonce)
            await self._see_to_target(attempt, nonce)

    async def _ends_in_time(self, running: "asyncio.Task[Outcome]", attempt: Attempt) -> bool:
        """Return whether `running` ends within its time limit; one that has no claim is given one if it does not end soon."""
        limit, without_claim = attempt.grant.time_limit_seconds, CLAIM_AFTER_SECONDS
        if attempt.grant.nonce is None and without_claim < limit:
            if await ends_within(running, without_claim, self._around.clock):
                return True
            self._claim_late(attempt)
            limit -= without_claim
        return await ends_within(running, limit, self._around.clock)


def _has_ended(running: "asyncio.Task[Outcome]") -> bool:
    """Return whether a step type has ended by itself, with an outcome."""
    return running.done() and not running.cancelled() and running.exception() is None


async def _call(step_type: StepType, attempt: Attempt) -> Outcome:
    """Return what a step type came to, nothing of it that was opened for it; raises TypeError where that is no outcome."""
    try:
        inputs = await attempt.inputs()
    except CredentialError as error:
        return Outcome(Result.FAILED, error=StepError(error.code, str(error)))
    outcome = await step_type.run(inputs, attempt)
    if not isinstance(outcome, Outcome):
        raise TypeError(f"a step type returned {type(outcome).__name__} in place of an outcome")
    attempt.made.check(outcome.files)
    for name, value in outcome.outputs.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float):
            raise TypeError(f"a step type gave an output {name!r} of type {type(value).__name__}")
    return replace(outcome, outputs=attempt.without_secrets(outcome.outputs))


def _fenced(attempt: Attempt, error: FencedError) -> Outcome:
    """Return what follows from a step type that wanted to send something and was not allowed to."""
    if not attempt.sent:
        return Outcome(Result.FAILED, error=StepError(ErrorCode.LOST, f"nothing was sent: {error}"))
    message = f"{error}; something was sent before, and nobody can say whether the target acted"
    return Outcome(Result.FAILED if attempt.grant.safe else Result.UNKNOWN, error=StepError(ErrorCode.LOST, message))


def _had_no_room(outcome: Outcome) -> bool:
    return outcome.error is not None and outcome.error.code is ErrorCode.EXHAUSTED


def _bug(attempt: Attempt, fault: BaseException | None, reference: str) -> Outcome:
    trace = "".join(traceback.format_exception(fault)) if fault is not None else "it gave no outcome"
    _log.error(
        "a step type raised",
        reference=reference,
        step_type=attempt.grant.step_type,
        execution=attempt.execution_id,
        trace=attempt.mask.text(trace),
    )
    result = Result.UNKNOWN if attempt.sent and not attempt.grant.safe else Result.FAILED
    return Outcome(
        result, error=StepError(ErrorCode.INTERNAL, f"the step type failed in a way that it should not; the service's log has {reference}")
    )
