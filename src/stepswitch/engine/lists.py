"""The use cases of lists: a page of workflows or of executions, each execution masked as when it is read alone. Called by the API."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError, QueryTooSlowError
from stepswitch.domain.execution import Head, StepExecution
from stepswitch.engine.budget import portions
from stepswitch.engine.callers import Caller
from stepswitch.engine.ports import ListStore
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import StoredWorkflow
from stepswitch.engine.selection import EXECUTION_ATTRIBUTES, INDEXED, WORKFLOW_ATTRIBUTES, Page, Selection
from stepswitch.engine.snapshots import Compiled, Snapshots
from stepswitch.engine.views import SHORT_STEPS, ExecutionView, Views, Wanted, behind

HEADS_AT_ONCE: Final = 50
STEPS_AT_ONCE: Final = 2_000
"""So many heads, or step executions, are in memory at once, however long the page is."""


class Lists:
    """Pages of what the caller may see."""

    def __init__(self, store: ListStore, views: Views, snapshots: Snapshots) -> None:
        self._store = store
        self._views = views
        self._snapshots = snapshots

    async def workflows(self, caller: Caller, selection: Selection) -> Page[StoredWorkflow]:
        """Return a page of workflows; raises InvalidRequestError where finding it would take too long."""
        try:
            return await self._store.workflow_page(caller.tenant, replace(selection, reach=caller.reach(Privilege.WORKFLOW_READ)))
        except QueryTooSlowError as error:
            raise _too_slow(name for name, kind in WORKFLOW_ATTRIBUTES.items() if kind in INDEXED) from error

    async def executions(self, caller: Caller, selection: Selection) -> Page[str]:
        """Return a page of executions by their ids; raises InvalidRequestError where finding it would take too long."""
        try:
            return await self._store.execution_page(caller.tenant, replace(selection, reach=caller.reach(Privilege.EXECUTION_READ)))
        except QueryTooSlowError as error:
            raise _too_slow(name for name, kind in EXECUTION_ATTRIBUTES.items() if kind in INDEXED) from error

    async def views(self, caller: Caller, ids: Sequence[str], wanted: Wanted) -> AsyncIterator[ExecutionView]:
        """Give the executions called `ids` in their order, a few in memory at a time; those that are gone by now are left out."""
        for start in range(0, len(ids), HEADS_AT_ONCE):
            heads = [head for head in await self._store.heads(ids[start : start + HEADS_AT_ONCE]) if caller.sees(head)]
            for group in [heads] if wanted.is_head_only else portions(heads, lambda head: head.steps_begun, STEPS_AT_ONCE):
                async for view in self._group(caller, group, wanted):
                    yield view

    async def _group(self, caller: Caller, heads: Sequence[Head], wanted: Wanted) -> AsyncIterator[ExecutionView]:
        """Give the executions of a group. Those with logs to show, or with more than can be read with others, are read one by one."""
        is_shared = not (wanted.logs or wanted.step_logs)
        with_steps = [] if wanted.is_head_only or not is_shared else [head.id for head in heads if 0 < behind(head) <= SHORT_STEPS]
        steps = await self._store.steps_of(with_steps) if with_steps else {}
        compiled = await self._compiled(heads, [step for each in steps.values() for step in each]) if is_shared else {}
        places, holders = (await self._views.places(heads), await self._views.holders(caller, heads)) if is_shared else ({}, {})
        for head in heads:
            if is_shared and (head.id in steps or wanted.is_head_only or not behind(head)):
                yield self._views.listed(head, steps.get(head.id, ()), compiled, places.get(head.id), holder=holders.get(head.id))
                continue
            with suppress(NotFoundError):
                yield await self._views.shown(caller, head.id, wanted)

    async def _compiled(self, heads: Sequence[Head], steps: Sequence[StepExecution]) -> dict[str, Compiled]:
        ids = {head.snapshot_id for head in heads} | {head.current.snapshot_id for head in heads if head.current is not None}
        ids |= {step.snapshot_id for step in steps}
        found = {each.id: self._snapshots.compile(each) for each in await self._store.snapshots(self._snapshots.missing(ids))}
        return found | {each: await self._snapshots.get(each) for each in ids if each not in found}


def _too_slow(indexed: Iterable[str]) -> InvalidRequestError:
    message = "takes more than two seconds; add a comparison (eq, in, gt, gte, lt or lte) of one of: "
    return InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, "filter", message + ", ".join(indexed))])
