"""The reads: an execution as the API and the command line show it, with every secret masked. Called by both, and by `executions`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from stepswitch.domain.errors import NotFoundError
from stepswitch.domain.execution import ENDED, Head, LogEntry, Status, StepExecution, Values
from stepswitch.domain.states import StepEvent, StepState, advance
from stepswitch.domain.step_types import StepTypes
from stepswitch.engine.callers import Caller
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.confidential import Mask
from stepswitch.engine.ports import Dispatcher, ExecutionStore, Secrets
from stepswitch.engine.records import Waiting
from stepswitch.engine.snapshots import Compiled, Snapshots


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """One thing that an execution waits for: `kind` is person, device, lock, site, place, time or hold. Times in milliseconds."""

    kind: str
    name: str
    since: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """An execution with its rows, masked. `steps` holds the current step execution too, in the order of their numbers."""

    head: Head
    compiled: Compiled
    steps: Sequence[tuple[StepExecution, Compiled]]
    """Each with the snapshot that it was made from."""
    logs: Sequence[LogEntry]
    outputs: Values
    masker: Callable[[Sequence[str]], Callable[[str], str]]
    """Makes the masks of what is shown beside it: the documents."""
    waiting_for: tuple[WaitingFor, ...] = ()
    queue_position: int | None = None


@dataclass(frozen=True, slots=True)
class Stand:
    """How an execution stands, in short: whatever is shown of it changes only when one of these two does.

    `lasting` changes with every commit of the execution. `passing` is what only this process knows: why it waits, what runs here.
    """

    lasting: tuple[int, ...]
    passing: tuple[object, ...]
    has_ended: bool


class Views:
    """Builds views from committed state only."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        snapshots: Snapshots,
        conductor: Conductor,
        dispatcher: Dispatcher,
        secrets: Secrets,
        types: StepTypes,
    ) -> None:
        self._types = types
        self._store = store
        self._snapshots = snapshots
        self._conductor = conductor
        self._dispatcher = dispatcher
        self._secrets = secrets

    async def execution(self, caller: Caller, execution_id: str) -> ExecutionView:
        """Return an execution of the caller's tenant with all its rows; raises NotFoundError."""
        head = await self._head(caller, execution_id)
        compiled = await self._snapshots.get(head.snapshot_id)
        head = self._as_it_runs(head, compiled)
        steps = await self._all_steps(head)
        logs = await self._all_logs(head.id)
        snapshots = {step.snapshot_id: await self._snapshots.get(step.snapshot_id) for step in steps}
        return self._view(head, compiled, [(step, snapshots[step.snapshot_id]) for step in steps], logs)

    async def stand(self, caller: Caller, execution_id: str) -> Stand:
        """Return how an execution of the caller's tenant stands; what is read of it afterwards is as new or newer. Raises NotFoundError."""
        head = await self._head(caller, execution_id)
        lasting = (head.version, head.last_time, await self._store.log_end(execution_id))
        has_ended = head.status in ENDED
        running = self._dispatcher.running_since(head.id)
        return Stand(lasting, () if has_ended else (running, *self._waiting(head)), has_ended)

    async def _head(self, caller: Caller, execution_id: str) -> Head:
        head = await self._conductor.head(execution_id)
        if head is None or head.tenant != caller.tenant:
            raise NotFoundError(f"no execution {execution_id}")
        return head

    def fresh(self, created: tuple[Head, Compiled, Sequence[LogEntry]]) -> ExecutionView:
        """Return the view of an execution that was stored a moment ago, without reading it back."""
        head, compiled, logs = created
        return self._view(head, compiled, [(head.current, compiled)] if head.current else [], logs)

    def listed(
        self, head: Head, steps: Sequence[StepExecution], snapshots: Mapping[str, Compiled], logs: Sequence[LogEntry]
    ) -> ExecutionView:
        """Return the view of an execution of a list from what was read with others; `steps` are those that are behind."""
        head = self._as_it_runs(head, snapshots[head.snapshot_id])
        behind = steps[: head.steps_begun - (head.current is not None)]
        current = [head.current] if head.current is not None else []
        return self._view(head, snapshots[head.snapshot_id], [(step, snapshots[step.snapshot_id]) for step in (*behind, *current)], logs)

    async def logs_of(self, execution_id: str) -> Sequence[LogEntry]:
        """Return the whole log of an execution, not masked."""
        return await self._all_logs(execution_id)

    def _as_it_runs(self, head: Head, compiled: Compiled) -> Head:
        """Return `head` with its step shown as executing where it runs here without a stored claim (docs/decisions/0006)."""
        step = head.current
        if step is None or step.state is not StepState.EXECUTABLE or head.status not in (Status.QUEUED, Status.RUNNING):
            return head
        signature = self._types.find(compiled.workflow.steps[step.step_id].type)
        since = self._dispatcher.running_since(head.id) if signature is not None and signature.always_safe else None
        if since is None:
            return head
        state = advance(step.state, StepEvent.CLAIMED)
        started = since if head.start_time is None else head.start_time
        return replace(head, status=Status.RUNNING, start_time=started, current=replace(step, state=state, claimed_time=since))

    async def _all_steps(self, head: Head) -> list[StepExecution]:
        """Return the rows and the current step; what was added since the head was read is left out."""
        last = head.steps_begun - 1 if head.current is not None else head.steps_begun
        steps: list[StepExecution] = []
        while len(steps) < last:
            page = await self._store.steps(head.id, len(steps), last - len(steps))
            if not page:
                break
            steps += page
        return [*steps[:last], *([head.current] if head.current is not None else [])]

    async def _all_logs(self, execution_id: str) -> list[LogEntry]:
        logs: list[LogEntry] = []
        place: int | None = 0
        while place is not None:
            page, place = await self._store.logs(execution_id, place)
            logs += page
        return logs

    def _view(
        self, head: Head, compiled: Compiled, steps: Sequence[tuple[StepExecution, Compiled]], logs: Sequence[LogEntry]
    ) -> ExecutionView:
        mask = Mask(self._secrets, head, [compiled, *(of for _, of in steps)], steps)
        waiting_for, queue_position = self._waiting(head)
        masked = [(mask.step(step, of), of) for step, of in steps]
        shown = mask.head(head, compiled)
        return ExecutionView(
            head=shown if head.current is None else replace(shown, current=masked[-1][0]),
            compiled=compiled,
            steps=masked,
            logs=[mask.entry(entry) for entry in logs],
            outputs=mask.values(
                {name: head.values[name] for name in compiled.workflow.outputs if name in head.values}, compiled.secret_names
            ),
            waiting_for=tuple(replace(each, name=mask.text(each.name)) for each in waiting_for),
            queue_position=queue_position,
            masker=self._secrets.masker,
        )

    def _waiting(self, head: Head) -> tuple[tuple[WaitingFor, ...], int | None]:
        """Return what an execution waits for, and its place in the queue."""
        waiting = self._dispatcher.waiting(head.id) if head.status not in ENDED else None
        is_held = waiting is not None or self._dispatcher.holds(head.id)
        position = waiting.position if waiting is not None and head.status is Status.QUEUED else None
        return _waiting_for(head, waiting, is_held=is_held), position


def _waiting_for(head: Head, waiting: Waiting | None, *, is_held: bool) -> tuple[WaitingFor, ...]:
    step = head.current
    if step is not None and head.status is Status.PAUSED:
        return (WaitingFor("person", head.pause_code or step.state.value, head.last_time),)
    if waiting is not None:
        return (WaitingFor(waiting.kind, waiting.name, waiting.since, waiting.until),)
    if step is None or is_held or step.state is not StepState.EXECUTABLE:
        return ()
    return (_waiting_to_be_woken(step),)


def _waiting_to_be_woken(step: StepExecution) -> WaitingFor:
    """Return what a step waits for whose wake-up was lost, or is still to come after a start: the timekeeper wakes it."""
    if step.not_before is not None and step.not_before > step.since:
        return WaitingFor("time", "delay", step.since, step.not_before)
    return WaitingFor("place", "worker", step.since)
