"""Tells an execution in plain lines with the time in front, for files, pipes and CI. Called by `run`."""

from collections.abc import Callable
from datetime import UTC, datetime

from stepswitch.cli.wording import attempt, duration, failure, printable, shown
from stepswitch.domain.execution import LogEntry, LogLevel, Result, StepExecution, Values
from stepswitch.engine.views import ExecutionView


class PlainLines:
    """A teller for everything that is no terminal; `write` takes one line, `now` gives milliseconds since 1970."""

    def __init__(self, write: Callable[[str], None], types: Callable[[str], str], now: Callable[[], int]) -> None:
        self._write = write
        self._type_of = types
        self._now = now

    def waiting(self, step: StepExecution) -> None:
        """Say so where the step has to wait for its time."""
        if step.not_before is not None:
            self._line(step.start_time, f"step {step.step_id} waits until {_clock(step.not_before)}")

    def begun(self, step: StepExecution) -> None:
        """Say that a step has begun, and where."""
        where = f" on {step.device}" if step.device else ""
        self._line(step.claimed_time or step.start_time, f"step {step.step_id} begins: {self._type_of(step.step_id)}{where}{attempt(step)}")

    def said(self, step_id: str, entry: LogEntry) -> None:
        """Write a line of a step's log."""
        if entry.level is not LogLevel.DEBUG:
            level = "" if entry.level is LogLevel.INFO else f" {entry.level}"
            for line in printable(entry.message).splitlines() or [""]:
                self._line(entry.time, f"  {step_id}{level} | {line}")

    def ended(self, step: StepExecution, milliseconds: int) -> None:
        """Say how an attempt ended."""
        why = failure(step)
        told = f"{step.result}, {duration(milliseconds)}"
        self._line(step.end_time or self._now(), f"step {step.step_id} ended: {told}{': ' + why if why else ''}")

    def noted(self, entry: LogEntry) -> None:
        """Write a line of the execution's own log."""
        self._line(entry.time, printable(entry.message))

    def remark(self, sentence: str) -> None:
        """Write a sentence of our own."""
        self._write(sentence)

    def outcome(self, view: ExecutionView, milliseconds: int) -> None:
        """Say how the execution ended and what it gave."""
        self._write(f"{view.head.status} after {duration(milliseconds)}, {_steps(view)}")
        for name, text in _outputs(view.outputs):
            self._write(f"output {name} = {text}")

    def _line(self, time: int, text: str) -> None:
        self._write(f"{_clock(time)} {text}")


def _outputs(outputs: Values) -> list[tuple[str, str]]:
    return [(name, shown(value)) for name, value in outputs.items()]


def _steps(view: ExecutionView) -> str:
    number = len(view.steps)
    failed = sum(step.result in (Result.FAILED, Result.UNKNOWN) for step, _ in view.steps)
    return f"{number} step execution{'' if number == 1 else 's'}" + (f", {failed} of them without success" if failed else "")


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1_000, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"
