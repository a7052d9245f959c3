"""The description of the API as OpenAPI 3.1, made from the table of operations and the models. Called by `app`."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stepswitch.api.links import links_of
from stepswitch.api.operation import Operation, Parameter
from stepswitch.api.operations import TENANT, served
from stepswitch.api.problems import BODILESS
from stepswitch.api.services import JSON
from stepswitch.api.wire import event_models, models, service_models
from stepswitch.api.wire.events import MEDIA_TYPE

JsonObject = dict[str, Any]
TITLE: Final = "Stepswitch"
_REF: Final = "#/components/schemas/"
_ABOUT: Final = """Stepswitch executes telco workflows: JSON documents whose steps act on network functions.

The workflow operations are served under two roots, `/telco/api/workflows` and `/tca/workflows/api/v1/orgs/{tenantId}`; under the
second one a workflow also shows its `creationTenantId`. Log in first: `POST /hybridity/api/sessions`.

Answers are packed for whoever accepts `gzip`, and a body of JSON may come so, with `Content-Encoding: gzip`.

Every answer tells browsers how to treat it: `X-Content-Type-Options`, `X-Frame-Options`, `Referrer-Policy` and `Cache-Control`, and over TLS
`Strict-Transport-Security`.

In a request a field that is null counts as one that is not there.

400 and 500 list every fault; 401, 403 and 404 have no body. The header `x-error-code` names the reason, and `x-request-id` is
what the log of the server calls the request: as its sender calls it in that header (at most 128 printable characters of ASCII without blanks),
else as the server does. Before any operation is reached, a request can be refused with 400 (it is no HTTP), 408 (it
does not come in time), 431 (its headers are over 64 KiB) or 503 (too many connections are open)."""
_REFUSALS: Final = {
    400: "The request has faults; all of them are listed.",
    401: "No token, or one that is not (or no longer) good.",
    403: "Known, but without the privilege.",
    404: "There is no such thing, or the caller may not see it.",
    412: "What is to be changed is no longer what `If-Match` names; nothing was changed.",
    413: "The body is over its limit: 10 MiB, 256 MiB where it brings files, or as it is set; of a packed one what it unpacks to counts.",
    415: "The body is packed in a way that is not understood; `Accept-Encoding` says what is.",
    429: "Passwords were wrong too often, or requests come faster than they may; come back after the seconds in `Retry-After`.",
    500: "A fault of the server. Its log says more under the reference that the message gives.",
    503: "Too much is waiting or being received, or the database cannot be used; come back after the seconds in `Retry-After`.",
}
KNOWN_HEADERS: Final = frozenset({"ETag", "Preference-Applied"})
"""Those of a 200 that a 304 has too."""
_HEADERS: Final = {
    "x-error-code": "The code of the first fault.",
    "x-request-id": "What the log of the server calls this request.",
    "WWW-Authenticate": "How to authenticate.",
    "Retry-After": "Seconds to wait.",
    "Accept-Encoding": "How a body may be packed: `gzip`, or `identity` where not at all.",
}
_TAGS: Final = {
    "Workflows": "The catalogue.",
    "Executions": "Workflows at work.",
    "Steering": "What people do to executions.",
    "Sessions": "Login and logout.",
    "Users": "Who can log in, and with which roles.",
    "Tenants": "How much of what it may have each of them has.",
    "Audit": "Who did what.",
    "Host keys": "The servers that are trusted.",
    "Service": "The service itself.",
}


def openapi_document(version: str) -> JsonObject:
    """Return the whole description."""
    paths: dict[str, JsonObject] = {}
    for path, operation, has_tenant in served():
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, has_tenant=has_tenant)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "security": [{"token": []}, {"bearer": []}],
        "paths": paths,
        "components": {"schemas": _schemas(), "headers": _headers(), "securitySchemes": _security_schemes()},
    }


def _operation(operation: Operation, *, has_tenant: bool) -> JsonObject:
    parameters = [*([TENANT] if has_tenant else []), *operation.parameters]
    described: JsonObject = {
        "operationId": operation.id + ("OfTenant" if has_tenant else ""),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description if operation.needs.is_public else f"{operation.description} Needs {operation.needs.told}.",
        "parameters": [_parameter(parameter) for parameter in parameters],
        "responses": _responses(operation, may_be_elsewhere=has_tenant),
    }
    if operation.request is not None:
        content: JsonObject = {"schema": _schema_of(operation.request)}
        if operation.example is not None:
            content["example"] = operation.example
        described["requestBody"] = {"required": not operation.is_request_optional, "content": {operation.request_media_type: content}}
    if operation.needs.is_public:
        described["security"] = []
    return described


def _parameter(parameter: Parameter) -> JsonObject:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": {"type": parameter.kind, **parameter.limits},
    }


def _responses(operation: Operation, *, may_be_elsewhere: bool) -> JsonObject:
    own = {name: {"description": text, "schema": {"type": "string"}} for name, text in operation.answer_headers.items()}
    success: JsonObject = {"description": "Done.", "headers": {**own, **_header_refs("x-request-id")}}
    if links := links_of(operation, {each.id: each for _, each, _ in served()}, has_tenant=may_be_elsewhere):
        success["links"] = links
    if operation.answer is not None:
        is_stream = operation.media_type == MEDIA_TYPE
        success["content"] = {operation.media_type: {"schema": _event_schema() if is_stream else _schema_of(operation.answer)}}
    found: JsonObject = {"302" if operation.redirects else "204" if operation.answer is None else "200": success}
    if operation.may_be_known:
        tag = {name: own[name] for name in KNOWN_HEADERS & own.keys()} | _header_refs("x-request-id")
        found["304"] = {"description": "The caller has it already: it is what `If-None-Match` names.", "headers": tag}
    if operation.may_be_empty:
        found["204"] = {"description": "There is nothing to be sent, and nothing will follow.", "headers": _header_refs("x-request-id")}
    packed = [415] if operation.request is not None else []
    refused = [403] if operation.needs.may_be_refused else []
    rated = [] if operation.needs.is_public else [429]
    for status in sorted({*operation.refusals, *packed, *refused, *rated, *([404] if may_be_elsewhere else [])}):
        found[str(status)] = _refusal(status)
    if operation.answer is service_models.Health:  # which says 503 in the form that it says 200 in
        found["503"] = {
            "description": "The service cannot do its work; `status` and what stands beside it say why.",
            "headers": _header_refs("x-request-id"),
            "content": success["content"],
        }
    return found


def _refusal(status: int) -> JsonObject:
    special = {401: ("WWW-Authenticate",), 415: ("Accept-Encoding",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(status, ())
    refusal: JsonObject = {"description": _REFUSALS[status], "headers": _header_refs("x-error-code", "x-request-id", *special)}
    if status not in BODILESS:
        refusal["content"] = {"application/json": {"schema": _schema_of(models.ErrorResponse)}}
    return refusal


def _header_refs(*names: str) -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers() -> JsonObject:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()}


def _security_schemes() -> JsonObject:
    return {
        "token": {"type": "apiKey", "in": "header", "name": "x-hm-authorization", "description": "The token that the login gave."},
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same token, or an access token of the provider of logins."},
    }


def _schema_of(answer: Any) -> JsonObject:
    if answer is str:
        return {"type": "string"}
    if isinstance(answer, UnionType):
        return {"anyOf": [_schema_of(each) for each in get_args(answer)]}
    if inner := get_args(answer):
        return {"type": "array", "items": _schema_of(inner[0])}
    return {"$ref": f"{_REF}{answer.__name__}"}


def _event_schema() -> JsonObject:
    """Return what each event of a stream looks like."""
    return {"anyOf": [_event(name, model) for name, model in event_models.NAMED.items()]}


def _event(name: str, model: type[BaseModel]) -> JsonObject:
    fields: JsonObject = {
        "event": {"const": name, "description": "What happened."},
        "id": {"type": "string", "description": "Its place in the stream; whoever sends it as `Last-Event-ID` goes on behind it."},
        "data": {
            "type": "string",
            "contentMediaType": JSON,
            "contentSchema": _schema_of(model),
            "description": "What there is to say of it.",
        },
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _schemas() -> JsonObject:
    wanted: set[type[BaseModel]] = {*_models(), models.ErrorResponse}
    ordered = sorted(wanted, key=_name)
    _, schema = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF + "{model}")
    found: JsonObject = schema["$defs"]
    sent = _sent(found)
    for name, structure in found.items():
        may_be_null = name in sent or structure.get("additionalProperties") is True
        for described in structure.get("properties", {}).values():
            if described.get("default", ...) is None:
                del described["default"]
                if may_be_null:
                    _allow_null(described)
    return found


def _sent(schemas: JsonObject) -> set[str]:
    """Return the structures that are part of a request: there null counts as a field that is not there, while an answer leaves it out."""
    requests = [(operation, _schema_of(operation.request)) for _, operation, _ in served() if operation.request is not None]
    forms = {str(schema["$ref"]).removeprefix(_REF) for operation, schema in requests if operation.request_media_type != JSON}
    waiting: list[Any] = [schema for _, schema in requests]
    found: set[str] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict) and (name := str(each.get("$ref", "")).removeprefix(_REF)) and name not in found:
            found.add(name)
            waiting.append(schemas[name])
        waiting += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return found - forms  # whose parts are there or not


def _allow_null(described: JsonObject) -> None:
    kept: JsonObject = {name: described.pop(name) for name in ("description", "examples", "title") if name in described}
    either = described["anyOf"] if set(described) == {"anyOf"} else [dict(described)]
    described.clear()
    described |= {"anyOf": [*either, {"type": "null"}], **kept}


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _models() -> Iterator[type[BaseModel]]:
    for _, operation, _ in served():
        if operation.request is not None:
            yield operation.request
        if operation.answer is not None and operation.answer is not str:
            yield from get_args(operation.answer) or (operation.answer,)
