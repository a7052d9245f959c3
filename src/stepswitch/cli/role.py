"""`stepswitch role`: roles of one's own, beside those that are always there. Called by `main`. Works on the data directory, as `user` does."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stepswitch.cli.people import user_name
from stepswitch.cli.places import refuse_missing
from stepswitch.cli.user import AsJson, Config, DataDir
from stepswitch.engine.callers import Caller, administrator

if TYPE_CHECKING:
    from stepswitch.engine.roles import Roles

Answer = TypeVar("Answer")
app = typer.Typer(no_args_is_help=True, help="See and change which roles users can have.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the role.")]
Tenant = Annotated[str, typer.Option(help="The tenant whose role it is.")]


@app.command()
def add(
    name: Name,
    *,
    privilege: Annotated[
        list[str], typer.Option("--privilege", "-p", metavar="PRIVILEGE", help="As in 'Workflow Execute'; give it once for each.")
    ],
    workflow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORKFLOW", help="Narrow it to workflows of this name; 'core *' are all that begin so. Give it once for each."
        ),
    ] = None,
    tenant: Tenant = "default",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Make a role of some privileges, for all workflows or for those of some names."""
    role = _with_roles(data_dir, config, tenant, lambda roles, caller: roles.add(caller, name, privilege, workflow or ()))
    typer.echo(f"users can be given the role {role.name}")


@app.command()
def remove(name: Name, *, tenant: Tenant = "default", data_dir: DataDir = None, config: Config = None) -> None:
    """Remove a role that nobody has."""
    _with_roles(data_dir, config, tenant, lambda roles, caller: roles.remove(caller, name))
    typer.echo(f"there is no role {name} any more")


@app.command("list")
def list_roles(*, tenant: Tenant = "default", data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the roles that users of a tenant can have."""
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = _with_roles(data_dir, config, tenant, lambda roles, caller: roles.all(caller))
    if as_json:
        write_json([{"name": each.name, "privileges": sorted(each.privileges), "workflowNames": each.workflow_names} for each in found])
        return
    rows = [(each.name, ", ".join(sorted(each.privileges)), ", ".join(each.workflow_names) or "every workflow") for each in found]
    write_rows(("role", "privileges", "for"), rows)


def _with_roles(data_dir: Path | None, config: Path | None, tenant: str, use: "Callable[[Roles, Caller], Awaitable[Answer]]") -> Answer:
    """Return what `use` makes of the roles of a data directory. Whoever can write that may do everything there."""
    from stepswitch.bootstrap import open_roles  # noqa: PLC0415 - loads what --help does not need
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)

    async def opened() -> Answer:
        async with open_roles(settings.data_dir) as roles:
            return await use(roles, administrator(f"{user_name()} at the command line", tenant))

    return asyncio.run(opened())
