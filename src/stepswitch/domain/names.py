"""What may be a name or an id in a workflow, and which known name a mistyped one comes nearest to.

Called by `readers`, `validation` and `assignments`.
"""

import difflib
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

MAX_NAME: Final = 256
INJECTED: Final = frozenset({"vnfId", "nsId", "vimLocation"})
"""Names that a workflow may use without declaring them: the context gives their values."""
OVERWRITE_PROTECTED: Final = frozenset({"vnfId", "nsId"})
"""Injected names that no step may write and no assignment may replace. The VIM location may be found out by a step."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHOWN: Final = 64
_COMPARED_LENGTH: Final = 40
_COMPARED_NAMES: Final = 100


def unfit_name(name: str) -> str | None:
    """Return why `name` cannot be a name or an id; None where it can."""
    if not name or name.isspace():
        return "a name must not be empty"
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters, not {len(name)}"
    if _CONTROL.search(name):
        return "a name must not hold control characters"
    return unfit_text(name)


def unfit_text(text: str) -> str | None:
    """Return why `text` cannot be stored and sent; None where it can."""
    return "a text must not hold half a surrogate pair" if not text.isascii() and _SURROGATE.search(text) else None


def shown(name: str) -> str:
    """Return `name` as a path or a message may show it: as it is where it is fit, else escaped and cut."""
    if unfit_name(name) is None:
        return name
    return ascii(name if len(name) <= _SHOWN else name[:_SHOWN] + "…")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that `name` was most likely meant to be; None where nothing is near.

    The work is bounded: only short names are compared, and a hundred of them at most.
    """
    if len(name) > _COMPARED_LENGTH:
        return None
    wanted = name.casefold()
    likely = (other for other in known if abs(len(other) - len(name)) <= 4 and len(other) <= _COMPARED_LENGTH)
    by_fold = {other.casefold(): other for other in islice(likely, _COMPARED_NAMES)}
    found = difflib.get_close_matches(wanted, by_fold, n=1, cutoff=0.7)
    return by_fold[found[0]] if found else None
