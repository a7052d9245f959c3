"""The parts of documents of schema 1.0 and 2.0: spellings, types, values and where each part stood. Called by `conversion`."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.document import Comparator
from stepswitch.domain.errors import ErrorCode, ValueMisfitError
from stepswitch.domain.names import shown, unfit_name
from stepswitch.domain.readers import Report
from stepswitch.domain.step_types import DOCUMENTED_TYPES
from stepswitch.domain.values import ValueType, coerce

JsonObject = Mapping[str, Any]
WORKFLOWS: Final = {"RUN_SSH_COMMAND_IN_GUEST": "VRO_SSH", "VRO_CUSTOM_WORKFLOW": "VRO_CUSTOM"}
"""What a step of schema 1.0 calls its workflow, and the step type of schema 3.0."""
_STEP_TYPES: Final = frozenset({*DOCUMENTED_TYPES, "JAVASCRIPT"})
_TYPES: Final = {
    **{kind.value.lower(): kind for kind in ValueType},
    "securestring": ValueType.PASSWORD,
    "text": ValueType.STRING,
    "int": ValueType.NUMBER,
    "integer": ValueType.NUMBER,
    "float": ValueType.NUMBER,
    "bool": ValueType.BOOLEAN,
    "vc:virtualmachine": ValueType.VIRTUAL_MACHINE,
    "mimeattachment": ValueType.FILE,
}
_STRUCTURED: Final = ("array/", "properties", "any", "composite", "vc:")
_COMPARATORS: Final = {each.value.lower(): each.value for each in Comparator}


@dataclass(frozen=True, slots=True)
class Entry:
    """A named object of a map or an array, and its place in the document that was sent."""

    name: str
    source: JsonObject
    path: str
    is_listed: bool

    def without_name(self) -> dict[str, Any]:
        """Return its fields; in an array the name is the key that it had in a map."""
        return {field: value for field, value in self.source.items() if not (self.is_listed and field == "name")}


class Places:
    """Where the parts of a document of schema 3.0 stood in the one that was sent."""

    def __init__(self) -> None:
        self._known = {"": ""}

    def note(self, path: str, before: str) -> None:
        """Note that what is at `path` now was at `before`."""
        self._known[path] = before

    def original(self, path: str) -> str:
        """Return where what is at `path` now was: by the nearest part around it that is known."""
        end = len(path)
        while end > 0:
            before = self._known.get(path[:end])
            if before is not None:
                return before + path[end:]
            end = max(path.rfind(".", 0, end), path.rfind("[", 0, end))
        return path


def first(source: JsonObject, spellings: tuple[str, ...]) -> tuple[str, Any] | None:
    """Return the first of `spellings` that has a value, with it."""
    return next(((spelling, source[spelling]) for spelling in spellings if source.get(spelling) is not None), None)


def entries(value: Any, path: str, report: Report, name_field: str) -> Iterator[Entry]:
    """Return the named objects of a map, or of an array; what has no name or is no object is noted and left out."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _entry(name, entry, f"{path}.{shown(str(name))}", report, is_listed=False)
        return
    for number, entry in enumerate(value):
        place = f"{path}[{number}]"
        if not isinstance(entry, Mapping):
            report.fault(ErrorCode.WRONG_TYPE, place, str(ValueMisfitError(entry, "object")))
            continue
        found = first(entry, (name_field, "id", "name") if name_field == "stepId" else (name_field,))
        if found is None:
            report.fault(ErrorCode.MISSING_FIELD, f"{place}.{name_field}", "is required")
        else:
            yield from _entry(found[1], entry, place, report, is_listed=True, name_path=f"{place}.{found[0]}")


def _entry(name: Any, entry: Any, path: str, report: Report, *, is_listed: bool, name_path: str | None = None) -> Iterator[Entry]:
    why = unfit_name(name) if isinstance(name, str) else "a name must be a string"
    if why is not None:
        report.fault(ErrorCode.INVALID_VALUE, name_path or path, why)
    elif not isinstance(entry, Mapping):
        report.fault(ErrorCode.WRONG_TYPE, path, str(ValueMisfitError(entry, "object")))
    else:
        yield Entry(name, entry, path, is_listed)


def read_type(written: Any) -> tuple[ValueType | None, str | None]:
    """Return the type that is meant, None where nobody knows, and what is lost by it."""
    if not isinstance(written, str):
        return None, None
    word = written.strip().lower()
    if word in _TYPES:
        return _TYPES[word], None
    if word.startswith(_STRUCTURED):
        return ValueType.STRING, f"was of type {shown(written)}: it travels as a string now, structured data as JSON"
    return None, None


def read_value(value: Any, kind: ValueType | None) -> Any:
    """Return a number or a boolean that was written as a string, None where that string is empty; anything else as it is."""
    if kind not in (ValueType.NUMBER, ValueType.BOOLEAN) or not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return coerce(value, kind)
    except ValueMisfitError:
        return value


def read_step_type(step: JsonObject) -> tuple[Any, str | None]:
    """Return the step type that is meant, and the name of the workflow of vRO that it stands for where it stands for one."""
    kind, workflow = step.get("type"), step.get("workflow")
    if not isinstance(workflow, str) or not workflow:
        return kind, None
    if workflow in WORKFLOWS:
        return WORKFLOWS[workflow], None
    if workflow in _STEP_TYPES:
        return workflow, None
    if isinstance(kind, str) and kind in _STEP_TYPES:
        return kind, workflow if kind == "VRO_CUSTOM" else None
    return "VRO_CUSTOM", workflow


def read_comparator(written: Any) -> Any:
    """Return the comparator in its present spelling, where it is one."""
    return _COMPARATORS.get(written.strip().lower(), written) if isinstance(written, str) else written


def step_number(step: JsonObject) -> float:
    """Return the place that a step of schema 1.0 gives itself; those without one come last, in their order."""
    try:
        number = float(step.get("stepNumber") or math.inf)
    except (TypeError, ValueError, OverflowError):
        return math.inf
    return math.inf if math.isnan(number) else number
