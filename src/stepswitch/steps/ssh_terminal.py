"""What a router writes to a terminal, turned into the lines that a person would read there. Called by `ssh_dialogue`.

One line is kept, however much is written: cursor moves, backspaces and erasing count inside of it, all else that steers a terminal
is dropped. So an echo that the router redraws, or `--More--` that it wipes away, reads as it would on a screen.
"""

import codecs
import re
from dataclasses import dataclass
from typing import Final

from stepswitch.steps.output import LINE_CHARACTERS

COLUMNS: Final = 511
"""The widest that IOS takes: lines do not wrap, and every platform accepts it."""
ROWS: Final = 511
KIND: Final = "vt100"
_TOKEN: Final = re.compile(
    r"\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<act>[@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|(?P<plain>[^\x1b])", re.DOTALL
)
_KEPT_CONTROLS: Final = "\t\xa0"


@dataclass(frozen=True, slots=True)
class Line:
    """One finished line, or a part of one that is too long: `ends` tells. `written` is what came for it, controls included."""

    text: str
    written: str
    ends: bool = True


class Terminal:
    """One screen. Feed it; what is finished comes back, and `line` is where the cursor stands."""

    def __init__(self, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._written = ""
        self._is_continued = False

    @property
    def line(self) -> str:
        """The line with the cursor, as it reads now."""
        return rendered(self._written)

    @property
    def is_continued(self) -> bool:
        """Whether the line with the cursor had a beginning that was given out already."""
        return self._is_continued

    def feed(self, data: bytes) -> list[Line]:
        """Take the next bytes and return the lines that are finished by them."""
        *finished, self._written = (self._written + self._decoder.decode(data)).split("\n")
        lines = [Line(rendered(written), written) for written in finished]
        if len(self._written) > LINE_CHARACTERS:
            lines.append(Line(rendered(self._written), self._written, ends=False))
            self._written = ""
            self._is_continued = True
        elif lines:
            self._is_continued = False
        return lines


def rendered(written: str) -> str:
    """Return a line as it reads after everything that was written to it."""
    if written.isprintable():
        return written
    if written[:-1].isprintable() and written.endswith("\r"):
        return written[:-1]
    cells: list[str] = []
    place = 0
    for token in _TOKEN.finditer(written):
        plain = token["plain"]
        if token["act"]:
            place = _act(token["act"], token["numbers"], cells, place)
        elif plain == "\r":
            place = 0
        elif plain == "\b":
            place = max(0, place - 1)
        elif plain and (plain.isprintable() or plain in _KEPT_CONTROLS):
            cells[place : place + 1] = [plain]
            place += 1
    return "".join(cells).rstrip()


def _act(act: str, numbers: str, cells: list[str], place: int) -> int:
    """Carry out a control sequence as far as it changes one line; return where the cursor is then."""
    count = int(numbers) if numbers.isdecimal() and len(numbers) < 6 else 0
    steps = max(1, count)
    match act:
        case "D":
            return max(0, place - steps)
        case "C" | "G" | "H" | "f":
            wanted = place + steps if act == "C" else steps - 1 if act == "G" else 0
            wanted = min(wanted, COLUMNS)
            cells.extend(" " * (wanted - len(cells)))
            return wanted
        case "K" | "J":
            first, last = (place, len(cells)) if count == 0 else (0, len(cells))
            if count == 1:
                cells[:place] = " " * min(place, len(cells))
            else:
                del cells[first:last]
                cells.extend(" " * (place - len(cells)))
        case "P":
            del cells[place : place + steps]
    return place
