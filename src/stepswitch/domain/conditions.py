"""Which way is taken after a step that has ended well: the comparators as one table. Called by `decide` and `validation`.

What cannot be compared is false, and a note for the step's log says so, never showing a value. `contains` and `match` take
numbers and booleans in their JSON form. Source: `workflow-semantics`, section 3.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from stepswitch.domain.document import Comparator, Condition, Declaration, Step
from stepswitch.domain.errors import ValueMisfitError
from stepswitch.domain.references import Reference
from stepswitch.domain.values import Value, ValueType, coerce, to_text

MAX_PATTERN: Final = 4_096
"""So many characters a regular expression may have."""
MAX_MATCH_WORK: Final = 200_000_000
"""The product of a pattern's compiled size and the text's length: linear time is still long where both are big."""
_PATTERN_MEMORY: Final = 256 * 1024


class UncomparableError(Exception):
    """Two values cannot be compared; the message says why, without showing them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a comparator does. `unfit` says why a condition's value, or the element's type, can never be compared so."""

    holds: Callable[[Value, Value, ValueType], bool]
    unfit: Callable[[Value, ValueType], str | None]
    takes_value: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the way goes (None: the workflow has ended), and the condition that decided, if one did. Notes go to the step's log."""

    next_step_id: str | None
    condition: Condition | None = None
    notes: tuple[str, ...] = ()


def choose(step: Step, declarations: Mapping[str, Declaration], values: Mapping[str, Value]) -> Choice:
    """Return where the way goes after `step`; the first condition that holds decides; never raises."""
    if not step.conditions:
        return Choice(step.next_step_id)
    notes: list[str] = []
    for condition in step.conditions:
        declaration = declarations.get(condition.name)
        kind = ValueType.STRING if declaration is None else declaration.type
        try:
            if holds(condition, values.get(condition.name), kind):
                return Choice(condition.next_step_id, condition, tuple(notes))
        except (UncomparableError, ValueMisfitError) as error:
            notes.append(f"the condition '{condition.name} {condition.comparator}' counts as false: {error}")
    return Choice(step.next_step_id, None, tuple(notes))


def holds(condition: Condition, element: Value | None, kind: ValueType) -> bool:
    """Return whether `condition` holds of `element`, declared as `kind`; raises UncomparableError or ValueMisfitError."""
    if condition.comparator is Comparator.IS_DEFINED:
        return element is not None
    rule = COMPARATORS[condition.comparator]
    if element is None:
        raise UncomparableError(f"{condition.name!r} has no value")
    if isinstance(element, Reference) or isinstance(condition.value, Reference):
        raise UncomparableError("a credential is compared with nothing")
    if condition.value is None and rule.takes_value:
        raise UncomparableError("it has no value to compare with")
    return rule.holds(element, "" if condition.value is None else condition.value, kind)


def unfit(condition: Condition, kind: ValueType | None) -> str | None:
    """Return why `condition` can never be compared with an element of the type `kind` (None: not known); None where it can."""
    rule = COMPARATORS[condition.comparator]
    if rule.takes_value and condition.value is None:
        return f"{condition.comparator} needs a value"
    return None if kind is None else rule.unfit("" if condition.value is None else condition.value, kind)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    return re2.compile(pattern, options)


def _pattern(value: Value) -> Any:
    text = to_text(value)
    if len(text) > MAX_PATTERN:
        raise UncomparableError(f"a regular expression has at most {MAX_PATTERN} characters")
    try:
        return _compiled(text)
    except (re2.error, UnicodeEncodeError) as error:
        whole = str(error.args[0], "utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else "it is no text"
        why = whole.partition(":")[0]  # behind the colon stands the pattern, which may be a secret
        raise UncomparableError(f"the value is no regular expression of RE2: {why}") from None


def _matches(element: Value, value: Value, _kind: ValueType) -> bool:
    pattern, text = _pattern(value), to_text(element)
    if pattern.programsize * len(text) > MAX_MATCH_WORK:
        raise UncomparableError("the text is too long for this regular expression")
    try:
        return pattern.fullmatch(text) is not None
    except UnicodeEncodeError:
        raise UncomparableError("the element is no text: it holds half a surrogate pair") from None


def _equals(element: Value, value: Value, kind: ValueType) -> bool:
    return coerce(element, kind) == coerce(value, kind)


def _contains(element: Value, value: Value, _kind: ValueType) -> bool:
    return to_text(value) in to_text(element)


def _numeric(compare: Callable[[Any, Any], bool]) -> Rule:
    def compares(element: Value, value: Value, _kind: ValueType) -> bool:
        return compare(coerce(element, ValueType.NUMBER), coerce(value, ValueType.NUMBER))

    return Rule(compares, _unfit_as_number)


def _truth(wanted: bool) -> Rule:  # noqa: FBT001 - a row of the table
    def compares(element: Value, _value: Value, _kind: ValueType) -> bool:
        return coerce(element, ValueType.BOOLEAN) is wanted

    return Rule(compares, _unfit_as_boolean, takes_value=False)


def _never_unfit(_value: Value, _kind: ValueType) -> str | None:
    return None


def _unfit_as_number(value: Value, kind: ValueType) -> str | None:
    if kind is ValueType.BOOLEAN:
        return "a boolean is neither greater nor smaller than anything"
    return _unfit_value(value, ValueType.NUMBER)


def _unfit_as_boolean(_value: Value, kind: ValueType) -> str | None:
    return "a number is neither true nor false" if kind is ValueType.NUMBER else None


def _unfit_value(value: Value, kind: ValueType) -> str | None:
    try:
        coerce(value, kind)
    except ValueMisfitError as misfit:
        return f"its value cannot be compared: {misfit}"
    return None


def _unfit_pattern(value: Value, _kind: ValueType) -> str | None:
    try:
        _pattern(value)
    except UncomparableError as error:
        return str(error)
    return None


COMPARATORS: Final[Mapping[Comparator, Rule]] = {
    Comparator.EQUALS: Rule(_equals, _unfit_value),
    Comparator.DIFFERENT: Rule(lambda *operands: not _equals(*operands), _unfit_value),
    Comparator.CONTAINS: Rule(_contains, _never_unfit),
    Comparator.MATCH: Rule(_matches, _unfit_pattern),
    Comparator.GREATER: _numeric(operator.gt),
    Comparator.SMALLER: _numeric(operator.lt),
    Comparator.GREATER_OR_EQUALS: _numeric(operator.ge),
    Comparator.SMALLER_OR_EQUALS: _numeric(operator.le),
    Comparator.IS_DEFINED: Rule(lambda *_operands: True, _never_unfit, takes_value=False),
    Comparator.IS_TRUE: _truth(wanted=True),
    Comparator.IS_FALSE: _truth(wanted=False),
}
