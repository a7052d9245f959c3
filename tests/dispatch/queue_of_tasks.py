"""What stands in the store, as tasks that a test can look at: the queue of the backlog, without the executions."""

import asyncio
import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from stepswitch.domain.errors import DamagedError, StoreError
from stepswitch.domain.events import Task, lane_of_tenant
from stepswitch.engine.records import ANY, Due, Runnable


class Tasks(dict[str, Task]):
    """Tasks by execution; `places` are theirs in the order of the queue, with some that are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[tuple[int, str]] = []

    def __setitem__(self, execution_id: str, task: Task) -> None:
        super().__setitem__(execution_id, task)
        place = (task.since, execution_id)
        at = bisect.bisect_left(self.places, place)
        if self.places[at : at + 1] != [place]:
            self.places.insert(at, place)

    def behind(self, since: int, execution_id: str) -> Iterator[Task]:
        """Give the tasks that stand behind a place."""
        for at in range(bisect.bisect_right(self.places, (since, execution_id)), len(self.places)):
            place = self.places[at]
            found = self.get(place[1])
            if found is not None and found.since == place[0]:
                yield found


class Stored(NamedTuple):
    """As much of a head as the backlog asks for."""

    id: str


class Queue:
    """Implements `QueueStore`, `ListStore.heads`, `ExecutionStore.load` and `Conductor.pending` over tasks."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.lanes: dict[str, str] = {}
        """What the store says of a lane, where that is not so any more."""
        self.damaged: set[str] = set()
        self.without_snapshot: set[str] = set()
        self.refusals = 0
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def _lane(self, one: Task) -> str:
        return self.lanes.get(one.execution_id, one.lane)

    def _is_wanted(self, one: Task, due: Due) -> bool:
        lane = self._lane(one)
        is_free = lane not in due.crowded and lane_of_tenant(one.tenant) not in due.crowded
        return is_free and due.turns in (None, lane == "turn") and (one.not_before or 0) <= due.before

    async def runnable(self, after: Runnable | None, count: int, due: Due = ANY) -> Sequence[Runnable]:
        self.reads += 1
        if self.refusals:
            self.refusals -= 1
            raise StoreError("the database says no")
        line = self.tasks.behind(*((-1, "") if after is None else after.place))
        page = islice(filter(lambda each: self._is_wanted(each, due), line), count)
        found = [Runnable(each.execution_id, each.since, self._lane(each), each.tenant) for each in page]
        for _ in range(3):
            await asyncio.sleep(0)
        await self.gate.wait()  # what was read stays as it was read
        return found

    async def counts(self) -> Mapping[str, int]:
        return Counter(each.tenant for each in self.tasks.values())

    async def heads(self, ids: Sequence[str]) -> Sequence[Stored]:
        await asyncio.sleep(0)
        if self.damaged.intersection(ids):
            raise DamagedError("a page is damaged")
        return [Stored(each) for each in ids if each in self.tasks]

    async def load(self, execution_id: str) -> Stored | None:
        if execution_id in self.damaged:
            raise DamagedError("it is damaged")
        return Stored(execution_id) if execution_id in self.tasks else None

    async def pending(self, head: Stored) -> Task | None:
        if head.id in self.without_snapshot:
            raise DamagedError("its snapshot is damaged")
        return self.tasks.get(head.id)
