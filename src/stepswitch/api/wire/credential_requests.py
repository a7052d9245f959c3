"""Requests about credentials to values with types, all faults at once. Called by `api.credentials`."""

from dataclasses import fields
from typing import Final

from stepswitch.api.wire.requests import request_reader, texts
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.names import shown
from stepswitch.domain.readers import ObjectReader, refuse_unknown
from stepswitch.engine.credential_records import KINDS, Source
from stepswitch.engine.credentials import CredentialOrder

_CHANGE_FIELDS: Final = frozenset({"source", "roles", "workflows", "devices", "withoutDevice", "description"})
_NEW_FIELDS: Final = _CHANGE_FIELDS | {"name"}


def new_credential(body: object) -> tuple[str, CredentialOrder]:
    """Return the name of a credential to make, and what it is to be, with the faults of its shape."""
    reader = request_reader(body, _NEW_FIELDS, "name", "source", "roles", "workflows", "devices")
    return reader.text("name") or "", _order(reader)


def credential_change(body: object) -> CredentialOrder:
    """Return what is to become of a credential, with the faults of its shape."""
    return _order(request_reader(body, _CHANGE_FIELDS))


def _order(reader: ObjectReader) -> CredentialOrder:
    source = _source(reader)
    lists = {field: texts(reader, field) if reader.source.get(field) is not None else None for field in ("roles", "workflows", "devices")}
    without_device, description = reader.flag("withoutDevice"), reader.text("description")
    return CredentialOrder(source, **lists, without_device=without_device, description=description, faults=reader.report.faults)


def _source(reader: ObjectReader) -> Source | None:
    """Return where a value comes from; None where that is not said, or cannot be read."""
    inside = reader.child("source")
    if inside is None:
        return None
    inside.require("kind")
    kind = inside.text("kind")
    if kind is None:
        return None
    if kind not in KINDS:
        inside.fault(ErrorCode.INVALID_VALUE, "kind", f"{shown(kind)!r} is none of {', '.join(KINDS)}{reader.report.hint(kind, KINDS)}")
        return None
    names = [each.name for each in fields(KINDS[kind])]
    refuse_unknown(inside, frozenset({"kind", *names}))
    inside.require(*names)
    given = [inside.text(name) for name in names]
    return None if None in given else KINDS[kind](*(text or "" for text in given))
