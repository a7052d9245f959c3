"""Values of steps and typed parameters of vRO, one made into the other. Called by `vro_workflows` and `vro_outcome`; nothing here is sent.

vRO wraps a value in an object whose one key says what it is: `{"string": {"value": "up"}}`. A fault is a sentence that shows no value.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from stepswitch.plugin import Value

ATTACHMENT: Final = "MimeAttachment"
SECURE: Final = "SecureString"
_ARRAY: Final = "Array/"
_TEXTS: Final = frozenset({"string", "Text", "Path", "EncodedString"})
_FLAGS: Final = {True: True, False: False, "true": True, "false": False}
_FIELDS: Final = {"string", "number", "boolean", "date", "secure-string", "encrypted-string"}
KNOWN_TYPES: Final = f"string, Text, Path, number, boolean, {SECURE}, Date, Properties, {ATTACHMENT} and Array/… of them"


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input or an output that a vRO workflow declares."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that a run has given."""

    name: str
    content: bytes = field(repr=False)


def typed(parameter: Parameter, value: Value) -> dict[str, Any]:
    """Return a value as vRO wants this input; raises ValueError with what is wrong."""
    return {"name": parameter.name, "type": parameter.type, "scope": "local", "value": _wrapped(parameter.type, value)}


def typed_file(parameter: Parameter, name: str, content: bytes) -> dict[str, Any]:
    """Return a file as vRO wants this input, which takes an attachment."""
    attached = {"name": name, "mime-type": "application/octet-stream", "content": base64.b64encode(content).decode()}
    return {"name": parameter.name, "type": parameter.type, "scope": "local", "value": {"mime-attachment": attached}}


def _wrapped(kind: str, value: Any) -> dict[str, Any]:
    if kind.startswith(_ARRAY):
        elements = value if isinstance(value, list) else _read(value, list, "a JSON array")
        return {"array": {"elements": [_wrapped(kind.removeprefix(_ARRAY), each) for each in elements]}}
    wrap = _WRAPS.get(kind) or (_text if kind in _TEXTS else None)
    if wrap is None:
        raise ValueError(f"is of vRO's type {kind}, which a step cannot give: it can give {KNOWN_TYPES}")
    return wrap(value)


def _text(value: Any) -> dict[str, Any]:
    return {"string": {"value": _as_text(value)}}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _secure(value: Any) -> dict[str, Any]:
    return {"secure-string": {"value": _as_text(value), "isPlainText": True}}


def _number(value: Any) -> dict[str, Any]:
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or number - number != 0:
        raise ValueError("is to be a number")
    return {"number": {"value": int(number) if number == int(number) else number}}


def _flag(value: Any) -> dict[str, Any]:
    if not isinstance(value, bool | str) or value not in _FLAGS:
        raise ValueError("is to be true or false")
    return {"boolean": {"value": _FLAGS[value]}}


def _date(value: Any) -> dict[str, Any]:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("is to be a time with an offset, as in 2027-01-31T09:15:00+01:00")
    return {"date": {"value": moment.isoformat()}}


def _properties(value: Any) -> dict[str, Any]:
    found = value if isinstance(value, Mapping) else _read(value, dict, "a JSON object")
    return {"properties": {"property": [{"key": key, "value": _guessed(each)} for key, each in found.items()]}}


def _guessed(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return _flag(value)
        case int() | float():
            return _number(value)
        case Mapping():
            return _properties(value)
        case list():
            return {"array": {"elements": [_guessed(each) for each in value]}}
        case _:
            return _text("" if value is None else value)


def _read(value: Any, wanted: type, told: str) -> Any:
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, wanted):
        raise ValueError(f"is to be {told}")  # noqa: TRY004 - a fault of what somebody wrote, as all others here
    return found


_WRAPS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    SECURE: _secure,
    "number": _number,
    "boolean": _flag,
    "Date": _date,
    "Properties": _properties,
}


def plain(wrapped: object) -> Value | Attached | None:
    """Return what a parameter of a run has: structured values as JSON; None where it has none. Raises ValueError with what cannot be taken over."""
    found = _unwrapped(wrapped)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, list | dict) else found


def _unwrapped(wrapped: object) -> Any:
    if wrapped is None:
        return None
    if not isinstance(wrapped, Mapping) or len(wrapped) != 1:
        raise ValueError("has a form that is not known")
    ((kind, inner),) = wrapped.items()
    if not isinstance(inner, Mapping):
        return None
    if kind in _FIELDS:
        return _field(inner)
    match kind:
        case "array":
            return [_unwrapped(each) for each in _list(inner.get("elements"))]
        case "properties":
            return {
                str(each.get("key")): _unwrapped(each.get("value")) for each in _list(inner.get("property")) if isinstance(each, Mapping)
            }
        case "mime-attachment":
            return _attached(inner)
        case _:
            raise ValueError(f"is a {str(inner.get('type') or kind)[:100]}, an object of vRO's own that no step can take over")


def _field(inner: Mapping[str, object]) -> Value | None:
    value = inner.get("value")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError("has a form that is not known")


def _attached(inner: Mapping[str, object]) -> Attached:
    try:
        return Attached(str(inner.get("name") or ""), base64.b64decode(str(inner.get("content") or ""), validate=True))
    except binascii.Error:
        raise ValueError("is a file whose content cannot be read") from None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
