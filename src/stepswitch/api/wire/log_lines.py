"""A log as plain text, a line per entry. Called by `steering`."""

from collections.abc import Iterable
from typing import Final

from stepswitch.api.wire.times import format_time
from stepswitch.domain.execution import LogEntry

_ESCAPED: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    **{ord(each): f"\\u{ord(each):04x}" for each in "\u2028\u2029"},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\t",
    ord("\\"): "\\\\",
}
"""Whatever would begin another line, or move the cursor of a terminal."""


def log_lines(entries: Iterable[LogEntry]) -> bytes:
    """Return a line for each entry: time, level, the number of the step execution (`-` for the execution itself), message."""
    return "".join(_line(entry) for entry in entries).encode("utf-8", "backslashreplace")


def _line(entry: LogEntry) -> str:
    step = "-" if entry.step is None else entry.step
    return f"{format_time(entry.time)} {entry.level:<5} {step} {entry.message.translate(_ESCAPED)}\n"
