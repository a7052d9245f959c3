"""Answers on their way out: packed for whoever takes them packed. The outermost layer, put on in `app`.

Starlette packs; what it leaves to be done is done here. Its middleware does not weigh what a client prefers, and it leaves `ETag` as it
is, though a strong tag names one sequence of bytes: a packed answer has a tag of its own, which the preconditions understand.
"""

from functools import lru_cache
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepswitch.api.wire.etags import packed_etag

SMALLEST: Final = 1_400
"""Bytes of a body that is worth packing: a smaller one fits into one packet anyhow. What is streamed is packed whatever its size."""
LEVEL: Final = 5
_LEFT_ALONE: Final = ("text/event-stream", "application/octet-stream")
"""Events, which must not wait for one another, and files: most are packed already, and all have their length and their hash as tag."""
_VARY: Final = (b"vary", b"Accept-Encoding")
_READS: Final = frozenset({"GET", "HEAD"})


class Compression:
    """Pure ASGI. Costs a look at the headers where a client takes no packed answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._packing = GZipMiddleware(app, SMALLEST, LEVEL, exclude_content_types=_LEFT_ALONE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                accepted = value if not accepted else b"%b,%b" % (accepted, value)
        if accepted and prefers_gzip(accepted):
            await self._packing(_asking_for_gzip(scope), receive, _packed(send))
        elif scope["method"] in _READS:
            await self._app(scope, receive, _plain(send))
        else:
            await self._app(scope, receive, send)


@lru_cache(maxsize=256)
def prefers_gzip(accepted: bytes) -> bool:
    """Return whether a client that says `Accept-Encoding: accepted` is better served with gzip than with bytes as they are."""
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        coding, *parameters = (each.strip() for each in part.split(b";"))
        weights[coding.removeprefix(b"x-")] = _weight(parameters)
    gzip = weights.get(b"gzip", weights.get(b"*", 0.0))
    return gzip > 0 and gzip >= weights.get(b"identity", 0.0)


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _asking_for_gzip(scope: Scope) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
    return {**scope, "headers": [*headers, (b"accept-encoding", b"gzip")]}


def _packed(send: Send) -> Send:
    """Return a `send` that gives packed answers a tag of their own, and says of all that others may get another one."""

    async def send_packed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            headers.setdefault("vary", "Accept-Encoding")
            if "etag" in headers and headers.get("content-encoding") == "gzip":
                headers["etag"] = packed_etag(headers["etag"])
        await send(message)

    return send_packed


def _plain(send: Send) -> Send:
    """Return a `send` that says in `Vary` that others may get a packed answer."""

    async def send_plain(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"].append(_VARY)
        await send(message)

    return send_plain
