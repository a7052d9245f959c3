"""A text in YAML as plain values, each with the line on which it stands; and plain values as such a text. Called by `file` and the command line.

Read is what JSON can say, and nothing else: no value is taken for a date, a number in base 60 or a truth because of how it looks (`no`, `12:30`,
`2026-01-01` and `0012` are texts), and tags are refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from stepswitch.domain.document import MAX_DEPTH
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.names import shown
from stepswitch.domain.readers import Report

MOST_VALUES: Final = 2_000_000
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?", re.ASCII)
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class ReadText:
    """What a text says, and on which line each path of it stands."""

    value: Any
    lines: Mapping[str, int]

    def line_of(self, path: str) -> int:
        """Return the line of a path, or of the nearest thing around it that is there: what is missing stands nowhere."""
        while path not in self.lines and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


class NoYamlError(ValueError):
    """A text that cannot be taken for YAML at all: on which line, and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: cannot be read as YAML: {why}")


def read_yaml(text: str, report: Report) -> ReadText:
    """Return what a text says, noting in `report` what stands there twice; raises NoYamlError."""
    building = _Building(report)
    try:
        for event in yaml.parse(text, Loader=_Loader):  # and not `compose`, which puts every level on the stack of the process
            building.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NoYamlError(1 if mark is None else mark.line + 1, error.problem or "cannot be read") from None
    except yaml.YAMLError as error:
        raise NoYamlError(1, " ".join(str(error).split())) from None
    return ReadText(building.result(), building.lines)


@dataclass(slots=True)
class _Open:
    """A map or a list whose end has not come yet. `key` is the name that waits for its value."""

    value: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    key: str | None = None
    drops_next: bool = False
    """Whether the next value stands under a name that was there already."""


class _Building:
    """Makes values of the events of a text, as they come."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._open: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._whole: list[Any] = []
        self._left = MOST_VALUES
        self.lines: dict[str, int] = {}

    def result(self) -> Any:
        """Return what the whole text says."""
        if not self._whole:
            raise NoYamlError(1, "there is nothing in it; an inventory without entries is written {}")
        return self._whole[0]

    def take(self, event: Any) -> None:
        """Go on by one event."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent) and self._whole:
            raise NoYamlError(line, "a second document begins; there is to be one")
        if isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._put(ended.value, ended.anchor)
        elif isinstance(event, yaml.NodeEvent):
            self._begin(event, line)

    def _begin(self, event: Any, line: int) -> None:
        self._left -= 1
        if self._left < 0 or len(self._open) > MAX_DEPTH:
            raise NoYamlError(line, f"there are more than {MOST_VALUES} values, or more than {MAX_DEPTH} levels of them")
        if getattr(event, "tag", None) is not None:
            raise NoYamlError(line, f"{shown(event.tag)} is a tag; tags are not read")
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._take_key(parent, event, line)
            return
        path = "" if parent is None else _path_of_next(parent)
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            self._put(self._anchored(str(event.anchor), line), None)
        elif isinstance(event, yaml.ScalarEvent):
            self._put(_scalar(event), event.anchor)
        else:
            self._open.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], path, event.anchor))

    def _take_key(self, parent: _Open, event: Any, line: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise NoYamlError(line, "a name must be a text")
        parent.key = str(event.value)
        place = _path_of_next(parent)
        self.lines.setdefault(place, line)
        parent.drops_next = parent.key in parent.value
        if parent.drops_next:
            self._report.fault(ErrorCode.INVALID_VALUE, place, f"stands twice, the second time on line {line}; keep one")

    def _anchored(self, name: str, line: int) -> Any:
        if name not in self._anchors:
            raise NoYamlError(line, f"*{shown(name)} names nothing that has come to its end before")
        return self._anchors[name]

    def _put(self, value: Any, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = value
        if not self._open:
            self._whole.append(value)
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        else:
            if not parent.drops_next:
                parent.value[parent.key or ""] = value
            parent.key = None


def _path_of_next(parent: _Open) -> str:
    if isinstance(parent.value, list):
        return f"{parent.path}[{len(parent.value)}]"
    name = shown(parent.key or "")
    return f"{parent.path}.{name}" if parent.path else name


def _scalar(event: Any) -> str | float | bool | None:
    text = str(event.value)
    if event.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def write_yaml(value: Mapping[str, Any], *, only_ascii: bool = False) -> str:
    """Return plain values as a text that `read_yaml` takes for the same; `only_ascii` escapes all other characters."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=not only_ascii, width=120))
