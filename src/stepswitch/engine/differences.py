"""What changed between two JSON values, path by path. Called by `api.revisions`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()
"""Stands for what is not there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One changed place: `path` is a JSON Pointer. What is not there is `MISSING`."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Return every changed place between two JSON values, in the order of `before`; arrays are compared place by place."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from differences(before.get(name, MISSING), after.get(name, MISSING), f"{path}/{_escaped(name)}")
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            left, right = (each[place] if place < len(each) else MISSING for each in (before, after))
            yield from differences(left, right, f"{path}/{place}")
    elif type(before) is not type(after) or before != after:
        yield Difference(path, before, after)


def at(value: Any, path: str) -> Any:
    """Return what stands in `value` at the JSON Pointer `path`; `MISSING` where there is nothing."""
    for part in path.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name, MISSING)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return MISSING
    return value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
