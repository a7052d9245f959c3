"""Bodies of several parts (RFC 7578), read as they arrive: no part is ever whole in memory. Called by `attachments`."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, TooLargeError

MOST_PARTS: Final = 1_000
_HEAD_BYTES: Final = 16 * 1024
_BOUNDARY: Final = re.compile(r'(?:^|;)\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)+)"|([^\s;"]+))', re.IGNORECASE)
_PARAMETER: Final = re.compile(r';\s*([\w-]+)(\*?)\s*=\s*(?:"((?:[^"\\]|\\["\\]|\\)*)"|([^;\s]*))')
_LONGEST_BOUNDARY: Final = 200
_SPELLED: Final = {"%22": '"', "%0D": "\r", "%0A": "\n"}
"""How browsers write what cannot stand between quotation marks."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: the name of its field, the name of its file where it says one, and its content as it arrives."""

    name: str
    file_name: str | None
    content: AsyncIterator[bytes]

    async def read(self, limit: int) -> bytes:
        """Return the whole content; raises TooLargeError where it is over `limit` bytes."""
        found = bytearray()
        async for piece in self.content:
            found += piece
            if len(found) > limit:
                raise TooLargeError(f"the part {self.name} is over the limit of {limit} bytes")
        return bytes(found)


async def parts_of(request: Request) -> AsyncIterator[Part]:
    """Return the parts of a body in their order; what is not read of one is passed over. Raises InvalidRequestError."""
    body = _Body(request.stream(), b"\r\n--" + _boundary(request.headers.get("content-type", "")))
    await _drain(body.part())
    for _ in range(MOST_PARTS):
        if not await body.has_more():
            return
        name, file_name = _names(await body.head())
        content = body.part()
        yield Part(name, file_name, content)
        await _drain(content)
    raise _malformed(f"a body has at most {MOST_PARTS} parts")


def is_multipart(content_type: str) -> bool:
    """Return whether a content type is one of several parts."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


async def _drain(content: AsyncIterator[bytes]) -> None:
    async for _ in content:
        pass


class _Body:
    """What has arrived and was not yet given out."""

    def __init__(self, stream: AsyncIterator[bytes], delimiter: bytes) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._held = bytearray(b"\r\n")  # the first delimiter may stand at the very beginning

    async def _arrives(self) -> None:
        """Wait for more; raises InvalidRequestError where there is no more."""
        async for piece in self._stream:
            if piece:
                self._held += piece
                return
        raise _malformed("the body ends in the middle of a part")

    async def part(self) -> AsyncIterator[bytes]:
        """Give everything up to the next delimiter, and take that away."""
        while (found := self._held.find(self._delimiter)) < 0:
            safe = len(self._held) - len(self._delimiter) + 1
            if safe > 0:
                piece = bytes(self._held[:safe])
                del self._held[:safe]
                yield piece
            await self._arrives()
        last = bytes(self._held[:found])
        del self._held[: found + len(self._delimiter)]
        if last:
            yield last

    async def has_more(self) -> bool:
        """Return whether a part follows the delimiter that was taken away last; take the end of its line away."""
        line = await self._until(b"\r\n", b"--")
        if line.strip(b" \t"):
            raise _malformed("a boundary has something behind it")
        return not self._ended

    async def head(self) -> bytes:
        """Return the header lines of a part."""
        self._held[:0] = b"\r\n"  # there may be none
        return await self._until(b"\r\n\r\n", None)

    async def _until(self, mark: bytes, end: bytes | None) -> bytes:
        self._ended = False
        while True:
            if end is not None and self._held.startswith(end):
                self._ended = True
                return b""
            found = self._held.find(mark)
            if found >= 0:
                taken = bytes(self._held[:found])
                del self._held[: found + len(mark)]
                return taken
            if len(self._held) > _HEAD_BYTES:
                raise _malformed(f"the head of a part has more than {_HEAD_BYTES} bytes")
            await self._arrives()


def _boundary(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type.partition(";")[2]) if is_multipart(content_type) else None
    boundary = (found[1] or found[2]) if found else ""
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        message = "send multipart/form-data with a boundary"
        raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, "Content-Type", message)])
    return boundary.encode("latin-1")


def _names(head: bytes) -> tuple[str, str | None]:
    """Return the names that the header lines of a part give."""
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise _malformed("the head of a part is not UTF-8") from None
    for line in lines:
        field, _, value = line.partition(":")
        if field.strip().lower() == "content-disposition":
            found = _parameters(value)
            if "name" in found:
                return found["name"], found.get("filename*", found.get("filename"))
    raise _malformed("a part does not say what it is called: Content-Disposition: form-data; name=…")


def _parameters(value: str) -> dict[str, str]:
    found = {}
    for name, star, quoted, plain in _PARAMETER.findall(value):
        if star:
            charset, _, rest = plain.partition("'")
            found[f"{name.lower()}*"] = unquote(rest.partition("'")[2], "latin-1" if charset.lower() == "iso-8859-1" else "utf-8")
        else:
            text = re.sub(r'\\(["\\])', r"\1", quoted) or plain
            found[name.lower()] = re.sub("%22|%0D|%0A", lambda spelled: _SPELLED[spelled[0]], text)
    return found


def _malformed(message: str) -> InvalidRequestError:
    return InvalidRequestError([Fault(ErrorCode.MALFORMED_JSON, "", message)])
