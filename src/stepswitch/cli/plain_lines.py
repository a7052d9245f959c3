"""Tells an execution in plain lines with the time in front, for files, pipes and CI. Called by `run` and `watch`."""

from collections.abc import Callable
from datetime import UTC, datetime

from stepswitch.cli.story import Outcome, ToldLine, ToldStep
from stepswitch.cli.wording import attempt, duration, printable, shown
from stepswitch.domain.execution import LogLevel


class PlainLines:
    """A teller for everything that is no terminal; `write` takes one line, `now` gives milliseconds since 1970."""

    def __init__(self, write: Callable[[str], None], types: Callable[[str], str], now: Callable[[], int]) -> None:
        self._write = write
        self._type_of = types
        self._now = now

    def waiting(self, step: ToldStep) -> None:
        """Say so where the step has to wait for its time."""
        if step.not_before is not None:
            self._line(step.start_time, f"step {step.step_id} waits until {_clock(step.not_before)}")

    def begun(self, step: ToldStep) -> None:
        """Say that a step has begun, and where."""
        where = f" on {step.device}" if step.device else ""
        self._line(step.claimed_time or step.start_time, f"step {step.step_id} begins: {self._type_of(step.step_id)}{where}{attempt(step)}")

    def said(self, step_id: str, line: ToldLine) -> None:
        """Write a line of a step's log."""
        if line.level != LogLevel.DEBUG:
            level = "" if line.level == LogLevel.INFO else f" {line.level}"
            for text in printable(line.message).splitlines() or [""]:
                self._line(line.time, f"  {step_id}{level} | {text}")

    def ended(self, step: ToldStep, milliseconds: int) -> None:
        """Say how an attempt ended."""
        why = printable(step.failure)
        told = f"{step.result}, {duration(milliseconds)}"
        self._line(step.end_time or self._now(), f"step {step.step_id} ended: {told}{': ' + why if why else ''}")

    def noted(self, line: ToldLine) -> None:
        """Write a line of the execution's own log."""
        self._line(line.time, printable(line.message))

    def remark(self, sentence: str) -> None:
        """Write a sentence of our own."""
        self._write(sentence)

    def outcome(self, outcome: Outcome) -> None:
        """Say how the execution ended and what it gave."""
        self._write(f"{outcome.status} after {duration(outcome.milliseconds)}, {_steps(outcome)}")
        for name, value in outcome.outputs.items():
            self._write(f"output {name} = {shown(value)}")

    def _line(self, time: int, text: str) -> None:
        self._write(f"{_clock(time)} {text}")


def _steps(outcome: Outcome) -> str:
    failed = f", {outcome.failed} of them without success" if outcome.failed else ""
    return f"{outcome.steps} step execution{'' if outcome.steps == 1 else 's'}{failed}"


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1_000, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"
