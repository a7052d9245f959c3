"""From the form of a list to its statement: which rows, in which order, along which index. Called by `lists`.

A statement depends on the form only, never on a value, and is compiled once per form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, func, literal_column, not_, or_, select, true, tuple_, union
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Join

from stepswitch.domain.execution import Status
from stepswitch.engine.selection import Kind, Order
from stepswitch.storage.database import Statement
from stepswitch.storage.listed import (
    EXECUTIONS,
    INDEXABLE,
    WORKFLOWS,
    Expression,
    Listed,
    Term,
    Test,
    bounds_of_creation,
    entry_value,
    test_of,
)
from stepswitch.storage.reaches import ReachForm, reach_test

FORMS_KEPT: Final = 500
"""Compiled statements at hand."""
SLICES: Final = 64
"""So many slices of time are read one after the other where the last rows are wanted."""
LISTS: Final = {each.table.name: each for each in (EXECUTIONS, WORKFLOWS)}


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows that fit `terms`, all or any of them, found along an index."""

    index: str
    terms: tuple[Term, ...]
    any_match: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One part of a sorted list: the rows of any branch, from the start or behind a place."""

    table: str
    branches: tuple[Branch, ...]
    attribute: str
    is_entry: bool
    descending: bool
    part: int
    has_place: bool
    reach: ReachForm | None = None
    """What of it may be shown; None for all."""


def parts_of(listed: Listed, order: Order) -> tuple[int, ...]:
    """Return the parts of a sorted list in their turn: 1 are the rows without the attribute, or those that were aborted."""
    if order.attribute != "aborted" and not order.entry and not listed.columns[order.attribute].nullable:
        return (0,)
    return (1, 0) if order.descending else (0, 1)


@lru_cache(FORMS_KEPT)
def rows_statement(form: Form) -> Statement:
    """Return the statement for what the rows of a form are sorted by, their ids last; parameters `tenant`, `rows`, and `place0` and so on."""
    listed = LISTS[form.table]
    keys = _keys(listed, form)
    is_sliced = form.branches[0].index == listed.whole and keys[0] is not listed.created and form.descending
    tested = _only_compared(listed) if is_sliced else listed
    selects = [_branch(tested, branch, keys, form.reach).where(_part(listed, form), _behind(keys, form)) for branch in form.branches]
    places: list[Expression] = [literal_column(str(place + 1)) for place in range(len(keys))]
    if len(selects) > 1:
        return Statement(union(*selects).order_by(*_directed(places, form)).limit(bindparam("rows")))
    found = _from_the_end(listed, form.branches[0], selects[0]) if is_sliced else selects[0]
    return Statement(found.order_by(*_directed(keys, form)).limit(bindparam("rows")))


def _only_compared(listed: Listed) -> Listed:
    """Return a table whose time of creation is compared, and nothing looked up by it: the slices alone say where an index is read."""
    compared = listed.created + literal_column("0")
    columns = {name: compared if column is listed.created else column for name, column in listed.columns.items()}
    return replace(listed, created=compared, columns=columns)


def _from_the_end(listed: Listed, branch: Branch, found: Select[Any]) -> Select[Any]:
    """Return `found`, to be read in slices of time, the latest first.

    Most orders are much like that of creation. So where the last rows are wanted, those that are read first are the best so far, and what
    comes behind them is only compared. SQLite reads an index backwards only where that gives the order as a whole.
    """
    created, of_tenant = listed.created, listed.table.c.tenant == bindparam("tenant")
    bounds = () if branch.any_match else [bound for term in branch.terms for bound in bounds_of_creation(listed, term)]
    first, last = (select(end(created)).where(of_tenant, *bounds).scalar_subquery() for end in (func.min, func.max))
    ends = select(first.label("first"), last.label("last")).subquery()
    width = (ends.c.last - ends.c.first) // SLICES + 1
    times = select((ends.c.last + 1 - width).label("since"), width.label("width"), ends.c.first).cte("times", recursive=True)
    times = times.union_all(select(times.c.since - times.c.width, times.c.width, times.c.first).where(times.c.since > times.c.first))
    in_turn = _InTurn(times, listed.table, true())
    return found.select_from(in_turn).where(created >= times.c.since, created < times.c.since + times.c.width)


class _InTurn(Join):
    """A join whose left side is gone through as it is: SQLite changes the order of no `CROSS JOIN`."""

    inherit_cache = True


@compiles(_InTurn)
def _in_turn(join: _InTurn, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(side, **options | {"asfrom": True}) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right}"


def _directed(keys: Sequence[Expression], form: Form) -> list[Expression]:
    return [key.desc() if form.descending else key.asc() for key in keys]


@lru_cache(FORMS_KEPT)
def count_statement(table: str, branches: tuple[Branch, ...], reach: ReachForm | None, *, is_limited: bool) -> Statement:
    """Return the statement for the number of rows of the branches, each once; it stops at the parameter `rows` where that is limited."""
    listed = LISTS[table]
    selects = [_branch(listed, branch, [listed.columns["id"]], reach) for branch in branches]
    if len(selects) > 1:
        return Statement(select(func.count()).select_from(union(*selects).subquery()))
    found = selects[0].limit(bindparam("rows")) if is_limited else selects[0]
    return Statement(select(func.count()).select_from(found.subquery()))


def _branch(listed: Listed, branch: Branch, keys: list[Expression], reach: ReachForm | None) -> Select[Any]:
    tests = [test_of(listed, term) for term in branch.terms]
    fits = (or_ if branch.any_match else and_)(*tests) if tests else true()
    may_be_shown = true() if reach is None else reach_test(listed, reach)
    found = select(*keys).where(listed.table.c.tenant == bindparam("tenant"), fits, may_be_shown)
    return found.with_hint(listed.table, f"INDEXED BY {branch.index}", "sqlite")


def _keys(listed: Listed, form: Form) -> list[Expression]:
    """Return what the part is sorted by: what its rows have in common, or have not, is left out."""
    created, row_id = listed.created, listed.columns["id"]
    if form.attribute == "id":
        return [row_id]
    column = entry_value(listed, form.attribute) if form.is_entry else listed.columns[form.attribute]
    has_one = all(is_one(listed, each, form.attribute) for each in form.branches)
    if has_one or form.part == 1 or form.attribute == "aborted" or column is created:
        return [created, row_id]
    return [column, created, row_id]


def is_one(listed: Listed, branch: Branch, attribute: str) -> bool:
    """Return whether a plain attribute has the same value in all rows of a branch."""
    is_pinned = any(term.attribute == attribute and term.is_single for term in branch.terms)
    return is_pinned and not branch.any_match and is_plain(listed, attribute)


def _part(listed: Listed, form: Form) -> Test:
    column = listed.columns[form.attribute]
    if form.attribute == "aborted":
        was_aborted = column == Status.ABORTED.value
        return was_aborted if form.part else not_(was_aborted)
    if form.is_entry:
        column = entry_value(listed, form.attribute)
    elif not column.nullable or (form.part == 0 and all(never_missing(branch, form.attribute) for branch in form.branches)):
        return true()
    return column.is_(None) if form.part else column.is_not(None)


def never_missing(branch: Branch, attribute: str) -> bool:
    """Return whether no row of a branch lacks an attribute: a condition on it has to hold."""
    return not branch.any_match and any(term.attribute == attribute and term.operator in INDEXABLE for term in branch.terms)


def _behind(keys: list[Expression], form: Form) -> Test:
    if not form.has_place:
        return true()
    places: list[Expression] = [bindparam(f"place{place}") for place in range(len(keys))]
    left, right = (keys[0], places[0]) if len(keys) == 1 else (tuple_(*keys), tuple_(*places))
    return left < right if form.descending else left > right


def is_plain(listed: Listed, attribute: str) -> bool:
    """Return whether an attribute is a column by itself, with an index of its own."""
    return listed.kinds.get(attribute, Kind.TEXT) is Kind.TEXT


def walked(listed: Listed, order: Order, part: int) -> str:
    """Return the index along which a part of a sorted list is in order."""
    if (order.attribute == "aborted" and part == 0) or order.attribute not in listed.indexes:
        return listed.indexes["creationTime" if listed is EXECUTIONS else "createdAt"]
    return listed.indexes[order.attribute]
