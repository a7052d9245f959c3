"""`stepswitch demo`: the whole service in one command, with a router to talk to. Called by `main`; the play itself is in `stepswitch.demo`."""

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from stepswitch.cli.exits import Exit


def demo(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data directory to use and keep. [default: a temporary one]", show_default=False)
    ] = None,
    keep: Annotated[
        bool | None,
        typer.Option("--keep/--no-keep", help="Stay up until Ctrl-C. [default: yes on a terminal, else no]", show_default=False),
    ] = None,
) -> None:
    """Start the service with a small router to talk to and show three workflows at work through the API.

    Ends with 0 when all three came out as expected.
    """
    from rich.console import Console  # noqa: PLC0415 - --help should not wait for what follows

    from stepswitch.cli.loading import load_settings  # noqa: PLC0415
    from stepswitch.demo.show import show  # noqa: PLC0415
    from stepswitch.telemetry.logging import set_up_logging  # noqa: PLC0415

    with ExitStack() as stack:
        place = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stepswitch-demo-", ignore_cleanup_errors=True)))
        settings = load_settings({"host": host, "port": port, "data_dir": place, "log_level": "error"})
        set_up_logging(settings.log_level, settings.log_format)
        stays = keep if keep is not None else sys.stdin.isatty() and sys.stdout.isatty()
        went_well = asyncio.run(show(settings, Console(highlight=False), keep=stays))
    raise typer.Exit(Exit.COMPLETED if went_well else Exit.FAILED)
