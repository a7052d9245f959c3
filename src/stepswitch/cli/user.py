"""`stepswitch user`: who can log in, and with which roles. Called by `main`.

Works on the data directory, also beside a running service, which sees a change within two seconds; or on a service, with a login.
"""

import sys
from typing import Annotated

import typer

from stepswitch.cli.administration import AsJson, Config, DataDir, ShownUser, Url, administer
from stepswitch.cli.exits import Exit, complain

app = typer.Typer(no_args_is_help=True, help="See and change who can log in, and with which roles.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
Roles = Annotated[
    list[str],
    typer.Option("--role", "-r", metavar="ROLE", help="A role, as in 'Workflow Executor' or workflow-executor; give it once for each."),
]


@app.command()
def add(
    name: Name,
    *,
    role: Roles,
    tenant: Annotated[
        str | None, typer.Option(help="The tenant that the user belongs to. [default: default; at a service your own]")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Make a user. The password is asked for, or read from the standard input where that is no terminal."""
    password = _new_password(name)
    administer(lambda place: place.add_user(name, password, role, tenant), data_dir, config, url)
    typer.echo(f"{name} can log in")


@app.command("list")
def list_users(*, data_dir: DataDir = None, config: Config = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the users: of every tenant, at a service of those that you look after."""
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = administer(lambda place: place.users(), data_dir, config, url)
    if as_json:
        write_json([_as_object(each) for each in found])
        return
    rows = [(each.username, each.tenant, ", ".join(each.roles), "disabled" if each.is_disabled else "") for each in found]
    write_rows(("user", "tenant", "roles", ""), rows)


@app.command()
def disable(name: Name, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Let nobody log in as this user any more, and end every session of his, API tokens too."""
    administer(lambda place: place.change_user(name, is_disabled=True), data_dir, config, url)
    typer.echo(f"{name} is disabled, and logged out everywhere")


@app.command()
def enable(name: Name, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Let a user who was disabled log in again."""
    administer(lambda place: place.change_user(name, is_disabled=False), data_dir, config, url)
    typer.echo(f"{name} can log in")


@app.command()
def password(name: Name, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Give a user another password, and end every login of his. It is asked for, or read from the standard input."""
    chosen = _new_password(name)
    administer(lambda place: place.change_user(name, password=chosen), data_dir, config, url)
    typer.echo(f"{name} has another password, and is logged out everywhere; API tokens go on")


@app.command()
def roles(name: Name, *, role: Roles, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Give a user these roles, in place of those that he has."""
    user = administer(lambda place: place.change_user(name, roles=role), data_dir, config, url)
    typer.echo(f"{name} is {', '.join(user.roles)}")


def _new_password(name: str) -> str:
    """Return the password that somebody chose: typed twice at a terminal, else the first line of the standard input."""
    from stepswitch.cli.prompts import ask_hidden  # noqa: PLC0415

    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n")
    chosen = ask_hidden(f"New password of {name}")
    if ask_hidden("The same again") != chosen:
        complain("The two are not the same; nothing was changed.")
        raise typer.Exit(Exit.USAGE)
    return chosen


def _as_object(user: ShownUser) -> dict[str, object]:
    return {"username": user.username, "tenantId": user.tenant, "roles": user.roles, "isDisabled": user.is_disabled}
