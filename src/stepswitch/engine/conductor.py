"""The four verbs: load the head, decide, save over the version that was read, dispatch what follows. Called by everything that makes something happen.

Nothing leaves before the commit: no answer, task, cancel or observation. One save per execution is in flight; the cache holds only
what is committed, and a save that failed drops it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

import structlog

from stepswitch.domain.decide import decide, pending_task
from stepswitch.domain.errors import (
    CommitInDoubtError,
    ErrorCode,
    NotFoundError,
    PreconditionFailedError,
    StateConflictError,
    StoreError,
    VersionConflictError,
)
from stepswitch.domain.events import Change, ChildBegun, Claimed, CleanedUp, Decision, Event, GivenBack, Reply, Task
from stepswitch.domain.execution import ENDED, Head, Status, Values
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.locks import LockChange, lock_change
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import acting
from stepswitch.engine.audit import Entry
from stepswitch.engine.audited_executions import called, expired
from stepswitch.engine.audited_executions import saved as saved_entry
from stepswitch.engine.budget import LARGE_BYTES, Kept, size_of_head
from stepswitch.engine.crash_points import CrashPoint, around_save, reach
from stepswitch.engine.dispatching import TaskTaker
from stepswitch.engine.inventory_ports import NO_INVENTORY, InventoryFinder
from stepswitch.engine.ports import Clock, ExecutionStore, Observer
from stepswitch.engine.records import Committed, Creation, RequestMark, Save
from stepswitch.engine.snapshots import Compiled, Snapshots

HEADS_KEPT_BYTES: Final = 64 * 1024 * 1024
TRIES: Final = 20
"""How often a decision is made again because somebody else saved first, before it is called a fault of the store."""
NOTHING: Final[Values] = {}
_LEFT_BEHIND: Final = (
    "what a step may have left behind is not known to be gone yet; delete the execution once no step says cleanupPending any more"
)
_BINDING_NOTHING: Final = (Claimed, GivenBack, CleanedUp)
"""Events after which no other step stands in line for a device."""
_T = TypeVar("_T")
_log = structlog.get_logger("stepswitch.conductor")


class Conductor:
    """Applies events to executions. It never runs anything itself: it only says what is next."""

    def __init__(
        self,
        store: ExecutionStore,
        snapshots: Snapshots,
        rules: Rules,
        clock: Clock,
        observers: Sequence[Observer] = (),
        *,
        inventory: InventoryFinder = NO_INVENTORY,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._rules = rules
        self._acting = acting(rules.types)
        self._inventory = inventory
        self._clock = clock
        self._observers = list(observers)
        self._dispatcher: TaskTaker | None = None
        self._heads: Kept[str, Head] = Kept(HEADS_KEPT_BYTES)
        self._locks: dict[str, asyncio.Lock] = {}
        self._in_flight: set[asyncio.Task[Any]] = set()

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots at hand, so that whoever else needs them keeps none of their own."""
        return self._snapshots

    @property
    def rules(self) -> Rules:
        """What every decision goes by."""
        return self._rules

    def dispatch_through(self, dispatcher: TaskTaker) -> None:
        """Say who wakes up workers; once, before anything is created or recovered."""
        self._dispatcher = dispatcher

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every commit from now on."""
        self._observers.append(observer)

    async def head(self, execution_id: str) -> Head | None:
        """Return the committed head of an execution; None where there is no such."""
        return self._heads.get(execution_id) or await self._store.load(execution_id)

    def kept(self, execution_id: str) -> Head | None:
        """Return the committed head of an execution where it is at hand, as that of one is whose claim is stored."""
        return self._heads.get(execution_id)

    async def inventory_for(self, tenant: str, compiled: Compiled) -> Inventory:
        """Return what is known of the devices on which the steps of a workflow act; nothing is asked where none of them does."""
        return NOTHING_KNOWN if compiled.step_types.isdisjoint(self._acting) else await self._inventory.of(tenant)

    def takes_turns(self) -> bool:
        """Return whether the turn of a new execution would be taken at once."""
        return self._submit().takes_turns()

    async def create(
        self,
        decision: Decision,
        compiled: Compiled,
        mark: RequestMark | None = None,
        searched: Values = NOTHING,
        entry: Entry | None = None,
    ) -> None:
        """Store a new execution, and `mark` with it; when this returns, it is on disk and on its way. Lists find it by `searched` of its context."""
        await self._to_the_end(self._create(decision, compiled, mark, searched, entry))

    async def _create(
        self, decision: Decision, compiled: Compiled, mark: RequestMark | None, searched: Values, entry: Entry | None
    ) -> None:
        self._snapshots.keep(compiled)
        head = decision.head
        reach(CrashPoint.CREATE_UNSAVED)
        locks = _lock_change(None, head)
        save = Save(head, decision.rows, decision.logs, searched, lane=_lane(decision), entry=entry, locks=locks)
        try:
            await self._store.create(save, compiled.snapshot, mark)
        except CommitInDoubtError:
            if await self._store.load(head.id) is None:
                raise
            _settle(entry)
        reach(CrashPoint.CREATE_SAVED)
        self._follow_up(decision, locks)

    async def apply(self, execution_id: str, event: Event, entry: Entry | None = None) -> Decision:
        """Let `event` happen, and `entry` be recorded with it; raises NotFoundError, or StateConflictError where somebody's will does not fit the state."""
        return await self._to_the_end(self._apply(execution_id, event, entry))

    async def begin_child(self, execution_id: str, event: ChildBegun, made: Decision, compiled: Compiled, searched: Values) -> Decision:
        """Let a step wait for a new execution, `made` of `compiled` and stored in the same save: not where the reply is that `event` is not meant any more."""
        self._snapshots.keep(compiled)
        record = called(made.head, made.head.creation_time)
        save = Save(made.head, made.rows, made.logs, searched, lane=_lane(made), entry=record, locks=_lock_change(None, made.head))
        return await self._to_the_end(self._begin_child(execution_id, event, made, Creation(save, compiled.snapshot)))

    async def _begin_child(self, execution_id: str, event: ChildBegun, made: Decision, more: Creation) -> Decision:
        decision = await self._apply(execution_id, event, None, more)
        if decision.reply is Reply.DONE:
            self._follow_up(made, more.save.locks)
        return decision

    async def _apply(self, execution_id: str, event: Event, entry: Entry | None, creation: Creation | None = None) -> Decision:
        async with self._alone(execution_id):
            for _ in range(TRIES):
                head = await self._load(execution_id)
                compiled = await self._snapshots.get(head.snapshot_id)
                known = NOTHING_KNOWN if isinstance(event, _BINDING_NOTHING) else await self.inventory_for(head.tenant, compiled)
                decision = decide(head, event, compiled.workflow, self._rules, self._clock.now(), inventory=known)
                if decision.head is head:
                    if event.id in head.applied:
                        self._submit_pending(head, compiled)  # whoever applied it may have failed before it was followed up
                    return decision
                unsaved, saved = around_save(event)
                reach(unsaved)
                locks = _lock_change(head, decision.head)
                if await self._save(head, decision, event, locks, entry=entry, creation=creation):
                    reach(saved)
                    self._follow_up(decision, locks)
                    return decision
        raise StoreError(f"execution {execution_id} could not be saved, {TRIES} times in a row: others saved first, or COMMIT failed")

    async def with_steps_of(self, seen: Head, work: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `work` returns, while nothing happens to an execution; raises StateConflictError where its steps are others than they were."""
        async with self._alone(seen.id):
            if (await self._load(seen.id)).snapshot_id != seen.snapshot_id:
                raise StateConflictError("somebody has changed the steps of this execution meanwhile; look again", ErrorCode.MOVED_ON)
            return await work()

    async def drain(self) -> None:
        """Return when everything that was begun is saved and followed up; called before the store is closed."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def _to_the_end(self, work: Coroutine[None, None, _T]) -> _T:
        """Return what `work` returns. A caller that is cancelled meanwhile cannot keep a saved decision from being followed up."""
        task = asyncio.get_running_loop().create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(task)

    async def pending(self, stored: Head) -> Task | None:
        """Return the task that an execution waits for, which was read a moment ago; a task that is no longer meant does no harm."""
        head = self._heads.get(stored.id) or stored
        compiled = await self._snapshots.get(head.snapshot_id)
        return pending_task(head, compiled.workflow, self._rules, self._clock.now())

    def _submit_pending(self, head: Head, compiled: Compiled) -> None:
        task = pending_task(head, compiled.workflow, self._rules, self._clock.now())
        if task is not None:
            self._hand_on(task)

    def _hand_on(self, task: Task) -> bool:
        reach(CrashPoint.TASK_DUE)
        is_taken = self._submit().submit(task)
        reach(CrashPoint.TASK_SUBMITTED)
        return is_taken

    async def remove(self, execution_id: str, version: int | None = None, entry: Entry | None = None) -> Head:
        """Remove an execution that has ended and return what it was; raises NotFoundError, or StateConflictError while it has not ended.

        Also while something may be left behind at a target, with a code of its own: nobody else would know of it any more. Raises
        PreconditionFailedError where it is no longer of the version that is given.
        """
        return await self._to_the_end(self._remove(execution_id, version, entry))

    async def _remove(self, execution_id: str, version: int | None, entry: Entry | None) -> Head:
        async with self._alone(execution_id):
            self.forget(execution_id)
            head = await self._load(execution_id)
            if version not in (None, head.version):
                raise PreconditionFailedError(f"the run has moved on meanwhile: it is {head.status}; look again")
            if head.status not in ENDED:
                raise StateConflictError(f"the execution is {head.status}; only one that has ended can be deleted: abort it first")
            if is_left_behind(head):
                raise StateConflictError(_LEFT_BEHIND, ErrorCode.CLEANUP_PENDING)
            try:
                await self._delete(execution_id, entry)
            except CommitInDoubtError:
                if await self._store.load(execution_id) is not None:
                    raise
                _settle(entry)
            self._tell(Committed(execution_id, is_gone=True))
            return head

    async def remove_expired(self, execution_id: str) -> bool:
        """Remove an execution whose `retainedTil` has passed, unless somebody has reopened it or wants it kept longer by now.

        Return False where it stays because something may be left behind at a target.
        """
        async with self._alone(execution_id):
            self.forget(execution_id)
            head = await self._store.load(execution_id)
            if head is None or head.status not in ENDED or head.retained_til > self._clock.now():
                return True
            if is_left_behind(head):
                return False
            await self._delete(execution_id, expired(head, self._clock.now()))
            self._tell(Committed(execution_id, is_gone=True))
            return True

    async def _delete(self, execution_id: str, entry: Entry | None = None) -> None:
        reach(CrashPoint.DELETE_UNSAVED)
        await self._store.delete(execution_id, entry)
        reach(CrashPoint.DELETE_SAVED)

    def forget(self, execution_id: str) -> None:
        """Drop what is kept of an execution, so that the next event reads it from the store."""
        self._heads.pop(execution_id)

    async def _load(self, execution_id: str) -> Head:
        head = self._heads.get(execution_id) or await self._store.load(execution_id)
        if head is None:
            raise NotFoundError(f"no execution {execution_id}")
        return head

    async def _save(
        self, before: Head, decision: Decision, event: Event, locks: LockChange | None, *, entry: Entry | None, creation: Creation | None
    ) -> bool:
        """Return whether the decision is on disk; False where somebody else saved first, or nobody knows and it is not."""
        head = decision.head
        record = None if entry is None else saved_entry(entry, before, head, event)
        save = Save(head, decision.rows, decision.logs, lane=_lane(decision), entry=record, locks=locks)
        if head.attachments is not before.attachments:
            save = _with_files(save, before)
        edited = await self._edited(event)
        try:
            await self._store.save(save, edited.snapshot if edited else None, creation)
        except VersionConflictError:
            self.forget(head.id)
            return False
        except CommitInDoubtError:
            self.forget(head.id)
            stored = await self._store.load(head.id)
            if stored is None or event.id not in stored.applied:
                return False
            _settle(entry)
        except BaseException:
            self.forget(head.id)
            raise
        return True

    async def _edited(self, event: Event) -> Compiled | None:
        if isinstance(event, Change) and event.snapshot_id is not None:
            return await self._snapshots.get(event.snapshot_id)
        return None

    def _follow_up(self, decision: Decision, locks: LockChange | None) -> None:
        """Everything that may only happen after the commit. Nothing of it waits, so observers are told before a task begins."""
        self._remember(decision.head)
        for cancel in decision.cancels:
            reach(CrashPoint.CANCEL_DUE)
            self._submit().cancel(cancel)
            reach(CrashPoint.CANCEL_GIVEN)
        for task in decision.tasks:
            if not self._hand_on(task):
                self._heads.pop(task.execution_id)  # it is long until somebody needs it
        head = decision.head
        steps = decision.rows if head.current is None else (*decision.rows, head.current)
        self._tell(Committed(head.id, head, steps, decision.logs, locks=locks))

    def _tell(self, change: Committed) -> None:
        for observer in self._observers:
            try:
                observer.committed(change)
            except Exception:  # noqa: BLE001 # what is committed is no less so because somebody could not take note of it
                _log.exception("an observer failed", execution=change.execution_id)

    def _remember(self, head: Head) -> None:
        """Keep what the next event needs soon. One that waits for a person, or holds much and does not run yet, is read when it is wanted."""
        size = size_of_head(head)
        if head.status in ENDED or head.status is Status.PAUSED or (size > LARGE_BYTES and head.status is not Status.RUNNING):
            self._heads.pop(head.id)
        else:
            self._heads.put(head.id, head, size)

    def _submit(self) -> TaskTaker:
        if self._dispatcher is None:
            raise AssertionError("the dispatcher is set before anything happens")
        return self._dispatcher

    @asynccontextmanager
    async def _alone(self, execution_id: str) -> AsyncIterator[None]:
        lock = self._locks.get(execution_id)
        if lock is None:
            lock = self._locks[execution_id] = asyncio.Lock()
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock._waiters:  # noqa: SLF001 # asyncio offers no other way to see whether somebody waits
                self._locks.pop(execution_id, None)


def _settle(entry: Entry | None) -> None:
    if entry is not None:
        entry.settle()


def _lane(decision: Decision) -> str | None:
    return decision.tasks[0].lane if decision.tasks else None


def _lock_change(before: Head | None, after: Head) -> LockChange | None:
    """Return what a decision does to the lines for locks; asked of every one, and nearly always nothing."""
    had, awaited = ((), None) if before is None else (before.locks, before.awaited_lock)
    awaits = after.awaited_lock
    if after.locks is had and awaits is awaited:
        return None
    return lock_change(had, awaited, after.locks, awaits, is_other_step=before is not None and _number(before) != _number(after))


def _number(head: Head) -> int | None:
    return None if head.current is None else head.current.number


def _with_files(save: Save, before: Head) -> Save:
    """Return `save` with which files the execution takes and leaves by it."""
    had, has = set(before.attachments.values()), set(save.head.attachments.values())
    return replace(save, taken_files=frozenset(has - had), left_files=frozenset(had - has))


def is_left_behind(head: Head) -> bool:
    """Whether a step may have left something behind at its target."""
    return bool(head.left_behind)


def was_granted(decision: Decision) -> bool:
    """Whether a claim now holds the step."""
    return decision.reply is Reply.GRANTED
