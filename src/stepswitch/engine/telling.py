"""How a rehearsal tells values: in JSON form, without secrets, and no longer than a line. Called by `reasons` and `divergences`."""

import json
from collections.abc import Mapping
from typing import Final

from stepswitch.domain.secrecy import MASK
from stepswitch.domain.values import Value
from stepswitch.engine.confidential import Mask

LONGEST: Final = 80
"""Characters of a value that are told."""
LONGEST_LINE: Final = 200
LONGEST_LINES: Final = 2_000
_BEFORE: Final = 20
"""Characters that are told before the first one that differs."""
_NAME: Final = "value"


class Teller:
    """Tells values of one rehearsal. `secret_names` are the inputs, variables and outputs whose values are never told."""

    def __init__(self, mask: Mask, secret_names: frozenset[str]) -> None:
        self._mask = mask
        self.secret_names = secret_names

    def line(self, text: str) -> str:
        """Return a text of somebody else's without secrets, on one line that is not too long."""
        line = " ".join(self._mask.text(text).split())
        return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"

    def lines(self, text: str) -> str:
        """Return a text of somebody else's without secrets, as it stands, and not too long."""
        masked = self._mask.text(text)
        return masked if len(masked) <= LONGEST_LINES else f"{masked[:LONGEST_LINES]}…"

    def value(self, value: Value | None, *, is_secret: bool = False) -> str:
        """Return a value as it is told."""
        return _cut(_json(self._masked(value, is_secret=is_secret)), 0)

    def named(self, values: Mapping[str, Value], name: str) -> str:
        """Return what `name` is, as it is told."""
        return self.value(values.get(name), is_secret=name in self.secret_names)

    def difference(self, expected: Value | None, found: Value | None, *, is_secret: bool = False) -> str:
        """Return what was expected and what was found; of two long texts the part where they begin to differ."""
        left, right = (_json(self._masked(each, is_secret=is_secret)) for each in (expected, found))
        if left == right:
            return f"expected another value than it has; both are shown as {_cut(left, 0)}"
        start = 0 if max(len(left), len(right)) <= LONGEST else max(0, _first_difference(left, right) - _BEFORE)
        place = f" (from character {start} on)" if start else ""
        return f"expected {_cut(left, start)}, it {_is(found)} {_cut(right, start)}{place}"

    def _masked(self, value: Value | None, *, is_secret: bool) -> Value | None:
        if value is None:
            return None
        return MASK if is_secret else self._mask.values({_NAME: value}, frozenset())[_NAME]


def is_same(expected: object, found: object) -> bool:
    """Return whether two values are equal; true is no 1, and `"1"` neither."""
    return isinstance(expected, bool) == isinstance(found, bool) and expected == found


def _is(found: Value | None) -> str:
    return "has" if found is None else "is"


def _json(value: Value | None) -> str:
    return "no value" if value is None else json.dumps(value, ensure_ascii=False)


def _cut(text: str, start: int) -> str:
    cut = text[start : start + LONGEST]
    return f"{'…' if start else ''}{cut}{'…' if start + LONGEST < len(text) else ''}"


def _first_difference(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))
