"""Bodies of requests on their way in: unpacked where they come packed, and never more than the limit. Put around `receive` by `limits`.

What is limited is what an operation is given: of a body that unpacks to gigabytes no more is unpacked than the limit allows.
"""

import zlib
from collections.abc import Sequence
from typing import Final

from starlette.types import Message, Receive

from stepswitch.api.wire.multipart import is_multipart
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, TooLargeError, UnsupportedEncodingError

Headers = Sequence[tuple[bytes, bytes]]
PIECE: Final = 64 * 1024
_LONGEST_NUMBER: Final = 19
_GZIP: Final = 16 + zlib.MAX_WBITS
_PACKED: Final = frozenset({b"gzip", b"x-gzip"})
_PLAIN: Final = frozenset({b"", b"identity"})


class Body:
    """Receives the parts of a body until they are too much: how a body without a length, or with a wrong one, is limited."""

    def __init__(self, receive: Receive, headers: Headers, limit: int) -> None:
        """Take a body in; raises a CallerError where its headers say already that it cannot be taken."""
        in_parts = _is_in_parts(headers)
        self._limit = None if in_parts else limit  # parts are read one by one, and each is limited by itself
        self._arriving = _Unpacking(receive) if _is_packed(headers, in_parts=in_parts) else _Arriving(receive)
        self._got = 0
        length = _length(headers)
        if length is not None:
            self._count(length)
            self._got = 0

    @property
    def is_at_end(self) -> bool:
        """Whether the client has sent all of it."""
        return self._arriving.is_at_end

    async def __call__(self) -> Message:
        """Return the next message of ASGI; raises TooLargeError, and InvalidRequestError where it cannot be unpacked."""
        message = await self._arriving.next()
        if message["type"] == "http.request":
            self._count(len(message.get("body", b"")))
        return message

    def _count(self, more: int) -> None:
        self._got += more
        if self._limit is not None and self._got > self._limit:
            raise TooLargeError(f"the body is over the limit of {self._limit} bytes")


class _Arriving:
    """A body as it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_at_end = False

    async def next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.is_at_end = not message.get("more_body", False)
        return message


class _Unpacking(_Arriving):
    """A body that comes packed, a small piece at a time."""

    def __init__(self, receive: Receive) -> None:
        super().__init__(receive)
        self._unpacker = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._is_given = False

    async def next(self) -> Message:
        while not self._is_given:
            piece = self._piece()
            if piece or self.is_at_end:
                self._is_given = not piece
                return {"type": "http.request", "body": piece, "more_body": bool(piece)}
            message = await super().next()
            if message["type"] != "http.request":
                return message
            self._packed += message.get("body", b"")
        return await super().next()

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


def _is_in_parts(headers: Headers) -> bool:
    return any(name == b"content-type" and is_multipart(value.decode("latin-1")) for name, value in headers)


def _is_packed(headers: Headers, *, in_parts: bool) -> bool:
    """Return whether a body comes packed; raises UnsupportedEncodingError where it is packed in a way that is not understood."""
    lines = [value for name, value in headers if name == b"content-encoding"]
    codings = {coding.strip().lower() for line in lines for coding in line.split(b",")} - _PLAIN
    if not codings:
        return False
    if in_parts:
        raise UnsupportedEncodingError("a body of several parts is sent as it is: leave Content-Encoding out", "identity")
    if not codings <= _PACKED or len(lines) > 1 or b"," in lines[0]:
        raise UnsupportedEncodingError("Content-Encoding can be gzip, or be left out", "gzip")
    return True


def _length(headers: Headers) -> int | None:
    """Return how long a body says that it is; raises InvalidRequestError where nobody can say what it says."""
    lengths = {value.strip() for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    text = lengths.pop()
    if lengths or not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, "Content-Length", "is no number of bytes")])
    return int(text)


def _malformed(message: str) -> InvalidRequestError:
    return InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, "Content-Encoding", message)])
