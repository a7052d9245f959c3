"""Tells an execution on a terminal: colours, what is going on right now on the last line, a table of outputs at the end. Called by `run` and `watch`."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stepswitch.cli.story import Outcome, ToldLine, ToldStep
from stepswitch.cli.wording import attempt, duration, printable, shown
from stepswitch.domain.execution import LogLevel, Result, Status

_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    Result.SUCCEEDED: ("✔", "green"),
    Result.FAILED: ("✘", "red"),
    Result.UNKNOWN: ("?", "magenta"),
    Result.SKIPPED: ("–", "yellow"),
}
_STATUS_STYLES: Final[Mapping[str, str]] = {
    Status.COMPLETED: "bold green",
    Status.FAILED: "bold red",
    Status.PAUSED: "bold yellow",
    Status.ABORTED: "bold yellow",
}
_LEVEL_STYLES: Final[Mapping[str, str]] = {LogLevel.DEBUG: "dim", LogLevel.INFO: "", LogLevel.WARN: "yellow", LogLevel.ERROR: "red"}


class Terminal:
    """A teller for people who watch. Use it with `with`: the last line is live until then."""

    def __init__(self, console: Console, types: Callable[[str], str]) -> None:
        self._console = console
        self._type_of = types
        columns = (SpinnerColumn(style="cyan"), TextColumn("{task.description}"), TimeElapsedColumn())
        self._live = Progress(*columns, console=console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def waiting(self, step: ToldStep) -> None:
        """Show on the last line what is waited for."""
        reason = "waits for its time" if step.not_before is not None else "waits for a place" if step.device else "is next"
        self._now_at(step, reason)

    def begun(self, step: ToldStep) -> None:
        """Show on the last line what is being carried out."""
        doing = f"{self._type_of(step.step_id)}{' on ' + step.device if step.device else ''}{attempt(step)}"
        self._now_at(step, doing)
        self._print(f"▶ {step.step_id}", "bold cyan", doing)

    def said(self, step_id: str, line: ToldLine) -> None:  # noqa: ARG002 - it stands below the step's own line
        """Write a line of a step's log below the step."""
        if line.level == LogLevel.DEBUG:
            return
        for text in printable(line.message).splitlines() or [""]:
            self._console.print(Text.assemble(("  │ ", "dim"), (text, _LEVEL_STYLES.get(line.level, ""))), soft_wrap=True)

    def ended(self, step: ToldStep, milliseconds: int) -> None:
        """Say how an attempt ended."""
        mark, style = _MARKS.get(step.result or "", ("·", "yellow"))
        word = "" if step.result == Result.SUCCEEDED else f"{step.result} "
        kind = "" if step.device else f"{self._type_of(step.step_id)} "
        self._print(f"{mark} {step.step_id}", style, f"{kind}{word}{duration(milliseconds)}{attempt(step)}")
        if step.failure:
            self._console.print(Text(f"  {printable(step.failure)}", style=style), soft_wrap=True)

    def noted(self, line: ToldLine) -> None:
        """Write a line of the execution's own log."""
        self._console.print(Text(f"  {printable(line.message)}", style="dim"), soft_wrap=True)

    def remark(self, sentence: str) -> None:
        """Write a sentence of our own."""
        self._console.print(Text(sentence, style="yellow"), soft_wrap=True)

    def outcome(self, outcome: Outcome) -> None:
        """Say how the execution ended, with a table of what it gave."""
        summary = f" after {duration(outcome.milliseconds)}, {outcome.steps} step execution{'' if outcome.steps == 1 else 's'}"
        self._console.print()
        self._console.print(Text.assemble((outcome.status, _STATUS_STYLES.get(outcome.status, "bold")), (summary, "")))
        if outcome.outputs:
            self._console.print(_table(outcome.outputs))

    def _print(self, head: str, style: str, rest: str) -> None:
        self._console.print(Text.assemble((head, style), ("  " + rest, "dim")), soft_wrap=True)

    def _now_at(self, step: ToldStep, doing: str) -> None:
        if self._task is not None:
            self._live.remove_task(self._task)
        self._task = self._live.add_task(f"[cyan]{escape(step.step_id)}[/cyan] {escape(doing)}", total=None)


def _table(outputs: Mapping[str, Any]) -> Table:
    table = Table("output", header_style="bold")
    table.add_column("value", overflow="fold")
    for name, value in outputs.items():
        table.add_row(Text(name), Text(shown(value)))
    return table
