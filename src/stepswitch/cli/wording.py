"""How values, times and steps are written for people at a terminal or in a file of log lines. Called by the tellers and by whatever shows things."""

import json
import unicodedata
from typing import TYPE_CHECKING, Final

from stepswitch.domain.values import Value

if TYPE_CHECKING:
    from stepswitch.cli.story import ToldStep

SHOWN_CHARACTERS: Final = 2_000
"""How much of one output is shown; `--json` has all of it."""
_SECONDS_PER_MINUTE: Final = 60
_MINUTES_PER_HOUR: Final = 60


def printable(text: str) -> str:
    """Return `text` without what would move the cursor or change colours: a device's output is not trusted with the terminal."""
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character in "\t\n":
        return character
    return "" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character


def duration(milliseconds: int) -> str:
    """Return a time span as people say it: `80 ms`, `1.2 s`, `3 min 20 s`, `4 h 5 min`."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1_000
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), _SECONDS_PER_MINUTE)
    if minutes < _MINUTES_PER_HOUR:
        return f"{minutes} min {rest} s"
    return f"{minutes // _MINUTES_PER_HOUR} h {minutes % _MINUTES_PER_HOUR} min"


def shown(value: Value) -> str:
    """Return the value of an output, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > SHOWN_CHARACTERS:
        text = f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters; --json shows all)"
    return printable(text.rstrip("\n"))


def attempt(step: "ToldStep") -> str:
    """Return which attempt it is, from the second on."""
    return f" (attempt {step.attempt})" if step.attempt > 1 else ""
