"""JSON objects of requests to values with types, all faults at once. Called by the operations; what a value means is the engine's.

As in a workflow, a field that is null counts as one that is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stepswitch.api.wire.times import parse_time
from stepswitch.domain.document import OwnerType
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError, ValueMisfitError
from stepswitch.domain.execution import ContextType
from stepswitch.domain.names import MAX_NAME, shown, unfit_name
from stepswitch.domain.readers import ObjectReader, Report, refuse_unknown
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.steering import ChangeOrder, ValuesOrder

JsonObject = dict[str, Any]
_EXECUTION_FIELDS: Final = frozenset(
    {"workflowId", "contextType", "context", "assignments", "attachments", "pauseAtFailure", "debugStepIds", "retainedTil"}
)
_CHANGE_FIELDS: Final = frozenset({"startStepId", "pauseAtFailure", "retainedTil", "debugStepIds", "steps"})
_VALUES_FIELDS: Final = frozenset({"values"})
_ATTACHMENT_FIELDS: Final = frozenset({"id", "reference"})
_CREDENTIALS_FIELDS: Final = frozenset({"username", "password"})
_CONVERSION_FIELDS: Final = frozenset({"owner", "original"})
_OWNER_FIELDS: Final = frozenset({"id", "subId", "type"})
_HOST_FIELDS: Final = frozenset({"host", "port"})
_TRUST_FIELDS: Final = _HOST_FIELDS | {"publicKey", "fingerprint"}
_HOST_LENGTH: Final = 253
_SSH_PORT: Final = 22
_HIGHEST_STEP: Final = 2**31 - 1
_LAST_PORT: Final = 65_535


def execution_request(body: object) -> ExecutionRequest:
    """Return a `workflowExecutionCreateRequest` with the faults of its shape; raises InvalidRequestError where it names no workflow at all."""
    reader = request_reader(body, _EXECUTION_FIELDS, "workflowId", "contextType")
    request = ExecutionRequest(
        workflow_id=reader.text("workflowId") or "",
        context_type=reader.word("contextType", ContextType) or ContextType.NONE,
        context=present_map(reader, "context"),
        assignments=present_map(reader, "assignments"),
        attachments=_attachments(reader),
        pause_at_failure=reader.flag("pauseAtFailure") or False,
        debug_step_ids=texts(reader, "debugStepIds"),
        retained_til=time_at(reader, "retainedTil"),
        faults=reader.report.faults,  # the last, when all have been found
    )
    if not isinstance(reader.source.get("workflowId"), str):
        _refuse_faults(reader)
    return request


def change_order(body: object) -> ChangeOrder:
    """Return a `workflowExecutionChange` with the faults of its shape."""
    reader = request_reader(body, _CHANGE_FIELDS)
    debug_step_ids = texts(reader, "debugStepIds")
    order = ChangeOrder(
        start_step_id=reader.text("startStepId"),
        pause_at_failure=reader.flag("pauseAtFailure"),
        retained_til=time_at(reader, "retainedTil"),
        debug_step_ids=None if reader.source.get("debugStepIds") is None else debug_step_ids,
        steps=_step_edits(reader),
    )
    return replace(order, faults=reader.report.faults)


def _step_edits(reader: ObjectReader) -> dict[str, JsonObject | None]:
    """Return the steps to change; null, which removes one, means something here."""
    inside = reader.child("steps")
    edits: dict[str, JsonObject | None] = {}
    for step_id, step in inside.source.items() if inside is not None else ():
        if step is None or isinstance(step, dict):
            edits[step_id] = step
        else:
            reader.fault(ErrorCode.WRONG_TYPE, f"steps.{shown(step_id)}", str(ValueMisfitError(step, "step; send an object, or null")))
    return edits


def values_order(body: object) -> ValuesOrder:
    """Return values to correct, with the faults of the shape; null takes one away."""
    reader = request_reader(body, _VALUES_FIELDS, "values")
    inside = reader.child("values")
    return ValuesOrder({} if inside is None else inside.source, reader.report.faults)


@dataclass(frozen=True, slots=True)
class LockOrder:
    """Which lock is to be taken away."""

    lock_id: str
    faults: tuple[Fault, ...] = ()


def lock_order(body: object) -> LockOrder:
    """Return which lock is to be taken away, with the faults of the shape."""
    reader = request_reader(body, frozenset({"lockId"}), "lockId")
    return LockOrder(reader.text("lockId") or "", reader.report.faults)


@dataclass(frozen=True, slots=True)
class CleanupOrder:
    """Of which step executions something is to be taken for gone; of all where none is named."""

    numbers: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()


def cleanup_order(body: object) -> CleanupOrder:
    """Return of which step executions something is to be taken for gone, with the faults of the shape."""
    reader = request_reader(body, frozenset({"stepNumbers"}))
    items, numbers = reader.items("stepNumbers"), list[int]()
    for place, item in enumerate(items):
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= _HIGHEST_STEP:
            numbers.append(item)
        else:
            text = f"is to be the number of a step execution, from 0 to {_HIGHEST_STEP}"
            reader.fault(ErrorCode.INVALID_VALUE, f"stepNumbers[{place}]", text)
    if not items and isinstance(reader.source.get("stepNumbers"), list):
        reader.fault(ErrorCode.INVALID_VALUE, "stepNumbers", "names none; leave it out where all are meant")
    return CleanupOrder(tuple(numbers), reader.report.faults)


def workflow_document(body: object) -> JsonObject:
    """Return a workflow as it was sent; what it may hold is checked by the catalogue."""
    if not isinstance(body, dict):
        raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "", str(ValueMisfitError(body, "workflow; send an object")))])
    return body


def credentials(body: object) -> tuple[str, str]:
    """Return user name and password of a login."""
    reader = request_reader(body, _CREDENTIALS_FIELDS, "username", "password")
    found = reader.text("username") or "", reader.text("password") or ""
    _refuse_faults(reader)
    return found


def device_code(body: object) -> str:
    """Return the code of a login on a device."""
    reader = request_reader(body, frozenset({"deviceCode"}), "deviceCode")
    found = reader.text("deviceCode") or ""
    _refuse_faults(reader)
    return found


@dataclass(frozen=True, slots=True)
class TrustOrder:
    """Which key of which server to trust: one that is given, or one that is fetched and must have the fingerprint."""

    host: str
    port: int
    public_key: str | None = None
    fingerprint: str | None = None


def scan_order(body: object) -> tuple[str, int]:
    """Return the server to ask for its host keys."""
    reader = request_reader(body, _HOST_FIELDS, "host")
    found = _host(reader), _port(reader)
    _refuse_faults(reader)
    return found


def trust_order(body: object) -> TrustOrder:
    """Return which key to trust."""
    reader = request_reader(body, _TRUST_FIELDS, "host")
    order = TrustOrder(_host(reader), _port(reader), reader.text("publicKey"), reader.text("fingerprint"))
    if (reader.source.get("publicKey") is None) == (reader.source.get("fingerprint") is None):
        reader.report.fault(ErrorCode.MISSING_FIELD, "", "give either publicKey or fingerprint")
    _refuse_faults(reader)
    return order


def server_of_query(query: Mapping[str, str]) -> tuple[str, int]:
    """Return the server that a query string (`host=…&port=…`) names."""
    body: JsonObject = dict(query)
    port = query.get("port", "")
    if port.isascii() and port.isdecimal() and len(port) <= len(str(_LAST_PORT)):
        body["port"] = int(port)
    return scan_order(body)


def conversion(body: object) -> tuple[JsonObject, JsonObject, Sequence[Fault]]:
    """Return the document and the owner of a `workflowConversion`, and the faults of all that is not the document."""
    reader = request_reader(body, _CONVERSION_FIELDS, "owner", "original")
    owner, original = reader.child("owner"), reader.child("original")
    if owner is not None:
        refuse_unknown(owner, _OWNER_FIELDS)
        owner.require("id", "type")
        owner.name("id")
        owner.name("subId")
        owner.word("type", OwnerType)
    if original is None:
        _refuse_faults(reader)
    kept = {name: value for name, value in (owner.source if owner else {}).items() if value is not None}
    return dict(original.source if original else {}), kept, reader.report.faults


def new_id(text: str) -> str:
    """Return `text` where something may be called so from now on; raises InvalidRequestError."""
    why = unfit_name(text) or ("holds what cannot be printed" if not text.isprintable() else None)
    if why is None and text in (".", ".."):
        why = "a path cannot end in it"
    if why is not None:
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, "id", why)])
    return text


def existing_id(text: str) -> str:
    """Return `text` where something can be called so; raises NotFoundError: not every store can be asked for any text."""
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise NotFoundError("nothing is called so")
    return text


def request_reader(body: object, known: frozenset[str], *required: str) -> ObjectReader:
    """Return a reader of a request object, with the faults of fields that nobody knows or that are missing noted."""
    if not isinstance(body, dict):
        raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "", str(ValueMisfitError(body, "request; send an object")))])
    reader = ObjectReader(body, "", Report())
    refuse_unknown(reader, known)
    reader.require(*required)
    return reader


def _refuse_faults(reader: ObjectReader) -> None:
    if reader.report.has_faults:
        raise InvalidRequestError(reader.report.faults)


def present_map(reader: ObjectReader, field: str) -> Mapping[str, Any]:
    """Return the map in a field without what is null there."""
    inside = reader.child(field)
    return {} if inside is None else {name: value for name, value in inside.source.items() if value is not None}


def _attachments(reader: ObjectReader) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, entry in reader.entries("attachments"):
        refuse_unknown(entry, _ATTACHMENT_FIELDS)
        entry.require("id")
        entry.text("reference")
        found[key] = entry.text("id") or ""
    return found


def texts(reader: ObjectReader, field: str) -> tuple[str, ...]:
    """Return the strings in the array of a field, noting what is none."""
    items = reader.items(field)
    for place, item in enumerate(items):
        if not isinstance(item, str):
            reader.fault(ErrorCode.WRONG_TYPE, f"{field}[{place}]", str(ValueMisfitError(item, "string")))
    return tuple(item for item in items if isinstance(item, str))


def time_at(reader: ObjectReader, field: str) -> int | None:
    """Return the time in a field, with a fault where it cannot be read; None where there is none."""
    text = reader.text(field)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        reader.fault(ErrorCode.INVALID_VALUE, field, str(error))
        return None


def _host(reader: ObjectReader) -> str:
    host = reader.text("host")
    if host is not None and (not 0 < len(host) <= _HOST_LENGTH or not host.isprintable() or " " in host):
        reader.fault(ErrorCode.INVALID_VALUE, "host", "is no name or address of a host")
    return host or ""


def _port(reader: ObjectReader) -> int:
    return reader.count("port", 1, _LAST_PORT) or _SSH_PORT
