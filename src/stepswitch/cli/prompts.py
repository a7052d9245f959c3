"""Asking somebody at a terminal, so that Ctrl-C ends the question. Called by commands that talk to a service.

The event loop takes Ctrl-C for itself and waits for what runs; while a person is asked, nothing runs that would notice.
"""

import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from stepswitch.cli.exits import Exit, complain
from stepswitch.domain.errors import CallerError


def is_interactive() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_hidden(question: str) -> str:
    """Return what somebody types, which is not shown; raises CallerError where the input ends."""
    with _answerable():
        try:
            return getpass.getpass(f"{question}: ", sys.stderr)
        except EOFError:
            raise CallerError(f"no {question} was given") from None


def agreed(question: str, *, yes: bool) -> bool:
    """Return whether somebody says yes, or said so before; where nobody can be asked that is told, and counts as no."""
    if yes:
        return True
    if not is_interactive():
        complain("Nothing was changed; --yes does it without asking.")
        return False
    with _answerable():
        return typer.confirm(question, err=True)


def choose(question: str, choices: str) -> str:
    """Return which letter of `choices` somebody takes; the first one where only Enter is pressed."""
    shown = "/".join([choices[0].upper(), *choices[1:]])
    with _answerable():
        while True:
            answer = typer.prompt(f"{question} [{shown}]", default=choices[0], show_default=False, err=True).strip().lower()
            if answer in choices and len(answer) == 1:
                return str(answer)


@contextmanager
def _answerable() -> Iterator[None]:
    """Let Ctrl-C end the command in the block."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except typer.Abort:
        raise typer.Exit(Exit.INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)
