"""The seam of the queue: what can run stands in a store, and a dispatcher holds as much of it as it can use soon. The other seams are in `ports`.

Implemented in `storage` and `dispatch`, chosen in `bootstrap`, and proven by one conformance suite each.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Cancel, Task, TaskKind
from stepswitch.engine.records import ANY, Due, Runnable, Waiting


class QueueStore(Protocol):
    """The executions with a step that is executable, in the order of its `since`."""

    async def runnable(self, after: Runnable | None, count: int, due: Due = ANY) -> Sequence[Runnable]:
        """Return those that are due, after the one named."""

    async def before(self, tenant: str, of: Sequence[Runnable]) -> Sequence[int]:
        """Return how many of a tenant come before each of these, whether or not they are due; more than `COUNTED_PLACES` where that is all that is known."""

    async def counts(self) -> Mapping[str, int]:
        """Return how many there are by tenant: of the first ones, one more than `COUNTED_PLACES`, where there are more."""

    async def under_way(self) -> int:
        """Return how many there are in all, together with the executions whose step is being carried out."""

    async def under_way_of(self, tenant: str) -> int:
        """Return that of one tenant."""

    async def stored(self, tenant: str) -> int:
        """Return how many executions a tenant has, ended ones too."""


class Refill(Protocol):
    """One reading of what was left in the store, oldest first. Always ended."""

    def crowded(self) -> AbstractSet[str]:
        """Return the lanes of which enough is held, so that they can be passed over; those of tenants among them."""

    def due_before(self, now: int) -> int:
        """Return until when a task may be due that can still be taken; now where no other can wait for its time here."""

    def take(self, task: Task) -> bool:
        """Queue a task where its lane has room; return False where there is no room for any."""

    def end(self, *, is_all: bool, waiting: Mapping[str, int]) -> None:
        """Say that this was it, and all that there was where `is_all`; `waiting` is how many are in the store, by tenant."""


class TaskTaker(Protocol):
    """Who is handed what follows from a decision."""

    def submit(self, task: Task) -> bool:
        """Queue a task; one that is queued or running already is not queued again. Return False where it is left in the store."""

    def cancel(self, cancel: Cancel) -> None:
        """Stop a step that runs here, or forget it where it is queued."""

    def takes_turns(self) -> bool:
        """Return whether a turn that is submitted now would be taken at once: none waits, here or in the store."""


class DeviceLine(Protocol):
    """The lines for devices, for whoever acts on one without being a step: a clean-up."""

    def visit(self, execution_id: str, device: DeviceLane) -> AbstractAsyncContextManager[None]:
        """Have a place at a device for the block, which begins when it is the caller's turn. A step there waits meanwhile, as for another step."""


class Dispatcher(TaskTaker, Protocol):
    """Wakes up whoever can carry out a step, oldest first, within the limits of places and devices. May lose wake-ups, never order work twice on purpose."""

    async def room(self) -> None:
        """Return when there is room for what was left in the store."""

    def refill(self, kind: TaskKind) -> Refill:
        """Begin to take what was left in the store of one kind."""

    def holds(self, execution_id: str) -> bool:
        """Return whether a task of the execution is queued or running here."""

    def is_queued(self, execution_id: str) -> bool:
        """Return whether a task of the execution is queued here."""

    def held(self) -> int:
        """Return how many tasks are queued here."""

    def running(self) -> Sequence[Task]:
        """Return the tasks that run here."""

    def waiting(self, execution_id: str) -> Waiting | None:
        """Return what the task of an execution waits for; None where it has none queued here."""

    def visiting(self, execution_id: str) -> Waiting | None:
        """Return what a clean-up of an execution waits for, which stands in the line for a device; None where none does."""

    def is_busy(self, device: DeviceLane) -> bool:
        """Return whether all sessions that a device may have are taken."""

    def place(self, step_type: str, tenant: str) -> str:
        """Return what somebody waits for who waits for a place for a step of this type: `tenant`, where as many of the tenant run as may, the type, where few of it may run at once, else `worker`."""

    def in_line(self, tenant: str) -> int:
        """Return about how many tasks of a tenant wait, here and in the store."""
