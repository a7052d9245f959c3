"""Rehearsals for people to read: a line for each that came out as expected, and all that is to be known of one that did not. Called by `rehearse`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import typer

from stepswitch.cli.wording import duration, printable, shown
from stepswitch.domain.execution import LogEntry, LogLevel, Result
from stepswitch.engine.divergences import Taken
from stepswitch.engine.rehearsals import Report

if TYPE_CHECKING:
    from stepswitch.cli.rehearse import Rehearsed

WAY_SHOWN: Final = 40
"""Steps of a way that are named in one line."""
_FIRST: Final = 25
_WITHOUT_SUCCESS: Final = frozenset({Result.FAILED, Result.UNKNOWN, Result.SKIPPED})


def lines_of(found: Sequence["Rehearsed"], *, verbose: bool) -> Iterator[str]:
    """Yield everything that is to be said; colours are left out by `typer.echo` where nobody would see them."""
    for rehearsed in found:
        yield _bold(printable(str(rehearsed.file)))
        if rehearsed.unreadable is not None:
            yield f"  {_red('✘')} {printable(str(rehearsed.unreadable))}"
        for fault in rehearsed.faults:
            yield f"  {_red('✘')} {printable(str(fault))} [{fault.code}]"
        for report in rehearsed.reports:
            yield from _report(report, verbose=verbose)
    yield from _summary(found)


def _report(report: Report, *, verbose: bool) -> Iterator[str]:
    mark = _green("✔") if report.is_as_expected else _red("✘")
    yield f"  {mark} {printable(report.name)}{_dim(f'  {_outcome(report)}')}"
    for divergence in report.divergences:
        yield f"      {_red(printable(divergence.message))}"
    if verbose:
        yield from _steps(report)
        for name, value in report.outputs.items():
            yield f"      {_dim('output')} {printable(name)} = {shown(value)}"
    elif not report.is_as_expected:
        yield f"      {_dim('way taken:')} {_way(report)}"


def _outcome(report: Report) -> str:
    waited = f", {duration(round(report.seconds * 1000))} of waiting passed at once" if report.seconds else ""
    return f"{report.status} after {_count(report.step_executions, 'step execution')}{waited}"


def _way(report: Report) -> str:
    """Return the steps of the way in one line; of a long one its beginning and its end."""
    names = [_name(taken) for taken in report.way]
    if len(names) <= WAY_SHOWN and report.step_executions == len(names):
        return " → ".join(names)
    left_out = report.step_executions - _FIRST
    return f"{' → '.join(names[:_FIRST])} → … {left_out} more"


def _name(taken: Taken) -> str:
    result = " assumed" if taken.assumed else f" {taken.result}" if taken.result in _WITHOUT_SUCCESS else ""
    return f"{printable(taken.step_id)}{result}"


def _steps(report: Report) -> Iterator[str]:
    widest = max((len(printable(taken.step_id)) for taken in report.way), default=0)
    for place, taken in enumerate(report.way):
        result = taken.result or "has not run"
        attempt = f", attempt {taken.attempt}" if taken.attempt > 1 else ""
        assumed = (f", probe {taken.verdict}" if taken.verdict is not None else "") + (", assumed" if taken.assumed else "")
        why = f"  {taken.error.code}: {taken.error.message}" if taken.error is not None else ""
        yield f"      {place + 1:>4} {printable(taken.step_id):<{widest}}  {result}{attempt}{assumed}{printable(why)}"
        if place and taken.because != f"it is the nextStepId of `{report.way[place - 1].step_id}`":
            yield _dim(f"           because {printable(taken.because)}")
        for entry in report.log:
            if entry.step == place and not _repeats(entry, taken):
                yield from (f"           {_dim('|')} {_level(entry)}{line}" for line in printable(entry.message).splitlines())


def _repeats(entry: LogEntry, taken: Taken) -> bool:
    """Return whether a line of log says again how the step ended."""
    return taken.error is not None and entry.message.startswith(f"ended {taken.result}: {taken.error.code}: ")


def _level(entry: LogEntry) -> str:
    return "" if entry.level in (LogLevel.DEBUG, LogLevel.INFO) else f"{entry.level} "


def _summary(found: Sequence["Rehearsed"]) -> Iterator[str]:
    reports = [report for rehearsed in found for report in rehearsed.reports]
    otherwise = sum(not report.is_as_expected for report in reports)
    unfit = sum(rehearsed.unreadable is not None or bool(rehearsed.faults) for rehearsed in found)
    told = []
    if reports:
        verdict = f"{otherwise} otherwise than expected" if otherwise else "all as expected" if len(reports) > 1 else "as expected"
        told.append(f"{_count(len(reports), 'rehearsal')}, {verdict}")
    if unfit:
        told.append(f"{_count(unfit, 'file')} with faults")
    yield ", ".join(told)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _bold(text: str) -> str:
    return typer.style(text, bold=True)


def _dim(text: str) -> str:
    return typer.style(text, dim=True)


def _red(text: str) -> str:
    return typer.style(text, fg=typer.colors.RED)


def _green(text: str) -> str:
    return typer.style(text, fg=typer.colors.GREEN)
