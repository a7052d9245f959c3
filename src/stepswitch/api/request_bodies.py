"""Bodies of requests on their way in: unpacked where they come packed, and never more than the limit. Put around `receive` by `limits`.

What is limited is what an operation is given: of a body that unpacks to gigabytes no more is unpacked than the limit allows. And all bodies
that are on their way together have no more than the room for them, see `receiving`.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.types import Message, Receive

from stepswitch.api.receiving import SMALL_BYTES, Room
from stepswitch.api.wire.multipart import is_multipart
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, TooLargeError, UnsupportedEncodingError

Headers = Sequence[tuple[bytes, bytes]]
PIECE: Final = 64 * 1024
_LONGEST_NUMBER: Final = 19
_GZIP: Final = 16 + zlib.MAX_WBITS
_PACKED: Final = frozenset({b"gzip", b"x-gzip"})
_PLAIN: Final = frozenset({b"", b"identity"})


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large one body may be, in bytes: one that is read as a whole, and one of several parts, each of which is limited by itself, too."""

    whole: int
    in_parts: int


class Body:
    """Receives the parts of a body until they are too much: how a body without a length, or with a wrong one, is limited."""

    def __init__(self, receive: Receive, room: Room) -> None:
        self._receive = receive
        self._limit = 0
        self._said = 0
        """How long it says to be, as it comes."""
        self._got = 0
        self._is_at_end = False
        self._room = room
        self._has = SMALL_BYTES
        """How long it may be with the room that it has."""
        self.is_turned_away = False
        """Whether there was no room for it, so that the rest of it is not wanted."""

    def expect(self, headers: Headers, limits: BodyLimits) -> None:
        """Take a body in, as its headers tell; raises a CallerError where they say already that it cannot be taken."""
        said = _Said()
        for name, value in headers:  # of every request: one look at each, and no more
            if name == b"content-length":
                said.lengths.append(value)
            elif name == b"content-type":
                said.in_parts = is_multipart(value.decode("latin-1"))
            elif name == b"content-encoding":
                said.codings.append(value)
        self._limit = limits.in_parts if said.in_parts else limits.whole
        if said.codings and said.is_packed():
            self._receive = _Unpacked(self._receive)
        if said.lengths:
            self._said = said.length()
            self.limit_to(self._limit)

    def limit_to(self, limit: int) -> None:
        """Take no more than `limit` bytes from now on; raises TooLargeError where it says to be longer."""
        self._limit = min(self._limit, limit)
        if self._said > self._limit:
            raise _too_large(self._limit)

    @property
    def is_at_end(self) -> bool:
        """Whether the client has sent all of it."""
        return self._receive.is_at_end if isinstance(self._receive, _Unpacked) else self._is_at_end

    async def __call__(self) -> Message:
        """Return the next message of ASGI; raises TooLargeError, OverloadedError, and InvalidRequestError where it cannot be unpacked."""
        # Before anything is taken; not before an operation wants it, which is after the caller is known.
        if not self._got and self._said > self._has:
            self._grow(self._said)
        message = await self._receive()
        if message["type"] == "http.request":
            self._is_at_end = not message.get("more_body", False)
            self._got += len(message.get("body", b""))
            if self._got > self._limit:
                raise _too_large(self._limit)
            if self._got > self._has:
                self._grow(self._got)
        return message

    def _grow(self, size: int) -> None:
        self.is_turned_away = True
        self._room.take(size - self._has)
        self.is_turned_away = False
        self._has = size

    def settle(self) -> None:
        """Give the room back that it has had, whatever became of it."""
        self._room.give_back(self._has - SMALL_BYTES)
        self._has = SMALL_BYTES


def settle_body(request: Request) -> None:
    """Give back the room of a request of which nothing is kept in memory any more, though its answer may be long to come."""
    if isinstance(request.receive, Body):
        request.receive.settle()


class _Said:
    """What the headers say of a body."""

    def __init__(self) -> None:
        self.lengths: list[bytes] = []
        self.codings: list[bytes] = []
        self.in_parts = False

    def length(self) -> int:
        """Return how long it is; raises InvalidRequestError where nobody can say what is said."""
        text = self.lengths[0].strip()
        if any(each.strip() != text for each in self.lengths) or not text.isdigit() or len(text) > _LONGEST_NUMBER:
            raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, "Content-Length", "is no number of bytes")])
        return int(text)

    def is_packed(self) -> bool:
        """Return whether it comes packed; raises UnsupportedEncodingError where that is in a way that is not understood."""
        coding = b",".join(self.codings).strip().lower()
        if coding in _PLAIN:
            return False
        if self.in_parts:
            raise UnsupportedEncodingError("a body of several parts is sent as it is: leave Content-Encoding out", "identity")
        if coding not in _PACKED:
            raise UnsupportedEncodingError("Content-Encoding can be gzip, or be left out", "gzip")
        return True


class _Unpacked:
    """A body that comes packed, a small piece at a time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._unpacker = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._is_given = False
        self.is_at_end = False

    async def __call__(self) -> Message:
        while not self._is_given:
            piece = self._piece()
            if piece or self.is_at_end:
                self._is_given = not piece
                return {"type": "http.request", "body": piece, "more_body": bool(piece)}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._packed += message.get("body", b"")
            self.is_at_end = not message.get("more_body", False)
        return await self._receive()

    def _piece(self) -> bytes:
        """Return what can be unpacked now, but no more than a piece of it."""
        try:
            piece = self._unpacker.decompress(self._packed, PIECE)
        except zlib.error:
            raise _malformed("the body is not packed as Content-Encoding says") from None
        self._packed = self._unpacker.unconsumed_tail
        if self._unpacker.unused_data:
            raise _malformed("the packed body has something behind its end")
        if self.is_at_end and not piece and not self._unpacker.eof:
            raise _malformed("the packed body breaks off")
        return piece


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body is over the limit of {limit} bytes")


def _malformed(message: str) -> InvalidRequestError:
    return InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, "Content-Encoding", message)])
