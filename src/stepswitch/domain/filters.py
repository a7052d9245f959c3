"""The filter language of lists, ETSI GS NFV-SOL 013, 5.2: a text to comparisons that know where they stand. Called by `api.list_requests`.

    (eq,workflow/name,Register gNB);(in,status,FAILED,ABORTED);(cont,context/site,'North, 2')

Whether `;` means AND or OR is said elsewhere. Nothing here knows which attributes there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_COMPARISONS: Final = 50
MAX_VALUES: Final = 500
"""Values in one filter, all comparisons together."""
_ESCAPES: Final = {"0": "~", "1": "/", "a": ",", "b": "@"}
_WRITTEN: Final = str.maketrans({character: f"~{letter}" for letter, character in _ESCAPES.items()})
_NEEDS_QUOTES: Final = frozenset(",()';")


class Operator(StrEnum):
    """The documented operators, complete."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    LT = "lt"
    GTE = "gte"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    CONT = "cont"
    NCONT = "ncont"


SEVERAL: Final = frozenset({Operator.IN, Operator.NIN, Operator.CONT, Operator.NCONT})
"""Those that take more than one value."""


@dataclass(frozen=True, slots=True)
class Word:
    """A value as it was given; `at` is its first character, counted from 1."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair of parentheses. `at` is the operator's first character, `path_at` the attribute's, counted from 1."""

    operator: Operator
    path: tuple[str, ...]
    values: tuple[Word, ...]
    at: int
    path_at: int


@dataclass(frozen=True, slots=True)
class FilterFault:
    """What cannot be read, and at which character, counted from 1."""

    at: int
    message: str


class _UnreadableError(Exception):
    """Leads out of one comparison to where the next may begin."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.fault = FilterFault(place + 1, message)


def parse_filter(text: str) -> tuple[tuple[Comparison, ...], tuple[FilterFault, ...]]:
    """Return the comparisons that could be read, and every place where something could not; never raises."""
    found: list[Comparison] = []
    faults: list[FilterFault] = []
    reader = _Reader(text)
    while True:
        try:
            found.append(reader.comparison())
            if reader.at_end():
                break
            reader.expect(";", "';' and another comparison, or the end")
        except _UnreadableError as error:
            faults.append(error.fault)
            if not reader.skip_to_next(error.fault.at - 1):
                break
    return tuple(found), tuple(faults or _too_many(found))


def _too_many(found: list[Comparison]) -> Iterable[FilterFault]:
    if len(found) > MAX_COMPARISONS:
        yield FilterFault(found[MAX_COMPARISONS].at, f"there are more than {MAX_COMPARISONS} comparisons")
    values = [value for comparison in found for value in comparison.values]
    if len(values) > MAX_VALUES:
        yield FilterFault(values[MAX_VALUES].at, f"there are more than {MAX_VALUES} values")


def format_filter(comparisons: Iterable[Comparison]) -> str:
    """Return the text of `comparisons`, which `parse_filter` reads back."""
    return ";".join(
        f"({each.operator},{'/'.join(name.translate(_WRITTEN) for name in each.path)},{','.join(written(word.text) for word in each.values)})"
        for each in comparisons
    )


def written(value: str) -> str:
    """Return a value as it stands in a filter, in quotes where it needs them."""
    quoted = not value or not _NEEDS_QUOTES.isdisjoint(value)
    return "'" + value.replace("'", "''") + "'" if quoted else value


class _Reader:
    """Goes through a filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def at_end(self) -> bool:
        return self._place == len(self._text)

    def skip_to_next(self, place: int) -> bool:
        """Go to the comparison after `place`; return whether there is one."""
        following = self._text.find(";(", place)
        self._place = following + 1
        return following >= 0

    def expect(self, character: str, what: str) -> None:
        if not self._text.startswith(character, self._place):
            raise _UnreadableError(self._place, f"expected {what}{self._instead()}")
        self._place += 1

    def comparison(self) -> Comparison:
        self.expect("(", "'(' and an operator")
        at = self._place
        operator = self._operator()
        self.expect(",", "',' and an attribute")
        path_at = self._place
        path = self._path()
        self.expect(",", "',' and a value")
        values = [self._value()]
        while self._text.startswith(",", self._place):
            if operator not in SEVERAL:
                raise _UnreadableError(self._place, f"{operator} takes one value; put a value with ',' in single quotes")
            self._place += 1
            values.append(self._value())
        self.expect(")", "')'")
        return Comparison(operator, path, tuple(values), at + 1, path_at + 1)

    def _operator(self) -> Operator:
        start, word = self._place, self._until(",)(;'")
        try:
            return Operator(word)
        except ValueError:
            raise _UnreadableError(start, f"expected an operator ({', '.join(Operator)})") from None

    def _path(self) -> tuple[str, ...]:
        start, path = self._place, self._until(",)(;'")
        names: list[str] = []
        for name in path.split("/"):
            if not name:
                raise _UnreadableError(start, "expected the name of an attribute, such as workflow/name")
            names.append(self._unescaped(name, start))
            start += len(name) + 1
        return tuple(names)

    def _unescaped(self, name: str, start: int) -> str:
        first, *rest = name.split("~")
        pieces, place = [first], start + len(first)
        for each in rest:
            if each[:1] not in _ESCAPES:
                raise _UnreadableError(place, "'~' is written ~0 in a name, '/' ~1, ',' ~a and '@' ~b")
            pieces.append(_ESCAPES[each[0]] + each[1:])
            place += 1 + len(each)
        return "".join(pieces)

    def _value(self) -> Word:
        start = self._place
        if self._text.startswith("'", start):
            return Word(self._quoted(), start + 1)
        text = self._until(",)(;")
        if not self.at_end() and self._text[self._place] in "(;":
            raise _UnreadableError(self._place, "put a value with this character in single quotes")
        if not text:
            raise _UnreadableError(start, f"expected a value ('' is the empty text){self._instead()}")
        return Word(text, start + 1)

    def _quoted(self) -> str:
        start, pieces = self._place, []
        while True:
            end = self._text.find("'", self._place + 1)
            if end < 0:
                self._place = len(self._text)
                raise _UnreadableError(start, "this quote is never closed")
            pieces.append(self._text[self._place + 1 : end])
            self._place = end + 1
            if not self._text.startswith("'", self._place):
                return "'".join(pieces)

    def _until(self, stops: str) -> str:
        start = self._place
        while self._place < len(self._text) and self._text[self._place] not in stops:
            self._place += 1
        return self._text[start : self._place]

    def _instead(self) -> str:
        return ", but the filter ends" if self.at_end() else f", not {self._text[self._place]!r}"
