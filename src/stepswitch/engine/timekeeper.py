"""Watches what only time can tell: lost claims, forgotten wake-ups, cleanup, retention, old commits, expired sessions. Started by `bootstrap`.

Losing is decided from stored state: a claim is lost when its last sign of life is too old or its deadline has passed. After a
stop of the whole process (a suspended machine) one round is left out, so that workers may give their sign first. Where the store
did not take the signs that were given, nobody is lost until it could be heard again who lives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from stepswitch.domain.errors import DamagedError, NotFoundError, StepswitchError
from stepswitch.domain.events import CleanedUp, Lost
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.claims import Claims
from stepswitch.engine.commits import KEPT_MILLISECONDS
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.locks import LockLines
from stepswitch.engine.ports import Clock, CommitLog, ExecutionStore, FileStore, RequestStore
from stepswitch.engine.records import OpenClaim

PAGE: Final = 500
AT_ONCE: Final = 100
"""So many saves share a commit."""
REMOVING_SECONDS: Final = 2.0
"""How long a round may remove what has expired: claims are to be watched meanwhile. The next round goes on."""
PORTIONS: Final = 200
"""Of old commits that are forgotten in one round: twice what a busy service adds until the next one."""
MARKS_KEPT_MS: Final = 24 * 3_600_000
"""How long a request with a key may be sent again, at least."""
FOR_EVER: Final = 2**62
"""Later than any stored time."""
QUIET_AFTER_JUMP_SECONDS: Final = 600.0
"""How long retention deletes nothing after a start or a jump of the clock: a wrong clock must not empty the store."""

_log = structlog.get_logger("stepswitch.timekeeper")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the timekeeper looks, and how long a claim may be silent; in seconds."""

    look_seconds: float = 1.0
    silence_seconds: float = 30.0
    wake_up_seconds: float = 30.0
    retention_seconds: float = 30.0
    jump_seconds: float = 10.0

    @property
    def stood_still_seconds(self) -> float:
        """How much too late a round may come before the whole process is taken to have stood still, and nobody in it for dead."""
        return min(self.jump_seconds, self.silence_seconds / 3)


class Family(Protocol):
    """Whoever brings executions together that wait for others."""

    def look_at(self, execution_id: str) -> None:
        """Have an execution and those that it belongs to told of each other."""

    def jumped(self, milliseconds: int) -> None:
        """Take note that the clock was set forward: nobody's time is over any sooner."""

    async def sweep(self, *, everything: bool = False) -> None:
        """Look at those that wait for what has ended, is gone or takes too long; at a start at all that wait."""


class Timekeeper:
    """One loop; every round leaves the store in a state from which the next one can go on."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        accounts: AccountStore,
        conductor: Conductor,
        claims: Claims,
        clock: Clock,
        instance: str,
        backlog: Backlog,
        has_in_hand: Callable[[str], bool],
        clean_up: Callable[[str, str], None],
        sub_workflows: Family,
        rhythm: Rhythm = Rhythm(),
        files: FileStore | None = None,
        commits: CommitLog | None = None,
        requests: RequestStore | None = None,
        locks: LockLines | None = None,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._conductor = conductor
        self._claims = claims
        self._clock = clock
        self._instance = instance
        self._backlog = backlog
        self._rhythm = rhythm
        self._files = files
        self._commits = commits
        self._requests = requests
        self._locks = locks
        self._has_in_hand = has_in_hand
        self._clean_up = clean_up
        self._sub_workflows = sub_workflows
        self._offset = self._clock_offset()
        self._allowances: dict[str, int] = {}
        """Nonce → how many milliseconds the clock has jumped forward while that claim was open."""
        self._quiet_until = clock.monotonic() + QUIET_AFTER_JUMP_SECONDS
        self._next_wake_up = clock.monotonic() + rhythm.wake_up_seconds
        self._next_retention = clock.monotonic()

    def _clock_offset(self) -> float:
        return self._clock.now() / 1000 - self._clock.monotonic()

    async def recover(self) -> None:
        """Go on after a start: whatever can run is dispatched, whatever another instance held is lost (it is dead: we hold its lock), and the disk is tidied."""
        await self._wake_up()
        await self._sub_workflows.sweep(everything=True)
        foreign = await self._store.foreign_claims(self._instance)
        for start in range(0, len(foreign), AT_ONCE):
            lost = foreign[start : start + AT_ONCE]
            await asyncio.gather(*(self._lose(claim, "the service stopped while this step was being carried out") for claim in lost))
        await self._confirm_cleanups(of_others=True)
        if self._files is not None:
            await self._files.clear()

    async def run(self, *, recover: bool = True) -> None:
        """Recover, then look again and again until cancelled; a fault of the store is logged and outlived."""
        while recover and not await self._outlive(self.recover()):
            await self._clock.sleep(self._rhythm.look_seconds)
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(self._rhythm.look_seconds)
            slept = self._clock.monotonic() - before
            if slept > self._rhythm.look_seconds + self._rhythm.stood_still_seconds:
                _log.warning("the process stood still", seconds=round(slept, 1))
                continue
            await self._outlive(self.look())

    async def _outlive(self, round_: Awaitable[None]) -> bool:
        """Return whether a round went well."""
        try:
            await round_
        except (StepswitchError, OSError) as error:
            _log.error("a round of the timekeeper failed; the next one tries again", error=str(error))
            return False
        return True

    async def look(self) -> None:
        """Do one round."""
        moment = self._clock.monotonic()
        await self._watch_jumps(moment)
        await self._lose_claims()
        await self._sub_workflows.sweep()
        if moment >= self._next_wake_up:
            self._next_wake_up = moment + self._rhythm.wake_up_seconds
            await self._wake_up()
            await self._confirm_cleanups()
        if moment >= max(self._next_retention, self._quiet_until):
            self._next_retention = moment + self._rhythm.retention_seconds
            if not await self._retain(moment):
                self._next_retention = moment

    async def _lose_claims(self) -> None:
        if self._claims.has_refused_within(self._rhythm.silence_seconds):
            return
        now = self._clock.now()
        silent_since = now - round(self._rhythm.silence_seconds * 1000)
        for claim in await self._store.open_claims(silent_since, now):
            if claim.last_sign < silent_since:
                await self._lose(claim, "its worker gave no sign of life")
            elif claim.deadline + self._allowances.get(claim.nonce, 0) <= now:
                await self._lose(claim, "its time was over")

    async def _watch_jumps(self, moment: float) -> None:
        """After a jump of the clock everybody counts as heard of now, and nobody's time is over any sooner."""
        offset = self._clock_offset()
        jump = offset - self._offset
        if abs(jump) > self._rhythm.jump_seconds:
            _log.warning("the clock jumped; nothing is deleted for a while", seconds=round(jump, 1))
            self._quiet_until = moment + QUIET_AFTER_JUMP_SECONDS
            now = self._clock.now()
            nonces = [claim.nonce for claim in await self._store.open_claims(FOR_EVER, now)]
            self._sub_workflows.jumped(max(0, round(jump * 1000)))
            self._allowances = {nonce: self._allowances.get(nonce, 0) + max(0, round(jump * 1000)) for nonce in nonces}
            reach(CrashPoint.SIGN_UNSAVED)
            await self._store.sign(nonces, now)
            reach(CrashPoint.SIGN_SAVED)
        self._offset = offset

    async def _lose(self, claim: OpenClaim, reason: str) -> None:
        event = Lost(f"lost:{claim.nonce}", claim.number, claim.attempt, claim.nonce, reason)
        with _left_alone_where_damaged(claim.execution_id):
            try:
                await self._conductor.apply(claim.execution_id, event)
            except NotFoundError:
                _log.warning("a claim of an execution that is gone", execution=claim.execution_id)

    async def _confirm_cleanups(self, *, of_others: bool = False) -> None:
        """Confirm the sessions that are gone with whoever held them: at a start those of processes that died, at any time those that nobody here holds.

        Whoever lets go says so himself. This is for those who could not: they died, or a claim was stored for somebody who had given up.
        What outlives its session is removed first, whoever held that.
        """
        seen: set[str] = set()
        while found := sorted(set(await self._store.cleanups(PAGE + len(seen))) - seen):
            for start in range(0, len(found), AT_ONCE):
                await asyncio.gather(*(self._confirm_cleanup(each, of_others=of_others) for each in found[start : start + AT_ONCE]))
            seen.update(found)

    async def _confirm_cleanup(self, execution_id: str, *, of_others: bool) -> None:
        with suppress(NotFoundError), _left_alone_where_damaged(execution_id):
            head = await self._conductor.head(execution_id)
            for each in head.left_behind if head is not None else ():
                if each.is_execution:
                    self._sub_workflows.look_at(execution_id)
                elif each.outlives:
                    if not self._has_in_hand(each.nonce):
                        self._clean_up(execution_id, each.nonce)
                elif not self._has_in_hand(each.nonce) if each.instance == self._instance else of_others:
                    await self._conductor.apply(execution_id, CleanedUp(f"cleaned:{each.nonce}", each.nonce))

    async def _wake_up(self) -> None:
        """Have everything found that could run and that nobody holds; what is queued or running already is not queued twice."""
        await self._backlog.fill()
        if self._locks is not None:
            await self._locks.look()

    async def _retain(self, moment: float) -> bool:
        """Remove what nobody keeps any longer; return whether that was all."""
        now = self._clock.now()
        await self._accounts.end_expired_sessions(now)
        is_all = await self._remove_expired(now, moment + REMOVING_SECONDS)
        await self._forget_commits(now - KEPT_MILLISECONDS)
        if self._files is not None:
            await self._files.sweep()
        await self._forget_requests(now - MARKS_KEPT_MS)
        return is_all

    async def _remove_expired(self, now: int, end: float) -> bool:
        """Remove executions until all are gone that can be, or it is time to look after others; return whether all are."""
        staying: set[str] = set()
        """What is damaged, and what is not yet cleaned up."""
        while expired := sorted(set(await self._store.expired(now, PAGE + len(staying))) - staying):
            for start in range(0, len(expired), AT_ONCE):
                if self._clock.monotonic() >= end:
                    return False
                await asyncio.gather(*(self._remove(each, staying) for each in expired[start : start + AT_ONCE]))
        return True

    async def _remove(self, execution_id: str, staying: set[str]) -> None:
        with _left_alone_where_damaged(execution_id, staying):
            if not await self._conductor.remove_expired(execution_id):
                staying.add(execution_id)

    async def _forget_commits(self, before: int) -> None:
        """Forget what nobody may resume from any more. What a long stop has left takes several rounds: claims are to be watched meanwhile."""
        portions = 0
        while self._commits is not None and portions < PORTIONS and await self._commits.forget(before):
            portions += 1

    async def _forget_requests(self, before: int) -> None:
        portions = 0
        while self._requests is not None and portions < PORTIONS and await self._requests.prune(before, PAGE) == PAGE:
            portions += 1


@contextmanager
def _left_alone_where_damaged(execution_id: str, damaged: set[str] | None = None) -> Iterator[None]:
    """Let one execution that cannot be read keep nobody else from going on; note it in `damaged`."""
    try:
        yield
    except DamagedError as error:
        _log.error("an execution is damaged and left alone", execution=execution_id, error=str(error))
        if damaged is not None:
            damaged.add(execution_id)
