"""The patterns that decide over a target's output, in RE2's syntax: no pattern can hang the service. Called by step types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # it has no types

from stepswitch.plugin import CUT
from stepswitch.steps.output import Output

_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Text:
    """What a target has printed, where all of it is there at once."""

    text: str
    truncated: bool = False


class OutputPatterns:
    """What must not be in the output, and what must. `^` and `$` stand for the beginning and the end of a line."""

    def __init__(self, fail: str | None, success: str | None) -> None:
        """Take the patterns as the workflow has them; raises ValueError with a sentence where one is none."""
        self._fail = compiled("failPattern", fail)
        self._success = compiled("successPattern", success)
        self._failed_line: str | None = None
        self._succeeded = False

    @property
    def are_given(self) -> bool:
        """Whether there is anything to look for."""
        return self._fail is not None or self._success is not None

    @property
    def failed_line(self) -> str | None:
        """The first line that was watched and that failPattern matches."""
        return self._failed_line

    def watch(self, line: str) -> None:
        """Take note of a line that is not kept, or a part of one, so that it counts all the same."""
        printed = line.removeprefix(CUT).removesuffix(CUT)
        if self._failed_line is None and self._fail is not None and self._fail.search(printed):
            self._failed_line = line
        if not self._succeeded and self._success is not None:
            self._succeeded = self._success.search(printed) is not None

    def verdict(self, *outputs: Output | Text) -> str | None:
        """Return why what was printed is a failure; None where it is not."""
        failed_line = next((line for output in outputs if (line := _line_with(self._fail, output)) is not None), self._failed_line)
        if failed_line is not None:
            return f"the output has a line that failPattern matches: {shortened(failed_line.strip())}"
        if self._success is not None and not self._succeeded and not any(self._success.search(output.text) for output in outputs):
            return "the output has nothing that successPattern matches"
        return None


def compiled(name: str, pattern: str | None) -> Any:
    """Return a pattern ready for use, None for None; raises ValueError with a sentence that calls it `name`."""
    if pattern is None:
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
        return re2.compile(f"(?m){pattern}", options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{name} is no regular expression in RE2's syntax: {text}") from None


def unfit(name: str) -> Callable[[str], str | None]:
    """Return what says why a text that stands in a document is no pattern for the input `name`, None where it is one."""

    def why(text: str) -> str | None:
        try:
            compiled(name, text)
        except ValueError as error:
            return str(error)
        return None

    return why


def _line_with(pattern: Any, output: Output | Text) -> str | None:
    if pattern is None:
        return None
    text = output.text
    found = pattern.search(text)
    if found is None:
        return None
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.start())
    if end >= 0:
        return text[start:end]
    return text[start:] + (CUT if output.truncated else "")


def shortened(line: str) -> str:
    """Return the beginning of a long line; where it is cut stands the mark that keeps half a secret from being shown."""
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + CUT
