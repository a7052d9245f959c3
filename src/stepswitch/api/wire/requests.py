"""JSON objects of requests to values with types, all faults at once. Called by the operations; what a value means is the engine's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from stepswitch.api.wire.times import parse_time
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError
from stepswitch.domain.execution import ContextType
from stepswitch.engine.executions import ExecutionRequest

T = TypeVar("T")
JsonObject = dict[str, Any]
ID_LENGTH: Final = 200
_KINDS: Final = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
_EXECUTION_FIELDS: Final = frozenset(
    {"workflowId", "contextType", "context", "assignments", "attachments", "pauseAtFailure", "debugStepIds", "retainedTil"}
)
_ATTACHMENT_FIELDS: Final = frozenset({"id", "reference"})
_CREDENTIALS_FIELDS: Final = frozenset({"username", "password"})
_HOST_FIELDS: Final = frozenset({"host", "port"})
_TRUST_FIELDS: Final = frozenset({"host", "port", "publicKey", "fingerprint"})
_CONTEXT_TYPES: Final = {kind.value: kind for kind in ContextType}
_HOST_LENGTH: Final = 253
_SSH_PORT: Final = 22


def execution_request(body: object) -> ExecutionRequest:
    """Return a `workflowExecutionCreateRequest`; raises InvalidRequestError with every fault of its shape."""
    fields = _Fields(body, _EXECUTION_FIELDS)
    request = ExecutionRequest(
        workflow_id=fields.required("workflowId", str, ""),
        context_type=fields.context_type(),
        context=fields.optional("context", dict, {}),
        assignments=fields.optional("assignments", dict, {}),
        attachments=fields.attachments(),
        pause_at_failure=fields.optional("pauseAtFailure", bool, False),  # noqa: FBT003 - the default of a field
        debug_step_ids=fields.texts("debugStepIds"),
        retained_til=fields.time("retainedTil"),
    )
    fields.refuse_faults()
    return request


def workflow_document(body: object) -> JsonObject:
    """Return a workflow as it was sent; what it may hold is checked by the catalogue."""
    if not isinstance(body, dict):
        raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "", f"{_kind(body)} is no workflow; send an object")])
    return body


def credentials(body: object) -> tuple[str, str]:
    """Return user name and password of a login."""
    fields = _Fields(body, _CREDENTIALS_FIELDS)
    found = fields.required("username", str, ""), fields.required("password", str, "")
    fields.refuse_faults()
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
    fields = _Fields(body, _HOST_FIELDS)
    found = fields.host(), fields.port()
    fields.refuse_faults()
    return found


def trust_order(body: object) -> TrustOrder:
    """Return which key to trust."""
    fields = _Fields(body, _TRUST_FIELDS)
    order = TrustOrder(fields.host(), fields.port(), fields.optional("publicKey", str, None), fields.optional("fingerprint", str, None))
    if not fields.faults and (order.public_key is None) == (order.fingerprint is None):
        fields.fault(ErrorCode.MISSING_FIELD, "", "give either publicKey or fingerprint")
    fields.refuse_faults()
    return order


def server_of_query(query: Mapping[str, str]) -> tuple[str, int]:
    """Return the server that a query string (`host=…&port=…`) names."""
    port = query.get("port")
    body: JsonObject = {name: value for name, value in query.items() if name != "port"}
    if port is not None:
        body["port"] = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else port
    return scan_order(body)


def existing_id(text: str) -> str:
    """Return `text` where something can be called so; raises NotFoundError: not every store can be asked for any text."""
    if not 0 < len(text) <= ID_LENGTH or not text.isprintable():
        raise NotFoundError("nothing is called so")
    return text


class _Fields:
    """The fields of one request object, and the faults that were found in them so far."""

    def __init__(self, body: object, known: frozenset[str]) -> None:
        if not isinstance(body, dict):
            raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "", f"the body is {_kind(body)}; send an object")])
        self._fields: JsonObject = body
        self.faults: list[Fault] = []
        if not body.keys() <= known:
            self.faults += _unknown(body, known, "")

    def fault(self, code: ErrorCode, path: str, message: str) -> None:
        self.faults.append(Fault(code, path, message))

    def refuse_faults(self) -> None:
        if self.faults:
            raise InvalidRequestError(self.faults)

    def required(self, name: str, kind: type[T], stand_in: T) -> T:
        if name not in self._fields:
            self.fault(ErrorCode.MISSING_FIELD, name, "must be given")
            return stand_in
        found = self.optional(name, kind, stand_in)
        if found == "":
            self.fault(ErrorCode.INVALID_VALUE, name, "must not be empty")
        return found

    def optional(self, name: str, kind: type[T], default: T | Any) -> T | Any:
        value = self._fields.get(name, _ABSENT)
        if value is _ABSENT:
            return default
        if type(value) is not kind:
            self.fault(ErrorCode.WRONG_TYPE, name, f"{_kind(value)} is no {_KINDS[kind].partition(' ')[2]}")
            return default
        return value

    def context_type(self) -> ContextType:
        text = self.required("contextType", str, "NONE")
        found = _CONTEXT_TYPES.get(text)
        if found is None and text:
            self.fault(ErrorCode.INVALID_VALUE, "contextType", f"is none of {', '.join(_CONTEXT_TYPES)}")
        return found or ContextType.NONE

    def texts(self, name: str) -> tuple[str, ...]:
        values: Sequence[Any] = self.optional(name, list, ())
        for place, value in enumerate(values):
            if not isinstance(value, str):
                self.fault(ErrorCode.WRONG_TYPE, f"{name}[{place}]", f"{_kind(value)} is no string")
        return tuple(value for value in values if isinstance(value, str))

    def time(self, name: str) -> int | None:
        text = self.optional(name, str, None)
        if text is None:
            return None
        try:
            return parse_time(text)
        except ValueError as error:
            self.fault(ErrorCode.INVALID_VALUE, name, str(error))
            return None

    def attachments(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for key, value in self.optional("attachments", dict, {}).items():
            path = f"attachments.{key}"
            if not isinstance(value, dict):
                self.fault(ErrorCode.WRONG_TYPE, path, f"{_kind(value)} is no object with the id of a file")
                continue
            self.faults += _unknown(value, _ATTACHMENT_FIELDS, f"{path}.")
            for name in _ATTACHMENT_FIELDS & value.keys():
                if not isinstance(value[name], str):
                    self.fault(ErrorCode.WRONG_TYPE, f"{path}.{name}", f"{_kind(value[name])} is no string")
            if "id" not in value:
                self.fault(ErrorCode.MISSING_FIELD, f"{path}.id", "must be given")
            found[key] = value["id"] if isinstance(value.get("id"), str) else ""
        return found

    def host(self) -> str:
        host = self.required("host", str, "")
        if host and (len(host) > _HOST_LENGTH or not host.isprintable() or " " in host):
            self.fault(ErrorCode.INVALID_VALUE, "host", "is no name or address of a host")
        return host

    def port(self) -> int:
        port = self.optional("port", int, _SSH_PORT)
        if not 0 < port < 65_536:
            self.fault(ErrorCode.INVALID_VALUE, "port", "is no port; give a number from 1 to 65535")
        return int(port)


_ABSENT: Final = object()


def _unknown(body: JsonObject, known: frozenset[str], prefix: str) -> list[Fault]:
    listed = ", ".join(sorted(known))
    return [Fault(ErrorCode.UNKNOWN_FIELD, f"{prefix}{name}", f"unknown field; known are {listed}") for name in body if name not in known]


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS[type(value)]
