"""A dispatcher that takes note of what it is told and starts nothing, and a queue that says what a test tells it."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Cancel, Task, TaskKind
from stepswitch.engine.records import ANY, Due, Runnable, Waiting


class StillDispatcher:
    """Implements `engine.dispatching.Dispatcher`."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.held_ids: set[str] = set()
        self.wait: Waiting | None = None
        self.line = 0

    def submit(self, task: Task) -> bool:
        self.tasks.append(task)
        return True

    async def room(self) -> None:
        await asyncio.get_running_loop().create_future()

    def refill(self, kind: TaskKind) -> "StillRefill":
        return StillRefill(self)

    def cancel(self, cancel: Cancel) -> None:
        raise AssertionError(f"nobody cancels here: {cancel}")

    def takes_turns(self) -> bool:
        return False

    def holds(self, execution_id: str) -> bool:
        return execution_id in self.held_ids

    def is_queued(self, execution_id: str) -> bool:
        return execution_id in self.held_ids

    def held(self) -> int:
        return len(self.held_ids)

    def running(self) -> Sequence[Task]:
        return ()

    def waiting(self, execution_id: str) -> Waiting | None:
        return self.wait

    def visiting(self, execution_id: str) -> Waiting | None:
        return None

    def is_busy(self, device: DeviceLane) -> bool:
        return False

    def place(self, step_type: str, tenant: str) -> str:
        return "worker"

    def in_line(self, tenant: str) -> int:
        return self.line


class StillRefill:
    """Implements `engine.dispatching.Refill`: takes everything."""

    def __init__(self, dispatcher: StillDispatcher) -> None:
        self._dispatcher = dispatcher

    def crowded(self) -> AbstractSet[str]:
        return frozenset()

    def due_before(self, now: int) -> int:
        return 2**62

    def take(self, task: Task) -> bool:
        return self._dispatcher.submit(task)

    def end(self, *, is_all: bool, waiting: Mapping[str, int]) -> None:
        pass


class StillQueue:
    """Implements `engine.dispatching.QueueStore`: so many come before everybody, and so many are under way."""

    def __init__(self) -> None:
        self.first = 0
        self.busy = 0
        self.counted = 0
        self.tenants: dict[str, int] = {}
        self.kept: dict[str, int] = {}

    async def runnable(self, after: Runnable | None, count: int, due: Due = ANY) -> Sequence[Runnable]:
        return ()

    async def before(self, tenant: str, of: Sequence[Runnable]) -> Sequence[int]:
        return [self.first] * len(of)

    async def counts(self) -> Mapping[str, int]:
        return {"default": self.first}

    async def under_way_of(self, tenant: str) -> int:
        return self.tenants.get(tenant, 0)

    async def stored(self, tenant: str) -> int:
        return self.kept.get(tenant, 0)

    async def under_way(self) -> int:
        self.counted += 1
        return self.busy
