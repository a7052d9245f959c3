"""The statements for one slice of time of a list, read along the index that holds all that is asked. Called by `passes`.

All slices together are the whole list: when a row was created never changes, so it is in one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, or_, select, true

from stepswitch.domain.execution import Status
from stepswitch.engine.selection import Key, Place
from stepswitch.storage.database import Row, Statement
from stepswitch.storage.listed import Expression, Listed, Term, Test, test_of
from stepswitch.storage.reaches import ReachForm, reach_test
from stepswitch.storage.selects import FORMS_KEPT, LISTS, compared, is_in_part, sort_keys

_ROW: Final[ColumnElement[int]] = literal_column("rowid")
_ZERO: Final[ColumnElement[int]] = literal_column("0")


@dataclass(frozen=True, slots=True)
class Whole:
    """Rows of a table that fit `terms`, all or any of them, and may be shown."""

    table: str
    terms: tuple[Term, ...]
    any_match: bool
    reach: ReachForm | None


@dataclass(frozen=True, slots=True)
class Sorting:
    """The order of one or both parts of a list; what `is_same` in all rows is not sorted by."""

    attribute: str
    descending: bool
    is_same: bool
    parts: tuple[int, ...]

    @property
    def is_by_part(self) -> bool:
        """Whether rows are sorted by their part first."""
        return len(self.parts) > 1

    def row_at(self, place: Place) -> Row:
        """Return what the row at a place is sorted by here."""
        if not self.is_by_part:
            return place.keys
        return (place.part, *((0,) if self._is_filled(place.part) else ()), *place.keys)

    def place_of(self, row: Row) -> tuple[int, tuple[Key, ...]]:
        """Return the part of a row, and what it is sorted by within that."""
        if not self.is_by_part:
            return self.parts[0], row
        return row[0], row[2:] if self._is_filled(row[0]) else row[1:]

    def _is_filled(self, part: int) -> bool:
        """Return whether something stands where rows of the other part have a value."""
        return part == 1 and self.attribute != "aborted"


@lru_cache(FORMS_KEPT)
def slice_rows(whole: Whole, sorting: Sorting, *, has_place: bool, has_bound: bool) -> Statement:
    """Return the statement for what the first rows of a slice are sorted by.

    Parameters `since`, `until` and `rows`; `place0` and so on where it begins behind a place, `bound0` and so on where it ends before one.
    """
    listed = LISTS[whole.table]
    keys = _keys(listed, sorting)
    found = select(*keys).where(*_is_within(listed, sorting, has_place=has_place, has_bound=has_bound), *_tests(listed, whole))
    found = found.with_hint(listed.table, _hint(listed), "sqlite")
    return Statement(found.order_by(*((key.desc() if sorting.descending else key.asc()) for key in keys)).limit(bindparam("rows")))


@lru_cache(FORMS_KEPT)
def slice_rows_counted(whole: Whole, sorting: Sorting, *, has_place: bool, has_bound: bool) -> Statement:
    """Return the statement for the number of rows of a slice, and what those are sorted by that `slice_rows` would find, as JSON.

    Both from one reading, which is meant for slices that have few of them: they come in no order, however many they are.
    """
    listed = LISTS[whole.table]
    are_within = and_(true(), *_is_within(listed, sorting, has_place=has_place, has_bound=has_bound))
    rows = func.json_group_array(func.json_array(*_keys(listed, sorting))).filter(are_within)
    found = select(func.count(), rows).select_from(listed.table).where(*_tests(listed, whole))
    return Statement(found.with_hint(listed.table, _hint(listed), "sqlite"))


@lru_cache(FORMS_KEPT)
def slice_count(whole: Whole) -> Statement:
    """Return the statement for the number of rows of a slice; parameters `since` and `until`."""
    listed = LISTS[whole.table]
    found = select(func.count()).select_from(listed.table).where(*_tests(listed, whole))
    return Statement(found.with_hint(listed.table, _hint(listed), "sqlite"))


@lru_cache(len(LISTS))
def ends(table: str) -> tuple[Statement, Statement]:
    """Return the statements for where in the table the first and the last row stand that were created in a time."""
    listed = LISTS[table]
    found = select(_ROW).select_from(listed.table).where(*_in_time(listed)).with_hint(listed.table, _hint(listed), "sqlite").limit(1)
    return Statement(found.order_by(listed.created)), Statement(found.order_by(listed.created.desc()))


@lru_cache(len(LISTS))
def created_at(table: str) -> Statement:
    """Return the statement for when the first row was created that stands at or behind a place in the table, `row`."""
    listed = LISTS[table]
    return Statement(select(listed.created).where(bindparam("row") <= _ROW).order_by(_ROW).limit(1))


def _keys(listed: Listed, sorting: Sorting) -> list[Expression]:
    if not sorting.is_by_part:
        return sort_keys(listed, sorting.attribute, sorting.parts[0], is_same=sorting.is_same)
    column = listed.columns[sorting.attribute]
    ends: list[Expression] = [listed.created, listed.columns["id"]]
    if sorting.attribute == "aborted":
        return [column == Status.ABORTED.value, *ends]
    return [column.is_(None), func.coalesce(column, _ZERO), *ends]


def _is_within(listed: Listed, sorting: Sorting, *, has_place: bool, has_bound: bool) -> list[Test]:
    """Return the conditions for rows between a place and a bound, the one that most rows fail first."""
    keys = _keys(_only_compared(listed), sorting)
    tests = [compared(keys, "bound", is_greater=sorting.descending)] if has_bound else []
    tests += [compared(keys, "place", is_greater=not sorting.descending)] if has_place else []
    return tests if sorting.is_by_part else [*tests, is_in_part(listed, sorting.attribute, sorting.parts[0])]


def _tests(listed: Listed, whole: Whole) -> list[Test]:
    """Return what a row of a slice has to fit; an index is looked up by the slice alone, whatever else is said of the time of creation."""
    plain = _only_compared(listed)
    tests = [test_of(plain, term) for term in whole.terms]
    fits = (or_ if whole.any_match else and_)(*tests) if tests else true()
    return [*_in_time(listed), fits, true() if whole.reach is None else reach_test(plain, whole.reach)]


def _in_time(listed: Listed) -> Sequence[Test]:
    return listed.table.c.tenant == bindparam("tenant"), listed.created >= bindparam("since"), listed.created < bindparam("until")


def _only_compared(listed: Listed) -> Listed:
    """Return a table whose time of creation is compared, and nothing looked up by it."""
    created = listed.created + _ZERO
    columns = {name: created if column is listed.created else column for name, column in listed.columns.items()}
    return replace(listed, created=created, columns=columns)


def _hint(listed: Listed) -> str:
    return f"INDEXED BY {listed.whole}"
