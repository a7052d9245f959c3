"""The layer around every operation: the request's id, the limits on its body, and the answer to whatever error comes back. Put on in `app`."""

import asyncio
import contextlib
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepswitch.api import problems
from stepswitch.api.receiving import Room
from stepswitch.api.request_bodies import Body, BodyLimits
from stepswitch.api.request_ids import REQUEST_ID, request_id_of
from stepswitch.domain.errors import OverloadedError, TooLargeError
from stepswitch.engine.ports import Ids
from stepswitch.engine.request_writes import NotingWrites

_log = structlog.get_logger("stepswitch")
_STOPPING: Final = "the service stops; what was asked may have been done, or not: look before you send it again"
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
"""What browsers are told with every answer, as OWASP's REST Security Cheat Sheet has it."""
_UNCACHED: Final = (b"cache-control", b"no-store")
"""Where the operation says nothing else: our tokens are in a header of which no cache knows that it makes an answer private (RFC 9111, 3.5)."""
_ENCRYPTED_FROM_NOW_ON: Final = (b"strict-transport-security", b"max-age=31536000")
"""Over TLS only (RFC 6797, 7.2)."""
DROPPED_BYTES: Final = 16 * 1024 * 1024
DROPPING_SECONDS: Final = 2.0


class Limits:
    """Pure ASGI. An error after the answer has begun can only cut the connection."""

    def __init__(self, app: ASGIApp, bodies: BodyLimits, room: Room, ids: Ids) -> None:
        self._app = app
        self._bodies = bodies
        self._room = room
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"], self._ids)
        name = (REQUEST_ID.encode(), request_id.encode("ascii", "replace"))
        always = (*_ALWAYS, _ENCRYPTED_FROM_NOW_ON) if scope["scheme"] == "https" else _ALWAYS
        has_begun = False
        body = Body(receive, self._room)

        async def send_named(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                body.settle()
                headers = message["headers"]
                headers += always
                if b"cache-control" not in dict(headers):
                    headers.append(_UNCACHED)
                headers.append(name)
            await send(message)

        try:
            with NotingWrites() as writes:
                body.expect(scope["headers"], self._bodies)
                await self._app(scope, body, send_named)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            if not has_begun:
                await problems.answer(OverloadedError(_STOPPING), request_id)(scope, receive, send_named)
            raise
        except Exception as error:
            if has_begun:
                _log.error("answer cut", reference=request_id, trace=problems.described(error))
                raise
            told = _Lingering(receive, send_named) if _is_still_sent(error, body) else send_named
            await problems.answer(error, request_id, has_written=writes.are_any)(scope, receive, told)
        finally:
            body.settle()


def _is_still_sent(error: Exception, body: Body) -> bool:
    """Return whether the client goes on sending a body that was refused for its size."""
    return body.is_turned_away or (isinstance(error, TooLargeError) and not body.is_at_end)


class _Lingering:
    """Sends an answer, and closes when the client has had time to read it: one that is still sending would only see a reset.

    The rest of the body is read and dropped, up to a point, and not taken for another request.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            if b"connection" not in dict(message["headers"]):
                message["headers"].append((b"connection", b"close"))
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
