"""Hands over to the dispatcher what can run, as much as it has room for. Started by `bootstrap`; asked by the timekeeper now and then.

The store is the queue; the dispatcher holds its beginning. So memory does not depend on how much waits, a start does not read all of
it, and a wake-up that was lost is found again.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import structlog

from stepswitch.domain.errors import DamagedError, StoreError
from stepswitch.domain.events import Task, TaskKind, lane_of_tenant
from stepswitch.domain.execution import Head
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.dispatching import Dispatcher, QueueStore, Refill
from stepswitch.engine.ports import Clock, ExecutionStore, ListStore
from stepswitch.engine.records import Due, Runnable

PAGE: Final = 200
PAUSE_SECONDS: Final = 1.0
"""How long to wait after the store said no."""
_T = TypeVar("_T")
_log = structlog.get_logger("stepswitch.backlog")


class Backlog:
    """Takes from the store what was left there."""

    def __init__(
        self,
        *,
        queue: QueueStore,
        store: ExecutionStore,
        lists: ListStore,
        conductor: Conductor,
        dispatcher: Dispatcher,
        clock: Clock,
        page: int = PAGE,
    ) -> None:
        self._queue = queue
        self._store = store
        self._lists = lists
        self._conductor = conductor
        self._dispatcher = dispatcher
        self._clock = clock
        self._page = page
        self._one_at_a_time = asyncio.Lock()
        self._damaged: set[str] = set()
        """Said once, and left alone until somebody starts the service on what was restored."""

    @property
    def is_reading(self) -> bool:
        """Whether the store is being read."""
        return self._one_at_a_time.locked()

    async def run(self) -> None:
        """Fill up whenever there is room, until cancelled; a fault of the store is logged and outlived."""
        while True:
            await self._dispatcher.room()
            while not await self._outlive():
                await self._clock.sleep(PAUSE_SECONDS)

    async def _outlive(self) -> bool:
        """Return whether it could be filled up."""
        try:
            await self.fill()
        except StoreError as error:
            _log.error("what waits could not be read; it is tried again", error=str(error))
            return False
        return True

    async def fill(self) -> None:
        """Hand over what can run, oldest first, until the dispatcher has enough or has all; what it holds already is not handed over twice."""
        async with self._one_at_a_time:
            for kind in TaskKind:
                await self._fill(kind)

    async def _fill(self, kind: TaskKind) -> None:
        refill = self._dispatcher.refill(kind)
        is_all, waiting = False, dict[str, int]()
        try:
            is_all = await self._take_all(refill, kind)
            waiting.update(await self._queue.counts())
        finally:
            refill.end(is_all=is_all, waiting=waiting)

    async def _take_all(self, refill: Refill, kind: TaskKind) -> bool:
        """Return whether everything was looked at, so that nothing is left but what the dispatcher has refused."""
        after: Runnable | None = None
        while True:
            crowded = refill.crowded()
            due = Due(kind is TaskKind.TURN, crowded, refill.due_before(self._clock.now()))
            page = await self._queue.runnable(after, self._page, due)
            free = (each for each in page if crowded.isdisjoint((each.lane, lane_of_tenant(each.tenant))))
            wanted = [each.execution_id for each in free if not self._dispatcher.is_queued(each.execution_id)]
            for task in await self._tasks(wanted):
                if not refill.take(task):
                    return False
            if len(page) < self._page:
                return True
            after = page[-1]

    async def _tasks(self, execution_ids: Sequence[str]) -> list[Task]:
        """Return the tasks that these executions wait for, in this order."""
        wanted = [each for each in execution_ids if each not in self._damaged]
        try:
            heads: Sequence[Head | None] = await self._lists.heads(wanted) if wanted else ()
        except DamagedError:
            heads = [await self._sound(each, self._store.load(each)) for each in wanted]
        found = [await self._sound(head.id, self._conductor.pending(head)) for head in heads if head is not None]
        return [task for task in found if task is not None]

    async def _sound(self, execution_id: str, reading: Awaitable[_T | None]) -> _T | None:
        """Return what was read of an execution; None where it is gone, or damaged: then it is left alone, and keeps nobody else from going on."""
        try:
            return await reading
        except DamagedError as error:
            self._damaged.add(execution_id)
            _log.error("an execution is damaged and left alone", execution=execution_id, error=str(error))
            return None
