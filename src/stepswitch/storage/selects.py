"""From the form of a list to its statement: which rows, in which order, along which index. Called by `lists` and `slices`.

A statement depends on the form only, never on a value, and is compiled once per form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, func, literal_column, not_, or_, select, true, tuple_, union

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
    entry_value,
    test_of,
)
from stepswitch.storage.reaches import ReachForm, reach_test

FORMS_KEPT: Final = 500
"""Compiled statements at hand."""
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
    is_same = len(form.branches) == 1 and is_one(listed, form.branches[0], form.attribute)  # two branches may have two values
    keys = sort_keys(listed, form.attribute, form.part, is_same=is_same, is_entry=form.is_entry)
    behind = compared(keys, "place", is_greater=not form.descending) if form.has_place else true()
    selects = [_branch(listed, branch, keys, form.reach).where(_part(listed, form), behind) for branch in form.branches]
    places: list[Expression] = [literal_column(str(place + 1)) for place in range(len(keys))]
    if len(selects) > 1:
        return Statement(union(*selects).order_by(*_directed(places, form)).limit(bindparam("rows")))
    return Statement(selects[0].order_by(*_directed(keys, form)).limit(bindparam("rows")))


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


def sort_keys(listed: Listed, attribute: str, part: int, *, is_same: bool, is_entry: bool = False) -> list[Expression]:
    """Return what a part is sorted by: what its rows have in common, or have not, is left out."""
    created, row_id = listed.created, listed.columns["id"]
    if attribute == "id":
        return [row_id]
    column = entry_value(listed, attribute) if is_entry else listed.columns[attribute]
    if is_same or part == 1 or attribute == "aborted" or column is created:
        return [created, row_id]
    return [column, created, row_id]


def is_one(listed: Listed, branch: Branch, attribute: str) -> bool:
    """Return whether a plain attribute has the same value in all rows of a branch."""
    is_pinned = any(term.attribute == attribute and term.is_single for term in branch.terms)
    return is_pinned and not branch.any_match and is_plain(listed, attribute)


def _part(listed: Listed, form: Form) -> Test:
    if form.is_entry:
        value = entry_value(listed, form.attribute)
        return value.is_(None) if form.part else value.is_not(None)
    if form.part == 0 and all(never_missing(branch, form.attribute) for branch in form.branches):
        return true()
    return is_in_part(listed, form.attribute, form.part)


def is_in_part(listed: Listed, attribute: str, part: int) -> Test:
    """Return the condition for the rows of a part of a list that is sorted by an attribute."""
    column = listed.columns[attribute]
    if attribute == "aborted":
        was_aborted = column == Status.ABORTED.value
        return was_aborted if part else not_(was_aborted)
    if not column.nullable:
        return true()
    return column.is_(None) if part else column.is_not(None)


def never_missing(branch: Branch, attribute: str) -> bool:
    """Return whether no row of a branch lacks an attribute: a condition on it has to hold."""
    return not branch.any_match and any(term.attribute == attribute and term.operator in INDEXABLE for term in branch.terms)


def compared(keys: Sequence[Expression], name: str, *, is_greater: bool) -> Test:
    """Return the condition that rows are sorted behind, or before, one whose keys are bound as `name` with a number."""
    places: list[Expression] = [bindparam(f"{name}{place}") for place in range(len(keys))]
    left, right = (keys[0], places[0]) if len(keys) == 1 else (tuple_(*keys), tuple_(*places))
    return left > right if is_greater else left < right


def is_plain(listed: Listed, attribute: str) -> bool:
    """Return whether an attribute is a column by itself, with an index of its own."""
    return listed.kinds.get(attribute, Kind.TEXT) is Kind.TEXT


def walked(listed: Listed, order: Order, part: int) -> str:
    """Return the index along which a part of a sorted list is in order."""
    if (order.attribute == "aborted" and part == 0) or order.attribute not in listed.indexes:
        return listed.indexes["creationTime" if listed is EXECUTIONS else "createdAt"]
    return listed.indexes[order.attribute]
