"""The use cases of lists: a page of workflows or of executions, each execution masked as when it is read alone. Called by the API."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, QueryTooSlowError
from stepswitch.domain.execution import Head, StepExecution
from stepswitch.engine.callers import Caller
from stepswitch.engine.ports import ListStore
from stepswitch.engine.records import StoredWorkflow
from stepswitch.engine.selection import EXECUTION_ATTRIBUTES, INDEXED, WORKFLOW_ATTRIBUTES, Page, Selection
from stepswitch.engine.snapshots import Compiled, Snapshots
from stepswitch.engine.views import ExecutionView, Views

HEADS_AT_ONCE: Final = 50
STEPS_AT_ONCE: Final = 2_000
"""So many heads, or step executions, are in memory at once, however long the page is; one execution more where it has more steps."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the executions has to be read for a list. Masking a text needs the steps: they may have been given the secret."""

    steps: bool = True
    logs: bool = False


class Lists:
    """Pages of what the caller's tenant has."""

    def __init__(self, store: ListStore, views: Views, snapshots: Snapshots) -> None:
        self._store = store
        self._views = views
        self._snapshots = snapshots

    async def workflows(self, caller: Caller, selection: Selection) -> Page[StoredWorkflow]:
        """Return a page of workflows; raises InvalidRequestError where finding it would take too long."""
        try:
            return await self._store.workflow_page(caller.tenant, selection)
        except QueryTooSlowError as error:
            raise _too_slow(name for name, kind in WORKFLOW_ATTRIBUTES.items() if kind in INDEXED) from error

    async def executions(self, caller: Caller, selection: Selection) -> Page[str]:
        """Return a page of executions by their ids; raises InvalidRequestError where finding it would take too long."""
        try:
            return await self._store.execution_page(caller.tenant, selection)
        except QueryTooSlowError as error:
            raise _too_slow(name for name, kind in EXECUTION_ATTRIBUTES.items() if kind in INDEXED) from error

    async def views(self, caller: Caller, ids: Sequence[str], wanted: Wanted) -> AsyncIterator[ExecutionView]:
        """Give the executions called `ids` in their order, a few in memory at a time; those that are gone by now are left out."""
        for start in range(0, len(ids), HEADS_AT_ONCE):
            heads = [head for head in await self._store.heads(ids[start : start + HEADS_AT_ONCE]) if head.tenant == caller.tenant]
            for group in _groups(heads) if wanted.steps else [heads]:
                steps = await self._store.steps_of([head.id for head in group if head.steps_begun]) if wanted.steps else {}
                compiled = await self._compiled(group, [step for behind in steps.values() for step in behind])
                for head in group:
                    logs = await self._views.logs_of(head.id) if wanted.logs else ()
                    yield self._views.listed(head, steps.get(head.id, ()), compiled, logs)

    async def _compiled(self, heads: Sequence[Head], steps: Sequence[StepExecution]) -> dict[str, Compiled]:
        ids = {head.snapshot_id for head in heads} | {head.current.snapshot_id for head in heads if head.current is not None}
        ids |= {step.snapshot_id for step in steps}
        found = {each.id: self._snapshots.compile(each) for each in await self._store.snapshots(self._snapshots.missing(ids))}
        return found | {each: await self._snapshots.get(each) for each in ids if each not in found}


def _groups(heads: Sequence[Head]) -> Iterator[list[Head]]:
    """Give the heads in groups whose steps fit into memory together."""
    group: list[Head] = []
    steps = 0
    for head in heads:
        if group and steps + head.steps_begun > STEPS_AT_ONCE:
            yield group
            group, steps = [], 0
        group.append(head)
        steps += head.steps_begun
    if group:
        yield group


def _too_slow(indexed: Iterable[str]) -> InvalidRequestError:
    message = "takes more than two seconds; add a comparison (eq, in, gt, gte, lt or lte) of one of: "
    return InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, "filter", message + ", ".join(indexed))])
