"""Faults that somebody could build into what waits and what stays: locks, lines of devices, executions that wait for others, what outlives its connection.

Each is as those in `mutations`, and found in the same way.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from stepswitch.domain import flow, lanes, locking
from stepswitch.domain.events import CleanedUp, Decision, HeldByParent
from stepswitch.domain.inventory import NOTHING_KNOWN
from stepswitch.domain.progress import Progress
from stepswitch.engine import child_outcomes
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.crash_points import CrashPoint
from stepswitch.engine.locks import LockLines
from stepswitch.engine.sub_workflows import SubWorkflows
from stepswitch.engine.timekeeper import Timekeeper
from stepswitch.engine.views import Views
from stepswitch.engine.waiting import LockHolder
from stepswitch.storage import executions as storing
from stepswitch.storage import locks as storing_locks
from stepswitch.worker.cleaner import Cleaner
from stepswitch.worker.pool import Pool
from tests.simulation.mutations import Mutation

# --- locks and lines ---


def whoever_asks_is_given_the_lock(patch: pytest.MonkeyPatch) -> None:
    """Neither who gives locks nor the store asks who is the first in line."""

    async def see_to(self: LockLines, _tenant: str, _key: str, asked_by: str | None = None) -> None:
        place = None if asked_by is None else await self._store.awaited_by(asked_by)
        if place is not None:
            await self._give(place)

    patch.setattr(LockLines, "see_to", see_to)
    real = storing_locks.lock_ops
    patch.setattr(
        storing, "lock_ops", lambda head, change: [each for each in real(head, change) if each.statement is not storing_locks._GIVE]
    )


def who_waits_for_a_lock_is_carried_out(patch: pytest.MonkeyPatch) -> None:
    """A step that asks for its lock is handed out at once."""
    real = locking.ask

    def ask(p: Progress, *given: Any) -> None:
        real(p, *given)
        p.change(awaited_lock=None)

    patch.setattr(locking, "ask", ask)


def a_step_that_has_not_begun_acts_without_the_lock_that_was_broken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flow, "ask_again", lambda _: None)


def who_has_ended_keeps_its_place_in_line(patch: pytest.MonkeyPatch) -> None:
    real = storing_locks.lock_ops

    def ops(head: Any, change: Any) -> Any:
        return real(head, change if head.end_time is None else replace(change, left=()))

    patch.setattr(storing, "lock_ops", ops)


def nobody_is_told_that_a_lock_is_free(patch: pytest.MonkeyPatch) -> None:
    """Who asks for a free lock gets it; who waits for one is forgotten."""

    async def look(_: LockLines) -> None:
        return

    real = LockLines.committed

    def committed(self: LockLines, change: Any) -> None:
        real(self, change if change.locks is None else replace(change, locks=replace(change.locks, left=())))

    patch.setattr(LockLines, "look", look)
    patch.setattr(LockLines, "committed", committed)


def a_stop_forgets_who_is_the_next_in_line(patch: pytest.MonkeyPatch) -> None:
    """What a process that died has not given, nobody gives."""

    async def look(_: LockLines) -> None:
        return

    patch.setattr(LockLines, "look", look)


def those_who_wait_for_each_other_wait(patch: pytest.MonkeyPatch) -> None:
    async def break_circle(*_: Any) -> None:
        return

    patch.setattr(LockLines, "_break_circle", break_circle)


def nobody_looks_for_circles_through_other_executions(patch: pytest.MonkeyPatch) -> None:
    """Who waits for an execution that wants his lock waits for ever."""

    async def waits_at(self: LockLines, execution_id: str) -> Any:
        return await self._store.awaited_by(execution_id)

    patch.setattr(LockLines, "_waits_at", waits_at)


def who_asked_last_is_said_to_have_the_lock(patch: pytest.MonkeyPatch) -> None:
    async def first(self: Views, tenant: str, key: str) -> Any:
        places = [each for each in await self._locks.waiting(0, 100) if (each.tenant, each.key) == (tenant, key)]
        return LockHolder(places[-1].execution_id, "RUNNING", tenant, "ann", "n") if places else await real(self, tenant, key)

    real = Views._first
    patch.setattr(Views, "_first", first)


def every_address_is_a_device_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks the inventory which addresses are one device."""
    real = lanes.found_lane
    patch.setattr(lanes, "found_lane", lambda signature, inputs, _: real(signature, inputs, NOTHING_KNOWN))


# --- executions that wait for others ---


def an_execution_is_begun_before_its_step_waits(patch: pytest.MonkeyPatch) -> None:
    """Two saves in place of one: a stop in between, or an abort, leaves an execution for which nobody waits."""

    async def begin_child(self: Conductor, execution_id: str, event: Any, made: Decision, compiled: Any, searched: Any) -> Decision:
        await self.create(made, compiled, searched=searched)
        return await self.apply(execution_id, event)

    patch.setattr(Conductor, "begin_child", begin_child)


def a_stop_forgets_who_waits_for_an_execution(patch: pytest.MonkeyPatch) -> None:
    async def sweep(_: SubWorkflows, **__: Any) -> None:
        return

    patch.setattr(SubWorkflows, "sweep", sweep)


def an_abort_is_not_handed_down(patch: pytest.MonkeyPatch) -> None:
    """What an aborted step waited for goes on, and is said to have ended."""

    async def stop(self: SubWorkflows, parent: Any, left: Any) -> None:
        await self._conductor.apply(parent.id, CleanedUp(f"cleaned:{left.nonce}", left.nonce))

    patch.setattr(SubWorkflows, "_stop", stop)


def an_aborted_step_forgets_its_execution(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "leave_child", lambda _: None)


def a_pause_is_not_handed_down(patch: pytest.MonkeyPatch) -> None:
    real = Conductor.apply

    async def apply(self: Conductor, execution_id: str, event: Any, *more: Any) -> Any:
        return None if isinstance(event, HeldByParent) else await real(self, execution_id, event, *more)

    patch.setattr(Conductor, "apply", apply)


def whatever_has_ended_has_ended_well(patch: pytest.MonkeyPatch) -> None:
    """A step succeeds although its execution failed or was aborted."""
    patch.setattr(child_outcomes, "_error", lambda *_: None)


# --- what outlives its connection ---


def what_outlives_its_connection_counts_as_gone_with_it(patch: pytest.MonkeyPatch) -> None:
    """It is said to be removed, and nobody has looked."""

    async def is_removed(*_: Any) -> bool:
        return True

    patch.setattr(Cleaner, "_is_removed", is_removed)


def what_cannot_be_removed_at_once_is_left(patch: pytest.MonkeyPatch) -> None:
    """There is one try, and whatever came of it counts as removed."""
    real = Cleaner._is_removed

    async def is_removed(self: Cleaner, *given: Any) -> bool:
        await real(self, *given)
        return True

    patch.setattr(Cleaner, "_is_removed", is_removed)


def what_a_dead_process_started_stays(patch: pytest.MonkeyPatch) -> None:
    """Only whoever has started something removes it."""
    real = Cleaner.begin

    def begin(self: Cleaner, execution_id: str, nonce: str) -> None:
        if nonce in held:
            real(self, execution_id, nonce)

    held: set[str] = set()
    real_take = Pool.take

    def take(self: Pool, nonce: str) -> None:
        held.add(nonce)
        real_take(self, nonce)

    patch.setattr(Pool, "take", take)
    patch.setattr(Cleaner, "begin", begin)
    real_init = Timekeeper.__init__

    def init(self: Timekeeper, **given: Any) -> None:
        held.clear()
        real_init(self, **given)

    patch.setattr(Timekeeper, "__init__", init)


def what_stays_is_not_said(patch: pytest.MonkeyPatch) -> None:
    """A step type says that something stays, and its report does not."""
    real = Claims.report

    async def report(self: Claims, *given: Any, is_left_behind: bool = False) -> Any:
        return await real(self, *given)

    patch.setattr(Claims, "report", report)


def what_a_lost_step_started_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    """A step that is lost, or is aborted, is marked as if nothing outlived its connection."""
    real = Progress.leave_behind

    def leave_behind(self: Progress) -> None:
        real(self)
        self.change(left_behind=tuple(replace(each, outlives=False) for each in self.head.left_behind))

    patch.setattr(Progress, "leave_behind", leave_behind)


def what_somebody_is_still_at_is_removed(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the attempt is over that started something."""
    patch.setattr(Pool, "has_in_hand", lambda *_: False)


_LOCKS: Final[Mapping[str, Any]] = {"locking": 0.6, "device_trouble": 0.3}
_CALLS: Final[Mapping[str, Any]] = {"calling": 0.4, "device_trouble": 0.3}
_STAYS: Final[Mapping[str, Any]] = {"lingering": 0.6, "device_trouble": 0.6}
WAITING: Final[Mapping[Mutation, Mapping[str, Any]]] = {
    whoever_asks_is_given_the_lock: _LOCKS,
    who_waits_for_a_lock_is_carried_out: _LOCKS,
    a_step_that_has_not_begun_acts_without_the_lock_that_was_broken: {**_LOCKS, "steering": 0.9},
    who_has_ended_keeps_its_place_in_line: _LOCKS,
    nobody_is_told_that_a_lock_is_free: _LOCKS,
    a_stop_forgets_who_is_the_next_in_line: {**_LOCKS, "fatal_point": CrashPoint.LOCK_UNSAVED},
    those_who_wait_for_each_other_wait: _LOCKS,
    nobody_looks_for_circles_through_other_executions: {**_LOCKS, "calling": 0.4},
    who_asked_last_is_said_to_have_the_lock: {**_LOCKS, "steering": 0.3},
    every_address_is_a_device_of_its_own: {},
    an_execution_is_begun_before_its_step_waits: {**_CALLS, "fatal_point": CrashPoint.CHILD_UNSAVED},
    a_stop_forgets_who_waits_for_an_execution: {**_CALLS, "fatal_point": CrashPoint.HEARD_UNSAVED},
    an_abort_is_not_handed_down: {**_CALLS, "steering": 0.7},
    an_aborted_step_forgets_its_execution: {**_CALLS, "steering": 0.7},
    a_pause_is_not_handed_down: {**_CALLS, "steering": 0.7},
    whatever_has_ended_has_ended_well: _CALLS,
    what_outlives_its_connection_counts_as_gone_with_it: _STAYS,
    what_cannot_be_removed_at_once_is_left: _STAYS,
    what_a_dead_process_started_stays: {**_STAYS, "crash_seconds": 20.0},
    what_stays_is_not_said: _STAYS,
    what_a_lost_step_started_is_not_noted: {**_STAYS, "crash_seconds": 20.0},
    what_somebody_is_still_at_is_removed: {**_STAYS, "device_stuck": 1.0, "steering": 0.7},
}
"""Each with the weather in which it shows."""
