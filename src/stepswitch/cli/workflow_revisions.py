"""`stepswitch workflow revisions`, `diff` and `restore`: what a workflow was before. Listed in `groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.listing import time_of, write_answer, write_json, write_rows
from stepswitch.cli.wording import shown
from stepswitch.cli.workflow import AsJson, IfMatch, WorkflowId

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient

Number = Annotated[int, typer.Argument(metavar="REVISION", min=1, help="Number of the revision; the first one is 1.")]


async def revisions(client: "StepswitchClient", workflow: WorkflowId, *, as_json: AsJson = False) -> None:
    """List the revisions of a workflow, oldest first; the last one is the current one."""
    found = await client.workflows.revisions((await client.workflows.find(workflow)).id)
    if as_json:
        write_json([each.raw for each in found])
        return
    write_rows(("revision", "stored", "by"), [(str(each.number), time_of(each.changed_at), each.changed_by) for each in found])


async def diff(
    client: "StepswitchClient",
    workflow: WorkflowId,
    revision: Number,
    *,
    against: Annotated[int | None, typer.Option(min=1, help="The earlier revision. [default: the one before]", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Show every place in which a revision differs from an earlier one."""
    found = await client.workflows.diff((await client.workflows.find(workflow)).id, revision, against=against)
    if as_json:
        write_json([each.raw for each in found])
        return
    rows = [(each.op, each.path, *(shown(each.raw[side]) if side in each.raw else "" for side in ("before", "after"))) for each in found]
    write_rows(("what", "where", "before", "after"), rows)


async def restore(
    client: "StepswitchClient", workflow: WorkflowId, revision: Number, *, if_match: IfMatch = None, as_json: AsJson = False
) -> None:
    """Make a revision the current one again, as the next revision."""
    found = await client.workflows.find(workflow)
    restored = await client.workflows.restore(found.id, revision, if_match=if_match)
    write_answer(restored, as_json=as_json)
