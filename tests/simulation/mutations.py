"""Faults that somebody could build into the service, each against one promise: the simulation has to find every one of them.

Each takes a `MonkeyPatch` and changes what it says. They break the code where a mistake would be easy: around the commit, the claim, the
fence, the doubt, the queue.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import bindparam, delete, func, select, update

from stepswitch.access import accounts
from stepswitch.dispatch.local import TURNS_AT_ONCE, LocalDispatcher
from stepswitch.dispatch.places import Places
from stepswitch.domain import decide, flow, restoring, steering
from stepswitch.domain.errors import CommitInDoubtError
from stepswitch.domain.events import Claimed, Decision, Event, Reply
from stepswitch.domain.progress import Progress
from stepswitch.engine import conductor as conducting
from stepswitch.engine import edits
from stepswitch.engine import steering as use_cases
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.crash_points import CrashPoint
from stepswitch.engine.records import Save
from stepswitch.engine.timekeeper import Timekeeper
from stepswitch.secrets.masking import Masking
from stepswitch.storage import executions as storing
from stepswitch.storage import files as storing_files
from stepswitch.storage.database import Op, Params, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.tables import executions, files
from stepswitch.worker.attempt import Attempt
from stepswitch.worker.pool import Pool
from tests.simulation import service

Mutation = Callable[[pytest.MonkeyPatch], None]


def everybody_is_granted_the_step(patch: pytest.MonkeyPatch) -> None:
    """A claim is granted although somebody else holds the step."""
    real = decide.decide

    def grant(head: Any, event: Event, *more: Any, **named: Any) -> Decision:
        decision = real(head, event, *more, **named)
        is_busy = isinstance(event, Claimed) and decision.reply is Reply.BUSY
        return replace(decision, reply=Reply.GRANTED) if is_busy else decision

    patch.setattr(conducting, "decide", grant)


def nobody_waits_for_the_commit(patch: pytest.MonkeyPatch) -> None:
    """A save is answered while it is still on its way to the disk."""
    real = SqlExecutionStore.save

    async def save(self: SqlExecutionStore, *given: Any) -> None:
        later = asyncio.get_running_loop().create_task(real(self, *given))
        later.add_done_callback(lambda done: done.cancelled() or done.exception())

    patch.setattr(SqlExecutionStore, "save", save)


def creates_are_answered_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    real = SqlExecutionStore.create

    async def create(self: SqlExecutionStore, *given: Any) -> None:
        later = asyncio.get_running_loop().create_task(real(self, *given))
        later.add_done_callback(lambda done: done.cancelled() or done.exception())

    patch.setattr(SqlExecutionStore, "create", create)


def what_follows_goes_out_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Tasks, cancels and what others read of an execution are those of a decision that is not on disk."""
    real = Conductor._save

    async def save(self: Conductor, before: Any, decision: Decision, *more: Any, **named: Any) -> bool:
        self._follow_up(decision, None)
        return await real(self, before, decision, *more, **named)

    patch.setattr(Conductor, "_save", save)


def a_commit_in_doubt_counts_as_done(patch: pytest.MonkeyPatch) -> None:
    real = SqlExecutionStore.save

    async def save(self: SqlExecutionStore, *given: Any) -> None:
        try:
            await real(self, *given)
        except CommitInDoubtError:
            return

    patch.setattr(SqlExecutionStore, "save", save)


def what_was_done_in_doubt_is_done_again(patch: pytest.MonkeyPatch) -> None:
    """Neither the save nor the decision recognises an event by its id."""
    real = decide.decide

    def forgetful(head: Any, event: Event, *more: Any, **named: Any) -> Decision:
        bare = replace(head, applied=())
        decision = real(bare, event, *more, **named)
        return replace(decision, head=head) if decision.head is bare else decision

    patch.setattr(conducting, "decide", forgetful)
    real_load = SqlExecutionStore.load

    async def load(self: SqlExecutionStore, execution_id: str) -> Any:
        head = await real_load(self, execution_id)
        return None if head is None else replace(head, applied=())

    patch.setattr(SqlExecutionStore, "load", load)


def two_decide_at_once(patch: pytest.MonkeyPatch) -> None:
    """Nothing keeps two decisions about one execution apart: neither a lock nor the version."""

    @asynccontextmanager
    async def not_alone(_: Conductor, __: str) -> AsyncIterator[None]:
        yield

    patch.setattr(Conductor, "_alone", not_alone)

    def unchecked(statement: Statement, params: Params, expect: int | None = None, place: bytes | None = None) -> Op:
        if "read_version" in params:
            return Op(_BLIND_UPDATE, {name: value for name, value in params.items() if name != "read_version"}, None, place)
        return Op(statement, params, expect, place)

    patch.setattr(storing, "Op", unchecked)


_BLIND_UPDATE: Final = Statement(
    update(executions)
    .where(executions.c.id == bindparam("the_id"))
    .values({**{name: bindparam(name) for name in storing._CHANGED}, "lane": func.coalesce(bindparam("lane"), executions.c.lane)})
)


def no_worker_is_fenced(patch: pytest.MonkeyPatch) -> None:
    """A worker sends although nobody has heard of it for long."""
    patch.setattr(Attempt, "_is_silent", lambda _: False)


def what_was_sent_is_given_back(patch: pytest.MonkeyPatch) -> None:
    """A worker that is told to stop gives back whatever it has begun."""
    patch.setattr(Attempt, "can_be_given_back", True)


def what_was_lost_is_run_again(patch: pytest.MonkeyPatch) -> None:
    """Every step counts as safe to run twice."""
    patch.setattr(flow, "is_safe", lambda *_: True)


def lost_wake_ups_stay_lost(patch: pytest.MonkeyPatch) -> None:
    async def wake_up(_: Timekeeper) -> None:
        return

    patch.setattr(Timekeeper, "_wake_up", wake_up)


def silent_workers_are_waited_for(patch: pytest.MonkeyPatch) -> None:
    """What another instance held is never declared lost, and neither is what is silent."""

    async def lose(*_: Any) -> None:
        return

    patch.setattr(Timekeeper, "_lose", lose)


def what_was_left_behind_is_forgotten_in_a_crash(patch: pytest.MonkeyPatch) -> None:
    """Who lets go of a session says so, and nobody says it of those that died with their process."""

    async def confirm(*_: Any, **__: Any) -> None:
        return

    patch.setattr(Timekeeper, "_confirm_cleanups", confirm)


def whoever_is_stuck_counts_as_gone(patch: pytest.MonkeyPatch) -> None:
    """A session that its step type does not let go of is said to be closed at the next look."""
    patch.setattr(Pool, "has_in_hand", lambda *_: False)


def nothing_is_masked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Masking, "masker", lambda *_: lambda text: text)


def a_device_takes_any_number_of_sessions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalDispatcher, "_is_free", lambda *_: True)


def a_tenant_takes_any_number_of_places(patch: pytest.MonkeyPatch) -> None:
    real = Places.of
    patch.setattr(
        Places, "of", lambda self, task: {lane: most for lane, most in real(self, task).items() if not lane.startswith("tenant ")}
    )


def what_is_free_is_offered_to_one_who_cannot_take_it(patch: pytest.MonkeyPatch) -> None:
    """Whoever is woken for its device and has to wait for its tenant keeps the device from all others that want it."""
    real_take, real_wake = LocalDispatcher._take, LocalDispatcher._wake
    taking: list[bool] = []

    def take(self: LocalDispatcher, entry: Any) -> None:
        taking.append(self._is_meant(entry))
        real_take(self, entry)
        taking.pop()

    def wake(self: LocalDispatcher, *given: Any) -> None:
        if not any(taking):
            real_wake(self, *given)

    patch.setattr(LocalDispatcher, "_take", take)
    patch.setattr(LocalDispatcher, "_wake", wake)


def everybody_waits_for_the_first_in_line(patch: pytest.MonkeyPatch) -> None:
    """A step whose device is busy keeps all that stand behind it from going on."""

    def pump(self: LocalDispatcher) -> None:
        while self._run and self._turns and self._turns_running < TURNS_AT_ONCE:
            entry = heapq.heappop(self._turns)
            if self._is_meant(entry):
                self._turns_running += 1
                self._begin(entry)
        while self._run and self._steps and self._steps_running < self._places.steps:
            first = self._steps[0]
            if self._is_meant(first) and not all(self._is_free(*few) for few in self._places.of(first.task).items()):
                return
            self._take(heapq.heappop(self._steps))

    patch.setattr(LocalDispatcher, "_pump", pump)


def nobody_is_called_for_what_is_left_in_the_store(patch: pytest.MonkeyPatch) -> None:
    """There is room again, and only the timekeeper's next round fills it."""

    async def run(_: Backlog) -> None:
        await asyncio.get_running_loop().create_future()

    patch.setattr(Backlog, "run", run)


def one_step_of_an_edit_is_left_out(patch: pytest.MonkeyPatch) -> None:
    real = edits.edit

    def edit(compiled: Any, steps: Any, *more: Any, **named: Any) -> Any:
        return real(compiled, dict(list(steps.items())[:1]), *more, **named)

    patch.setattr(use_cases, "edit", edit)


def nobody_is_told_that_the_run_has_moved_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steering, "_refuse_moved_on", lambda *_: None)


def claims_stay_behind(patch: pytest.MonkeyPatch) -> None:
    real = storing._claim_ops
    patch.setattr(storing, "_claim_ops", lambda save: [each for each in real(save) if each.statement is not storing._END_CLAIM])


def rows_stay_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(storing, "_DELETES", storing._DELETES[-1:])


def lines_in_doubt_are_stored_again(patch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> bool:
        return False

    patch.setattr(storing, "are_logged", never)


def finished_steps_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A save keeps the head, and loses the rows that go with it, now and then."""
    real = storing._row_ops
    patch.setattr(storing, "_row_ops", lambda save, large: real(replace(save, rows=()) if _is_odd(save) else save, large))


def _is_odd(save: Save) -> bool:
    return save.head.version % 4 == 3


def who_was_sent_before_a_restore_is_believed(patch: pytest.MonkeyPatch) -> None:
    """Neither a claim nor a report is asked for its epoch."""
    patch.setattr(decide, "_is_current", lambda p, event: (p.step.number, p.step.attempt) == (event.number, event.attempt))


def what_a_restore_may_do_twice_is_done(patch: pytest.MonkeyPatch) -> None:
    """After a restore the next step runs, although it may have been carried out already."""

    def go_on(p: Progress) -> None:
        flow.dispatch(p)

    patch.setattr(restoring, "_hold_or_go_on", go_on)


def signs_of_life_are_not_written(patch: pytest.MonkeyPatch) -> None:
    """A worker is told that its sign is stored, and is then taken for dead."""

    async def sign(_: SqlExecutionStore, nonces: Sequence[str], __: int) -> Sequence[str]:
        return nonces

    patch.setattr(SqlExecutionStore, "sign", sign)


def nobody_asks_whether_a_claim_is_still_stored(patch: pytest.MonkeyPatch) -> None:
    """A worker whose claim was taken away goes on as long as its signs are answered."""
    real = Claims.sign

    async def sign(self: Claims, nonces: Sequence[str]) -> Sequence[str]:
        await real(self, nonces)
        return nonces

    patch.setattr(Claims, "sign", sign)


def what_kills_its_workers_is_run_again_and_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flow, "MAX_LOSSES", 1_000)


def a_file_goes_with_the_first_that_had_it(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a file is in use before its row goes."""
    patch.setattr(storing_files, "_DELETE_UNUSED", Statement(delete(files).where(files.c.id == bindparam("id"))))
    patch.setattr(storing_files, "_UNUSED_ONE", Statement(select(files.c.id, files.c.sha256).where(files.c.id == bindparam("id"))))


def the_password_is_told_after_it_is_stored(patch: pytest.MonkeyPatch) -> None:
    """A stop in between leaves an administrator whose password nobody knows."""
    real = accounts.ensure_admin

    async def ensure(store: Any, passwords: Any, password: None, tell: Callable[[str], None]) -> None:
        told: list[str] = []
        await real(store, passwords, password, told.append)
        for each in told:
            tell(each)

    patch.setattr(service, "ensure_admin", ensure)


_NOBODY_STOPS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("crash_seconds", "restore_seconds", "fatal_point", "stop_seconds", "process_freezes_seconds")),
    **dict.fromkeys(("crash_at_point", "commit_fails", "statement_fails", "steering"), 0.0),
}
"""Nothing dies, is restored or stands still but for a worker, every commit is as it is said, and nobody steers."""
MUTATIONS: Final[Mapping[Mutation, Mapping[str, Any]]] = {
    everybody_is_granted_the_step: {"delivered_twice": 0.5},
    nobody_waits_for_the_commit: {},
    creates_are_answered_before_the_commit: {},
    what_follows_goes_out_before_the_commit: {},
    a_commit_in_doubt_counts_as_done: {"commit_fails": 0.1},
    what_was_done_in_doubt_is_done_again: {"commit_fails": 0.2, "steering": 0.7, "device_trouble": 0.6},
    two_decide_at_once: {},
    no_worker_is_fenced: {**_NOBODY_STOPS, "worker_freezes_seconds": 5.0, "message_lost": 0.1, "seconds": 240.0},
    what_was_sent_is_given_back: {"stop_seconds": 20.0, "restore_seconds": None},
    what_was_lost_is_run_again: {"crash_seconds": 20.0},
    lost_wake_ups_stay_lost: {"wake_up_lost": 0.5},
    silent_workers_are_waited_for: {"crash_seconds": 20.0},
    what_was_left_behind_is_forgotten_in_a_crash: {"crash_seconds": 20.0},
    whoever_is_stuck_counts_as_gone: {"device_stuck": 1.0, "steering": 0.7, "device_trouble": 0.6},
    nothing_is_masked: {},
    a_device_takes_any_number_of_sessions: {},
    a_tenant_takes_any_number_of_places: {},
    what_is_free_is_offered_to_one_who_cannot_take_it: {"device_trouble": 0.6, "locking": 0.0, "calling": 0.0},
    everybody_waits_for_the_first_in_line: {"device_trouble": 0.6, "locking": 0.0, "calling": 0.0},
    nobody_is_called_for_what_is_left_in_the_store: {"device_trouble": 0.6},
    one_step_of_an_edit_is_left_out: {"steering": 0.7},
    nobody_is_told_that_the_run_has_moved_on: {"steering": 0.7, "disorder": 1.0, "device_trouble": 0.6},
    claims_stay_behind: {},
    rows_stay_behind: {"steering": 0.7},
    lines_in_doubt_are_stored_again: {"commit_fails": 0.1},
    finished_steps_are_forgotten: {},
    who_was_sent_before_a_restore_is_believed: {
        "restore_seconds": 30.0,
        "message_late": 0.8,
        "message_lost": 0.0,
        "crash_seconds": None,
        "crash_at_point": 0.0,
        "fatal_point": None,
    },
    what_a_restore_may_do_twice_is_done: {"restore_seconds": 30.0},
    signs_of_life_are_not_written: {"device_trouble": 0.6},
    nobody_asks_whether_a_claim_is_still_stored: {
        "worker_freezes_seconds": 5.0,
        "message_late": 0.0,
        "crash_seconds": None,
        "restore_seconds": None,
    },
    what_kills_its_workers_is_run_again_and_again: {"deadly": 1.0},
    a_file_goes_with_the_first_that_had_it: {"steering": 0.7},
    the_password_is_told_after_it_is_stored: {"fatal_point": CrashPoint.ACCOUNT_SAVED},
}
"""Each with the weather in which it shows."""
