"""Reading JSON files that people wrote, with a sentence for whatever is wrong with one. Called by the commands that take one."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from stepswitch.domain.errors import CallerError, ErrorCode, Fault, InvalidRequestError

STANDARD_INPUT: Final = Path("-")


class UnreadableError(CallerError):
    """A file that is no JSON text, or cannot be read; the message says why, `line` and `column` count from 1 where they are known."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def read_json(file: Path) -> Any:
    """Return what the JSON file holds, `-` being the standard input.

    Raises UnreadableError, or InvalidRequestError where it is JSON that the service would not take: too deep, a name twice.
    """
    from stepswitch.api.wire.bodies import parse_json  # noqa: PLC0415 - --help should not wait for it

    content = _content(file)
    _refuse_bad_syntax(content)
    return parse_json(content)


def read_object(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raises as `read_json` does, with the name of the file."""
    try:
        document = read_json(file)
    except UnreadableError as error:
        raise UnreadableError(f"{file} {error}", error.line, error.column) from None
    if not isinstance(document, dict):
        raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "", f"{file} holds no JSON object")])
    return document


def _content(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None


def _refuse_bad_syntax(content: bytes) -> None:
    """Raise UnreadableError with the place where the text stops being JSON; the standard library's words for that are the clearer ones."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text: byte {error.start} fits no character") from None
    try:
        with suppress(RecursionError):
            json.loads(text, parse_int=float)
    except json.JSONDecodeError as error:
        message = f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        raise UnreadableError(message, error.lineno, error.colno) from None
