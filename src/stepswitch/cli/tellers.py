"""Who tells an execution here: lively on a terminal, in plain lines elsewhere. Called by `run` and `watch`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from stepswitch.cli.story import Teller


@contextmanager
def teller_here(type_of: Callable[[str], str]) -> Iterator[Teller]:
    """Give who tells an execution; `type_of` says of which type a step is. A terminal's last line is live in the block."""
    if not sys.stdout.isatty():
        from stepswitch.cli.plain_lines import PlainLines  # noqa: PLC0415 - one of the two is enough
        from stepswitch.system import SystemClock  # noqa: PLC0415

        yield PlainLines(typer.echo, type_of, SystemClock().now)
        return
    from rich.console import Console  # noqa: PLC0415

    from stepswitch.cli.terminal import Terminal  # noqa: PLC0415

    with Terminal(Console(highlight=False), type_of) as terminal:
        yield terminal
