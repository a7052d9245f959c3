"""How what a service answered is written: tables for people at a terminal, one line with tabs for a row elsewhere, and JSON. Called by commands.

A service's texts are not trusted with the terminal: what would move the cursor is left out.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import typer

from stepswitch.cli.wording import printable

_UNSURE: Final = re.compile(r"[^\n -~]")
_WHOLE: Final = frozenset({"id", "status"})
"""Columns that are of no use in pieces."""
TIME_FORMATS: Final = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"]
"""How people may write a time."""


class Answer(Protocol):
    """Something with an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def raw(self) -> Mapping[str, Any]:
        """All of it, as JSON."""
        ...


def write_json(value: Any) -> None:
    """Write `value` as JSON; what no terminal should be shown, such as half a character, is escaped as JSON does it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    typer.echo(_UNSURE.sub(lambda found: found[0] if printable(found[0]) else json.dumps(found[0])[1:-1], text))


def write_answer(answer: Answer, *, as_json: bool) -> None:
    """Write the id of what a service answered, or all of the answer."""
    if as_json:
        write_json(answer.raw)
    else:
        typer.echo(answer.id)


def write_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows: a table with its header on a terminal, else a line for each, with tabs between and no header."""
    cells = [[_cell(text) for text in row] for row in rows]
    if sys.stdout.isatty():
        _write_table(header, cells)
    else:
        for row in cells:
            typer.echo("\t".join(row))


def write_facts(facts: Mapping[str, str]) -> None:
    """Write names with their values, one on a line, those without a value left out."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value:
            typer.echo(f"{name:<{width}}  {printable(value)}")


def time_of(time: datetime | None) -> str:
    """Return a time as `2027-01-31 08:15:00Z`; empty where there is none."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def moment(time: datetime | None) -> datetime | None:
    """Return a time that somebody wrote as one with its zone: without one, in UTC as everything that is shown."""
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)


def _write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - --help should not wait for it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def _cell(text: str) -> str:
    return printable(" ".join(text.split()))
