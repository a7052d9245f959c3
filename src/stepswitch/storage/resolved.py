"""Conditions on attributes of which there are few values, said in those values. Called by `passes`.

A text that names contain, a range of them or a hundred of them is looked up once in the values that there are, which an index tells
without reading the rows; where all of them fit, or none, no row has to be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import bindparam, func, select

from stepswitch.domain.filters import Operator
from stepswitch.engine.selection import Condition
from stepswitch.storage.database import Statement
from stepswitch.storage.listed import holds
from stepswitch.storage.selects import FORMS_KEPT, LISTS

FEW_VALUES: Final = 1_000
"""Of an attribute that has more than these, no condition is said in its values."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Conditions that mean the same as those that were given, for rows with no other values than were told."""

    conditions: tuple[Condition, ...]
    any_match: bool


@lru_cache(FORMS_KEPT)
def values_statement(table: str, attribute: str) -> Statement:
    """Return the statement for the values that an attribute has, up to `rows` of them: each is looked up behind the one before."""
    listed = LISTS[table]
    column, of_tenant = listed.columns[attribute], listed.table.c.tenant == bindparam("tenant")
    hint = f"INDEXED BY {listed.indexes[attribute]}"
    found = select(func.min(column).label("value")).where(of_tenant).with_hint(listed.table, hint, "sqlite").cte("found", recursive=True)
    following = select(func.min(column)).where(of_tenant, column > found.c.value).with_hint(listed.table, hint, "sqlite").scalar_subquery()
    found = found.union_all(select(following).where(found.c.value.is_not(None)))
    return Statement(select(found.c.value).where(found.c.value.is_not(None)).limit(bindparam("rows")))


def resolved(conditions: Sequence[Condition], values: Mapping[str, Sequence[str]], *, any_match: bool) -> Resolved:
    """Return conditions, all or any of which are to hold, in terms of the `values` of attributes."""
    groups: dict[str, list[Condition]] = {}
    for condition in conditions:
        groups.setdefault(condition.attribute, []).append(condition)
    found: list[Condition] = []
    for attribute, several in groups.items():
        if attribute not in values:
            found += several
            continue
        fitting = [value for value in values[attribute] if (any if any_match else all)(holds(value, each) for each in several)]
        if len(fitting) < len(values[attribute]):
            found.append(_named(attribute, fitting, values[attribute]))
        elif any_match:
            return Resolved((), any_match=False)
    return Resolved(tuple(found), any_match)


def _named(attribute: str, fitting: Sequence[str], values: Sequence[str]) -> Condition:
    """Return the condition that names the values which fit, or the others, where those are fewer."""
    if 2 * len(fitting) <= len(values):
        return Condition(attribute, Operator.IN, tuple(fitting))
    named = set(fitting)
    return Condition(attribute, Operator.NIN, tuple(value for value in values if value not in named))
