"""Whether anything was written in the name of a request. Noted by `storage`, asked by `api` where a request fails: "nothing was stored" has to be true.

A request may write more than once, and fail at the last of it, or at a read behind it.
"""

from contextvars import ContextVar, Token
from typing import Final


class NotingWrites:
    """What is written in the block, also by tasks that are begun in it. `are_any`: something of it is on disk, or may be."""

    __slots__ = ("_before", "are_any")

    def __init__(self) -> None:
        self.are_any = False

    def __enter__(self) -> "NotingWrites":
        self._before: Token[NotingWrites | None] = _OF_REQUEST.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _OF_REQUEST.reset(self._before)


_OF_REQUEST: Final[ContextVar[NotingWrites | None]] = ContextVar("writes of a request", default=None)


def note_write() -> None:
    """Note that something was written, or may have been, for whoever is asked for right now."""
    writes = _OF_REQUEST.get()
    if writes is not None:
        writes.are_any = True
