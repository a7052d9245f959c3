"""Tells an execution on a terminal: colours, what is going on right now on the last line, a table of outputs at the end. Called by `run`."""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stepswitch.cli.wording import attempt, duration, failure, printable, shown
from stepswitch.domain.execution import LogEntry, LogLevel, Result, Status, StepExecution
from stepswitch.engine.views import ExecutionView

_MARKS: Final = {
    Result.SUCCEEDED: ("✔", "green"),
    Result.FAILED: ("✘", "red"),
    Result.UNKNOWN: ("?", "magenta"),
    Result.SKIPPED: ("–", "yellow"),
}
_STATUS_STYLES: Final = {
    Status.COMPLETED: "bold green",
    Status.FAILED: "bold red",
    Status.PAUSED: "bold yellow",
    Status.ABORTED: "bold yellow",
}
_LEVEL_STYLES: Final = {LogLevel.DEBUG: "dim", LogLevel.INFO: "", LogLevel.WARN: "yellow", LogLevel.ERROR: "red"}


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

    def waiting(self, step: StepExecution) -> None:
        """Show on the last line what is waited for."""
        reason = "waits for its time" if step.not_before is not None else "waits for a place" if step.device else "is next"
        self._now_at(step, reason)

    def begun(self, step: StepExecution) -> None:
        """Show on the last line what is being carried out."""
        doing = f"{self._type_of(step.step_id)}{' on ' + step.device if step.device else ''}{attempt(step)}"
        self._now_at(step, doing)
        self._print(f"▶ {step.step_id}", "bold cyan", doing)

    def said(self, step_id: str, entry: LogEntry) -> None:  # noqa: ARG002 - it stands below the step's own line
        """Write a line of a step's log below the step."""
        if entry.level is LogLevel.DEBUG:
            return
        for line in printable(entry.message).splitlines() or [""]:
            self._console.print(Text.assemble(("  │ ", "dim"), (line, _LEVEL_STYLES[entry.level])), soft_wrap=True)

    def ended(self, step: StepExecution, milliseconds: int) -> None:
        """Say how an attempt ended."""
        mark, style = _MARKS[step.result or Result.SKIPPED]
        word = "" if step.result is Result.SUCCEEDED else f"{step.result} "
        kind = "" if step.device else f"{self._type_of(step.step_id)} "
        self._print(f"{mark} {step.step_id}", style, f"{kind}{word}{duration(milliseconds)}{attempt(step)}")
        if why := failure(step):
            self._console.print(Text(f"  {why}", style=style), soft_wrap=True)

    def noted(self, entry: LogEntry) -> None:
        """Write a line of the execution's own log."""
        self._console.print(Text(f"  {printable(entry.message)}", style="dim"), soft_wrap=True)

    def remark(self, sentence: str) -> None:
        """Write a sentence of our own."""
        self._console.print(Text(sentence, style="yellow"), soft_wrap=True)

    def outcome(self, view: ExecutionView, milliseconds: int) -> None:
        """Say how the execution ended, with a table of what it gave."""
        status = view.head.status
        steps = len(view.steps)
        summary = f" after {duration(milliseconds)}, {steps} step execution{'' if steps == 1 else 's'}"
        self._console.print()
        self._console.print(Text.assemble((status, _STATUS_STYLES.get(status, "bold")), (summary, "")))
        if view.outputs:
            self._console.print(_table(view))

    def _print(self, head: str, style: str, rest: str) -> None:
        self._console.print(Text.assemble((head, style), ("  " + rest, "dim")), soft_wrap=True)

    def _now_at(self, step: StepExecution, doing: str) -> None:
        if self._task is not None:
            self._live.remove_task(self._task)
        self._task = self._live.add_task(f"[cyan]{escape(step.step_id)}[/cyan] {escape(doing)}", total=None)


def _table(view: ExecutionView) -> Table:
    table = Table("output", header_style="bold")
    table.add_column("value", overflow="fold")
    for name, value in view.outputs.items():
        table.add_row(Text(name), Text(shown(value)))
    return table
