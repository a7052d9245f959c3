"""The reads: an execution as the API and the command line show it, with every secret masked. Called by both, and by `executions`.

A short execution is read as a whole. A long one, or one whose values or log take much, is read page by page while it is shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepswitch.domain.changed import changed, quickly_made
from stepswitch.domain.errors import NotFoundError
from stepswitch.domain.events import Decision, Task
from stepswitch.domain.execution import COUNTED_PLACES, ENDED, Head, LogEntry, Probe, Status, StepExecution, Values
from stepswitch.domain.states import StepState
from stepswitch.engine.callers import Caller
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.confidential import Mask, searched_context
from stepswitch.engine.dispatching import Dispatcher, QueueStore
from stepswitch.engine.known_secrets import KnownSecrets
from stepswitch.engine.lock_ports import NO_LOCKS, LockStore
from stepswitch.engine.ports import ExecutionStore, Secrets
from stepswitch.engine.records import LogOrder, LogPage, Runnable
from stepswitch.engine.rows import Rows
from stepswitch.engine.snapshots import Compiled, Snapshots
from stepswitch.engine.waiting import LockHolder, WaitingFor

SHORT_STEPS: Final = 1_000
SHORT_BYTES: Final = 1024 * 1024
"""What is read as a whole: so many step executions, as long as they and the log take no more than this."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an execution is shown, so that nothing else is read.

    `values`: any value or text of the execution itself. Masking them needs the steps, which may have been given the secret.
    """

    steps: bool = True
    step_logs: bool = True
    logs: bool = True
    values: bool = True

    @property
    def is_head_only(self) -> bool:
        """Whether nothing has to be read but what stands in the head."""
        return not (self.steps or self.step_logs or self.logs or self.values)


EVERYTHING: Final = Wanted()


@quickly_made
@dataclass(frozen=True, slots=True)
class ExecutionView:
    """An execution with its rows, masked. `steps` holds the current step execution too, in the order of their numbers."""

    head: Head
    """Without the current step execution: that is the last of `steps`."""
    compiled: Compiled
    steps: Sequence[tuple[StepExecution, Compiled]]
    """Each with the snapshot that it was made from."""
    logs: Sequence[LogEntry]
    outputs: Values
    masker: Callable[[Sequence[str]], Callable[[str], str]]
    """Makes the masks of what is shown beside it: the documents."""
    waiting_for: tuple[WaitingFor, ...] = ()
    queue_position: int | None = None
    rows: Rows | None = None
    """Of a long execution: its steps and logs, which are to be read page by page. `steps` and `logs` are empty then."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How an execution stands, in short: whatever is shown of it changes only when one of these two does.

    `state` is that of its head, and `lasting` changes with every commit of the execution, lines of log too. `passing` is what only this process knows: why it waits.
    """

    state: str
    lasting: tuple[int, ...]
    passing: tuple[object, ...]
    status: Status

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.status in ENDED

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it goes on by itself."""
        return is_settled(self.status)


def state_of(head: Head) -> str:
    """Return the name of the state that an execution is in: another one after every save, also where a backup was restored in between."""
    return f"{head.version:x}-{head.last_time:x}"


class Views:
    """Builds views from committed state only."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        queue: QueueStore,
        snapshots: Snapshots,
        conductor: Conductor,
        dispatcher: Dispatcher,
        secrets: Secrets,
        locks: LockStore = NO_LOCKS,
    ) -> None:
        self._store = store
        self._locks = locks
        self._queue = queue
        self._snapshots = snapshots
        self._conductor = conductor
        self._dispatcher = dispatcher
        self._secrets = secrets

    async def head(self, caller: Caller, execution_id: str) -> Head:
        """Return the head of an execution that the caller sees, not masked; raises NotFoundError."""
        head = await self._conductor.head(execution_id)
        if head is None:
            raise NotFoundError(f"no execution {execution_id}")
        caller.check_sees_execution(head)
        return head

    async def execution(self, caller: Caller, execution_id: str) -> ExecutionView:
        """Return an execution of the caller's tenant with all its rows, however many; raises NotFoundError."""
        view = await self.shown(caller, execution_id)
        if view.rows is None:
            return view
        steps = [step async for step in view.rows.steps(with_logs=True)]
        own = [entry async for page in view.rows.logs() for entry in page]
        await view.rows.check()
        logs = [*own, *(entry for _, _, of_step in steps for entry in of_step)]
        return replace(view, steps=[(step, of) for step, of, _ in steps], logs=logs, rows=None)

    async def shown(self, caller: Caller, execution_id: str, wanted: Wanted = EVERYTHING) -> ExecutionView:
        """Return what is wanted of an execution of the caller's tenant, with `rows` where it is long; raises NotFoundError."""
        head = await self.head(caller, execution_id)
        compiled = await self._snapshots.get(head.snapshot_id)
        place, holder = (await self.places([head])).get(head.id), await self._holder(caller, head)
        if wanted.is_head_only:
            return self._view(head, compiled, Mask(self._secrets, head, [compiled]), place, holder=holder)
        count = behind(head)
        steps = await self._store.steps(head.id, 0, count, SHORT_BYTES) if 0 < count <= SHORT_STEPS else ()
        logs, more = await self._logs(head, wanted)
        if len(steps) < count or more:  # it is long, or was deleted meanwhile
            return await self._long(caller, execution_id)
        snapshots = {each: await self._snapshots.get(each) for each in {head.snapshot_id, *(step.snapshot_id for step in steps)}}
        if head.current is not None and head.current.snapshot_id not in snapshots:
            snapshots[head.current.snapshot_id] = await self._snapshots.get(head.current.snapshot_id)
        return self._short(head, snapshots, steps, logs, place, holder=holder)

    async def places(self, heads: Sequence[Head]) -> Mapping[str, int]:
        """Return the places in line, from 1, of those of these executions whose first step waits; none is shown a greater one than `COUNTED_PLACES` + 1.

        All are of one tenant, and so are those before them: nobody is told how many others wait.
        """
        queued = [head for head in heads if _is_queued(head)]
        if not queued:
            return {}
        running = {task.execution_id for task in self._dispatcher.running()}
        asked = [Runnable(head.id, head.current.work.since) for head in queued if head.current is not None and head.id not in running]
        tenant = queued[0].tenant
        before = await self._queue.before(tenant, asked)
        running_here = [task for task in self._dispatcher.running() if task.tenant == tenant]
        taken = [(task.since, task.execution_id) for task in running_here if self._is_unclaimed(task)]
        return {
            each.execution_id: _bounded(count + 1 - sum(place < each.place for place in taken))
            for each, count in zip(asked, before, strict=True)
        }

    def _is_unclaimed(self, task: Task) -> bool:
        """Whether a task that runs here still stands in the store's queue: it is a turn, or its claim is not stored yet."""
        head = self._conductor.kept(task.execution_id)
        return head is None or is_in_line(head)

    async def stand(self, caller: Caller, execution_id: str) -> Stand:
        """Return how an execution of the caller's tenant stands; what is read of it afterwards is as new or newer. Raises NotFoundError."""
        head = await self.head(caller, execution_id)
        lasting = (head.version, head.last_time, await self._store.log_end(execution_id))
        compiled = await self._snapshots.get(head.snapshot_id)
        place = (await self.places([head])).get(head.id)
        waiting_for = self.waiting_for(head, compiled, await self._holder(caller, head))
        return Stand(state_of(head), lasting, waiting_for if head.status in ENDED else (place, *waiting_for), head.status)

    async def holders(self, caller: Caller, heads: Sequence[Head]) -> Mapping[str, LockHolder]:
        """Return who has the lock that each of these executions waits for, by their ids, as far as the caller may see those who have it."""
        found = {waiting: holder.as_seen_by(caller) for waiting, holder in (await self.all_holders(heads)).items()}
        return {waiting: holder for waiting, holder in found.items() if holder is not None}

    async def all_holders(self, heads: Sequence[Head]) -> Mapping[str, LockHolder]:
        """Return the same whoever may see it: whoever is told of it is told by `waiting.as_seen_by`."""
        by_line: dict[tuple[str, str], LockHolder | None] = {}
        found = {}
        for head in heads:
            lock = head.awaited_lock
            if lock is None:
                continue
            line = (head.tenant, lock.key)
            if line not in by_line:
                by_line[line] = await self._first(*line)
            holder = by_line[line]
            if holder is not None and holder.execution_id != head.id:
                found[head.id] = holder
        return found

    async def _holder(self, caller: Caller, head: Head) -> LockHolder | None:
        return None if head.awaited_lock is None else (await self.holders(caller, [head])).get(head.id)

    async def _first(self, tenant: str, key: str) -> LockHolder | None:
        first = await self._locks.first(tenant, key)
        head = None if first is None else await self._conductor.head(first.execution_id)
        return None if head is None else LockHolder(head.id, head.status.value, head.tenant, head.creation_user, head.workflow_name)

    def searched_context(self, head: Head, compiled: Compiled) -> Values:
        """Return what of the context of a new execution lists may be filtered by."""
        return searched_context(head, compiled, self._secrets)

    def fresh(self, created: Decision, compiled: Compiled) -> ExecutionView:
        """Return the view of an execution that was stored a moment ago, as it was decided and without reading it back."""
        head = created.head
        place = _bounded(self._dispatcher.in_line(head.tenant)) if _is_queued(head) else None
        return self._short(head, {head.snapshot_id: compiled}, created.rows, created.logs, place)

    def listed(
        self,
        head: Head,
        steps: Sequence[StepExecution],
        snapshots: Mapping[str, Compiled],
        place: int | None = None,
        *,
        holder: LockHolder | None = None,
    ) -> ExecutionView:
        """Return the view of an execution of a list, without logs, from what was read with others; `steps` are those that are behind."""
        return self._short(head, snapshots, steps[: behind(head)], place=place, holder=holder)

    async def _logs(self, head: Head, wanted: Wanted) -> tuple[Sequence[LogEntry], LogPage | None]:
        if not (wanted.logs or wanted.step_logs):
            return (), None
        page = LogPage(LogOrder.COMMITS if wanted.step_logs else LogOrder.OWN, limit_bytes=SHORT_BYTES)
        return await self._store.logs(head.id, page)

    async def _long(self, caller: Caller, execution_id: str) -> ExecutionView:
        """Return the view of an execution whose rows are read later, as it stands now."""
        standing = await self._store.standing(execution_id)
        if standing is None:
            raise NotFoundError(f"no execution {execution_id}")
        compiled = {each: await self._snapshots.get(each) for each in standing.snapshot_ids}
        own = compiled[standing.head.snapshot_id]
        head = standing.head
        mask = Mask(self._secrets, head, list(compiled.values()))
        if any(each.is_confidential for each in compiled.values()):
            mask = await KnownSecrets(self._store, self._snapshots, self._secrets).mask(head)
        place = (await self.places([head])).get(head.id)
        return self._view(head, own, mask, place, Rows(self._store, standing, compiled, mask), holder=await self._holder(caller, head))

    def _short(
        self,
        head: Head,
        snapshots: Mapping[str, Compiled],
        behind: Sequence[StepExecution],
        logs: Sequence[LogEntry] = (),
        place: int | None = None,
        *,
        holder: LockHolder | None = None,
    ) -> ExecutionView:
        all_steps = behind if head.current is None else (*behind, head.current)
        steps = [(step, snapshots[step.snapshot_id]) for step in all_steps]
        mask = Mask(self._secrets, head, [snapshots[head.snapshot_id], *(of for _, of in steps)], steps)
        masked = [(mask.step(step, of), of) for step, of in steps]
        shown = [mask.entry(entry) for entry in logs]
        return self._view(head, snapshots[head.snapshot_id], mask, place, holder=holder, steps=masked, logs=shown)

    def _view(
        self,
        head: Head,
        compiled: Compiled,
        mask: Mask,
        place: int | None,
        rows: Rows | None = None,
        *,
        holder: LockHolder | None = None,
        steps: Sequence[tuple[StepExecution, Compiled]] = (),
        logs: Sequence[LogEntry] = (),
    ) -> ExecutionView:
        outputs = {name: head.values[name] for name in compiled.workflow.outputs if name in head.values}
        return ExecutionView(
            head=changed(mask.head(head, compiled), current=None),
            compiled=compiled,
            steps=steps,
            logs=logs,
            outputs=mask.values(outputs, compiled.secret_names),
            waiting_for=tuple(_masked(each, mask) for each in self.waiting_for(head, compiled, holder)),
            queue_position=place if head.status is Status.QUEUED else None,
            masker=self._secrets.masker,
            rows=rows,
        )

    def waiting_for(self, head: Head, compiled: Compiled, holder: LockHolder | None = None) -> tuple[WaitingFor, ...]:
        """Return what an execution waits for; `compiled` is its snapshot, `holder` who has the lock that it waits for."""
        if head.status is Status.PAUSED or not is_in_line(head):
            return (*waiting_for_somebody(head), *self._waiting_to_clean_up(head))
        lock = head.awaited_lock
        if lock is not None and head.current is not None:
            return (WaitingFor("lock", lock.name, head.current.since, holder=holder),)
        waiting = self._dispatcher.waiting(head.id)
        if waiting is not None:
            return (WaitingFor(waiting.kind, waiting.name, waiting.since, waiting.until),)
        if head.current is None or self._dispatcher.holds(head.id):
            return ()
        place = self._dispatcher.place(compiled.workflow.steps[head.current.step_id].type, head.tenant)
        return (self._waiting_in_the_store(head.current.work, place),)

    def _waiting_to_clean_up(self, head: Head) -> tuple[WaitingFor, ...]:
        """Return the device in whose line a clean-up stands of an execution that does nothing else."""
        visit = self._dispatcher.visiting(head.id) if head.left_behind and head.status in (*ENDED, Status.PAUSED) else None
        return () if visit is None else (WaitingFor(visit.kind, visit.name, visit.since),)

    def _waiting_in_the_store(self, work: StepExecution | Probe, place: str) -> WaitingFor:
        """Return what a step, or its probe, waits for whose turn is long to come, or is still to be read after a start."""
        if work.not_before is not None and work.not_before > work.since:
            return WaitingFor("time", "delay", work.since, work.not_before)
        if work.device is not None and self._dispatcher.is_busy(work.device):
            return WaitingFor("device", work.device.name, work.since)
        return WaitingFor("place", place, work.since)


def is_settled(status: Status) -> bool:
    """Return whether nothing goes on by itself: an execution has ended, or waits for somebody."""
    return status in ENDED or status is Status.PAUSED


def _masked(waiting: WaitingFor, mask: Mask) -> WaitingFor:
    name = mask.text(waiting.name)
    return waiting if name is waiting.name else changed(waiting, name=name)


def behind(head: Head) -> int:
    """Return how many step executions are behind the current one."""
    return head.steps_begun - (head.current is not None)


def waiting_for_somebody(head: Head) -> tuple[WaitingFor, ...]:
    """Return what the head alone says of it: whether the execution is paused, or waits for another one, and for somebody there."""
    if head.current is None or head.status in ENDED:
        return ()
    if head.status is Status.PAUSED:
        return (WaitingFor("person", head.pause_code or head.current.state.value, head.last_time),)
    child = head.current.awaits
    if child is None:
        return ()
    own = WaitingFor("execution", child.execution_id, head.current.claimed_time or head.last_time)
    return (own, WaitingFor("person", child.waits, head.last_time)) if child.waits else (own,)


def is_in_line(head: Head) -> bool:
    """Return whether an execution has a step that could be carried out."""
    return head.current is not None and head.current.work.state is StepState.EXECUTABLE and head.status not in ENDED


def _is_queued(head: Head) -> bool:
    return head.status is Status.QUEUED and is_in_line(head)


def _bounded(place: int) -> int:
    return min(max(1, place), COUNTED_PLACES + 1)
