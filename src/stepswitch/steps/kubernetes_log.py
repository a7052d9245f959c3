"""The log of a pod, followed over connections that break: no line twice, none left out, and what the wrapper adds taken out. Called by `kubernetes_run`.

The cluster puts the time in front of each line. A log that broke off is asked for again from the second of the last line, and what was seen is passed over.
Memory does not depend on how long a line is.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from stepswitch.steps.kubernetes_api import Api, ApiError, LinkError, passes
from stepswitch.steps.kubernetes_objects import CONTAINER
from stepswitch.steps.output import Output

SILENCE_SECONDS: Final = 60.0
"""How long a log says nothing until it is asked for again: a connection that is none says nothing either."""
_LONGEST_TIME: Final = 64
_TIME: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_HEX: Final = re.compile(rb"(?:\s*[0-9a-f]{2})*\s*")

Moment = tuple[int, int]
"""Seconds since 1970, and billionths."""


@dataclass(slots=True)
class Handed:
    """What the script wrote to `$STEPSWITCH_OUTPUT`, as the wrapper handed it on."""

    is_complete: bool = False
    """Whether the wrapper has said its last word, so that the log is whole."""
    has_ended_line: bool = False
    """Whether it has ended the last line of the script, which has no end of its own."""
    size: int = 0
    is_too_large: bool = False
    _encoded: bytearray = field(default_factory=bytearray)
    _is_open: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the next lines are what was written, encoded."""
        return self._is_open

    def content(self) -> bytes | None:
        """Return what was written; None where it did not come whole."""
        if not self.is_complete:
            return None
        text = bytes(self._encoded)
        with suppress(ValueError, binascii.Error):
            decoded = (
                bytes.fromhex(text.decode("ascii")) if _HEX.fullmatch(text) else base64.b64decode(b"".join(text.split()), validate=True)
            )
            return decoded if len(decoded) == self.size else None
        return None

    def take_word(self, line: bytes) -> None:
        """Take a line of the wrapper, without its mark."""
        match line.split():
            case [b"none"] | [b"end"]:
                self.is_complete, self._is_open = True, False
            case [b"large", size] if size.isdigit():
                self.is_complete, self.is_too_large, self.size = True, True, int(size)
            case [b"begin", size] if size.isdigit():
                self._is_open, self.size = True, int(size)
                self._encoded.clear()

    def take(self, data: bytes) -> None:
        """Take a piece of what was written; what is more than can have been is dropped."""
        room = 4 * self.size + 1024 - len(self._encoded)
        self._encoded += data[: max(0, room)]


class LogReader:
    """Takes a log as it comes and feeds an output with what the script printed. `mark` begins the lines of the wrapper."""

    def __init__(self, output: Output, mark: str) -> None:
        self.handed = Handed()
        self._output = output
        self._mark = mark.encode() + b" "
        self._last: Moment | None = None
        self._seen_at_last = 0
        """How many whole lines of that moment were seen."""
        self._begun: tuple[Moment, int] | None = None
        """The moment of a line that broke off, and how many bytes of it were seen."""
        self._owes_end = False
        self._fresh: bytearray = bytearray()
        self._line = _Line()
        self._passing: int = 0

    @property
    def since(self) -> str | None:
        """From when on a log that broke off is asked for again."""
        return None if self._last is None else datetime.fromtimestamp(self._last[0], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def begin(self) -> None:
        """Take note that the log begins anew, at `since`."""
        line, self._line = self._line, _Line()
        if line.moment is not None and line.given and not line.is_passed:
            self._begun = (line.moment, line.given)
        self._passing = self._seen_at_last

    async def feed(self, data: bytes) -> None:
        """Take the next bytes; returns when their lines are in the step's log."""
        start = 0
        while start < len(data):
            end = data.find(b"\n", start)
            piece = data[start : end if end >= 0 else len(data)]
            self._take(piece, is_end=end >= 0)
            start = end + 1 if end >= 0 else len(data)
        await self._flush()

    async def finish(self) -> None:
        """Take note that nothing follows."""
        if self._line.held:
            self._give(bytes(self._line.held))
        if self._owes_end and not self.handed.is_complete:
            self._fresh += b"\n"
        await self._flush()
        await self._output.finish()

    async def _flush(self) -> None:
        if self._fresh:
            data, self._fresh = bytes(self._fresh), bytearray()
            await self._output.feed(data)

    def _take(self, piece: bytes, *, is_end: bool) -> None:
        line = self._line
        if not line.is_timed:
            line.held += piece
            if not self._read_time(is_end=is_end):
                return
            piece = bytes(line.held)
            line.held.clear()
        if not line.is_passed:
            self._content(piece, is_end=is_end)
        if is_end:
            self._note_end()

    def _read_time(self, *, is_end: bool) -> bool:
        """Return whether the line's time is read, or it has none: then what is held is its text."""
        line = self._line
        found, space = _TIME.match(line.held), line.held.find(b" ")
        if space < 0 and not is_end and len(line.held) < _LONGEST_TIME:
            return False
        line.is_timed = True
        if found is not None and found.end() == (space if space >= 0 else len(line.held)):
            line.moment = _moment(found)
            del line.held[: found.end() + 1]
            line.is_passed = self._was_seen(line.moment)
        return True

    def _was_seen(self, moment: Moment) -> bool:
        """Return whether a line of that moment was seen whole; of one that was seen in part, only the rest counts."""
        if self._last is None or moment > self._last:
            self._passing = 0
        elif moment == self._last and self._passing:
            self._passing -= 1
            return True
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] == moment:
            self._line.skip = begun[1]
            return False
        return self._last is not None and moment < self._last

    def _content(self, piece: bytes, *, is_end: bool) -> None:
        line = self._line
        skipped = min(line.skip, len(piece))
        line.skip -= skipped
        line.seen += len(piece)
        piece = piece[skipped:]
        if line.is_word is None:
            line.held += piece
            if len(line.held) < len(self._mark) and self._mark.startswith(line.held) and not is_end:
                return
            line.is_word = line.held.startswith(self._mark)
            piece = bytes(line.held)
            line.held.clear()
        if line.is_word:
            line.held += piece[:_LONGEST_TIME]
        elif self.handed.is_open:
            self.handed.take(piece + b"\n" if is_end else piece)
        else:
            self._give(piece, is_end=is_end)

    def _give(self, piece: bytes, *, is_end: bool = False) -> None:
        """Hand on what the script printed. The end of an empty line waits for what follows: the one before the wrapper's words is the wrapper's."""
        if self._owes_end and (piece or is_end):
            self._fresh += b"\n"
            self._owes_end = False
        self._fresh += piece
        if is_end and self._line.seen:
            self._fresh += b"\n"
        elif is_end:
            self._owes_end = True

    def _note_end(self) -> None:
        line, self._line = self._line, _Line()
        if line.is_passed:
            return
        if line.is_word:
            self.handed.has_ended_line |= not self._owes_end and not self.handed.is_open
            self._owes_end = False
            self.handed.take_word(bytes(line.held[len(self._mark) :]))
        if line.moment is None:
            return
        if self._last is None or line.moment > self._last:
            self._last, self._seen_at_last = line.moment, 1
        elif line.moment == self._last:
            self._seen_at_last += 1


@dataclass(slots=True)
class _Line:
    """A line that is on its way."""

    held: bytearray = field(default_factory=bytearray)
    moment: Moment | None = None
    is_timed: bool = False
    is_passed: bool = False
    is_word: bool | None = None
    skip: int = 0
    """How many bytes are still to come that an earlier connection gave."""
    seen: int = 0
    """How many bytes of its text have come."""

    @property
    def given(self) -> int:
        """How many bytes of its text were handed on, by earlier connections, too: none of the wrapper's words."""
        return 0 if self.is_word else self.seen + self.skip - len(self.held)


def _moment(found: "re.Match[bytes]") -> Moment:
    whole, fraction, zone = found.group(1).decode(), (found.group(2) or b"").decode(), found.group(3).decode()
    seconds = int(datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp())
    return seconds, int(fraction.ljust(9, "0"))


async def follow_log(api: Api, pods: str, pod: str, reader: LogReader, *, is_over: "asyncio.Event", pauses: tuple[float, ...]) -> None:
    """Read the log of a pod to its end, over as many connections as it takes; raises ApiError where it may not be read.

    Its end is what comes to an end after the pod has, or after the wrapper's last word.
    """
    failures = 0
    while True:
        was_over = is_over.is_set()
        try:
            await _read(api, f"{pods}/{pod}/log", reader, follows=not was_over)
            failures = 0
            if was_over or reader.handed.is_complete:
                return
        except (ApiError, LinkError) as error:
            if isinstance(error, ApiError) and not passes(error) and error.status != 400:
                raise
            failures += 1
        pause = pauses[min(failures, len(pauses) - 1)]
        if was_over:
            await asyncio.sleep(pause)
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(is_over.wait(), pause)


async def _read(api: Api, path: str, reader: LogReader, *, follows: bool) -> None:
    query = {"container": CONTAINER, "timestamps": "true"}
    if follows:
        query["follow"] = "true"
    if reader.since is not None:
        query["sinceTime"] = reader.since
    async with api.log(path, query, SILENCE_SECONDS) as pieces:
        reader.begin()
        async for piece in _small(pieces):
            await reader.feed(piece)


async def _small(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        await asyncio.sleep(0)  # much may have come at once, and others want their turn
