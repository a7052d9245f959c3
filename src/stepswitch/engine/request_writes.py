"""Whether anything was written in the name of a request. Noted by `storage`, asked by `api` where a request fails: "nothing was stored" has to be true.

A request may write more than once, and fail at the last of it, or at a read behind it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final


class Writes:
    """What one request has written. `are_any`: something of it is on disk, or may be."""

    __slots__ = ("are_any",)

    def __init__(self) -> None:
        self.are_any = False


_OF_REQUEST: Final[ContextVar[Writes | None]] = ContextVar("writes of a request", default=None)


@contextmanager
def noting_writes() -> Iterator[Writes]:
    """Give what is noted as written in the block, also by tasks that are begun in it."""
    writes = Writes()
    before = _OF_REQUEST.set(writes)
    try:
        yield writes
    finally:
        _OF_REQUEST.reset(before)


def note_write() -> None:
    """Note that something was written, or may have been, for whoever is asked for right now."""
    writes = _OF_REQUEST.get()
    if writes is not None:
        writes.are_any = True
