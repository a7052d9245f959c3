"""What the shell offers when somebody presses the tabulator: names of workflows, ids of executions. Called by the shell through typer.

Where the service does not answer at once, nothing is offered: a prompt must not hang, and must not be written into.
"""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient

PATIENCE_SECONDS: Final = 2.0
OFFERED: Final = 50
Offer = Sequence[tuple[str, str]]


def complete_workflow(context: typer.Context, incomplete: str) -> Offer:
    """Return names of workflows that begin like this."""

    async def found(client: "StepswitchClient") -> Offer:
        from stepswitch.cli.selecting import first_of  # noqa: PLC0415 - loads httpx
        from stepswitch.client import Selection  # noqa: PLC0415

        listed = await first_of(client.workflows.iterate(Selection(where=_beginning("name", incomplete), sort="name")), OFFERED)
        return [(each.name, each.id) for each in listed]

    return _ask(context, found)


def complete_execution(context: typer.Context, incomplete: str) -> Offer:
    """Return ids of executions that begin like this, the newest first."""

    async def found(client: "StepswitchClient") -> Offer:
        from stepswitch.cli.selecting import first_of  # noqa: PLC0415 - loads httpx
        from stepswitch.client import Selection  # noqa: PLC0415

        selection = Selection(where=_beginning("id", incomplete), fields=["status"], page_size=OFFERED)
        listed = await first_of(client.executions.iterate(selection), OFFERED)
        return [(each.id, f"{each.status} {each.workflow_name}") for each in listed]

    return _ask(context, found)


def _beginning(attribute: str, text: str) -> list[str]:
    """Return the comparisons that hold for what begins with `text`: they have an index, a search inside of texts has none."""
    from stepswitch.client import compare  # noqa: PLC0415 - loads httpx

    return [compare(attribute, "gte", text), compare(attribute, "lt", f"{text}\U0010ffff")] if text else []


def _ask(context: typer.Context, ask: "Callable[[StepswitchClient], Awaitable[Offer]]") -> Offer:
    from stepswitch.cli.remote import place_of  # noqa: PLC0415 - --help should not wait for it

    async def asked(options: dict[str, Any]) -> Offer:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            place_of(options.get("url"), options.get("token"), options.get("ca_file")).client() as client,
        ):
            return await ask(client)

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        return asyncio.run(asked(context.params))
    return []
