"""`stepswitch session` and `stepswitch token`: who is logged in where, and the API tokens of programs. Called by `main`.

Works on the service where one is logged in; on a data directory where that is named, also beside a running service.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from stepswitch.cli.administration import AsJson, Config, DataDir, ShownSession, Url, administer_own

sessions = typer.Typer(no_args_is_help=True, help="See and end logins and API tokens.")
tokens = typer.Typer(no_args_is_help=True, help="Make, see and end the API tokens of programs.")
User = Annotated[
    str | None, typer.Option("--user", "-u", metavar="NAME", help="Whose; yours unless you say. Others are for administrators.")
]
Ident = Annotated[str, typer.Argument(metavar="ID", help="Its id, as list shows it.")]


@sessions.command("list")
def list_sessions(*, user: User = None, data_dir: DataDir = None, config: Config = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the logins and API tokens that go on, the newest first."""
    _list(administer_own(lambda place: place.sessions(user), data_dir, config, url), as_json=as_json)


@sessions.command("end")
def end_session(session_id: Ident, *, user: User = None, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """End a login or an API token at once."""
    administer_own(lambda place: place.end_session(session_id, user), data_dir, config, url)
    typer.echo(f"{session_id} is ended")


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the token is called.")],
    *,
    privilege: Annotated[
        list[str] | None,
        typer.Option(
            "--privilege", "-p", metavar="PRIVILEGE",
            help="What it is good for, as in 'Workflow Execute'; give it once for each. [default: everything that its user may]",
        ),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=365, help="For how many days it is good. [default: 90]", show_default=False)] = None,
    user: User = None,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:  # fmt: skip
    """Make an API token and write it to the standard output, once."""
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    token, made = administer_own(lambda place: place.create_token(name, privilege, until, user), data_dir, config, url)
    typer.echo(token)
    typer.echo(f"API token {made.id} of {made.username}, good until {_time(made.expires_at)}; it is shown only now", err=True)


@tokens.command("list")
def list_tokens(*, user: User = None, data_dir: DataDir = None, config: Config = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the API tokens that go on, the newest first."""
    found = administer_own(lambda place: place.sessions(user), data_dir, config, url)
    _list([each for each in found if each.name is not None], as_json=as_json)


@tokens.command("revoke")
def revoke_token(token_id: Ident, *, user: User = None, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """End an API token at once."""
    end_session(token_id, user=user, data_dir=data_dir, config=config, url=url)


def _list(found: Sequence[ShownSession], *, as_json: bool) -> None:
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    if as_json:
        write_json([_as_object(each) for each in found])
        return
    rows = [
        (
            each.id,
            each.username,
            "login" if each.name is None else each.name,
            "everything" if each.privileges is None else ", ".join(each.privileges),
            each.address or "",
            _time(each.created_at),
            _time(each.expires_at),
        )
        for each in found
    ]
    write_rows(("id", "user", "name", "good for", "from", "made", "ends"), rows)


def _as_object(session: ShownSession) -> dict[str, object]:
    return {
        "id": session.id,
        "kind": "LOGIN" if session.name is None else "TOKEN",
        "username": session.username,
        "createdAt": session.created_at.isoformat(),
        "expiresAt": session.expires_at.isoformat(),
        "name": session.name,
        "privileges": session.privileges,
        "address": session.address,
    }


def _time(time: datetime) -> str:
    from stepswitch.cli.listing import time_of  # noqa: PLC0415 - loads what --help does not need

    return time_of(time)
