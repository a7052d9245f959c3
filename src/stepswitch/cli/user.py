"""`stepswitch user`: who can log in, and with which roles. Called by `main`.

Works on the data directory, also beside a running service, which sees a change within two seconds.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.people import user_name
from stepswitch.cli.places import refuse_missing
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.users import UserOrder

if TYPE_CHECKING:
    from stepswitch.engine.records import Account
    from stepswitch.engine.users import Users

Answer = TypeVar("Answer")
app = typer.Typer(no_args_is_help=True, help="See and change who can log in, and with which roles.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
Roles = Annotated[
    list[str],
    typer.Option("--role", "-r", metavar="ROLE", help="A role, as in 'Workflow Executor' or workflow-executor; give it once for each."),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Data directory of the service. [default: as in the settings: stepswitch-data]", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command()
def add(
    name: Name,
    *,
    role: Roles,
    tenant: Annotated[str, typer.Option(help="The tenant that the user belongs to.")] = "default",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Make a user. The password is asked for, or read from the standard input where that is no terminal."""
    password = _new_password(name)
    _with_users(data_dir, config, lambda users, caller: users.add(caller, name, password, role, tenant))
    typer.echo(f"{name} can log in")


@app.command("list")
def list_users(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the users of every tenant."""
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = _with_users(data_dir, config, lambda users, caller: users.all(caller))
    if as_json:
        write_json([_as_object(each) for each in found])
        return
    rows = [(each.name, each.tenant, ", ".join(each.roles), "disabled" if each.is_disabled else "") for each in found]
    write_rows(("user", "tenant", "roles", ""), rows)


@app.command()
def disable(name: Name, *, data_dir: DataDir = None, config: Config = None) -> None:
    """Let nobody log in as this user any more, and end every session of his."""
    _change(data_dir, config, name, UserOrder(is_disabled=True))
    typer.echo(f"{name} is disabled, and logged out everywhere")


@app.command()
def enable(name: Name, *, data_dir: DataDir = None, config: Config = None) -> None:
    """Let a user who was disabled log in again."""
    _change(data_dir, config, name, UserOrder(is_disabled=False))
    typer.echo(f"{name} can log in")


@app.command()
def password(name: Name, *, data_dir: DataDir = None, config: Config = None) -> None:
    """Give a user another password, and end every session of his. It is asked for, or read from the standard input."""
    _change(data_dir, config, name, UserOrder(password=_new_password(name)))
    typer.echo(f"{name} has another password, and is logged out everywhere")


@app.command()
def roles(name: Name, *, role: Roles, data_dir: DataDir = None, config: Config = None) -> None:
    """Give a user these roles, in place of those that he has."""
    account = _change(data_dir, config, name, UserOrder(roles=tuple(role)))
    typer.echo(f"{name} is {', '.join(account.roles)}")


def _change(data_dir: Path | None, config: Path | None, name: str, order: UserOrder) -> "Account":
    return _with_users(data_dir, config, lambda users, caller: users.change(caller, name, order))


def _with_users(data_dir: Path | None, config: Path | None, use: "Callable[[Users, Caller], Awaitable[Answer]]") -> Answer:
    """Return what `use` makes of the users of a data directory. Whoever can write that may do everything there."""
    from stepswitch.bootstrap import open_users  # noqa: PLC0415 - loads what --help does not need
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)

    async def opened() -> Answer:
        async with open_users(settings.data_dir) as users:
            return await use(users, administrator(f"{user_name()} at the command line"))

    return asyncio.run(opened())


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


def _as_object(account: "Account") -> dict[str, object]:
    return {"username": account.name, "tenantId": account.tenant, "roles": account.roles, "isDisabled": account.is_disabled}
