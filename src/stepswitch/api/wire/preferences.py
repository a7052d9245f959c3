"""The header `Prefer` of RFC 7240, of which `wait` is known. Called by `executions` and `execution_reads`.

What is not known, or is written in a way that the RFC does not know, is ignored, as it wants; of a preference that is given twice
the first counts.
"""

import re
from typing import Final

from starlette.requests import Request

APPLIED_HEADER: Final = "Preference-Applied"
LONGEST_WAIT: Final = 60
"""Seconds; who prefers to wait longer waits so long."""
_PREFERENCE: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_WAIT: Final = re.compile(r'wait\s*=\s*(?:([0-9]+)|"([0-9]+)")\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)
_NAME: Final = re.compile(r"wait\s*(?:[=;]|$)", re.IGNORECASE)
_MOST_DIGITS: Final = 9


def preferred_wait(request: Request) -> int | None:
    """Return the seconds that a request prefers to wait for news, `LONGEST_WAIT` at most; None where it does not."""
    given = [value for name, value in request.scope["headers"] if name == b"prefer"]
    if not given:
        return None
    text = b",".join(given).decode("latin-1")
    waits = (each.strip() for each in _PREFERENCE.findall(text) if _NAME.match(each.strip()))
    found = _WAIT.fullmatch(next(waits, ""))
    if found is None:
        return None
    seconds = found[1] or found[2]
    return LONGEST_WAIT if len(seconds) > _MOST_DIGITS else min(int(seconds), LONGEST_WAIT)
