"""What a list is asked for: filter, order, fields, page. Called by users of the client, and by its lists."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import httpx

from stepswitch.client.answers import Page
from stepswitch.client.reading import items_of
from stepswitch.domain.filters import Comparison, Operator, Word, format_filter

MARKER: Final = "nextpage_opaque_marker"
_NEXT: Final = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a list, in which order, and what of each.

    `where` holds comparisons as `compare` makes them, or written as the API takes them; all must hold, or one of them with `any_of`.
    `sort` is an attribute. `fields` are paths such as `workflow/name`; what an answer must have is there in any case. `page_size`
    is 1,000 at most.
    """

    where: Sequence[str] = ()
    any_of: bool = False
    sort: str | None = None
    descending: bool = False
    fields: Sequence[str] = ()
    exclude_fields: Sequence[str] = ()
    page_size: int = 100

    def query(self, marker: str | None) -> dict[str, str]:
        """Return the query of the page that `marker` leads to, the first one without."""
        order = "" if self.sort is None else f",sort={self.sort},{'desc' if self.descending else 'asc'}"
        query = {MARKER: marker or f"page_number=1,page_size={self.page_size}{order}"}
        parts = {"filter": ";".join(self.where), "fields": ",".join(self.fields), "exclude_fields": ",".join(self.exclude_fields)}
        return query | {name: text for name, text in parts.items() if text}

    def headers(self, marker: str | None, *, count: bool) -> dict[str, str]:
        """Return the headers that belong to it: a marker knows by itself whether one comparison is enough."""
        anymatch = {"x-tca-anymatch": "true"} if self.any_of and marker is None else {}
        return anymatch | ({"x-stepswitch-count": "true"} if count else {})


ALL: Final = Selection()


def compare(attribute: str | Sequence[str], operator: str, *values: object) -> str:
    """Return a comparison for `Selection.where`, quoted as it must be; raises ValueError for an operator that does not exist.

    `attribute` is a path such as `workflow/name`, or its names one by one where one of them has a slash in it. `operator` is eq, neq,
    gt, lt, gte, lte, in, nin, cont or ncont; the last four take several values. A value may be a datetime, which must have a zone.
    """
    path = tuple(attribute.split("/")) if isinstance(attribute, str) else tuple(attribute)
    return format_filter([Comparison(Operator(operator), path, tuple(Word(_text(value), 0) for value in values), 0, 0)])


def page_of(answer: Any, headers: httpx.Headers, read: Callable[[object], Item]) -> Page[Item]:
    """Return the answer to a list as a page."""
    total = headers.get("x-total-count", "")
    return Page([read(each) for each in items_of(answer)], next_marker(headers), int(total) if total.isdecimal() else None)


async def pages(of: Callable[[str | None], Awaitable[Page[Item]]]) -> AsyncIterator[Item]:
    """Yield every item of every page, the pages asked for as they are needed."""
    marker: str | None = None
    while True:
        page = await of(marker)
        for item in page.items:
            yield item
        marker = page.next_marker
        if marker is None:
            return


def next_marker(headers: Mapping[str, str]) -> str | None:
    """Return the marker of the next page that an answer names; None on the last."""
    found = _NEXT.search(headers.get("link", ""))
    return None if found is None else next(iter(parse_qs(found[1].partition("?")[2]).get(MARKER, [])), None)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return as_text(value)
    return str(value)


def as_text(time: datetime) -> str:
    """Return a time as the API takes it; raises ValueError where it has no zone, and so is no moment."""
    if time.tzinfo is None:
        raise ValueError("a time must say its zone, as in datetime.now(timezone.utc)")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
