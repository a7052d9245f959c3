"""Which columns and indexes lists are made of, and conditions on them in SQLAlchemy Core. Called by `selects`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, bindparam, exists, false, func, not_, or_, select
from sqlalchemy.sql.selectable import TableValuedAlias

from stepswitch.domain.errors import ValueMisfitError
from stepswitch.domain.execution import Status
from stepswitch.domain.filters import Operator
from stepswitch.domain.values import parse_number
from stepswitch.engine.selection import Condition, Kind
from stepswitch.storage.encoding import searchable
from stepswitch.storage.tables import executions, workflows

Expression = ColumnElement[Any]
Test = ColumnElement[bool]
_E, _W = executions.c, workflows.c
_BOTH: Final[frozenset[object]] = frozenset({True, False})
_FLAG_WORDS: Final = frozenset({"true", "false"})
_OPPOSITES: Final = {Operator.NEQ: Operator.EQ, Operator.NIN: Operator.IN, Operator.NCONT: Operator.CONT}
_RANGES: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.GT: lambda column, value: column > value,
    Operator.GTE: lambda column, value: column >= value,
    Operator.LT: lambda column, value: column < value,
    Operator.LTE: lambda column, value: column <= value,
}
_UP_TO: Final = frozenset({Operator.EQ, Operator.LT, Operator.LTE})
_AT_SIGHT: Final = 4
"""So few values are compared one by one sooner than they are looked up."""
ALL_TIMES: Final = (-(2**63), 2**63 - 1)
"""Since when, and until before when, everything was created."""
INDEXABLE: Final = frozenset({Operator.EQ, Operator.IN, *_RANGES})
"""What an index answers; none of it holds where the value is missing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A table whose rows are listed. `created` and `id` settle the order of what is equal; the indexes end with them."""

    table: Table
    created: Expression
    columns: Mapping[str, Expression]
    indexes: Mapping[str, str]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Of the attributes that are no plain columns."""
    never_before: frozenset[str] = frozenset()
    """Attributes that are times and never lie before that of creation: what has one up to some time was created until then."""
    whole: str | None = None
    """The index that holds all plain columns, in the order of creation."""
    named: frozenset[str] = frozenset()
    """Attributes of which there are few values, as a rule."""

    def attribute_of(self, column: Expression) -> str:
        """Return the attribute that is kept in a column."""
        return next(name for name, each in self.columns.items() if each is column)


EXECUTIONS: Final = Listed(
    executions,
    _E.creation_time,
    {
        "id": _E.id,
        "status": _E.status,
        "workflow/id": _E.workflow_id,
        "workflow/name": _E.workflow_name,
        "creationUser": _E.creation_user,
        "creationTime": _E.creation_time,
        "endTime": _E.end_time,
        "contextType": _E.context_type,
        "aborted": _E.status,
        "retainedTil": _E.retained_til,
        "context": _E.context,
    },
    {
        "id": "executions_by_id",
        "status": "executions_by_status",
        "workflow/id": "executions_by_workflow",
        "workflow/name": "executions_by_name",
        "creationUser": "executions_by_user",
        "creationTime": "executions_by_tenant",
        "endTime": "executions_by_end",
        "contextType": "executions_by_context_type",
        "aborted": "executions_by_status",
        "retainedTil": "executions_by_retention",
    },
    {"context": Kind.ANY},
    frozenset({"endTime"}),
    "executions_by_tenant",
    frozenset({"status", "workflow/id", "workflow/name", "creationUser", "contextType"}),
)
WORKFLOWS: Final = Listed(
    workflows,
    _W.created_at,
    {
        "id": _W.id,
        "name": _W.name,
        "version": _W.workflow_version,
        "createdAt": _W.created_at,
        "creationUser": _W.creation_user,
        "owner/id": _W.owner_id,
        "owner/subId": _W.owner_sub_id,
        "owner/type": _W.owner_type,
        "readOnly": _W.read_only,
        "hierarchy": _W.hierarchy,
        "tags/name": _W.tags,
    },
    {
        "id": "workflows_by_id",
        "name": "workflows_by_name",
        "version": "workflows_by_version",
        "createdAt": "workflows_by_tenant",
        "creationUser": "workflows_by_user",
        "owner/id": "workflows_by_owner",
        "owner/subId": "workflows_by_owner_part",
        "owner/type": "workflows_by_owner_type",
        "readOnly": "workflows_by_read_only",
    },
    {"hierarchy": Kind.TEXTS, "tags/name": Kind.TEXTS},
)


@dataclass(frozen=True, slots=True)
class Term:
    """The form of a condition: what of it is part of the statement. `count` values are bound, called after `name`."""

    attribute: str
    operator: Operator
    count: int
    name: str

    @property
    def is_single(self) -> bool:
        """Whether it leaves an attribute one value."""
        return self.operator is Operator.EQ or (self.operator is Operator.IN and self.count == 1)

    def binds(self, kind: str = "v") -> list[Expression]:
        """Return what the values are bound to: `v` as they are, `n` as numbers, `b` as words for flags."""
        return [bindparam(f"{self.name}_{kind}{place}") for place in range(self.count)]


def plain(condition: Condition) -> Condition:
    """Return `condition` in terms of columns: whether something was aborted stands in its status."""
    if condition.attribute != "aborted":
        return condition
    wanted: frozenset[object] = frozenset(condition.values)
    if condition.operator in _OPPOSITES:
        wanted = _BOTH - wanted
    return Condition("status", Operator.IN, tuple(status.value for status in Status if (status is Status.ABORTED) in wanted))


def reduced(conditions: Sequence[Condition], listed: Listed) -> list[Condition]:
    """Return conditions that all have to hold: where one names the values of an attribute, those of them that fit the others too.

    A database that is given both may look at all that fit a range, to find the few that are named.
    """
    found: dict[tuple[str, str], list[Condition]] = {}
    for condition in conditions:
        found.setdefault((condition.attribute, condition.entry), []).append(condition)
    return [each for (attribute, _), several in found.items() for each in (several if attribute in listed.kinds else _merged(several))]


def _merged(conditions: list[Condition]) -> list[Condition]:
    """Return conditions on one plain attribute, as one where one of them names the values."""
    named = next((each for each in conditions if each.operator in (Operator.EQ, Operator.IN)), None)
    if named is None or len(conditions) == 1:
        return conditions
    fitting = [value for value in named.values if all(holds(_stored(value), each) for each in conditions)]
    return [Condition(named.attribute, Operator.IN, tuple(dict.fromkeys(fitting)))]


def holds(value: str | int, condition: Condition) -> bool:
    """Return whether a condition holds for a value as it is stored; texts are in the order of their code points, as in the database."""
    operator, wanted = condition.operator, [_stored(each) for each in condition.values]
    if operator in _OPPOSITES:
        return not holds(value, replace(condition, operator=_OPPOSITES[operator]))
    if operator is Operator.CONT:
        return any(str(each) in str(value) for each in wanted)
    if operator in _RANGES:
        return bool(_RANGES[operator](value, wanted[0]))
    return value in wanted


def term_of(condition: Condition, place: int) -> Term:
    """Return the form of the condition at `place`; numbers of values are rounded up, so that there are few forms."""
    count = len(condition.values)
    return Term(condition.attribute, condition.operator, count if count < 2 else 1 << (count - 1).bit_length(), f"c{place}")


def params_of(condition: Condition, term: Term, listed: Listed) -> dict[str, Any]:
    """Return what the form's parameters stand for."""
    values = [*condition.values, *condition.values[-1:] * (term.count - len(condition.values))]
    found: dict[str, Any] = {f"{term.name}_v{place}": _stored(value) for place, value in enumerate(values)}
    if listed.kinds.get(term.attribute) is Kind.ANY:
        found[f"{term.name}_entry"] = searchable(condition.entry)
        for place, value in enumerate(values):
            found[f"{term.name}_n{place}"] = _number(str(value))
            found[f"{term.name}_b{place}"] = value if value in _FLAG_WORDS else None
    return found


def _stored(value: str | int) -> str | int:
    return searchable(value) if isinstance(value, str) else int(value)


def _number(text: str) -> int | float | None:
    try:
        return parse_number(text)
    except ValueMisfitError:
        return None


def test_of(listed: Listed, term: Term) -> Test:
    """Return the condition; one on a value that is missing holds for `neq`, `nin` and `ncont` only."""
    column = listed.columns[term.attribute]
    kind = listed.kinds.get(term.attribute)
    opposite = _OPPOSITES.get(term.operator)
    if term.count == 0:
        return false()
    if kind is None:
        values = term.binds()
        if opposite is not None:
            is_short = opposite is Operator.IN and term.count <= _AT_SIGHT
            fits = and_(*(column != value for value in values)) if is_short else not_(_compared(column, opposite, values))
            return or_(column.is_(None), fits) if getattr(column, "nullable", False) else fits
        return and_(_compared(column, term.operator, values), *_latest_creation(listed, term))
    inside = _each_of(column)
    if kind is Kind.TEXTS:
        fits = _compared(inside.c.value, opposite or term.operator, term.binds())
    else:
        fits = and_(inside.c.key == bindparam(f"{term.name}_entry"), _any_compared(inside, opposite or term.operator, term))
    found = exists(select(1).select_from(inside).where(fits))
    return found if opposite is None else not_(found)


def creation_times(listed: Listed, conditions: Sequence[Condition]) -> tuple[int, int]:
    """Return since when, and until before when, was created what fits all of these conditions on columns."""
    since, until = ALL_TIMES
    for condition in conditions:
        operator, is_of_creation = condition.operator, listed.columns[condition.attribute] is listed.created
        if operator not in INDEXABLE or not condition.values or not (is_of_creation or condition.attribute in listed.never_before):
            continue
        times = [int(each) for each in condition.values]
        if operator not in (Operator.GT, Operator.GTE):
            until = min(until, max(times) + (operator is not Operator.LT))
        if is_of_creation and operator not in (Operator.LT, Operator.LTE):
            since = max(since, min(times) + (operator is Operator.GT))
    return since, until


def _latest_creation(listed: Listed, term: Term) -> Sequence[Test]:
    is_limited = term.attribute in listed.never_before and term.operator in _UP_TO
    return [listed.created <= term.binds()[0]] if is_limited else ()


def _each_of(column: Expression) -> TableValuedAlias:
    return func.json_each(column).table_valued("key", "value", "type", name="inside")


def _compared(column: Expression, operator: Operator, values: Sequence[Expression]) -> Test:
    match operator:
        case Operator.EQ:
            return column == values[0]
        case Operator.IN:
            return column.in_(values)
        case Operator.CONT:
            return or_(*(func.instr(column, value) > 0 for value in values))
        case _:
            compared: Test = _RANGES[operator](column, values[0])
            return compared


def _any_compared(inside: TableValuedAlias, operator: Operator, term: Term) -> Test:
    """Compare a JSON value of any type: texts as texts, numbers with what reads as a number, flags with `true` and `false`."""
    is_text = inside.c.type == "text"
    as_text = and_(is_text, _compared(inside.c.value, operator, term.binds()))
    if operator is Operator.CONT:
        return as_text
    as_number = and_(or_(inside.c.type == "integer", inside.c.type == "real"), _compared(inside.c.value, operator, term.binds("n")))
    if operator not in (Operator.EQ, Operator.IN):
        return or_(as_text, as_number)
    return or_(as_text, as_number, _compared(inside.c.type, operator, term.binds("b")))


def entry_value(listed: Listed, attribute: str) -> Expression:
    """Return the value that an entry of a map has, the name bound as `order_entry`; NULL where there is none."""
    inside = _each_of(listed.columns[attribute])
    return select(inside.c.value).select_from(inside).where(inside.c.key == bindparam("order_entry")).scalar_subquery()
