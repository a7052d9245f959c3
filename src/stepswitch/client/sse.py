"""Server-sent events as they come over the wire, to names, ids and data. Called by `events`; knows nothing of executions.

Source: the HTML standard, section 9.2. Comments are left out; they only show that the connection is alive.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LARGEST_EVENT: Final = 64 * 1024 * 1024
"""Bytes; what goes on longer without an empty line is no stream of events."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event: its name, the id after which a reader goes on, and its data. Without data it only tells the id."""

    name: str
    id: str | None
    data: str


@dataclass(slots=True)
class Parser:
    """Takes the bytes of a stream piece by piece. `last_id` is where a reader goes on who has taken all that came."""

    last_id: str | None = None
    _rest: bytes = b""
    _lines: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> Iterator[RawEvent]:
        """Yield every event that is complete now; raises ValueError where the stream is none of events."""
        self._rest += data
        if len(self._rest) > LARGEST_EVENT:
            raise ValueError("an event does not come to its end")
        while (found := _line(self._rest)) is not None:
            line, self._rest = found
            if line:
                self._lines.append(line)
            elif self._lines:
                event = self._event()
                if event is not None:
                    yield event

    def _event(self) -> RawEvent | None:
        name, data = "message", []
        for line in self._lines:
            part, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if part == "event":
                name = value
            elif part == "data":
                data.append(value)
            elif part == "id" and "\0" not in value:
                self.last_id = value
        self._lines.clear()
        return RawEvent(name, self.last_id, "\n".join(data)) if data else None


def _line(data: bytes) -> tuple[str, bytes] | None:
    """Return the first line and what follows it; None where its end has not come yet, or might be half of a CR LF."""
    ends = [place for place in (data.find(b"\n"), data.find(b"\r")) if place >= 0]
    if not ends:
        return None
    end = min(ends)
    if data[end : end + 1] == b"\r" and end + 1 == len(data):
        return None
    after = end + (2 if data[end : end + 2] == b"\r\n" else 1)
    return data[:end].decode("utf-8", "replace").removeprefix("\ufeff"), data[after:]
