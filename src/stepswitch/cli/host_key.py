"""`stepswitch host-key`: which servers' host keys the service trusts. Called by `main`.

Works on the data directory beside a running service, which sees a change at once; or, with --url, through the API of a service.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.people import recorded, user_name
from stepswitch.cli.places import refuse_missing
from stepswitch.cli.remote import CaFile, Token, explain_refusal, place_of
from stepswitch.domain.errors import SettingsError

if TYPE_CHECKING:
    from stepswitch.cli.service_keys import ServiceKeys
    from stepswitch.engine.audit import Entry
    from stepswitch.engine.ports import HostKeyStore
    from stepswitch.engine.records import TrustedKey

Answer = TypeVar("Answer")
app = typer.Typer(no_args_is_help=True, help="See and change which host keys the service trusts.")

Host = Annotated[str, typer.Argument(metavar="HOST", help="The server as workflows name it: a name or an address.")]
Port = Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Its SSH port.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Data directory of the service. [default: as in the settings: stepswitch-data]", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")]
ServiceUrl = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="A service to talk to, instead of a data directory on this machine.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
_SSH_PORT: Final = 22


@dataclass(frozen=True, slots=True)
class _Where:
    """Whose host keys are meant: those of a data directory, or of a service."""

    data_dir: Path | None
    config: Path | None
    url: str | None
    token: str | None
    ca_file: Path | None


@app.command()
def scan(
    host: Host,
    *,
    port: Port = _SSH_PORT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Trust what is shown without asking.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the server.")] = 10.0,
    data_dir: DataDir = None,
    config: Config = None,
    url: ServiceUrl = None,
    token: Token = None,
    ca_file: CaFile = None,
) -> None:
    """Ask a server for its host keys, show their fingerprints, and trust them after a yes.

    Compare the fingerprints with what the server's owner says: whoever answers at that address can show any key.
    """
    from stepswitch.steps.host_keys import fingerprint  # noqa: PLC0415 - loads what --help does not need

    where = _Where(data_dir, config, url, token, ca_file)
    keys = _shown_by(where, host, port, timeout)
    known = _with_store(where, lambda store: store.trusted(host, port), make=True)
    trusted = {key.public_key for key in known}
    typer.echo(f"{_server(host, port)} shows {len(keys)} host key{'' if len(keys) == 1 else 's'}:")
    for key in keys:
        typer.echo(f"  {key.split()[0]:<20} {fingerprint(key)}{'  (trusted already)' if key in trusted else ''}")
    new = [key for key in keys if key not in trusted]
    if not new:
        return
    if trusted:
        complain(
            "Other keys are trusted for this server. Keys change when a server is installed anew, and when somebody stands in between."
        )
    if not yes and not _confirmed():
        complain("Nothing was changed; --yes trusts them without asking.")
        raise typer.Exit(Exit.FAILED)
    _trust(host, port, new, where)


@app.command()
def trust(
    host: Host,
    key: Annotated[
        list[str],
        typer.Argument(metavar="KEY...", help="An OpenSSH line such as 'ssh-ed25519 AAAA...', quoted or not; @FILE reads a file."),
    ],
    *,
    port: Port = _SSH_PORT,
    data_dir: DataDir = None,
    config: Config = None,
    url: ServiceUrl = None,
    token: Token = None,
    ca_file: CaFile = None,
) -> None:
    """Trust a host key that you already have, for instance from the server's own /etc/ssh/ssh_host_ed25519_key.pub."""
    from stepswitch.steps.host_keys import parse_public_key  # noqa: PLC0415 - loads what --help does not need

    try:
        line = parse_public_key(_key_text(" ".join(key)))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="KEY") from None
    _trust(host, port, [line], _Where(data_dir, config, url, token, ca_file))


@app.command()
def forget(
    host: Host,
    *,
    port: Port = _SSH_PORT,
    data_dir: DataDir = None,
    config: Config = None,
    url: ServiceUrl = None,
    token: Token = None,
    ca_file: CaFile = None,
) -> None:
    """Trust no host key of a server any longer; ends with 1 where none was trusted."""
    number = _with_store(
        _Where(data_dir, config, url, token, ca_file),
        lambda store: store.forget(host, port, _recorded("forgetHostKeys", host, port)),
        make=False,
    )
    if not number:
        complain(f"no host key of {_server(host, port)} was trusted")
        raise typer.Exit(Exit.FAILED)
    typer.echo(f"{number} host key{'' if number == 1 else 's'} of {_server(host, port)} forgotten")


@app.command("list")
def list_keys(
    *,
    data_dir: DataDir = None,
    config: Config = None,
    url: ServiceUrl = None,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """List the host keys that are trusted."""
    from stepswitch.steps.host_keys import fingerprint  # noqa: PLC0415 - loads what --help does not need

    keys = _with_store(_Where(data_dir, config, url, token, ca_file), lambda store: store.all(), make=False)
    if as_json:
        typer.echo(json.dumps([_as_object(key, fingerprint(key.public_key)) for key in keys], indent=2))
        return
    if not keys:
        complain("no host keys are trusted yet: stepswitch host-key scan HOST")
    for key in keys:
        typer.echo(f"{_server(key.host, key.port):<28} {key.public_key.split()[0]:<20} {fingerprint(key.public_key)}  by {key.added_by}")


def _shown_by(where: _Where, host: str, port: int, timeout: float) -> Sequence[str]:
    """Return the host keys that a server shows: to this machine, or to the service that is meant."""
    from stepswitch.steps.host_keys import scan  # noqa: PLC0415 - see above

    if where.url is None:
        return asyncio.run(scan(host, port, timeout))
    return _at_service(where, lambda keys: keys.scan(host, port))


def _trust(host: str, port: int, lines: Sequence[str], where: _Where) -> None:
    from stepswitch.engine.records import TrustedKey  # noqa: PLC0415 - see above
    from stepswitch.steps.host_keys import fingerprint  # noqa: PLC0415
    from stepswitch.system import SystemClock  # noqa: PLC0415

    now, user = SystemClock().now(), user_name()

    async def add(store: "HostKeyStore") -> None:
        for line in lines:
            entry = replace(_recorded("trustHostKey", host, port), after={"fingerprint": fingerprint(line)})
            await store.trust(TrustedKey(host, port, line, user, now), entry)

    _with_store(where, add, make=True)
    typer.echo(f"{len(lines)} host key{'' if len(lines) == 1 else 's'} of {_server(host, port)} trusted from now on")


def _recorded(operation: str, host: str, port: int) -> "Entry":
    from stepswitch.engine.trust import thing_of_server  # noqa: PLC0415 - see above

    return recorded(operation, thing_of_server(host, port))


def _with_store(where: _Where, use: "Callable[[HostKeyStore], Awaitable[Answer]]", *, make: bool) -> Answer:
    """Return what `use` makes of the store that is meant; a missing data directory is an error unless `make` says otherwise."""
    from stepswitch.bootstrap import open_host_keys  # noqa: PLC0415 - see above
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415

    if where.url is not None:
        return _at_service(where, use)
    settings = load_settings({"data_dir": where.data_dir}, where.config)
    if not make:
        refuse_missing(settings.data_dir)

    async def opened() -> Answer:
        async with open_host_keys(settings.data_dir) as store:
            return await use(store)

    return asyncio.run(opened())


def _at_service(where: _Where, use: "Callable[[ServiceKeys], Awaitable[Answer]]") -> Answer:
    """Return what `use` makes of the keys that a service trusts; ends the command where that says no."""
    from stepswitch.cli.service_keys import ServiceKeys  # noqa: PLC0415 - see above
    from stepswitch.client import ClientError  # noqa: PLC0415

    place = place_of(where.url, where.token, where.ca_file)

    async def asked() -> Answer:
        async with place.client() as client:
            return await use(ServiceKeys(client.host_keys))

    try:
        return asyncio.run(asked())
    except ClientError as error:
        raise typer.Exit(explain_refusal(error, place)) from None


def _key_text(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{text[1:]} cannot be read as a text") from None


def _confirmed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Are these the server's own keys?")


def _as_object(key: "TrustedKey", fingerprint: str) -> dict[str, object]:
    return {
        "host": key.host,
        "port": key.port,
        "publicKey": key.public_key,
        "fingerprint": fingerprint,
        "addedBy": key.added_by,
        "addedAt": key.added_at,
    }


def _server(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port == _SSH_PORT else f"{shown}:{port}"
