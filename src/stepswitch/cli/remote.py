"""Commands that talk to a service: which one, as whom, and what its refusals are in words. Called by the modules of such commands.

A command is an async function whose first parameter is the client; `remote` makes of it what typer takes, with the options that say
where the service is.
"""

import asyncio
import functools
import inspect
import math
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec

import typer

from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.wording import printable
from stepswitch.domain.errors import CallerError, SettingsError

if TYPE_CHECKING:
    import ssl

    from stepswitch.client import ClientError, StepswitchClient

Options = ParamSpec("Options")
URL_VARIABLE: Final = "STEPSWITCH_URL"
TOKEN_VARIABLE: Final = "STEPSWITCH_TOKEN"
CA_VARIABLE: Final = "STEPSWITCH_CA_FILE"
CLIENT_CERT_VARIABLE: Final = "STEPSWITCH_CLIENT_CERT"
"""Names a PEM file with the certificate, and its key, that is shown to a service which wants one."""
Url = Annotated[
    str | None,
    typer.Option(envvar=URL_VARIABLE, show_default=False, metavar="URL", help="Where the service is. [default: where you logged in last]"),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar=TOKEN_VARIABLE,
        show_default=False,
        metavar="TOKEN",
        help="The token of a session, instead of your login. Others can see options; the variable they cannot.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(envvar=CA_VARIABLE, show_default=False, help="Certificates (PEM) to trust, instead of those that the system trusts."),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A service, and as whom to talk to it."""

    url: str
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def client(self) -> "StepswitchClient":
        """Return a client for it; raises CallerError where the address is none, SettingsError where the certificates cannot be read."""
        from stepswitch.client import StepswitchClient, UnreachableError  # noqa: PLC0415 - --help should not wait for httpx

        try:
            return StepswitchClient(self.url, token=self.token, tls=_trusting(self.ca_file))
        except UnreachableError as error:
            raise CallerError(str(error)) from None


def place_of(url: str | None, token: str | None, ca_file: Path | None) -> Place:
    """Return the service that is meant; raises SettingsError where nothing says which. An address counts before the login, and so does a token."""
    from stepswitch.cli.logins import read_logins  # noqa: PLC0415 - --help should not wait for it

    logins = read_logins()
    found = (url or logins.current or "").rstrip("/")
    if not found:
        raise SettingsError(f"which service? Log in (stepswitch login URL), or say so with --url or {URL_VARIABLE}")
    login = logins.of_service.get(found)
    kept_ca = Path(login.ca_file) if login is not None and login.ca_file is not None else None
    return Place(found, token or (login.token if login is not None else None), ca_file or kept_ca)


def remote(command: "Callable[Concatenate[StepswitchClient, Options], Coroutine[Any, Any, Exit | None]]") -> Callable[..., None]:
    """Return `command` as a function for typer, with its own options and those that say where the service is."""
    signature = inspect.signature(command)
    where = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in (("url", Url), ("token", Token), ("ca_file", CaFile))
    ]
    parameters = [*list(signature.parameters.values())[1:], *where]

    @functools.wraps(command)
    def run(*, url: str | None, token: str | None, ca_file: Path | None, **options: Any) -> None:
        place = place_of(url, token, ca_file)
        raise typer.Exit(asyncio.run(_talk(place, command, options)))

    run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def explain_refusal(error: "ClientError", place: Place) -> Exit:
    """Write what a service, or the way to it, has to say, every fault on a line of its own; return the exit code that it means."""
    from stepswitch.client import errors  # noqa: PLC0415

    faults = error.faults if isinstance(error, errors.ApiError) else ()
    for said in faults or (error,):
        complain(printable(str(said)))
    if isinstance(error, errors.NotAuthenticatedError) and error.code != "WRONG_CREDENTIALS":
        complain(f"Log in with: stepswitch login {place.url}")
    if isinstance(error, errors.UnavailableError) and error.retry_after is not None:
        complain(f"Try again in {math.ceil(error.retry_after)} s.")
    away = (errors.NoAnswerError, errors.StrangeAnswerError, errors.UnavailableError, errors.ServiceFailedError)
    return Exit.UNANSWERED if isinstance(error, away) else Exit.USAGE


async def _talk(place: Place, command: Callable[..., Coroutine[Any, Any, Exit | None]], options: dict[str, Any]) -> Exit:
    from stepswitch.client import ClientError  # noqa: PLC0415

    try:
        async with place.client() as client:
            return await command(client, **options) or Exit.COMPLETED
    except ClientError as error:
        return explain_refusal(error, place)


def _trusting(ca_file: Path | None) -> "ssl.SSLContext | None":
    """Return whom to trust and what to show of oneself; None for what the system trusts, and nothing."""
    own = os.environ.get(CLIENT_CERT_VARIABLE)
    if ca_file is None and not own:
        return None
    import ssl  # noqa: PLC0415

    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise SettingsError(f"there are no certificates in {ca_file}: it is to be a PEM file") from None
    except OSError as error:
        raise SettingsError(f"the certificates in {ca_file} cannot be read: {error.strerror}") from None
    if own:
        try:
            context.load_cert_chain(own)
        except (OSError, ssl.SSLError):
            message = "is to name a PEM file with your certificate and its key"
            raise SettingsError(f"{CLIENT_CERT_VARIABLE}: {own} cannot be used; it {message}") from None
    return context
