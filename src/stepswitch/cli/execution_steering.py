"""`stepswitch execution pause`, `resume`, `retry` and so on: what people do to an execution that exists. Listed in `groups`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.execution import AsJson, ExecutionId, Reason, Yes, waits
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.listing import TIME_FORMATS, moment, write_answer, write_json, write_rows

if TYPE_CHECKING:
    from stepswitch.client import Execution, StepswitchClient

Time = Annotated[
    datetime,
    typer.Option(
        "--until",
        metavar="TIME",
        formats=TIME_FORMATS,
        help="A time to come, such as 2027-01-31T08:15:00+01:00; a day begins in UTC.",
    ),
]


async def pause(client: "StepswitchClient", execution: ExecutionId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Pause before the next step that nobody has begun; the one that runs ends first."""
    tell(await client.executions.pause(execution, reason=reason), as_json=as_json)


async def pause_at(
    client: "StepswitchClient",
    execution: ExecutionId,
    steps: Annotated[list[str] | None, typer.Argument(metavar="STEP", help="Steps to pause before, beside those that are set.")] = None,
    *,
    only: Annotated[bool, typer.Option("--only", help="Before these steps and no others; without any step, before none.")] = False,
    failure: Annotated[
        bool | None, typer.Option("--failure/--no-failure", help="Whether to pause where a step fails, instead of ending.")
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> Exit | None:
    """Say where an execution is to pause: before steps, and where one fails."""
    wanted: list[str] | None = None
    if steps or only:
        set_before = [] if only else list((await client.executions.get(execution, fields=["debugStepIds"])).debug_step_ids)
        wanted = list(dict.fromkeys([*set_before, *(steps or [])]))
    if wanted is None and failure is None:
        complain("say where: a step, --failure, or --only for nowhere")
        return Exit.USAGE
    changed = await client.executions.change(execution, debug_step_ids=wanted, pause_at_failure=failure, reason=reason)
    tell(changed, as_json=as_json)
    return None


async def resume(
    client: "StepswitchClient",
    execution: ExecutionId,
    *,
    start_at: Annotated[str | None, typer.Option(metavar="STEP", help="Go on at this step, instead of where it waits.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Go on after a pause; a failure after which it waits is accepted by that. With --start-at, one that has failed is reopened, too."""
    if start_at is not None:
        await client.executions.change(execution, start_step_id=start_at, reason=reason)
    tell(await client.executions.resume(execution, reason=reason), as_json=as_json)


async def retry(client: "StepswitchClient", execution: ExecutionId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Run the step that did not succeed once more; an execution that has failed is reopened."""
    tell(await client.executions.retry(execution, reason=reason), as_json=as_json)


async def abort(client: "StepswitchClient", execution: ExecutionId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Stop an execution at once."""
    tell(await client.executions.abort(execution, reason=reason), as_json=as_json)


async def set_values(
    client: "StepswitchClient",
    execution: ExecutionId,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="Converted to the declared type; NAME=@FILE takes a file's content, and NAME alone is asked for, unseen.",
        ),
    ] = None,
    *,
    unset: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Take the value away.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Correct values of inputs and variables, while an execution is paused or has failed; writes what they are now."""
    from stepswitch.cli.assignments import corrections  # noqa: PLC0415 - --help should not wait for it
    from stepswitch.cli.declared import declared_in, shown_values, told  # noqa: PLC0415

    found = await client.executions.get(execution, fields=["workflow"])
    given = corrections(declared_in(found.workflow), values or [])
    for key, path in given.files.items():
        await client.executions.attach(execution, key, path, reason=reason)
    wanted = {**given.assignments, **dict.fromkeys(unset or [])}
    changed = await client.executions.set_values(execution, wanted, reason=reason)
    shown = shown_values(changed.workflow, wanted)
    if as_json:
        write_json({**changed.raw, "values": shown})
        return
    tell(changed, as_json=False)
    write_rows(("name", "value"), [(name, told(value)) for name, value in shown.items()])


async def keep(client: "StepswitchClient", execution: ExecutionId, *, until: Time, reason: Reason = "", as_json: AsJson = False) -> None:
    """Say until when an execution is kept once it has ended."""
    tell(await client.executions.change(execution, retained_til=moment(until), reason=reason), as_json=as_json)


async def delete(client: "StepswitchClient", execution: ExecutionId, *, yes: Yes = False, reason: Reason = "") -> Exit | None:
    """Remove an execution that has ended, with its logs and its own files."""
    from stepswitch.cli.prompts import agreed  # noqa: PLC0415 - --help should not wait for it

    found = await client.executions.get(execution, fields=["status", "workflow/name"])
    if not agreed(f"Remove the execution {found.id} of {found.workflow_name!r}, {found.status}?", yes=yes):
        return Exit.FAILED
    await client.executions.delete(execution, reason=reason)
    complain(f"{execution} was removed")
    return None


async def abandon_cleanup(
    client: "StepswitchClient",
    execution: ExecutionId,
    *,
    steps: Annotated[
        list[int] | None,
        typer.Option("--step", metavar="NUMBER", min=0, help="Only of this step execution, by its number; can be given more than once."),
    ] = None,
    yes: Yes = False,
    reason: Reason = "",
) -> Exit | None:
    """Say that what steps may have left at their targets is gone for good: nobody looks for it any more, and the execution can be deleted."""
    from stepswitch.cli.prompts import agreed  # noqa: PLC0415 - --help should not wait for it

    found = await client.executions.get(execution, fields=["workflow/name", "stepExecutions"])
    meant = [each for each in found.step_executions if each.cleanup_pending and (not steps or each.number in steps)]
    told = ", ".join(f"{each.step_id} ({each.number})" for each in meant)
    question = f"Take for gone what {told} of {found.id} of {found.workflow_name!r} may have left at the target?"
    if meant and not agreed(question, yes=yes):
        return Exit.FAILED
    await client.executions.abandon_cleanup(execution, steps or (), reason=reason)
    complain(f"nobody looks any more for what {told} may have left behind")
    return None


async def update_workflow(client: "StepswitchClient", execution: ExecutionId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Give the workflow in the catalogue the steps of an execution, as they were edited there."""
    stored = await client.executions.update_workflow(execution, reason=reason)
    write_answer(stored, as_json=as_json)


def tell(found: "Execution", *, as_json: bool) -> None:
    """Write where an execution stands now."""
    if as_json:
        write_json(found.raw)
        return
    waiting = waits(found)
    typer.echo(f"{found.id} is {found.status}" + (f", waits for {waiting}" if waiting else ""))
