"""`stepswitch execution`: the executions of a service, seen. Listed in `groups`; what starts and steers them is in the modules beside it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepswitch.cli.completion import complete_execution
from stepswitch.cli.listing import time_of, write_facts, write_json, write_rows
from stepswitch.cli.wording import duration, printable, shown
from stepswitch.domain.execution import COUNTED_PLACES, Status
from stepswitch.domain.states import StepState

if TYPE_CHECKING:
    from stepswitch.client import Execution, StepExecution, StepswitchClient

ExecutionId = Annotated[str, typer.Argument(metavar="EXECUTION", help="Id of the execution.", autocompletion=complete_execution)]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; goes into the log of the execution.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the answer of the service as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_PEOPLE = {
    StepState.WAITING_BEFORE.value: "somebody who lets it go on, before a step",
    StepState.WAITING_AFTER.value: "somebody who looks after a failure",
}
_SHOWN = ("status", "creationUser", "startTime", "endTime", "waitingFor", "queuePosition", "workflow/name")


async def list_executions(
    client: "StepswitchClient",
    *,
    status: Annotated[list[Status] | None, typer.Option(help="Only those that stand there; may be given several times.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only those of workflows of this name.")] = None,
    workflow_id: Annotated[str | None, typer.Option(help="Only those of this workflow.")] = None,
    user: Annotated[str | None, typer.Option(help="Only those that this user started.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="FILTER", help="A filter of the API, such as (gte,endTime,2027-01-01T00:00:00Z)."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="ATTRIBUTE", help="Sort by this attribute. [default: newest first]", show_default=False)
    ] = None,
    descending: Annotated[bool, typer.Option("--desc", help="Largest first.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List executions, without their steps and logs."""
    from dataclasses import replace  # noqa: PLC0415 - --help should not wait for what follows

    from stepswitch.cli.selecting import first_of, selection_of  # noqa: PLC0415
    from stepswitch.client import compare  # noqa: PLC0415

    wanted = {"workflow/name": workflow, "workflow/id": workflow_id, "creationUser": user}
    statuses = [compare("status", "in", *status)] if status else []
    selection = selection_of(wanted, [*statuses, *(filters or [])], sort, descending=descending, limit=limit)
    if not as_json:
        selection = replace(selection, fields=_SHOWN)
    found = await first_of(client.executions.iterate(selection), limit)
    if as_json:
        write_json([each.raw for each in found])
        return
    header = ("id", "status", "workflow", "created", "by", "ended", "waits for")
    write_rows(header, [_row(each) for each in found])


async def show(
    client: "StepswitchClient",
    execution: ExecutionId,
    *,
    logs: Annotated[bool, typer.Option("--logs", "-l", help="Show the logs of its steps, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an execution: where it stands, what its steps did, and what came of it."""
    found = await client.executions.get(execution)
    if as_json:
        write_json(found.raw)
        return
    write_facts(_facts(found))
    _write_steps(found.step_executions, with_logs=logs)
    if found.outputs:
        typer.echo()
        write_rows(("output", "value"), [(name, shown(value)) for name, value in found.outputs.items()])


async def logs(client: "StepswitchClient", execution: ExecutionId) -> None:
    """Write the log of an execution, a line for each entry: time, level, number of the step execution, message."""
    async for line in client.executions.logs(execution):
        typer.echo(printable(line))


def waits(found: "Execution") -> str:
    """Return what an execution waits for, in words."""
    waiting = [
        _PEOPLE.get(each.name, f"{each.kind} {each.name}")
        + (f" until {time_of(each.until)}" if each.until is not None else "")
        + (f" of {each.holder.execution_id}, {each.holder.status}" if each.holder is not None else "")
        for each in found.waiting_for
    ]
    return ", ".join([*_place_of(found.queue_position), *waiting])


def _place_of(position: int | None) -> list[str]:
    if position is None:
        return []
    return [f"behind place {COUNTED_PLACES} in the queue" if position > COUNTED_PLACES else f"place {position} in the queue"]


def _row(found: "Execution") -> tuple[str, ...]:
    created, ended = time_of(found.creation_time), time_of(found.end_time)
    return (found.id, found.status, found.workflow_name, created, found.creation_user, ended, waits(found))


def _facts(found: "Execution") -> dict[str, str]:
    return {
        "id": found.id,
        "status": found.status,
        "workflow": f"{found.workflow_name} ({found.workflow_id})",
        "waits for": waits(found),
        "belongs to": "" if found.parent is None else f"step {found.parent.step_number} of {found.parent.execution_id}",
        "created": f"{time_of(found.creation_time)} by {found.creation_user}",
        "started": time_of(found.start_time),
        "ended": time_of(found.end_time),
        "kept until": time_of(found.retained_til),
        "pauses": _pauses(found),
        "context": _values({"type": found.context_type, **found.context}) if found.context_type != "NONE" or found.context else "",
        "inputs": _values(found.assignments),
        "files": ", ".join(found.attachments),
    }


def _pauses(found: "Execution") -> str:
    places = [f"before {step_id}" for step_id in found.debug_step_ids] + (["where a step fails"] if found.pause_at_failure else [])
    return ", ".join(places)


def _values(values: "dict[str, Any] | Any") -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in values.items())


def _write_steps(steps: "tuple[StepExecution, ...]", *, with_logs: bool) -> None:
    typer.echo()
    if not with_logs:
        write_rows(("#", "step", "type", "result", "took", "why"), [_step_row(step) for step in steps])
        return
    for step in steps:
        number, *rest = _step_row(step)
        typer.echo(f"#{number} {'  '.join(filter(None, map(printable, rest)))}")
        for entry in step.logs:
            for line in printable(entry.msg).splitlines():
                typer.echo(f"    {time_of(entry.time)} {entry.level:<5} {line}")


def _step_row(step: "StepExecution") -> tuple[str, ...]:
    began = step.claimed_time or step.start_time
    took = duration(round((step.end_time - began).total_seconds() * 1000)) if step.end_time is not None else ""
    attempt = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    return (str(step.number), f"{step.step_id}{attempt}", step.type, step.result or step.state, took, "; ".join(_why(step)))


def _why(step: "StepExecution") -> Iterator[str]:
    """Yield why a step ended so: its error, what its probe does or found, and that something may be left behind."""
    if step.error is not None:
        yield f"{step.error.code}: {step.error.message}"
    probe = step.probe
    if probe is not None:
        yield f"its probe says {probe.verdict}" if probe.verdict is not None else f"look {probe.attempt} of its probe is {probe.state}"
    if step.child is not None:
        waits = f" waits for somebody: {step.child.waits}" if step.child.waits else f" is {step.child.status}" if step.child.status else ""
        yield f"the execution {step.child.execution_id} of {step.child.workflow_name}{waits}"
    if step.cleanup_pending:
        yield "something may be left behind at the target"
