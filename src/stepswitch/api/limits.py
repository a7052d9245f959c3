"""The outermost layer of every request: its id, the limit on its body, and the answer to whatever error comes back. Put on in `app`."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepswitch.api import problems
from stepswitch.api.request_ids import REQUEST_ID, request_id_of
from stepswitch.api.wire.multipart import is_multipart
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, TooLargeError
from stepswitch.engine.ports import Ids

_log = structlog.get_logger("stepswitch")
_LONGEST_NUMBER: Final = 19
DROPPED_BYTES: Final = 16 * 1024 * 1024
DROPPING_SECONDS: Final = 2.0


class Limits:
    """Pure ASGI. An error after the answer has begun can only cut the connection."""

    def __init__(self, app: ASGIApp, body_limit_bytes: int, ids: Ids) -> None:
        self._app = app
        self._limit = body_limit_bytes
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"], self._ids)
        name = (REQUEST_ID.encode(), request_id.encode("ascii", "replace"))
        has_begun = False

        async def send_named(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"].append(name)
            await send(message)

        counted = _Counted(receive, None if _is_in_parts(scope["headers"]) else self._limit)
        try:
            self._check_length(scope["headers"])
            await self._app(scope, counted, send_named)
        except ClientDisconnect:
            return
        except Exception as error:
            if has_begun:
                _log.error("answer cut", reference=request_id, trace=problems.described(error))
                raise
            is_unread = isinstance(error, TooLargeError) and not counted.is_at_end
            await problems.answer(error, request_id)(scope, receive, _Lingering(receive, send_named) if is_unread else send_named)

    def _check_length(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Refuse a body over the limit before it is read; raises InvalidRequestError where nobody can say how long it is."""
        lengths = {value.strip() for name, value in headers if name == b"content-length"}
        if not lengths:
            return
        text = lengths.pop()
        if lengths or not text.isdigit() or len(text) > _LONGEST_NUMBER:
            raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, "Content-Length", "is no number of bytes")])
        if int(text) > self._limit and not _is_in_parts(headers):
            raise _too_large(self._limit)


def _is_in_parts(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether a body comes in parts: these are read one by one, and each is limited by itself."""
    return any(name == b"content-type" and is_multipart(value.decode("latin-1")) for name, value in headers)


class _Counted:
    """Receives the parts of a body until they are too much: how a body without a length, or with a wrong one, is limited."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._got = 0
        self.is_at_end = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.is_at_end = not message.get("more_body", False)
            self._got += len(message.get("body", b""))
            if self._limit is not None and self._got > self._limit:
                raise _too_large(self._limit)
        return message


class _Lingering:
    """Sends an answer, and closes when the client has had time to read it: one that is still sending would only see a reset."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DROPPING_SECONDS):
                await self._drop()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop(self) -> None:
        dropped = 0
        while dropped < DROPPED_BYTES:
            message = await self._receive()
            dropped += len(message.get("body", b""))
            if not message.get("more_body", False):
                return


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body is over the limit of {limit} bytes")
