"""The reference of inventory files, made from the structures that describe the API. Called by `make_reference`."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from stepswitch.api.wire import inventory_models as models
from stepswitch.api.wire.models import CredentialReference

_SCALARS: Final = {str: "text", float: "number", int: "whole number", bool: "boolean"}
Table = tuple[str, str, list[tuple[str, str, str, str]]]


def tables() -> Iterator[Table]:
    """Yield each structure with what it is and its fields, the whole first, what it is made of behind it."""
    waiting: list[type[BaseModel]] = [models.Inventory]
    met: set[type[BaseModel]] = set(waiting)
    while waiting:
        model = waiting.pop(0)
        rows = []
        for field in model.model_fields.values():
            needed = "must be given" if field.is_required() else ""
            rows.append((f"`{field.alias}`", _told(field.annotation), needed, field.description or ""))
            inside = [each for each in _structures(field.annotation) if each not in met]
            met.update(inside)
            waiting += inside
        yield model.__name__, " ".join((model.__doc__ or "").split()), rows


def _structures(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not CredentialReference:
        yield kind
    for inside in get_args(kind) if get_origin(kind) is not Literal else ():
        yield from _structures(inside)


def _told(kind: Any) -> str:
    """Return a type in words."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is None:
        return _told_one(kind)
    if origin is Annotated:
        return _told(inside[0])
    if origin is list:
        return f"list of {_told(inside[0])}s"
    if origin is dict:
        return f"map of {_told(inside[1])}, by ids"
    return " or ".join(f"`{each}`" if origin is Literal else _told(each) for each in inside)


def _told_one(kind: type[Any]) -> str:
    if issubclass(kind, StrEnum):
        return " or ".join(f"`{each}`" for each in kind)
    if issubclass(kind, CredentialReference):
        return '`{"credential": "name"}`'
    return _SCALARS.get(kind) or f"[{kind.__name__}](#{kind.__name__.lower()})"
