"""Reading JSON files that people wrote, with a sentence for whatever is wrong with one. Called by `validate` and `run`."""

import json
import sys
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import CallerError

STANDARD_INPUT: Final = Path("-")


class UnreadableError(CallerError):
    """A file that is no JSON text, or cannot be read; the message says why, `line` and `column` count from 1 where they are known."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def read_json(file: Path) -> object:
    """Return what the JSON file holds, `-` being the standard input; raises UnreadableError."""
    text = _text(file)
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}{_shown(text, error.lineno)}"
        raise UnreadableError(message, error.lineno, error.colno) from None
    except RecursionError:
        raise UnreadableError("is nested too deep to be read") from None
    except ValueError as error:
        raise UnreadableError(f"is not JSON: {error}") from None
    return value


def _text(file: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text: byte {error.start} fits no character") from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


def _shown(text: str, number: int) -> str:
    """Return the line at fault, so that nobody has to open the file to see a missing comma."""
    line = text.splitlines()[number - 1 : number]
    shown = line[0].strip() if line else ""
    return f" in {shown[:80]!r}" if shown else ""
