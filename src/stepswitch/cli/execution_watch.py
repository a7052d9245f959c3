"""`stepswitch execution watch`: an execution as it goes on. Listed in `groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.execution import ExecutionId
from stepswitch.cli.exits import Exit

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient

ThroughPauses = Annotated[bool, typer.Option("--through-pauses", help="Go on watching where it pauses.")]


async def watch(
    client: "StepswitchClient",
    execution: ExecutionId,
    *,
    through_pauses: ThroughPauses = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write nothing but the execution as JSON, when it stands still.")] = False,
) -> Exit:
    """Show how an execution goes, from its beginning on, until it has ended or is paused.

    Ctrl-C ends the watching, and leaves the execution alone. The exit code tells how it went: 0 completed, 1 failed, 3 paused, 4 aborted,
    130 not watched to its end.
    """
    from stepswitch.cli import watching  # noqa: PLC0415 - --help should not wait for httpx

    return await watching.watch(client, execution, through_pauses=through_pauses, as_json=as_json)
