"""How NETCONF messages follow one another on a channel (RFC 6242): by an end mark in 1.0, in chunks since 1.1. Called by `netconf_session`.

No I/O. What a device sends is never trusted: the size of a message is bounded, and what is no frame is said at once.
"""

import re
from typing import Final

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
END_MARK: Final = b"]]>]]>"
_CHUNK: Final = re.compile(rb"\n#(?:(#)|([1-9][0-9]{0,9}))\n")
_BEGINNING: Final = re.compile(rb"(?:\n(?:#(?:#|[1-9][0-9]{0,9})?)?)?")
_BEFORE_XML: Final = b" \t\r\n\xef\xbb\xbf"
_SHOWN_BYTES: Final = 40


class FramingError(Exception):
    """What came is no NETCONF message; the message says what it is instead."""


class TooLargeError(FramingError):
    """A message is larger than anybody may hold."""


class Framer:
    """Takes what comes as it comes and gives whole messages. It begins with the end marks of 1.0; `use_chunks` turns to those of 1.1."""

    def __init__(self, limit_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = limit_bytes
        self._came = bytearray()
        self._looked_at = 0
        self._chunked = False
        self._message = bytearray()
        self._due = 0

    def use_chunks(self) -> None:
        """Read and write chunks from the next message on."""
        self._chunked = True
        self._looked_at = 0

    def framed(self, message: bytes) -> bytes:
        """Return a message in its frame."""
        if self._chunked:
            return b"\n#%d\n%b\n##\n" % (len(message), message)
        return message + END_MARK

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._came += data

    @property
    def has_begun(self) -> bool:
        """Whether a part of a message has come."""
        return bool(self._came or self._message)

    def next(self) -> bytes | None:
        """Return the next message, None where more has to come first; raises FramingError."""
        return self._next_chunked() if self._chunked else self._next_marked()

    def _next_marked(self) -> bytes | None:
        end = self._came.find(END_MARK, self._looked_at)
        if end < 0:
            self._looked_at = max(0, len(self._came) - len(END_MARK) + 1)
            self._check_size(len(self._came))
            self._check_start()
            return None
        self._check_size(end)
        message = bytes(self._came[:end])
        del self._came[: end + len(END_MARK)]
        self._looked_at = 0
        return message

    def _next_chunked(self) -> bytes | None:
        while True:
            if self._due:
                self._take_due()
                if self._due:
                    return None
            header = _CHUNK.match(self._came)
            if header is None:
                self._check_header()
                return None
            is_end, size = header[1] is not None, int(header[2] or 0)
            del self._came[: header.end()]
            if not is_end:
                self._due = size
                self._check_size(len(self._message) + self._due)
                continue
            if not self._message:
                raise FramingError("a message without a chunk")
            message, self._message = bytes(self._message), bytearray()
            return message

    def _check_start(self) -> None:
        """Raise FramingError where what came cannot become XML, so that nobody waits for its end."""
        start = bytes(self._came[:_SHOWN_BYTES]).lstrip(_BEFORE_XML)
        if start and not start.startswith(b"<"):
            raise FramingError(f"no XML, but {start!r}")

    def _take_due(self) -> None:
        taken = self._came[: self._due]
        self._message += taken
        self._due -= len(taken)
        del self._came[: len(taken)]

    def _check_header(self) -> None:
        """Raise FramingError unless what came may be the beginning of a header."""
        if _BEGINNING.fullmatch(self._came) is None:
            raise FramingError(f"no chunk where one has to begin, but {bytes(self._came[:_SHOWN_BYTES])!r}")

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise TooLargeError(f"a message of more than {self._limit // (1024 * 1024)} MiB")
