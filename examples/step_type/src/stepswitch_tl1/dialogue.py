"""One dialogue with a network element: commands go out, and the answer to each is picked out of all that comes back. Called by `step`.

An answer is `M <ctag> <code>` and lines of text up to a line with `;`, or with `>` where more of it follows. Between answers an element says
what it likes: that a command is in progress (`IP <ctag>` and `<`), and alarms, which nobody has asked for.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

DONE: Final = frozenset({"COMPLD", "DELAY", "RTRV"})
_ANSWER: Final = re.compile(r"M\s+(\S+)\s+([A-Z]{4,6})")
_UNSAFE: Final = re.compile(r"[^ -~]|[;:]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an element answered to one command. `code` is its completion code; `is_cut`: there was more text than is kept."""

    code: str
    text: str
    is_cut: bool = False


class NoAnswerError(Exception):
    """The connection ended, or what came is no TL1."""


class Dialogue:
    """Speaks over an open connection, one command after the other. `limit` is how many characters of an answer are kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int) -> None:
        self._reader = reader
        self._writer = writer
        self._limit = limit
        self._last = 0

    async def ask(self, verb: str, tid: str, aid: str, parameters: str, heard: Callable[[str], Awaitable[None]] | None = None) -> Answer:
        """Send a command and return the answer to it, whose lines `heard` is told as they come; raises NoAnswerError and OSError."""
        self._last += 1
        self._writer.write(f"{verb}:{tid}:{aid}:{self._last}::{parameters};".encode())
        await self._writer.drain()
        code, kept = "", 0
        lines: list[str] = []
        while True:
            line = await self._line()
            found = _ANSWER.fullmatch(line)
            if found is not None and found[1] == str(self._last):
                code = found[2]
            elif line in (";", ">", "<") and not code:
                continue  # the end of something else
            elif line == ";":
                return Answer(code, "\n".join(lines), kept > self._limit)
            elif line == ">":
                code = ""  # what comes before the next part is not the answer
            elif code and line:
                kept += len(line) + 1
                if kept <= self._limit:
                    lines.append(line)
                if heard is not None:
                    await heard(line)

    async def _line(self) -> str:
        try:
            data = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise NoAnswerError from None
        return data.decode("ascii", "replace").strip()


def is_safe(part: str) -> bool:
    """Return whether a text can be one part of a command: without what ends a part, a command or a line."""
    return not _UNSAFE.search(part)
