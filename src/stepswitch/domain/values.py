"""The seven types of the workflow language and the values they hold. Called by everything that touches a value.

Source: `workflow-semantics`, section 1 (types) and section 2 (what fits a declared type).
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from stepswitch.domain.errors import ValueMisfitError
from stepswitch.domain.references import FIELD, Reference, reference_in

Plain = str | int | float | bool
"""What a step takes and gives. Structured data travels as a JSON string; no value at all is `None`."""
Value = Plain | Reference
"""What an input, variable or output holds: a plain value or, in place of a password, a reference to a credential."""


class ValueType(StrEnum):
    """The documented types, complete."""

    STRING = "string"
    NUMBER = "number"
    PASSWORD = "password"
    BOOLEAN = "boolean"
    FILE = "file"
    VIM_LOCATION = "vimLocation"
    VIRTUAL_MACHINE = "virtualMachine"


_WHOLE_LIMIT: Final = 2**63
_BOOLEAN_WORDS: Final = {"true": True, "false": False}


def fit(value: object, wanted: ValueType) -> Value:
    """Return `value` where it is already of the type `wanted`; raises ValueMisfitError where it is not.

    Strict: this is how documents and assignments are read, where `"5"` is no number.
    """
    if wanted is ValueType.NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueMisfitError(value, wanted)
        return _finite(value)
    if wanted is ValueType.BOOLEAN:
        if not isinstance(value, bool):
            raise ValueMisfitError(value, wanted)
        return value
    if wanted is ValueType.PASSWORD and isinstance(value, Reference | Mapping):
        if (reference := reference_in(value)) is None:
            raise ValueMisfitError(value, f'{wanted}, and no credential: those are named as {{"{FIELD}": "the name"}}')
        return reference
    if not isinstance(value, str):
        raise ValueMisfitError(value, wanted)
    return value


def coerce(value: object, wanted: ValueType) -> Value:
    """Return a step's output as a value of `wanted`; raises ValueMisfitError where it cannot be one.

    Numeric and boolean strings are taken for number and boolean; a number or boolean is written in its JSON form for a string.
    """
    if isinstance(value, str):
        return _from_text(value, wanted)
    if isinstance(value, int | float) and wanted not in (ValueType.NUMBER, ValueType.BOOLEAN):
        return to_text(value if isinstance(value, bool) else _finite(value))
    return fit(value, wanted)


def _finite(value: int | float) -> int | float:
    """Return `value` as JSON can carry it: whole numbers beyond 64 bits lose their last digits, as in any reader of JSON."""
    if isinstance(value, int) and -_WHOLE_LIMIT <= value < _WHOLE_LIMIT:
        return value
    try:
        number = float(value)
    except OverflowError:
        raise ValueMisfitError(value, ValueType.NUMBER) from None
    if not math.isfinite(number):
        raise ValueMisfitError(value, ValueType.NUMBER)
    return number


def _from_text(text: str, wanted: ValueType) -> Value:
    if wanted is ValueType.NUMBER:
        return parse_number(text)
    if wanted is ValueType.BOOLEAN:
        word = _BOOLEAN_WORDS.get(text.strip().lower())
        if word is None:
            raise ValueMisfitError(text, wanted)
        return word
    return text


def parse_number(text: str) -> int | float:
    """Return the number that `text` spells in JSON's way (blanks around it allowed); raises ValueMisfitError otherwise."""
    stripped = text.strip()
    try:
        if stripped.lstrip("-").isdecimal() and stripped.isascii():
            return _finite(int(stripped) if len(stripped) <= 40 else float(stripped))
        number = float(stripped)
    except ValueError:
        raise ValueMisfitError(text, ValueType.NUMBER) from None
    if not math.isfinite(number) or "_" in stripped or not stripped.isascii():
        raise ValueMisfitError(text, ValueType.NUMBER)
    return number


def to_text(value: Value) -> str:
    """Return `value` as it is spliced into a text: strings as they are, numbers and booleans in JSON form.

    Of a credential that is nothing but its name, which a text gets by mistake only: `bindings` refuses it.
    """
    if isinstance(value, Reference):
        return value.credential
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def size_of(value: Value | None) -> int:
    """Return the bytes that `value` counts for in the limit on an execution's values."""
    if isinstance(value, Reference):
        return size_of(value.credential)
    if not isinstance(value, str):
        return 8
    return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
