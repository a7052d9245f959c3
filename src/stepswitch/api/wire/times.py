"""Times as the API writes them, RFC 3339 in UTC with milliseconds, and as it reads them. Called by `requests`, `documents` and `answers`."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: what comes later has no RFC 3339 form."""
_DATE_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)


@lru_cache(maxsize=8192)
def format_time(milliseconds: int) -> str:
    """Return `2026-01-31T08:15:00.250Z` for milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_format_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=2048)
def _format_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[: len("2026-01-31T08:15:00")]


def parse_time(text: str) -> int:
    """Return milliseconds since 1970 for an RFC 3339 date-time with offset; raises ValueError with a sentence where it is none."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError("is no RFC 3339 date and time with an offset, such as 2027-01-31T08:15:00Z")
    year, month, day, hour, minute, second = (int(found[place]) for place in range(1, 7))
    leap = second == 60  # counts as the second after it
    try:
        whole = datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC) - _EPOCH
    except ValueError as error:
        raise ValueError(f"is no date and time that exists: {error}") from None
    milliseconds = (whole // timedelta(seconds=1) + leap) * 1000 + int(((found[7] or "") + "000")[:3])
    return _in_range(milliseconds - _offset(found))


def _offset(found: re.Match[str]) -> int:
    if found[8]:
        return 0
    hours, minutes = int(found[10]), int(found[11])
    if hours > 23 or minutes > 59:
        raise ValueError("has an offset that does not exist")
    offset = (hours * 60 + minutes) * 60_000
    return offset if found[9] == "+" else -offset


def _in_range(milliseconds: int) -> int:
    if milliseconds > _LATEST:
        raise ValueError("lies after the year 9999")
    return milliseconds
