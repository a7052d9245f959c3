"""The operations of files: up, down and away, and the creates that bring their files along. Listed in `attachment_operations`."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stepswitch.api.executions import queued_response
from stepswitch.api.request_bodies import settle_body
from stepswitch.api.services import Call, json_response
from stepswitch.api.steering import NO_WILL, reason_of, why_and_when
from stepswitch.api.wire.bodies import parsed_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import UNSHARED, etag, known_tags, unchanged, wanted_states, wanted_tags
from stepswitch.api.wire.idempotency import idempotency_key
from stepswitch.api.wire.multipart import Part, parts_of
from stepswitch.api.wire.preferences import preferred_wait
from stepswitch.api.wire.requests import execution_request, existing_id, workflow_document
from stepswitch.api.wire.together import both, noted
from stepswitch.api.workflows import checked_response
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.engine.catalogue import attachment_key, tag_of
from stepswitch.engine.keyed_requests import Queued
from stepswitch.engine.records import StoredFile

_EXECUTION_PART: Final = "workflowExecution"
_WORKFLOW_PARTS: Final = ("workflow", _EXECUTION_PART)
_NO_VALUE: Final = object()
_UNREADABLE: Final = object()
_T = TypeVar("_T")
_KIND: Final = b"POST"


@dataclass
class _Received:
    """What a request brought: its JSON part, and its files by key, which are held until the request ends."""

    value: Any = _NO_VALUE
    text: bytes = b""
    """Of the JSON part, as it came."""
    files: dict[str, StoredFile] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


async def attach_to_workflow(call: Call) -> Response:
    """Add a file to a workflow; answer with how it is named now."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    tags, wrong = noted(partial(wanted_tags, call.request))
    await call.services.catalogue.get(call.caller, workflow_id)  # before a file of any size is taken
    async with _received(call, (), "file", wrong) as received:
        file = _only_file(received)
        key, checked = await call.services.catalogue.attach(call.caller, workflow_id, file, tags)
    return json_response(encode(_written(key, file)), {"ETag": etag(tag_of(checked.workflow))})


async def read_attachment(call: Call) -> Response:
    """Answer with the content of a file of a workflow, as it is read from the disk."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    return _download(call, await call.services.catalogue.attachment(call.caller, workflow_id, _known_attachment(call.request)))


async def detach_from_workflow(call: Call) -> Response:
    """Take a file of a workflow away."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    attachment, tags = both(partial(_attachment_id, call.request), partial(wanted_tags, call.request))
    await call.services.catalogue.detach(call.caller, workflow_id, attachment, tags)
    return Response(None, 204)


async def attach_to_execution(call: Call) -> Response:
    """Add a file to an execution; answer with how it is named now."""
    will, wrong = noted(partial(why_and_when, call))
    reason, seen = will or NO_WILL
    to = await call.services.steering.attachable(call.caller, _execution_id(call), seen)
    async with _received(call, (), "file", wrong) as received:
        file = _only_file(received)
        key = await call.services.steering.attach(call.caller, to, file, reason)
    return json_response(encode(_written(key, file)))


async def read_execution_attachment(call: Call) -> Response:
    """Answer with the content of a file of an execution."""
    return _download(call, await call.services.steering.attachment(call.caller, _execution_id(call), _known_attachment(call.request)))


async def detach_from_execution(call: Call) -> Response:
    """Take a file of its own from an execution."""
    execution_id, request = _execution_id(call), call.request
    reason, (seen, attachment) = both(
        partial(reason_of, call), partial(both, partial(wanted_states, request), partial(_attachment_id, request))
    )
    await call.services.steering.detach(call.caller, execution_id, attachment, reason, seen)
    return Response(None, 204)


async def create_workflow_with_files(call: Call) -> Response:
    """Store a workflow that brings its files along; answer with it as it is now."""
    async with _received(call, _WORKFLOW_PARTS, "files") as received:
        document = _read(received, workflow_document)
        if received.files:
            named = document.get("attachments")
            if named is not None and not isinstance(named, dict):
                raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "attachments", "is no object, so no file can be added")])
            own = {key: {"id": file.id, "reference": file.name} for key, file in received.files.items()}
            document = {**document, "attachments": {**(named or {}), **own}}
        return checked_response(call, await call.services.catalogue.create(call.caller, document, around=received.faults))


async def create_execution_with_files(call: Call) -> Response:
    """Queue an execution that brings its files along."""
    seconds = preferred_wait(call.request)
    queued = await _queued_with_files(call, is_awaited=bool(seconds))
    settle_body(call.request)
    return await queued_response(call, queued, seconds)


async def _queued_with_files(call: Call, *, is_awaited: bool) -> Queued:
    key, wrong = noted(partial(idempotency_key, call.request))
    async with _received(call, (_EXECUTION_PART,), "files", wrong) as received:
        request = _read(received, execution_request)
        existing_id(request.workflow_id)
        own = {key: file.id for key, file in received.files.items()}
        faults = (*received.faults, *request.faults)
        request = replace(request, attachments={**request.attachments, **own}, is_awaited=is_awaited, faults=faults)
        if key is None or received.faults:
            return Queued(await call.services.executions.create(call.caller, request))
        return await call.services.keyed_requests.create(call.caller, request, key, *_content(received))


@asynccontextmanager
async def _received(call: Call, value_parts: tuple[str, ...], file_part: str, wrong: Sequence[Fault] = ()) -> AsyncIterator[_Received]:
    """Give what a request brought; files that belong to nobody at the end of the block are removed.

    Where its JSON is there, the faults of the other parts are given too, so that those inside of it are told with them. `wrong` are faults of its headers.
    """
    received = _Received(faults=[*wrong])
    try:
        try:
            await _take_parts(call, received, value_parts, file_part)
        except InvalidRequestError as error:
            raise InvalidRequestError([*received.faults, *error.faults]) from None
        if received.faults and received.value in (_NO_VALUE, _UNREADABLE):
            raise InvalidRequestError(received.faults)
        yield received
    finally:
        await call.services.files.settle([file.id for file in received.files.values()])


async def _take_parts(call: Call, received: _Received, value_parts: tuple[str, ...], file_part: str) -> None:
    """Read all parts, and note what is wrong with them; raises InvalidRequestError where no more can be read."""
    async for part in parts_of(call.request):
        if part.name == file_part:
            await _take_file(call, received, part)
        elif part.name in value_parts and received.value is _NO_VALUE:
            received.text = await part.read(call.services.body_limit_bytes)
            await _take_value(received)
        else:
            known = ", ".join((*value_parts, file_part))
            received.faults.append(
                Fault(ErrorCode.UNKNOWN_FIELD, part.name[:100], f"is no part of this request, or stands twice; it has {known}")
            )
    received.faults += _missing(received, value_parts, file_part)


async def _take_value(received: _Received) -> None:
    try:
        received.value = await parsed_json(received.text)
    except InvalidRequestError as error:
        received.value = _UNREADABLE
        received.faults += error.faults


def _read(received: _Received, reader: Callable[[Any], _T]) -> _T:
    """Return what `reader` makes of the JSON part; raises InvalidRequestError with the faults of the other parts, too."""
    try:
        return reader(received.value)
    except InvalidRequestError as error:
        raise InvalidRequestError([*received.faults, *error.faults]) from None


async def _take_file(call: Call, received: _Received, part: Part) -> None:
    if part.file_name is None:
        received.faults.append(Fault(ErrorCode.MISSING_FIELD, part.name, "has no file name"))
        return
    key = attachment_key(part.file_name)
    if key in received.files:
        received.faults.append(Fault(ErrorCode.INVALID_VALUE, part.name, f"two files are called {key!r}"))
        return
    received.files[key] = await call.services.files.put(call.caller.tenant, part.file_name, part.content)


def _content(received: _Received) -> Iterator[bytes]:
    """Yield what makes a request this one: its JSON, and what its files are called and hold; not how the parts are divided, or ordered."""
    yield _KIND
    yield received.text
    for key, file in sorted(received.files.items()):
        yield from (key.encode(), file.name.encode("utf-8", "surrogatepass"), file.sha256.encode())


def _missing(received: _Received, value_parts: tuple[str, ...], file_part: str) -> Iterator[Fault]:
    """Yield what has to be there and is not: the JSON part, or the one file where there is none."""
    told = {fault.path for fault in received.faults}
    if value_parts and received.value is _NO_VALUE:
        yield Fault(ErrorCode.MISSING_FIELD, value_parts[0], "the part is missing")
    elif not value_parts and len(received.files) != 1 and file_part not in told:
        yield Fault(ErrorCode.MISSING_FIELD, file_part, "send one part of this name, with a file name")


def _only_file(received: _Received) -> StoredFile:
    return next(iter(received.files.values()))


def _execution_id(call: Call) -> str:
    return existing_id(call.request.path_params["workflowExecutionId"])


def _attachment_id(request: Request) -> str:
    wanted = request.query_params.get("attachmentId")
    if not wanted:
        raise InvalidRequestError([Fault(ErrorCode.MISSING_FIELD, "attachmentId", "is required: the id of the file, or its key")])
    return wanted


def _known_attachment(request: Request) -> str:
    return both(partial(_attachment_id, request), partial(known_tags, request))[0]


def _download(call: Call, file: StoredFile) -> Response:
    if (known := unchanged(call.request, file.sha256)) is not None:
        return known
    headers = {
        "ETag": etag(file.sha256),
        "Cache-Control": UNSHARED,
        "Content-Length": str(file.size),
        "Content-Disposition": _disposition(file.name),
        "X-Content-Type-Options": "nosniff",
    }
    if call.request.method == "HEAD":
        return Response(None, 200, headers, "application/octet-stream")
    return StreamingResponse(call.services.files.stream(file), 200, headers, "application/octet-stream")


def _disposition(name: str) -> str:
    """Return a header that offers the file under its name: no part of it is a path, ends the header, or means anything to a shell."""
    last = name.replace("\\", "/").rpartition("/")[2].lstrip(".")
    safe = _spelled(last, lambda character: character.isalnum() or character in "-_. ()+=@,") or "file"
    plain = _spelled(safe, lambda character: character.isascii())
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


def _spelled(text: str, is_fit: Callable[[str], bool]) -> str:
    return "".join(character if is_fit(character) else "_" for character in text)[:200]


def _written(key: str, file: StoredFile) -> dict[str, Any]:
    return {"id": file.id, "reference": file.name, "key": key, "size": file.size, "sha256": file.sha256}
