"""Options of lists as what the client asks for. Called by the commands that list."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

from stepswitch.client import Selection, compare

LARGEST_PAGE: Final = 200
Item = TypeVar("Item")


def selection_of(
    wanted: Mapping[str, str | None], filters: Sequence[str] | None, sort: str | None, *, descending: bool, limit: int
) -> Selection:
    """Return what is to be listed: rows whose attributes are as `wanted`, where a value is given, and fit every filter."""
    where = [compare(attribute, "eq", value) for attribute, value in wanted.items() if value is not None]
    return Selection(where=[*where, *(filters or [])], sort=sort, descending=descending, page_size=min(limit, LARGEST_PAGE))


async def first_of(items: AsyncIterator[Item], limit: int) -> list[Item]:
    """Return the first `limit` items, asking for no page that is not needed."""
    found: list[Item] = []
    async with aclosing(items) as each:  # type: ignore[type-var] # it is a generator, which can be closed
        async for item in each:
            found.append(item)
            if len(found) == limit:
                break
    return found
