"""`stepswitch workflow attach`, `download` and `detach`: the files of a workflow. Listed in `groups`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.exits import complain
from stepswitch.cli.listing import write_json
from stepswitch.cli.workflow import AsJson, IfMatch, WorkflowId

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient

LocalFile = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The file to add.")]
Key = Annotated[str | None, typer.Option(help="What it is to be called. [default: its name]", show_default=False)]
FileId = Annotated[str, typer.Argument(metavar="KEY", help="Key or id of the file.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Where to write it; a file that exists is not overwritten. [default: its name]", show_default=False
    ),
]


async def attach(
    client: "StepswitchClient", workflow: WorkflowId, file: LocalFile, *, key: Key = None, if_match: IfMatch = None, as_json: AsJson = False
) -> None:
    """Add a file to a workflow, or replace the one of that name; write its key."""
    found = await client.workflows.find(workflow)
    added = await client.workflows.attach(found.id, key or file.name, file, if_match=if_match)
    if as_json:
        write_json(added.raw)
    else:
        typer.echo(added.key)


async def download(client: "StepswitchClient", workflow: WorkflowId, key: FileId, *, output: Output = None) -> None:
    """Download a file of a workflow."""
    from stepswitch.cli.saving import save  # noqa: PLC0415 - --help should not wait for httpx

    found = await client.workflows.find(workflow)
    await save(client.workflows.download(found.id, key), output)


async def detach(client: "StepswitchClient", workflow: WorkflowId, key: FileId, *, if_match: IfMatch = None) -> None:
    """Remove a file of a workflow; earlier revisions and executions keep it."""
    found = await client.workflows.find(workflow)
    await client.workflows.detach(found.id, key, if_match=if_match)
    complain(f"{key} was removed from {found.name!r} ({found.id})")
