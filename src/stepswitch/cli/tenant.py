"""`stepswitch tenant`: how much tenants use of what they may have. Listed in `groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.listing import write_json, write_rows

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient
    from stepswitch.client.tenants import Amount


async def usage(
    client: "StepswitchClient",
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="Only this tenant.", show_default=False)] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show how much of each limit a tenant uses: your own, or, for administrators of the tenant default, every one."""
    found = await client.tenants.usage(tenant)
    if as_json:
        write_json([each.raw for each in found])
        return
    amounts = [(each, each.executions_at_once, each.queued_executions, each.stored_executions, each.file_bytes) for each in found]
    header = ("tenant", "at once", "queued", "stored", "file bytes")
    write_rows(header, [(each.tenant_id, *map(_written, of_each)) for each, *of_each in amounts])


def _written(amount: "Amount") -> str:
    return str(amount.used) if amount.limit is None else f"{amount.used} of {amount.limit}"
