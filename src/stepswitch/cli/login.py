"""`stepswitch login` and `logout`: a session at a service, kept for the commands that follow. Called by `main`."""

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.people import user_name
from stepswitch.cli.remote import URL_VARIABLE, CaFile, Place, Url, explain_refusal, place_of
from stepswitch.domain.errors import CallerError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepswitch.client import Session, StepswitchClient

Address = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        envvar=URL_VARIABLE,
        show_default=False,
        help="Where the service is, as in https://stepswitch.example.net. [default: where you logged in last]",
    ),
]
Username = Annotated[
    str | None,
    typer.Option("--username", "-u", show_default=False, help="Whose login. [default: as the last time; else your name on this machine]"),
]


Oidc = Annotated[
    bool, typer.Option("--oidc", help="Log in through the service's provider: you are shown a code, to be confirmed in a browser anywhere.")
]


def login(url: Address = None, *, username: Username = None, oidc: Oidc = False, ca_file: CaFile = None) -> None:
    """Log in to a service, which the commands that follow talk to.

    The password is asked for, or read from the standard input where that is no terminal. The token of the session is kept in
    stepswitch/logins.json in your configuration directory, which only you can read. The password is kept nowhere.
    """
    place = replace(place_of(url, None, ca_file), token=None)
    if oidc:
        if username is not None:
            raise CallerError("--username does not go with --oidc: the provider says who you are")
        _warn_where_not_encrypted(place.url)
        raise typer.Exit(asyncio.run(_log_in(place, _confirmed)))
    user = username or _user_of(place.url)
    _warn_where_not_encrypted(place.url)
    password = _password(f"Password of {user} at {place.url}")
    raise typer.Exit(asyncio.run(_log_in(place, lambda client: client.login(user, password))))


def logout(*, url: Url = None, ca_file: CaFile = None) -> None:
    """End the session at a service, and forget it."""
    raise typer.Exit(asyncio.run(_log_out(place_of(url, None, ca_file))))


async def _confirmed(client: "StepswitchClient") -> "Session":
    """Return the session of whoever confirms a code that is shown here."""
    from stepswitch.cli.wording import printable  # noqa: PLC0415

    login = await client.begin_device_login()
    complain(f"Open {printable(login.verification_uri)} in a browser, and confirm the code {printable(login.user_code)}")
    if login.verification_uri_complete is not None:
        complain(f"(with the code in it: {printable(login.verification_uri_complete)})")
    return await client.finish_device_login(login)


async def _log_in(place: Place, open_session: "Callable[[StepswitchClient], Awaitable[Session]]") -> Exit:
    from stepswitch.client import ClientError  # noqa: PLC0415 - --help should not wait for httpx

    try:
        async with place.client() as client:
            session = await open_session(client)
            try:
                _keep(place, client, session.username)
            except SettingsError:
                await client.logout()
                raise
    except ClientError as error:
        return explain_refusal(error, place)
    typer.echo(f"{session.username} is logged in at {place.url} until {session.expires_at:%Y-%m-%d %H:%M} UTC")
    return Exit.COMPLETED


async def _log_out(place: Place) -> Exit:
    from stepswitch.cli.logins import read_logins, write_logins  # noqa: PLC0415
    from stepswitch.client import ClientError, NotAuthenticatedError  # noqa: PLC0415

    if place.token is None:
        complain(f"nobody is logged in at {place.url}")
        return Exit.USAGE
    ended = Exit.COMPLETED
    try:
        async with place.client() as client:
            await client.logout()
    except NotAuthenticatedError:
        pass  # it had ended before
    except ClientError as error:
        ended = explain_refusal(error, place)
        complain("The token is forgotten here; at the service the session goes on until it expires.")
    write_logins(read_logins().without(place.url))
    return ended


def _keep(place: Place, client: "StepswitchClient", username: str) -> None:
    from stepswitch.cli.logins import Login, read_logins, write_logins  # noqa: PLC0415

    ca_file = None if place.ca_file is None else str(place.ca_file.absolute())
    write_logins(read_logins().with_login(Login(place.url, client.token or "", username, ca_file)))


def _user_of(url: str) -> str:
    from stepswitch.cli.logins import read_logins  # noqa: PLC0415

    known = read_logins().of_service.get(url)
    is_with_password = known is not None and known.username and ":" not in known.username  # which those of a provider have
    return known.username if known is not None and is_with_password else user_name()


def _password(question: str) -> str:
    from stepswitch.cli.prompts import ask_hidden  # noqa: PLC0415

    return ask_hidden(question) if sys.stdin.isatty() else sys.stdin.readline().removesuffix("\n")


def _warn_where_not_encrypted(url: str) -> None:
    from stepswitch.client.transport import is_here  # noqa: PLC0415

    if url.startswith("http:") and not is_here(url):
        complain("warning: this connection is not encrypted; whoever is in between can read the password and everything else")
