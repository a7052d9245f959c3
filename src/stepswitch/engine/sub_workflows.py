"""Executions that wait for others: begins those, tells each of them how the other stands, and hands a pause and an abort down. Started by `bootstrap`.

Nothing of it is kept here. What has to be done follows from how the two stand in the store, so whoever looks again does no harm: each is looked
at when one of them was saved, and the timekeeper finds what a stop has left. Implements `Observer`.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Final

import structlog

from stepswitch.domain.errors import NotFoundError, StateConflictError, StepswitchError
from stepswitch.domain.events import Abort, ChildBegun, ChildHeard, ChildOverdue, ChildRefused, CleanedUp, HeldByParent, Reply, Task
from stepswitch.domain.execution import ENDED, Child, Head, Leftover, Parent, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.child_orders import ChildOrders, RefusedError
from stepswitch.engine.child_outcomes import ChildOutcomes, gone
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.ports import Clock, ExecutionStore, FileStore, Ids
from stepswitch.engine.records import Committed

AT_ONCE: Final = 64
PAGE: Final = 500
PAUSES: Final = (0.2, 1.0, 5.0)
"""How long to wait, in seconds, after the store said no; then the timekeeper finds it again."""
_log = structlog.get_logger("stepswitch.sub_workflows")


class SubWorkflows:
    """Brings together the executions that belong together, each at most once at the same time."""

    def __init__(
        self,
        *,
        conductor: Conductor,
        store: ExecutionStore,
        files: FileStore,
        orders: ChildOrders,
        outcomes: ChildOutcomes,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._conductor = conductor
        self._store = store
        self._files = files
        self._orders = orders
        self._outcomes = outcomes
        self._clock = clock
        self._ids = ids
        self._wanted: dict[str, Task | None] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._is_started = False
        self._jumps: list[tuple[int, int]] = []
        """When the clock was set forward, by how many milliseconds."""

    # --- who wants something ---

    def committed(self, change: Committed) -> None:
        """See `Observer`."""
        head = change.head
        if head is not None and (head.parent is not None or _awaited(head) is not None or any(_left(head))):
            self.look_at(head.id)

    def begin(self, task: Task) -> None:
        """Have the execution made that the step of a turn waits for."""
        self._wanted[task.execution_id] = task
        self._pump()

    def look_at(self, execution_id: str) -> None:
        """Have an execution and those that it belongs to told of each other."""
        self._wanted.setdefault(execution_id, None)
        self._pump()

    def jumped(self, milliseconds: int) -> None:
        """Take note that the clock was set forward: nobody's time is over any sooner."""
        self._jumps.append((self._clock.now(), milliseconds))

    async def sweep(self, *, everything: bool = False) -> None:
        """Look at those that wait for what has ended, is gone or takes too long; at a start at all that wait."""
        for execution_id in await self._store.unheard(self._clock.now()):
            self.look_at(execution_id)
        after, page = "", [""] if everything else []
        while page:
            page = list(await self._store.awaiting(after, PAGE))
            for after in page:
                self.look_at(after)

    # --- who does it ---

    async def run(self) -> None:
        """Do what is wanted, until cancelled."""
        self._is_started = True
        self._pump()
        try:
            await asyncio.Event().wait()
        finally:
            self._is_started = False
            running = list(self._running.values())
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _pump(self) -> None:
        """Begin with as many as there is room for; however many are wanted, the rest is not looked at."""
        room = AT_ONCE - len(self._running) if self._is_started else 0
        for execution_id in list(islice((each for each in self._wanted if each not in self._running), room)):
            task = self._wanted.pop(execution_id)
            work = asyncio.get_running_loop().create_task(self._do(execution_id, task))
            self._running[execution_id] = work
            work.add_done_callback(partial(self._end, execution_id))

    def _end(self, execution_id: str, done: "asyncio.Task[None]") -> None:
        del self._running[execution_id]
        fault = None if done.cancelled() else done.exception()
        if fault is not None:
            _log.error("a sub-workflow could not be followed", execution=execution_id, exc_info=fault)
        self._pump()

    async def _do(self, execution_id: str, task: Task | None) -> None:
        for pause in (*PAUSES, None):
            try:
                await self._settle(execution_id, task)
            except NotFoundError:
                return  # it was deleted meanwhile
            except (StepswitchError, OSError) as error:
                _log.error("a sub-workflow could not be followed", execution=execution_id, error=str(error))
                if pause is not None:
                    await self._clock.sleep(pause)
            else:
                return

    async def _settle(self, execution_id: str, task: Task | None) -> None:
        if task is not None:
            await self._begin(task)
        head = await self._conductor.head(execution_id)
        if head is None:
            return
        if head.parent is not None:
            await self._tell_parent(head, head.parent)
        awaited = _awaited(head)
        if awaited is not None:
            await self._follow(head, awaited)
        for left in _left(head):
            await self._stop(head, left)

    async def _begin(self, task: Task) -> None:
        """Make the execution, unless the one that waits for it has moved on meanwhile: then its next turn does."""
        head = await self._conductor.head(task.execution_id)
        step = None if head is None else head.current
        if head is None or step is None or (step.number, step.attempt, step.state) != (task.number, task.attempt, StepState.EXECUTABLE):
            return
        seen = head.version
        try:
            order = await self._orders.of(head)
            made = ChildBegun(f"begun:{order.child.execution_id}", step.number, step.attempt, seen, order.child, task.has_waited)
            reply = await self._orders.place(order, made)
        except RefusedError as refused:
            event_id = f"refused:{step.number}.{step.attempt}.{seen}"
            refusal = ChildRefused(event_id, step.number, step.attempt, seen, refused.outcome, task.has_waited)
            reply = (await self._conductor.apply(head.id, refusal)).reply
        if reply is Reply.STALE:
            _log.info("a step has moved on before the execution was made that it waits for", execution=head.id)

    async def _tell_parent(self, child: Head, link: Parent) -> None:
        parent = await self._conductor.head(link.execution_id)
        if parent is None:
            return
        awaited = _awaited(parent)
        if awaited is not None and awaited.execution_id == child.id:
            await self._meet(parent, awaited, child)
            return
        for left in _left(parent):
            if left.nonce == child.id:
                await self._stop(parent, left)

    async def _follow(self, parent: Head, awaited: Child) -> None:
        child = await self._conductor.head(awaited.execution_id)
        if child is not None:
            await self._meet(parent, awaited, child)
        else:
            event_id, outcome = f"gone:{awaited.execution_id}", gone(awaited)
            await self._hear(parent, ChildHeard(event_id, _number(parent), awaited.execution_id, 0, awaited.status, outcome=outcome))

    async def _meet(self, parent: Head, awaited: Child, child: Head) -> None:
        """Bring a step and the execution that it waits for to the same knowledge."""
        event_id, number = f"heard:{child.id}.{child.version}", _number(parent)
        if child.status in ENDED:
            outcome = await self._outcomes.of(parent, child)
            await self._hear(parent, ChildHeard(event_id, number, child.id, child.version, child.status, outcome=outcome))
            return
        waits = _told_waiting(child)
        if waits != awaited.waits:
            await self._hear(parent, ChildHeard(event_id, number, child.id, child.version, child.status, waits))
        if child.parent is not None and child.parent.holds is not parent.pause_requested:
            await self._conductor.apply(child.id, HeldByParent(self._ids.new(), parent.pause_requested))
        if awaited.is_overdue:
            await self._abort(child, parent)
        elif awaited.deadline + self._allowance(parent) <= self._clock.now():
            await self._conductor.apply(parent.id, ChildOverdue(f"overdue:{child.id}", number, child.id))

    def _allowance(self, parent: Head) -> int:
        """Return by how much the clock was set forward while an execution waited for another one."""
        since = None if parent.current is None else parent.current.claimed_time
        return sum(by for at, by in self._jumps if since is not None and since < at)

    async def _hear(self, parent: Head, event: ChildHeard) -> None:
        files = set() if event.outcome is None else set(event.outcome.files.values())
        if not files:
            await self._conductor.apply(parent.id, event)
            return
        self._files.hold(files)  # until they belong to the one that waited, too
        try:
            await self._conductor.apply(parent.id, event)
        finally:
            await self._files.settle(files)

    async def _stop(self, parent: Head, left: Leftover) -> None:
        """Stop an execution whose parent was aborted; confirm that once it has ended, and has left nothing behind itself."""
        child = await self._conductor.head(left.nonce)
        if child is not None and child.status not in ENDED:
            await self._abort(child, parent)
        elif child is None or not child.left_behind:
            await self._conductor.apply(parent.id, CleanedUp(f"cleaned:{left.nonce}", left.nonce))

    async def _abort(self, child: Head, parent: Head) -> None:
        try:
            await self._conductor.apply(child.id, Abort(f"abort:{child.id}", f"the execution {parent.id}, which it belongs to,", None))
        except StateConflictError:
            return  # it ended in that very moment


def _awaited(head: Head) -> Child | None:
    return None if head.current is None or head.status in ENDED else head.current.awaits


def _number(head: Head) -> int:
    return -1 if head.current is None else head.current.number


def _left(head: Head) -> Sequence[Leftover]:
    return [each for each in head.left_behind if each.is_execution] if head.left_behind else ()


def _told_waiting(child: Head) -> str:
    """Return what somebody has to do there, or in an execution that it waits for; empty where it goes on by itself."""
    awaited = _awaited(child)
    if child.status is Status.PAUSED and child.current is not None:
        return f"{child.pause_code or child.current.state.value} in the execution {child.id}"
    return "" if awaited is None else awaited.waits
