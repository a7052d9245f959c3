"""`stepswitch role`: roles of one's own, beside those that are always there. Called by `main`. Works where `user` does."""

from typing import Annotated

import typer

from stepswitch.cli.administration import AsJson, Config, DataDir, Url, administer
from stepswitch.domain.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="See and change which roles users can have.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the role.")]
Tenant = Annotated[
    str | None, typer.Option(help="The tenant whose role it is. [default: default; at a service always your own]", show_default=False)
]


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
    tenant: Tenant = None,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Make a role of some privileges, for all workflows or for those of some names."""
    role = administer(lambda place: place.add_role(name, privilege, workflow or ()), data_dir, config, url, _tenant(tenant, url))
    typer.echo(f"users can be given the role {role.name}")


@app.command()
def remove(name: Name, *, tenant: Tenant = None, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Remove a role that nobody has."""
    administer(lambda place: place.remove_role(name), data_dir, config, url, _tenant(tenant, url))
    typer.echo(f"there is no role {name} any more")


@app.command("list")
def list_roles(*, tenant: Tenant = None, data_dir: DataDir = None, config: Config = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the roles that users of a tenant can have."""
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = administer(lambda place: place.roles(), data_dir, config, url, _tenant(tenant, url))
    if as_json:
        write_json([{"name": each.name, "privileges": each.privileges, "workflowNames": each.workflow_names} for each in found])
        return
    rows = [(each.name, ", ".join(each.privileges), ", ".join(each.workflow_names) or "every workflow") for each in found]
    write_rows(("role", "privileges", "for"), rows)


def _tenant(tenant: str | None, url: str | None) -> str:
    if tenant is not None and url is not None:
        raise SettingsError("at a service the roles are those of your own tenant: leave out --tenant")
    return tenant or "default"
