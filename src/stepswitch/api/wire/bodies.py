"""The body of a request as a JSON value, or a refusal that says where it is none. Called by every operation that takes a body.

Stricter than most: no duplicate names (two readers would see two documents), no NaN, no lone surrogates, no more than 64 levels.
A byte order mark in front is let pass. Nothing here recurses, so no body can exhaust the stack.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request

from stepswitch.domain.document import MAX_DEPTH
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError

_BOM: Final = b"\xef\xbb\xbf"
_NAME_END: Final = re.compile(rb'"[ \t\r\n]*:')
_FAULTS_SHOWN: Final = 100
_LARGE: Final = 256 * 1024
Read = TypeVar("Read")


async def read_json(request: Request) -> Any:
    """Return the body as JSON; raises InvalidRequestError, and TooLargeError where it is over the limit."""
    return await parsed_json(await read_body(request))


async def read_json_as(request: Request, read: Callable[[Any], Read]) -> Read:
    """Return what `read` makes of the body; raises as `read_json` does, and as `read` does."""
    return read(await read_json(request))


async def read_optional_json_as(request: Request, read: Callable[[Any], Read]) -> Read:
    """Return what `read` makes of the body, or of an empty object where there is none; raises as `read_json` does, and as `read` does."""
    body = await _whole(request)
    if not body:
        return read({})
    _check_content_type(_content_type(request))
    return read(await parsed_json(body))


async def read_body(request: Request) -> bytes:
    """Return the body, which is said to be JSON; raises as `read_json` does."""
    _check_content_type(_content_type(request))
    return await _whole(request)


async def _whole(request: Request) -> bytes:
    """Return all parts of a body: nearly always one. Starlette has a generator for it, which each request would pay for."""
    parts: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _content_type(request: Request) -> str | None:
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            return str(value, "latin-1")
    return None


async def parsed_json(body: bytes) -> Any:
    """Return a body of any size as a JSON value; raises InvalidRequestError."""
    if len(body) > _LARGE:  # seconds of work at the worst, during which others want their answers
        return await asyncio.to_thread(parse_json, body)
    return parse_json(body)


def parse_json(body: bytes) -> Any:
    """Return `body` as a JSON value; raises InvalidRequestError with the line and the column where it is none."""
    text = body.removeprefix(_BOM)
    if not text:
        raise _refusal(ErrorCode.MALFORMED_JSON, "the body is empty; send a JSON object")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit"):
            raise _too_deep() from None
        _refuse_other_than_utf8(text)
        raise _refusal(ErrorCode.MALFORMED_JSON, f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    depth, names = _measure(value)
    if depth > MAX_DEPTH:
        raise _too_deep()
    # What ends like a name in the text is a name, or (rarely) stands inside of a string: only then is it worth a closer look.
    if len(_NAME_END.findall(text)) != names:
        _refuse_duplicates(text)
    return value


def _refuse_other_than_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _refusal(ErrorCode.MALFORMED_JSON, f"line {line}, column {column}: this is no UTF-8") from None


def _measure(value: Any) -> tuple[int, int]:
    """Return how many levels `value` has, and how many names its objects have together."""
    depth = names = 0
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    while level:
        depth += 1
        inner: list[Any] = []
        for container in level:
            if type(container) is dict:
                names += len(container)
                inner += [each for each in container.values() if type(each) is dict or type(each) is list]
            else:
                inner += [each for each in container if type(each) is dict or type(each) is list]
        level = inner
    return depth, names


class _Twice(dict[str, Any]):
    """An object of which some names stand in the text more than once."""

    names: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    found = _Twice(plain)
    found.names = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return found


def _refuse_duplicates(text: bytes) -> None:
    value = json.loads(text, object_pairs_hook=_pairs, parse_int=float, parse_float=float)
    faults = []
    for path in _duplicates(value):
        faults.append(Fault(ErrorCode.MALFORMED_JSON, path, "stands twice in the same object; keep one"))
        if len(faults) == _FAULTS_SHOWN:
            break
    if faults:
        raise InvalidRequestError(faults)


def _duplicates(value: Any) -> Iterator[str]:
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, each = waiting.pop()
        if isinstance(each, dict):
            prefix = f"{path}." if path else ""
            if isinstance(each, _Twice):
                yield from (f"{prefix}{name}" for name in each.names)
            waiting += [(f"{prefix}{name}", inner) for name, inner in each.items() if isinstance(inner, dict | list)]
        elif isinstance(each, list):
            waiting += [(f"{path}[{place}]", inner) for place, inner in enumerate(each) if isinstance(inner, dict | list)]


def _check_content_type(header: str | None) -> None:
    if header is None or header == "application/json":
        return
    kind, _, parameters = header.partition(";")
    if kind.strip().lower() != "application/json":
        raise _refusal(ErrorCode.UNKNOWN_HEADER_VALUE, "send application/json", "Content-Type")
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]*)", parameters, re.IGNORECASE)
    if charset is not None and charset[1].lower() not in ("utf-8", "utf8"):
        raise _refusal(ErrorCode.UNKNOWN_HEADER_VALUE, "JSON is sent in UTF-8", "Content-Type")


def _too_deep() -> InvalidRequestError:
    return _refusal(ErrorCode.TOO_DEEP, f"the body is nested more than {MAX_DEPTH} levels deep")


def _refusal(code: ErrorCode, message: str, path: str = "") -> InvalidRequestError:
    return InvalidRequestError([Fault(code, path, message)])
