"""`stepswitch health`: how a service is. Listed in `groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.exits import Exit
from stepswitch.cli.listing import write_facts, write_json

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient


async def health(client: "StepswitchClient", *, as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> Exit:
    """Say how a service is; needs no login. Ends with 0 when all is well, 1 when it cannot do its work, 5 when it does not answer."""
    found = await client.health()
    if as_json:
        write_json(found.raw)
    else:
        write_facts({name: str(value) for name, value in found.raw.items()})
    return Exit.COMPLETED if found.status == "ok" else Exit.FAILED
