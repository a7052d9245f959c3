"""`stepswitch execution attach`, `download` and `detach`: the files of an execution. Listed in `groups`."""

from typing import TYPE_CHECKING

import typer

from stepswitch.cli.execution import AsJson, ExecutionId, Reason
from stepswitch.cli.exits import complain
from stepswitch.cli.listing import write_json
from stepswitch.cli.workflow_files import FileId, Key, LocalFile, Output

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient


async def attach(
    client: "StepswitchClient", execution: ExecutionId, file: LocalFile, *, key: Key = None, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Add a file to an execution, or replace the one of that name; write its key."""
    added = await client.executions.attach(execution, key or file.name, file, reason=reason)
    if as_json:
        write_json(added.raw)
    else:
        typer.echo(added.key)


async def download(client: "StepswitchClient", execution: ExecutionId, key: FileId, *, output: Output = None) -> None:
    """Download a file of an execution."""
    from stepswitch.cli.saving import save  # noqa: PLC0415 - --help should not wait for it

    await save(client.executions.download(execution, key), output)


async def detach(client: "StepswitchClient", execution: ExecutionId, key: FileId, *, reason: Reason = "") -> None:
    """Remove a file of an execution."""
    await client.executions.detach(execution, key, reason=reason)
    complain(f"{key} was removed from execution {execution}")
