"""Pages of executions and workflows, over any `Database`. Implements `engine.ports.ListStore`.

Which index a page is read along is decided by counting first, up to a bound, what fits the conditions that have one: where
few rows fit they are found and sorted; where many fit, the order's own index is walked and soon gives a page of them. Where it does
not (those that fit may all stand at its end) the walk is given up, and one index that holds all that is asked is read once, see `passes`.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, select

from stepswitch.domain.errors import QueryTooSlowError, StoreError
from stepswitch.domain.execution import Head, StepExecution
from stepswitch.domain.filters import Operator
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.records import Snapshot, StoredWorkflow
from stepswitch.engine.selection import Condition, Key, Page, Place, Selection
from stepswitch.storage.database import Database, Query, Row, Statement
from stepswitch.storage.documents import snapshot_in, workflow_in
from stepswitch.storage.encoding import digests_of_head, digests_of_step, head_from, load, load_steps, step_from
from stepswitch.storage.listed import (
    EXECUTIONS,
    INDEXABLE,
    WORKFLOWS,
    Listed,
    Term,
    params_of,
    plain,
    reduced,
    term_of,
)
from stepswitch.storage.passes import Wanted, read_whole
from stepswitch.storage.places import head_place, snapshot_place, steps_place, workflow_place
from stepswitch.storage.reaches import reach_form, reach_params
from stepswitch.storage.selects import Branch, Form, count_statement, is_one, is_plain, never_missing, parts_of, rows_statement, walked
from stepswitch.storage.slices import Sorting
from stepswitch.storage.tables import executions, snapshots, step_executions, workflows

LIMIT_SECONDS: Final = 1.8
"""How long all queries for one page may run: an answer is promised within two seconds."""
FEW: Final = 25_000
"""So many rows are found and sorted in some 70 ms; where more of a million fit, a walk soon meets a page of them."""
MOMENT_SECONDS: Final = 0.025
"""How long a walk is tried of which nobody can tell how long it is: what the rows of a page take where one in a hundred fits."""
COVERED: Final = 5
"""So many times as many are sorted in that time where the index holds all that is asked, and no row has to be looked at."""
BEARABLE: Final = 1.5
"""So many times as many are found and sorted where a walk has not come to an end, before the whole index is read."""
AT_ONCE: Final = 100
"""Ids in one statement."""
_Found = tuple[int, Row]
"""A row by what it is sorted by, its id last, and the part of the list that it is in."""
NOTHING: Final[Mapping[str, str]] = {}
_IDS: Final[list[BindParameter[str]]] = [bindparam(f"id{place}") for place in range(AT_ONCE)]
_HEADS: Final = Statement(select(executions.c.id, executions.c.tenant, executions.c.body).where(executions.c.id.in_(_IDS)))
_STEPS: Final = Statement(
    select(step_executions.c.execution_id, step_executions.c.body)
    .where(step_executions.c.execution_id.in_(_IDS))
    .order_by(step_executions.c.execution_id, step_executions.c.first)
)
_SNAPSHOTS: Final = Statement(select(snapshots.c.id, snapshots.c.tenant, snapshots.c.body).where(snapshots.c.id.in_(_IDS)))
_W = workflows.c
_WORKFLOWS: Final = Statement(
    select(_W.id, _W.tenant, _W.created_at, _W.creation_user, _W.revision, _W.body).where(_W.tenant == bindparam("tenant"), _W.id.in_(_IDS))
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which branches give the rows, or None where the order's index is walked; `terms` are all conditions."""

    branches: tuple[Branch, ...] | None
    terms: tuple[Term, ...]
    is_whole: bool = False
    """Whether all rows are read in one pass instead."""


class SqlListStore:
    """Lists over tables. `executions` reads the few that keep large values aside."""

    def __init__(
        self,
        database: Database,
        executions: ExecutionStore,
        limit_seconds: float = LIMIT_SECONDS,
        few: int = FEW,
        moment_seconds: float = MOMENT_SECONDS,
    ) -> None:
        self._database = database
        self._executions = executions
        self._limit = limit_seconds
        self._few = few
        self._moment = moment_seconds

    # --- pages ---

    async def execution_page(self, tenant: str, selection: Selection) -> Page[str]:
        """See `ListStore`."""
        return await self._page(EXECUTIONS, tenant, selection)

    async def workflow_page(self, tenant: str, selection: Selection) -> Page[StoredWorkflow]:
        """See `ListStore`."""
        page = await self._page(WORKFLOWS, tenant, selection)
        rows = await self._by_id(_WORKFLOWS, page.items, lambda row: workflow_place(tenant, row[0]), {"tenant": tenant})
        found = {row[0]: _workflow(row) for row in rows}
        return Page(tuple(found[row_id] for row_id in page.items if row_id in found), page.last, page.total)

    async def _page(self, listed: Listed, tenant: str, selection: Selection) -> Page[str]:
        reading = _Reading(self._database, listed, tenant, selection, self._limit)
        wanted = selection.skip + selection.size
        rows, total = await reading.page(await reading.plans(self._few), wanted + 1, self._moment)
        shown = rows[selection.skip : wanted]
        last = Place(shown[-1][0], (*reading.same, *shown[-1][1])) if shown and len(rows) > wanted else None
        return Page(tuple(row[-1] for _, row in shown), last, total)

    # --- rows by id ---

    async def heads(self, ids: Sequence[str]) -> Sequence[Head]:
        """See `ListStore`."""
        found: dict[str, Head] = {}
        for execution_id, _, body in await self._by_id(_HEADS, ids, lambda row: head_place(row[1], row[0])):
            plain_head = load(body)
            head = await self._executions.load(execution_id) if digests_of_head(plain_head) else head_from(plain_head, {})
            if head is not None:
                found[execution_id] = head
        return [found[each] for each in ids if each in found]

    async def steps_of(self, ids: Sequence[str]) -> Mapping[str, Sequence[StepExecution]]:
        """See `ListStore`."""
        found: dict[str, list[StepExecution]] = {}
        aside: set[str] = set()
        for execution_id, body in await self._by_id(_STEPS, ids, lambda row: steps_place(row[0])):
            for each in load_steps(body):
                if execution_id in aside or digests_of_step(each):
                    aside.add(execution_id)
                    break
                found.setdefault(execution_id, []).append(step_from(each, {}))
        return {execution_id: steps for execution_id, steps in found.items() if execution_id not in aside}

    async def snapshots(self, ids: Sequence[str]) -> Sequence[Snapshot]:
        """See `ListStore`."""
        rows = await self._by_id(_SNAPSHOTS, ids, lambda row: snapshot_place(row[1], row[0]))
        return [Snapshot(snapshot_id, tenant, **snapshot_in(body)) for snapshot_id, tenant, body in rows]

    async def _by_id(
        self, statement: Statement, ids: Sequence[str], place: Callable[[Row], bytes], more: Mapping[str, str] = NOTHING
    ) -> list[Row]:
        queries = []
        for start in range(0, len(ids), AT_ONCE):
            page = ids[start : start + AT_ONCE]
            params = {f"id{number}": page[min(number, len(page) - 1)] for number in range(AT_ONCE)}
            queries.append(Query(statement, {**params, **more}, place=place))
        return [row for rows in await self._database.read(queries) for row in rows] if queries else []


def _workflow(row: Row) -> StoredWorkflow:
    workflow_id, tenant, created_at, user, revision, body = row
    return StoredWorkflow(workflow_id, tenant, created_at, user, revision, **workflow_in(body))


class _Reading:
    """The queries for one page, with the time that is left for them."""

    def __init__(self, database: Database, listed: Listed, tenant: str, selection: Selection, limit_seconds: float) -> None:
        self._database = database
        self.listed = listed
        if len(selection.conditions) < 2:
            selection = replace(selection, any_match=False)  # any of one is all of one
        self.selection = selection
        conditions = [plain(each) for each in selection.conditions]
        reach = selection.reach
        if reach is not None and not reach.names and not selection.any_match:  # one's own: there is an index for that
            conditions.append(Condition("creationUser", Operator.EQ, (reach.user,)))
            reach = None
        self._reach = None if reach is None else reach_form(reach)
        if not selection.any_match:
            conditions = reduced(conditions, listed)
        self._conditions = conditions
        self._terms = tuple(term_of(each, place) for place, each in enumerate(conditions))
        self._params: dict[str, Any] = {"tenant": tenant, "order_entry": selection.order.entry}
        for condition, term in zip(conditions, self._terms, strict=True):
            self._params |= params_of(condition, term, listed)
        if reach is not None:
            self._params |= reach_params(reach)
        self.same = self._same_in_all_rows()
        """What all rows are sorted by, and so none is here. Places say it: whoever goes on may be shown more than who began."""
        after = selection.after
        if after is not None and after.part == 0 and self.same:
            self.selection = replace(selection, after=replace(after, keys=after.keys[1:]))
        self._deadline = asyncio.get_running_loop().time() + limit_seconds

    def _same_in_all_rows(self) -> tuple[Key, ...]:
        attribute, listed = self.selection.order.attribute, self.listed
        if attribute == "id" or listed.columns[attribute] is listed.created or not self._is_by_creation():
            return ()
        term = next(each for each in self._terms if each.attribute == attribute and each.is_single)
        return (self._params[f"{term.name}_v0"],)

    async def plans(self, few: int) -> Sequence[_Plan]:
        """Return along which indexes to go; where the first may take any time, one behind it that does not."""
        groups = self._indexed()
        if not groups:
            return self._surely(_Plan(None, self._terms)) if self._terms or self._reach else [_Plan(None, ())]
        statements = [count_statement(self.listed.table.name, (branch,), None, is_limited=True) for branch in groups]
        counts = [rows[0][0] for rows in await self._read(statements, {"rows": self._enough(few, groups)})]
        if self.selection.any_match:
            all_few = len(groups) == len(self._terms) and sum(counts) < few
            return [_Plan(tuple(groups), self._terms)] if all_few else self._surely(_Plan(None, self._terms))
        fewest, best = min(zip(counts, groups, strict=True), key=lambda each: each[0])
        found = _Plan((Branch(best.index, self._terms),), self._terms)
        is_covered = self._is_covered(best)
        if fewest < few * (COVERED if is_covered else 1) or (is_covered and self._is_in_order(best)):
            return [found]
        ordered = next((group for group in (best, *groups) if self._is_in_order(group)), None)
        walk = _Plan(None if ordered is None else (Branch(ordered.index, self._terms),), self._terms)
        return [walk, found] if fewest < few * BEARABLE and not self._is_by_creation() else self._surely(walk)

    def _enough(self, few: int, groups: Sequence[Branch]) -> int:
        """Return up to how many rows of an index have to be counted to know which way to go."""
        if self.selection.any_match:
            return few
        return few * COVERED if len(groups) == 1 and self._is_covered(groups[0]) else math.ceil(few * BEARABLE)

    def _surely(self, walk: _Plan) -> Sequence[_Plan]:
        """Return a walk, and behind it what surely ends: the pass over the index that holds all that is asked, where there is one."""
        asked = {self.selection.order.attribute, *(term.attribute for term in self._terms)}
        if self.listed.whole is None or not all(is_plain(self.listed, attribute) for attribute in asked):
            return [walk]
        return [walk, _Plan(None, self._terms, is_whole=True)]

    def _indexed(self) -> list[Branch]:
        """Return what each index finds: for OR one condition at a time, for AND all conditions on its attribute."""
        indexable = [term for term in self._terms if term.operator in INDEXABLE and is_plain(self.listed, term.attribute)]
        if self.selection.any_match:
            return [Branch(self.listed.indexes[term.attribute], (term,)) for term in indexable]
        groups: dict[str, list[Term]] = {}
        for term in indexable:
            groups.setdefault(term.attribute, []).append(term)
        return [Branch(self.listed.indexes[attribute], tuple(terms)) for attribute, terms in groups.items()]

    def _is_covered(self, branch: Branch) -> bool:
        """Return whether an index holds all that is asked: no row has to be looked at."""
        return len(branch.terms) == len(self._terms) and self._is_by_creation() and self._reach is None

    def _is_in_order(self, branch: Branch) -> bool:
        """Return whether the rows of one value stand in the order that is asked for: every index goes on with the time of creation."""
        return any(term.is_single for term in branch.terms) and self._is_by_creation()

    def _is_by_creation(self) -> bool:
        """Return whether the order is that of creation: also where what would be sorted by is the same in all rows."""
        attribute = self.selection.order.attribute
        is_same = is_one(self.listed, Branch("", self._terms, self.selection.any_match), attribute)
        return is_same or self.listed.columns[attribute] is self.listed.created

    def parts(self) -> tuple[int, ...]:
        """Return the parts of the list in which rows of the page may be; raises StoreError where there is no such place as it begins at."""
        parts, after = parts_of(self.listed, self.selection.order), self.selection.after
        if after is not None and after.part not in parts:
            raise StoreError("there is no such place in this list")
        reached = parts if after is None else parts[parts.index(after.part) :]
        if reached == (1,) or self.selection.order.entry:  # a condition on one entry of the context says nothing of another
            return reached
        return (0,) if never_missing(Branch("", self._terms, self.selection.any_match), self.selection.order.attribute) else reached

    async def page(self, plans: Sequence[_Plan], count: int, moment: float) -> tuple[Sequence[_Found], int | None]:
        """Return up to `count` rows, and how many fit in all where that is asked."""
        if not self.selection.is_counted:
            return await self._first_rows(plans, count, moment), None
        if plans[-1].is_whole:  # all has to be read to be counted, and a page is found on the way
            return await self._pass(self.parts(), count)
        return await asyncio.gather(self._first_rows(plans, count, moment), self._count(plans[-1]))

    async def _first_rows(self, plans: Sequence[_Plan], count: int, moment: float) -> Sequence[_Found]:
        """Return up to `count` rows; each plan but the last is tried for a moment."""
        found: list[_Found] = []
        parts = self.parts()
        for place, part in enumerate(parts):
            missing = count - len(found)
            try:
                rows = await self._rows(plans[0], part, missing, moment if len(plans) > 1 else None)
            except QueryTooSlowError:
                if len(plans) == 1:
                    raise
                if plans[-1].is_whole:
                    return [*found, *(await self._pass(parts[place:], missing))[0]]
                rows = await self._rows(plans[-1], part, missing, None)
            found += [(part, row) for row in rows]
            if len(found) == count:
                break
        return found

    async def _pass(self, parts: tuple[int, ...], count: int) -> tuple[Sequence[_Found], int]:
        """Return up to `count` rows of some parts, and how many fit in all where that is asked, from one pass over all rows."""
        selection, order, after = self.selection, self.selection.order, self.selection.after
        is_same = is_one(self.listed, Branch("", self._terms, selection.any_match), order.attribute)
        wanted = Wanted(
            self.listed,
            self._conditions,
            selection.any_match,
            self._reach,
            self._params,
            Sorting(order.attribute, order.descending, is_same, parts),
            after if after is not None and after.part == parts[0] else None,
            count,
            selection.is_counted,
        )
        return await read_whole(self._database, wanted, self._left())

    async def _rows(self, plan: _Plan, part: int, count: int, seconds: float | None) -> Sequence[Row]:
        selection, order, after = self.selection, self.selection.order, self.selection.after
        has_place = after is not None and after.part == part
        branches = plan.branches or (Branch(walked(self.listed, order, part), plan.terms, selection.any_match),)
        form = Form(self.listed.table.name, branches, order.attribute, bool(order.entry), order.descending, part, has_place, self._reach)
        places = {f"place{place}": key for place, key in enumerate(after.keys)} if after is not None and has_place else {}
        (rows,) = await self._read([rows_statement(form)], {**places, "rows": count}, seconds)
        return rows

    async def _count(self, plan: _Plan) -> int:
        """Return how many rows fit in all."""
        is_all = not plan.terms and self._reach is None
        index = self.listed.indexes["id" if is_all else self.listed.attribute_of(self.listed.created)]
        branches = plan.branches or (Branch(index, plan.terms, self.selection.any_match),)
        ((row,),) = await self._read([count_statement(self.listed.table.name, branches, self._reach, is_limited=False)], {})
        return int(row[0])

    async def _read(
        self, statements: Sequence[Statement], params: Mapping[str, Any], seconds: float | None = None
    ) -> Sequence[Sequence[Row]]:
        left = self._left() if seconds is None else min(self._left(), seconds)
        return await self._database.read([Query(statement, {**self._params, **params}, left) for statement in statements])

    def _left(self) -> float:
        """Return how many seconds are left for the page."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())
