"""The step executions and the log of an execution that are too many to be in memory at once, masked, page by page. Made by `views`.

All is read as the execution stood at one moment. Where it is deleted meanwhile, NotFoundError says so: what was read is not whole.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from stepswitch.domain.errors import NotFoundError, StoreError
from stepswitch.domain.execution import LogEntry, StepExecution
from stepswitch.engine.confidential import Mask
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.records import LogOrder, LogPage, Standing
from stepswitch.engine.snapshots import Compiled

STEPS_AT_ONCE: Final = 100
PAGE_BYTES: Final = 256 * 1024


class Rows:
    """Reads the rows of one execution; holds a page of steps and a page of their logs at a time."""

    def __init__(self, store: ExecutionStore, standing: Standing, compiled: Mapping[str, Compiled], mask: Mask) -> None:
        self._store = store
        self._standing = standing
        self._compiled = compiled
        self._mask = mask

    async def steps(self, *, with_logs: bool) -> AsyncIterator[tuple[StepExecution, Compiled, Sequence[LogEntry]]]:
        """Give every step execution by number, the current one last, with its snapshot and its log."""
        logs = _StepLogs(self._pages(LogOrder.STEPS)) if with_logs else None
        async for step in self._steps():
            entries = await logs.of(step.number) if logs is not None else ()
            compiled = self._compiled[step.snapshot_id]
            yield self._mask.step(step, compiled), compiled, [self._mask.entry(entry) for entry in entries]

    async def logs(self) -> AsyncIterator[Sequence[LogEntry]]:
        """Give the log of the execution itself."""
        async for page in self._pages(LogOrder.OWN):
            yield [self._mask.entry(entry) for entry in page]

    async def check(self) -> None:
        """Raise NotFoundError where the execution was deleted: what was read before may lack something."""
        if await self._store.load(self._standing.head.id) is None:
            raise NotFoundError(f"execution {self._standing.head.id} was deleted while it was read")

    async def _steps(self) -> AsyncIterator[StepExecution]:
        head = self._standing.head
        behind = head.steps_begun - (head.current is not None)
        read = 0
        while read < behind:
            page = await self._store.steps(head.id, read, min(STEPS_AT_ONCE, behind - read), PAGE_BYTES)
            if not page:
                await self.check()
                raise StoreError(f"execution {head.id} lacks its step executions from number {read} on")
            for step in page:
                yield step
            read += len(page)
        if head.current is not None:
            yield head.current

    async def _pages(self, order: LogOrder) -> AsyncIterator[Sequence[LogEntry]]:
        following: LogPage | None = LogPage(order, until=self._standing.log_end, limit_bytes=PAGE_BYTES)
        while following is not None:
            page, following = await self._store.logs(self._standing.head.id, following)
            yield page


class _StepLogs:
    """Hands out the logs of steps, one step after the other, from pages that are in their order."""

    def __init__(self, pages: AsyncIterator[Sequence[LogEntry]]) -> None:
        self._pages = pages
        self._page: Sequence[LogEntry] = ()
        self._place = 0

    async def of(self, number: int) -> Sequence[LogEntry]:
        found: list[LogEntry] = []
        while True:
            while self._place < len(self._page):
                entry = self._page[self._place]
                if entry.step is not None and entry.step > number:
                    return found
                if entry.step == number:
                    found.append(entry)
                self._place += 1
            page = await anext(self._pages, None)
            if page is None:
                return found
            self._page, self._place = page, 0
