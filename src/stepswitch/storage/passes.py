"""One pass over all rows of a list, sorted and counted on the way: what gives a page where no index soon does. Called by `lists`.

The index that holds all that is asked is cut into slices of time. Several connections, which see the same moment, take one slice after the other.
From then on that a page is full, a slice gives only what comes before the last row of that page.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Final

from stepswitch.engine.selection import Condition, Place
from stepswitch.storage.database import Database, Moment, Query, ReadNow, Row, Statement
from stepswitch.storage.encoding import load
from stepswitch.storage.listed import ALL_TIMES, Listed, creation_times, params_of, term_of
from stepswitch.storage.reaches import ReachForm
from stepswitch.storage.resolved import FEW_VALUES, resolved, values_statement
from stepswitch.storage.slices import Sorting, Whole, created_at, ends, slice_count, slice_rows, slice_rows_counted

SLICES: Final = 32
"""So many that none is much of the whole: in the first ones it is not known yet which rows are too far behind."""
ROWS: Final = 4_096
"""So many rows of the table, at least, are one slice."""
_BY_CREATION: Final = ("created", "id")
"""What rows are sorted by that stand as they were created: nothing else has as many keys."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pass is to find: the first `rows` behind a place, in the order of `sorting`, and the number of all where that is asked."""

    listed: Listed
    conditions: Sequence[Condition]
    any_match: bool
    reach: ReachForm | None
    params: Mapping[str, Any]
    """What the tenant and the reach stand for."""
    sorting: Sorting
    after: Place | None
    rows: int
    is_counted: bool


async def read_whole(database: Database, wanted: Wanted, seconds: float) -> tuple[Sequence[tuple[int, Row]], int]:
    """Return rows, each with its part, and the number of all where that is asked; raises QueryTooSlowError after so many seconds of reading."""
    async with database.moment() as moment:
        reading = await _begun(moment, wanted, time.monotonic() + seconds)
        slices = iter(await reading.slices(moment))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(moment.readers):
                    group.create_task(moment.work(partial(reading.take, slices)))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
    return [wanted.sorting.place_of(row) for row in reading.rows], reading.total


async def _begun(moment: Moment, wanted: Wanted, deadline: float) -> "_Pass":
    """Return a pass that compares as little as may be: what attributes of few values are to be is found out once."""
    table = wanted.listed.table.name
    named = sorted({each.attribute for each in wanted.conditions} & wanted.listed.named)
    params = {"tenant": wanted.params["tenant"], "rows": FEW_VALUES + 1}
    rows = await moment.read([Query(values_statement(table, attribute), params) for attribute in named])
    values = {attribute: [row[0] for row in several] for attribute, several in zip(named, rows, strict=True) if len(several) <= FEW_VALUES}
    found = resolved(wanted.conditions, values, any_match=wanted.any_match)
    terms = tuple(term_of(each, place) for place, each in enumerate(found.conditions))
    bound: dict[str, Any] = {}
    for condition, term in zip(found.conditions, terms, strict=True):
        bound |= params_of(condition, term, wanted.listed)
    return _Pass(wanted, Whole(table, terms, found.any_match, wanted.reach), {**wanted.params, **bound}, deadline)


class _Pass:
    """What was found in the slices that are behind."""

    def __init__(self, wanted: Wanted, whole: Whole, params: Mapping[str, Any], deadline: float) -> None:
        self._wanted = wanted
        self._whole = whole
        self._params = params
        self._deadline = deadline
        self.rows: list[Row] = []
        self.total = 0
        self._noting = Lock()
        self._is_settled = False
        """Whether the slice before had less than a page for this page: so the next one is not likely to have many rows."""

    async def slices(self, moment: Moment) -> Sequence[tuple[int, int]]:
        """Return times that have all rows among them, about as many in each; those that are likely to give the page come first.

        The place of a row in the table tells, nearly, how many were created before it.
        """
        table, wanted = self._whole.table, self._wanted
        since, until = ALL_TIMES if wanted.any_match else creation_times(wanted.listed, wanted.conditions)
        first, last = await moment.read([self._query(each, {"since": since, "until": until}) for each in ends(table)])
        if not first or not last:
            return []
        begin, end = sorted((first[0][0], last[0][0]))
        count = min(SLICES, (end - begin) // ROWS + 1)
        places = [begin + (end - begin) * number // count for number in range(1, count)]
        found = await moment.read([self._query(created_at(table), {"row": place}) for place in places])
        cuts = sorted({row[0] for rows in found for row in rows if since < row[0] < until})
        slices = list(zip([since, *cuts], [*cuts, until], strict=True))
        return slices[::-1] if wanted.sorting.descending else slices

    def take(self, slices: Iterator[tuple[int, int]], read: ReadNow) -> None:
        """Take one slice after the other until there are no more; other threads take others."""
        for since, until in slices:
            times = {"since": since, "until": until}
            if not self._is_behind(since, until):
                self._find(read, times)
            elif self._wanted.is_counted:
                self._note((), read([self._query(slice_count(self._whole), times)])[0])

    def _is_behind(self, since: int, until: int) -> bool:
        """Return whether all rows of a slice come behind the page, where that is full and sorted as the slices are."""
        bound = self._bound()
        if bound is None or len(bound) != len(_BY_CREATION):
            return False
        return bool(until <= bound[0] if self._wanted.sorting.descending else bound[0] < since)

    def _bound(self) -> Row | None:
        return self.rows[-1] if len(self.rows) == self._wanted.rows else None

    def _find(self, read: ReadNow, times: Mapping[str, int]) -> None:
        """Find the rows of a slice that come before the last one of the page, and count all of it where that is asked."""
        wanted, sorting, after, bound = self._wanted, self._wanted.sorting, self._wanted.after, self._bound()
        params: dict[str, Any] = {**times, "rows": wanted.rows}
        if bound is not None:
            params |= {f"bound{place}": key for place, key in enumerate(bound)}
        if after is not None:
            params |= {f"place{place}": key for place, key in enumerate(sorting.row_at(after))}
        has_place, has_bound = after is not None, bound is not None
        if wanted.is_counted and self._is_settled:
            query = self._query(slice_rows_counted(self._whole, sorting, has_place=has_place, has_bound=has_bound), params)
            (counts,) = read([query])
            found = sorted((row for _, several in counts for row in load(several.encode())), reverse=sorting.descending)
            rows: Sequence[Row] = [tuple(row) for row in found[: wanted.rows]]
        else:
            query = self._query(slice_rows(self._whole, sorting, has_place=has_place, has_bound=has_bound), params)
            queries = [query, self._query(slice_count(self._whole), times)] if wanted.is_counted else [query]
            rows, counts, *_ = [*read(queries), ()]
        self._is_settled = len(rows) < wanted.rows
        self._note(rows, counts)

    def _note(self, rows: Sequence[Row], counts: Sequence[Row] = ()) -> None:
        """Note what was found in a slice; the numbers come first in `counts`."""
        with self._noting:
            self.total += sum(row[0] for row in counts)
            self.rows = sorted([*self.rows, *rows], reverse=self._wanted.sorting.descending)[: self._wanted.rows]

    def _query(self, statement: Statement, params: Mapping[str, Any]) -> Query:
        return Query(statement, {**self._params, **params}, max(0.0, self._deadline - time.monotonic()))
