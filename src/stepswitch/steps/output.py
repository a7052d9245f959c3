"""What a target prints: decoded as it arrives, shown line by line in the step's log, kept up to the limit. Called by step types.

Memory does not depend on how much is printed: one line and the kept part are all that is held. Who feeds an output waits for
the log, so a target that prints faster than the log is written is slowed down. What can no longer be kept, shown or judged is
passed over without looking at its lines, and nobody else on the event loop is held up by those that are looked at.
"""

import asyncio
import codecs
import io
import re
from collections.abc import Callable
from typing import Final

from stepswitch.plugin import CUT, LogLevel, StepContext

LINE_CHARACTERS: Final = 16 * 1024
"""Where a longer line is broken in the log; both parts carry the mark of a cut there, so that half a secret is masked too."""
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_PART_CHARACTERS: Final = LINE_CHARACTERS - len(CUT)
_BREAKING_SPACE: Final = 1024
_LONGEST_ESCAPE: Final = 64
_LINES_IN_A_ROW: Final = 100
"""After so many lines whatever else is due on the event loop has its turn."""


def harmless(text: str) -> str:
    """Return one line of text without anything that a terminal or a browser would act on: escape sequences, controls, turns of direction."""
    if text.isprintable():
        return text
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def is_text_encoding(name: str) -> bool:
    """Return whether bytes can be read as text by the encoding called `name`."""
    try:
        b"a".decode(name, "replace")
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        return False
    return True


class Output:
    """One stream of a target. Feed it, finish it, then read `text` and `truncated`."""

    def __init__(
        self, context: StepContext, level: LogLevel, *, encoding: str, limit_bytes: int, watch: Callable[[str], None] | None = None
    ) -> None:
        self._context = context
        self._level = level
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._room = limit_bytes
        self._watch = watch
        self._kept = io.StringIO(newline="")
        self._open_line = ""
        self.truncated = False
        """Whether more was printed than is kept."""
        self.last_line = ""
        """The last line that is not blank, made harmless."""

    @property
    def text(self) -> str:
        """What was printed, up to the limit."""
        return self._kept.getvalue()

    async def feed(self, data: bytes) -> None:
        """Take the next bytes; returns when their lines are in the log."""
        await self._take(_whole(self._decoder.decode(data)))

    async def finish(self) -> None:
        """Take note that nothing follows: what stands in an unfinished line or character is given out."""
        await self._take(_whole(self._decoder.decode(b"", final=True)))
        if self._open_line:
            line, self._open_line = self._open_line, ""
            await self._show(line)

    async def _take(self, text: str) -> None:
        if not text:
            return
        self._keep(text)
        if self.truncated and self._watch is None and self._context.is_log_full:
            self._pass_over(self._open_line + text)
            return
        *lines, rest = (self._open_line + text).split("\n")
        self._open_line = ""
        for number, line in enumerate(lines, 1):
            await self._show(line)
            if number % _LINES_IN_A_ROW == 0:
                await asyncio.sleep(0)
        while len(rest) > LINE_CHARACTERS:
            cut = _breaking_place(rest)
            await self._show(rest[:cut] + CUT)
            rest = CUT + rest[cut:]
        self._open_line = rest

    def _pass_over(self, text: str) -> None:
        """Take note of the last line alone."""
        whole, _, rest = text.rpartition("\n")
        last = _end_of(whole.rstrip().rpartition("\n")[2].rpartition("\r")[2])
        self.last_line = harmless(last).strip() or self.last_line
        self._open_line = _end_of(rest)

    async def _show(self, line: str) -> None:
        if self.truncated and self._watch is not None:
            self._watch(line)
        for part in line.removesuffix("\r").split("\r"):
            await self._log(part)

    async def _log(self, part: str) -> None:
        while len(part) > LINE_CHARACTERS:
            cut = _breaking_place(part)
            await self._context.log(harmless(part[:cut]) + CUT, self._level)
            part = CUT + part[cut:]
        shown = harmless(part)
        if shown.strip():
            self.last_line = shown.strip()
        await self._context.log(shown, self._level)

    def _keep(self, text: str) -> None:
        if self.truncated:
            return
        encoded = text.encode("utf-8")
        if len(encoded) > self._room:
            self.truncated = True
            text = encoded[: self._room].decode("utf-8", "ignore")
        self._room -= len(encoded)
        self._kept.write(text)


def _whole(text: str) -> str:
    """Return `text` without halves of characters, which some decoders give out and nothing can store."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _end_of(line: str) -> str:
    """Return the end of a line that is too long, and any other as it is."""
    return line if len(line) <= LINE_CHARACTERS else CUT + line[-_PART_CHARACTERS:]


def _breaking_place(line: str) -> int:
    """Return where to break a long line: at a blank where there is one, and never inside of an escape sequence."""
    blank = max(
        line.rfind(" ", _PART_CHARACTERS - _BREAKING_SPACE, _PART_CHARACTERS),
        line.rfind("\t", _PART_CHARACTERS - _BREAKING_SPACE, _PART_CHARACTERS),
    )
    place = blank + 1 if blank >= 0 else _PART_CHARACTERS
    escape = line.rfind("\x1b", place - _LONGEST_ESCAPE, place)
    return escape if escape > 0 else place
