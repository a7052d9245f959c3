"""The head of an answer goes out with its body: one call of the system where uvicorn makes two. Used by `protocol`."""

import asyncio
from typing import Final

_SAYS_ITS_LENGTH: Final = b"\r\ncontent-length: "
_GO_ON: Final = b"HTTP/1.1 100 "
"""What is written before the head to a client that waits to be asked for the body."""


class HeldHead:
    """What one answer is written to. A head that says how long the body is waits for the first of it; that of a stream goes out at once."""

    __slots__ = ("_has_begun", "_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytes | None = None
        self._has_begun = False

    def write(self, data: bytes) -> None:
        """Write `data`, with what is held before it."""
        if self._held is not None:
            self._transport.writelines((self._held, data))
            self._held = None
            return
        is_head = not self._has_begun and not data.startswith(_GO_ON)
        self._has_begun |= is_head
        if is_head and _SAYS_ITS_LENGTH in data:
            self._held = data
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection once all is written."""
        if self._held is not None:
            self._transport.write(self._held)
            self._held = None
        self._transport.close()
