"""`stepswitch execution events`: what happens to all executions. Listed in `groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.exits import complain
from stepswitch.cli.wording import printable

if TYPE_CHECKING:
    from stepswitch.client import Event, StepswitchClient


async def events(
    client: "StepswitchClient",
    *,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Begin behind this event, of the last day. [default: now]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write each event as one line of JSON.")] = False,
) -> None:
    """Write what happens to all executions that you may see, a line for each event, until Ctrl-C.

    A line has the id of the event, what kind it is, the id of the execution, and what happened. A connection that breaks is made again.
    """
    from contextlib import aclosing  # noqa: PLC0415 - --help should not wait for what follows

    async with aclosing(client.events(after=after, on_break=lambda error: complain(f"{printable(str(error))}; trying again"))) as stream:
        async for event in stream:
            typer.echo(_json(event) if as_json else _line(event))


def _json(event: "Event") -> str:
    import json  # noqa: PLC0415

    kind, execution_id, _ = _said(event)
    raw = getattr(event.news, "raw", {"executionId": execution_id} if execution_id else {})
    return json.dumps({"id": event.id, "event": kind, "data": raw})


def _line(event: "Event") -> str:
    return printable("\t".join((event.id or "", *(" ".join(part.split()) for part in _said(event)))))


def _said(event: "Event") -> tuple[str, str, str]:
    """Return the kind of an event, its execution, and what happened in words."""
    from stepswitch.client import ExecutionNews, LogNews, StepNews  # noqa: PLC0415

    match event.news:
        case ExecutionNews() as news:
            return "execution", news.execution_id, "removed" if news.is_deleted else f"{news.status} {news.workflow_name}"
        case StepNews() as news:
            return "step", news.execution_id, f"{news.step_id} ({news.number}) {news.result or news.state}"
        case LogNews() as news:
            return "log", news.execution_id, f"{'-' if news.number is None else news.number} {news.level} {news.msg}"
        case _:
            return "reset", event.news.execution_id or "", "something before this cannot be told any more"
