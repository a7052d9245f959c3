"""Reading JSON objects field by field, noting every fault with its path instead of stopping at the first.

Called by `parsing` and `policies`; `validation` and `assignments` note what they find in the same `Report`.
A field that is null counts as one that is not there.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from stepswitch.domain.document import JsonObject, Workflow
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.names import nearest, shown, unfit_name, unfit_text
from stepswitch.domain.references import Reference
from stepswitch.domain.values import Plain, Value, ValueType, fit

Word = TypeVar("Word", bound=StrEnum)
MAX_LISTED: Final = 1_000
"""So many faults, and so many warnings, are listed; of the rest only the number."""
_MAX_HINTS: Final = 20


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read: the workflow (None where there are faults), all faults, and all warnings."""

    workflow: Workflow | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


class _Listing:
    """Faults in the order in which they were found, the first `MAX_LISTED` of them."""

    __slots__ = ("found", "listed")

    def __init__(self) -> None:
        self.listed: list[Fault] = []
        self.found = 0

    def add(self, code: ErrorCode, path: str, message: str) -> None:
        self.found += 1
        if self.found <= MAX_LISTED:
            self.listed.append(Fault(code, path, message))

    def result(self) -> tuple[Fault, ...]:
        if self.found <= MAX_LISTED:
            return tuple(self.listed)
        return (*self.listed, Fault(ErrorCode.INVALID_VALUE, "", f"and {self.found - MAX_LISTED} more"))


class Report:
    """The faults and warnings found so far. `strict` makes faults of the warnings about unknown fields."""

    __slots__ = ("_faults", "_hints_left", "_strict", "_warnings")

    def __init__(self, *, strict: bool = False) -> None:
        self._faults: _Listing | None = None
        self._warnings: _Listing | None = None
        self._hints_left = _MAX_HINTS
        self._strict = strict

    @property
    def has_faults(self) -> bool:
        """Whether anything was found that is more than a warning."""
        return self._faults is not None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, in the order in which they were found."""
        return () if self._faults is None else self._faults.result()

    def fault(self, code: ErrorCode, path: str, message: str) -> None:
        """Note a fault."""
        if self._faults is None:
            self._faults = _Listing()
        self._faults.add(code, path, message)

    def warn(self, code: ErrorCode, path: str, message: str) -> None:
        """Note a warning."""
        if self._strict and code is ErrorCode.UNKNOWN_FIELD:
            self.fault(code, path, message)
            return
        if self._warnings is None:
            self._warnings = _Listing()
        self._warnings.add(code, path, message)

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Return `; did you mean …?` where one of `known` is near to `name`; a report gives a few of these only."""
        if self._hints_left <= 0:
            return ""
        self._hints_left -= 1
        found = nearest(name, known)
        return f"; did you mean {found!r}?" if found else ""

    def parsed(self, workflow: Workflow | None) -> Parsed:
        """Return everything found, with `workflow` unless there are faults."""
        warnings = () if self._warnings is None else self._warnings.result()
        return Parsed(None if self.has_faults else workflow, self.faults, warnings)


class ObjectReader:
    """One JSON object and its place in the document."""

    __slots__ = ("path", "report", "source")

    def __init__(self, source: JsonObject, path: str, report: Report) -> None:
        self.source = source
        self.path = path
        self.report = report

    def at(self, field: str) -> str:
        """Return the path of a field of this object."""
        return f"{self.path}.{field}" if self.path else field

    def fault(self, code: ErrorCode, field: str, message: str) -> None:
        """Note a fault of a field."""
        self.report.fault(code, self.at(field), message)

    def misfit(self, field: str, wanted: str) -> None:
        """Note that a field holds another kind of value than the one wanted."""
        self.fault(ErrorCode.WRONG_TYPE, field, str(ValueMisfitError(self.source[field], wanted)))

    def require(self, *fields: str) -> None:
        """Note those of `fields` that are missing."""
        for field in fields:
            if self.source.get(field) is None:
                self.fault(ErrorCode.MISSING_FIELD, field, "is required")

    def text(self, field: str) -> str | None:
        """Return a text; None where it is missing or unfit."""
        value = self.source.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            self.misfit(field, "string")
            return None
        return None if self._is_unfit(field, unfit_text(value)) else value

    def name(self, field: str) -> str | None:
        """Return a name or an id; None where it is missing or unfit."""
        value = self.text(field)
        return None if value is None or self._is_unfit(field, unfit_name(value)) else value

    def _is_unfit(self, field: str, why: str | None) -> bool:
        if why is not None:
            self.fault(ErrorCode.INVALID_VALUE, field, why)
        return why is not None

    def flag(self, field: str) -> bool | None:
        """Return true or false; None where it is missing or unfit."""
        value = self.source.get(field)
        if value is None or isinstance(value, bool):
            return value
        self.misfit(field, "boolean")
        return None

    def amount(self, field: str, least: float, most: float) -> float | None:
        """Return a number from `least` to `most`; None where it is missing or unfit."""
        value = self.source.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and math.isnan(value)):
            self.misfit(field, "number")
            return None
        if least <= value <= most:
            return value
        self.fault(ErrorCode.INVALID_VALUE, field, f"must be a number from {least:.10g} to {most:.10g}")
        return None

    def count(self, field: str, least: int, most: int) -> int | None:
        """Return a whole number from `least` to `most`; None where it is missing or unfit."""
        value = self.amount(field, least, most)
        if value is None or value == int(value):
            return None if value is None else int(value)
        self.fault(ErrorCode.INVALID_VALUE, field, "must be a whole number")
        return None

    def word(self, field: str, words: type[Word]) -> Word | None:
        """Return one of `words`; None where it is missing or unfit."""
        value = self.text(field)
        if value is None:
            return None
        try:
            return words(value)
        except ValueError:
            known = [word.value for word in words]
            hint = self.report.hint(value, known)
            self.fault(ErrorCode.INVALID_VALUE, field, f"{shown(value)!r} is none of {', '.join(known)}{hint}")
            return None

    def value(self, field: str, wanted: ValueType | None) -> Value | None:
        """Return a value of the type `wanted` (any, where that is not known); None where it is missing or unfit."""
        value = self.source.get(field)
        if value is None:
            return None
        if wanted is None:
            return self.scalar(field)
        try:
            fitting = fit(value, wanted)
        except ValueMisfitError as misfit:
            self.fault(ErrorCode.WRONG_TYPE, field, str(misfit))
            return None
        return None if isinstance(fitting, str) and self._is_unfit(field, unfit_text(fitting)) else fitting

    def scalar(self, field: str) -> Plain | None:
        """Return a string, number or boolean; None where it is missing or unfit."""
        value = self.source.get(field)
        if isinstance(value, bool):
            return value
        if isinstance(value, Mapping | list):
            self.misfit(field, "string, number or boolean")
            return None
        found = self.value(field, ValueType.NUMBER if isinstance(value, int | float) else ValueType.STRING)
        return None if isinstance(found, Reference) else found

    def child(self, field: str) -> "ObjectReader | None":
        """Return a reader of an object inside; None where it is missing or none."""
        value = self.source.get(field)
        if value is None:
            return None
        if isinstance(value, Mapping):
            return ObjectReader(value, self.at(field), self.report)
        self.misfit(field, "object")
        return None

    def entries(self, field: str) -> "Iterator[tuple[str, ObjectReader]]":
        """Return the names and objects of a map; keys that are no names and values that are no objects are noted and left out."""
        inside = self.child(field)
        for key, value in inside.source.items() if inside else ():
            why = unfit_name(key) if isinstance(key, str) else "a name must be a string"
            place = f"{self.at(field)}.{shown(str(key))}"
            if why is not None:
                self.report.fault(ErrorCode.INVALID_VALUE, place, why)
            elif isinstance(value, Mapping):
                yield key, ObjectReader(value, place, self.report)
            else:
                self.report.fault(ErrorCode.WRONG_TYPE, place, str(ValueMisfitError(value, "object")))

    def items(self, field: str) -> list[Any]:
        """Return the items of an array; empty where it is missing or none."""
        value = self.source.get(field)
        if value is None or isinstance(value, list | tuple):
            return list(value or ())
        self.misfit(field, "array")
        return []

    def objects(self, field: str) -> "Iterator[ObjectReader]":
        """Return a reader for each object of an array; what is no object is noted and left out."""
        for place, item in enumerate(self.items(field)):
            if isinstance(item, Mapping):
                yield ObjectReader(item, self.at(f"{field}[{place}]"), self.report)
            else:
                self.fault(ErrorCode.WRONG_TYPE, f"{field}[{place}]", str(ValueMisfitError(item, "object")))

    def warn_unknown(self, known: frozenset[str]) -> None:
        """Warn about each field that is none of `known`."""
        if self.source.keys() <= known:
            return
        for field in self.source:
            if field not in known:
                hint = self.report.hint(str(field), known)
                message = f"is a field that nobody knows: it is kept and means nothing{hint}"
                self.report.warn(ErrorCode.UNKNOWN_FIELD, self.at(shown(str(field))), message)


def refuse_unknown(reader: ObjectReader, known: frozenset[str]) -> None:
    """Note a fault for each field of an object that is none of `known`."""
    if reader.source.keys() <= known:
        return
    for field in reader.source:
        if field not in known:
            hint = reader.report.hint(str(field), known)
            reader.fault(ErrorCode.UNKNOWN_FIELD, shown(str(field)), f"is no field that is known here{hint}")
