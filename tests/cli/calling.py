"""Calls the command line in this process, as the console script would. Used by the tests of the commands."""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from stepswitch.cli.main import main


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to."""

    exit: int
    out: str
    err: str


class Caller:
    """Calls commands and gives back what they wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Called:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(_words(arguments))
        code = ended.value.code
        assert isinstance(code, int)
        written = self._capsys.readouterr()
        return Called(code, written.out, written.err)


def _words(arguments: Sequence[object]) -> list[str]:
    return [str(argument) for argument in arguments]


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have `text` on the standard input of the next command."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{text}\n"))
