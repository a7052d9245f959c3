"""What a list is asked for, from query and headers to values, all faults at once. Called by `lists`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request

from stepswitch.api.markers import Marker, read_marker, write_marker
from stepswitch.api.wire.fields import Fields, Path, Shape, read_fields, tree_of
from stepswitch.api.wire.times import parse_time
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.domain.filters import Comparison, Operator, Word, parse_filter
from stepswitch.domain.names import shown
from stepswitch.engine.selection import CONTEXT, LARGEST_PAGE, LAST_ROW, PAGE_SIZE, Condition, Kind, Order, Place, Selection

MARKER: Final = "nextpage_opaque_marker"
_FLAGS: Final = {"true": True, "false": False}
_OF_FLAGS: Final = frozenset({Operator.EQ, Operator.NEQ, Operator.IN, Operator.NIN})
_INTO_TEXTS: Final = frozenset({Operator.CONT, Operator.NCONT})
_LONGEST_NUMBER: Final = 9


@dataclass(frozen=True, slots=True)
class ListKind:
    """A list: what it is called, what it is filtered and sorted by, and what it leaves out unless asked."""

    name: str
    kinds: Mapping[str, Kind]
    created: str
    shape: Shape
    aliases: Mapping[str, str]
    """Other names for what it is sorted by."""
    on_request: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One page of a list, and what its `Link` repeats."""

    kind: ListKind
    selection: Selection
    fields: Fields
    parameters: Sequence[tuple[str, str]]
    filter_text: str

    def link_to(self, path: str, last: Place) -> str:
        """Return the header `Link` to what is behind `last`."""
        selection = self.selection
        marker = write_marker(self.kind.name, Marker(selection.order, selection.size, last, selection.any_match, self.filter_text))
        others = [(name, value) for name, value in self.parameters if name != MARKER]
        return f'<{path}?{urlencode([*others, (MARKER, marker)])}>; rel="next"'


def list_request(request: Request, kind: ListKind) -> ListRequest:
    """Return what is asked for; raises InvalidRequestError with every fault."""
    faults: list[Fault] = []
    query = _single(request, faults)
    any_match = _header_flag(request, "x-tca-anymatch", faults)
    filter_text = query.get("filter", "")
    conditions = _conditions(filter_text, kind, faults) if "filter" in query else ()
    selection = _page(query.get(MARKER), filter_text, kind, faults)
    if selection.after is not None and any_match is not None and any_match != selection.any_match:
        faults.append(
            Fault(
                ErrorCode.INVALID_VALUE, MARKER, "was given for another x-tca-anymatch; leave that out, or send the one of the page before"
            )
        )
    if selection.after is None:
        selection = replace(selection, any_match=any_match or False)
    fields = _fields(query, kind.shape, kind.on_request, faults)
    is_counted = _header_flag(request, "x-stepswitch-count", faults) or False
    if faults:
        raise InvalidRequestError(faults)
    return ListRequest(
        kind, replace(selection, conditions=conditions, is_counted=is_counted), fields, request.query_params.multi_items(), filter_text
    )


def fields_request(request: Request, shape: Shape) -> Fields:
    """Return what of a single thing is asked for; raises InvalidRequestError with every fault."""
    faults: list[Fault] = []
    fields = _fields(_single(request, faults), shape, (), faults)
    if faults:
        raise InvalidRequestError(faults)
    return fields


def _single(request: Request, faults: list[Fault]) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in query and name in ("filter", "fields", "exclude_fields", MARKER):
            faults.append(Fault(ErrorCode.INVALID_VALUE, name, "is given twice"))
        query[name] = value
    return query


def _header_flag(request: Request, name: str, faults: list[Fault]) -> bool | None:
    text = request.headers.get(name)
    if text is None:
        return None
    if text.lower() not in _FLAGS:
        faults.append(Fault(ErrorCode.UNKNOWN_HEADER_VALUE, name, "is true or false"))
    return _FLAGS.get(text.lower())


def _fields(query: Mapping[str, str], shape: Shape, on_request: Sequence[Path], faults: list[Fault]) -> Fields:
    found: dict[str, list[Path]] = {}
    for name in ("fields", "exclude_fields"):
        if name in query:
            found[name], problems = read_fields(name, query[name], shape)
            faults += problems
    wanted, left_out = found.get("fields"), found.get("exclude_fields", [])
    left_out = [*left_out, *(path for path in on_request if not any(each[: len(path)] == path for each in wanted or ()))]
    return Fields(shape, None if wanted is None else tree_of(wanted), tree_of(left_out))


# --- the filter ---


def _conditions(text: str, kind: ListKind, faults: list[Fault]) -> tuple[Condition, ...]:
    comparisons, unreadable = parse_filter(text)
    faults += [_filter_fault(each.at, each.message) for each in unreadable]
    found = [_condition(each, kind, faults) for each in comparisons]
    return tuple(each for each in found if each is not None)


def _filter_fault(at: int, message: str, code: ErrorCode = ErrorCode.INVALID_VALUE) -> Fault:
    return Fault(code, "filter", f"at character {at}: {message}")


def _condition(comparison: Comparison, kind: ListKind, faults: list[Fault]) -> Condition | None:
    named = _attribute(comparison.path, kind)
    if named is None:
        faults.append(_filter_fault(comparison.path_at, _unknown("/".join(comparison.path), kind), ErrorCode.UNKNOWN_FIELD))
        return None
    attribute, entry = named
    of = kind.kinds[attribute]
    operator = comparison.operator
    if (of is Kind.FLAG and operator not in _OF_FLAGS) or (of is Kind.TIME and operator in _INTO_TEXTS):
        faults.append(_filter_fault(comparison.at, f"{operator} does not fit {attribute}, which is a {of}"))
        return None
    values = [_value(word, of, faults) for word in comparison.values]
    return Condition(attribute, operator, tuple(value for value in values if value is not None), entry)


def _attribute(path: Sequence[str], kind: ListKind) -> tuple[str, str] | None:
    """Return the attribute that a path names, and the entry where it is a map."""
    if path[0] == CONTEXT and kind.kinds.get(CONTEXT) is Kind.ANY:
        return (CONTEXT, path[1]) if len(path) == 2 else None
    name = "/".join(path)
    return (name, "") if name in kind.kinds else None


def _unknown(name: str, kind: ListKind) -> str:
    known = ", ".join(f"{each}/*" if of is Kind.ANY else each for each, of in kind.kinds.items())
    return f"nothing is filtered or sorted by {shown(name)}; there are {known}"


def _value(word: Word, kind: Kind, faults: list[Fault]) -> str | int | bool | None:
    if kind is Kind.FLAG:
        if word.text not in _FLAGS:
            faults.append(_filter_fault(word.at, f"{shown(word.text)} is neither true nor false", ErrorCode.WRONG_TYPE))
        return _FLAGS.get(word.text)
    if kind is not Kind.TIME:
        return word.text
    try:
        return parse_time(word.text)
    except ValueError as error:
        faults.append(_filter_fault(word.at, f"{shown(word.text)} {error}", ErrorCode.WRONG_TYPE))
        return None


# --- the page ---


def _page(text: str | None, filter_text: str, kind: ListKind, faults: list[Fault]) -> Selection:
    """Return order, size and place of the page, whether its marker was given by us or made by the client."""
    newest_first = Selection(Order(kind.created, descending=True))
    if text is None:
        return newest_first
    if "=" in text:
        return _first_page(text, newest_first, kind, faults)
    try:
        marker = read_marker(kind.name, text, filter_text, kind.kinds, kind.created)
    except ValueError as error:
        faults.append(Fault(ErrorCode.INVALID_VALUE, MARKER, str(error)))
        return newest_first
    return Selection(marker.order, size=marker.size, after=marker.after, any_match=marker.any_match)


def _first_page(text: str, otherwise: Selection, kind: ListKind, faults: list[Fault]) -> Selection:
    """Return the page of a client's own marker, `page_number=1,page_size=20,sort=name,asc`."""
    number, size, order = 1, PAGE_SIZE, otherwise.order
    direction: str | None = None
    seen: set[str] = set()
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name in seen:
            faults.append(_marker_fault(f"{name} is given twice"))
        seen.add(name)
        if name == "page_number":
            number = _whole(name, value, LAST_ROW, faults)
        elif name == "page_size":
            size = _whole(name, value, LARGEST_PAGE, faults)
        elif name == "sort":
            order = _order(value, kind, faults) or order
        elif part in ("asc", "desc") and "sort" in seen:
            if direction is not None:
                faults.append(_marker_fault("sort is given two directions; keep asc or desc"))
            direction = part
        else:
            faults.append(_marker_fault(f"{shown(part)} is none of page_number=…, page_size=…, sort=…,asc or sort=…,desc"))
    if number * size > LAST_ROW:
        faults.append(_marker_fault(f"page {number} of {size} reaches behind row {LAST_ROW}; follow the Link of each page instead"))
    if direction is not None:
        order = replace(order, descending=direction == "desc")
    return Selection(order, size=size, skip=(number - 1) * size)


def _marker_fault(message: str) -> Fault:
    return Fault(ErrorCode.INVALID_VALUE, MARKER, message)


def _whole(name: str, text: str, most: int, faults: list[Fault]) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else 0
    if not 1 <= number <= most:
        faults.append(_marker_fault(f"{name} is a whole number from 1 to {most}"))
        return 1
    return number


def _order(name: str, kind: ListKind, faults: list[Fault]) -> Order | None:
    comparisons, unreadable = parse_filter(f"(eq,{kind.aliases.get(name, name)},0)")
    found = None if unreadable else _attribute(comparisons[0].path, kind)
    if found is None:
        faults.append(Fault(ErrorCode.UNKNOWN_FIELD, MARKER, f"sort: {_unknown(name, kind)}"))
        return None
    return Order(*found)
