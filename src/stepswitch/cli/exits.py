"""What the command line tells a shell when it ends, and how an error becomes a sentence. Called by `main` and by every command."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import typer

from stepswitch.domain.errors import CallerError, InvalidRequestError, SettingsError, StepswitchError
from stepswitch.domain.execution import Status


class Exit(IntEnum):
    """The exit codes. FAILED is also what `validate` says of a document with faults, USAGE what anything unreadable gets.

    USAGE is also what a service's refusal gets; UNANSWERED, where it did not answer as it should: then nobody knows more than before.
    """

    COMPLETED = 0
    FAILED = 1
    USAGE = 2
    PAUSED = 3
    ABORTED = 4
    UNANSWERED = 5
    INTERRUPTED = 130


_OF_STATUS: Final[Mapping[str, Exit]] = {
    Status.COMPLETED: Exit.COMPLETED,
    Status.FAILED: Exit.FAILED,
    Status.PAUSED: Exit.PAUSED,
    Status.ABORTED: Exit.ABORTED,
}
EXIT_CODES_IN_WORDS: Final = (
    "0 completed, 1 failed, 2 wrong usage, document or input, or refused by the service, 3 paused, 4 aborted, 5 the service did not answer, "
    "130 interrupted"
)
"""Shown by docs/reference/command-line."""


def exit_of(status: str) -> Exit:
    """Return the exit code for an execution that stands still."""
    return _OF_STATUS.get(status, Exit.FAILED)


def complain(sentence: str) -> None:
    """Write a sentence to the standard error output."""
    typer.echo(sentence, err=True)


def explain(error: StepswitchError) -> Exit:
    """Write what `error` says, every fault on a line of its own, and return the exit code that it means."""
    if isinstance(error, InvalidRequestError):
        for fault in error.faults:
            complain(f"{fault} [{fault.code}]")
        return Exit.USAGE
    complain(str(error) or f"the service failed: {type(error).__name__}")
    return Exit.USAGE if isinstance(error, SettingsError | CallerError) else Exit.FAILED
