"""`stepswitch credential`: secrets that workflows refer to by name, and who may use them where. Called by `main`.

Works on the data directory, also beside a running service, whose next step that uses one finds what is new; or on a service, with a login.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepswitch.cli.administration import AsJson, Config, DataDir, Url
from stepswitch.cli.credential_places import Order, Source, keep
from stepswitch.cli.exits import Exit, complain
from stepswitch.domain.errors import SettingsError

if TYPE_CHECKING:
    from stepswitch.client import Credential

app = typer.Typer(no_args_is_help=True, help="See and change the secrets that workflows refer to by name, and who may use them where.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the credential.")]
_ROLE = typer.Option("--role", "-r", metavar="ROLE", help="Whose use it is: a role, or '*'; give it once for each.")
_WORKFLOW = typer.Option(
    "--workflow", "-w", metavar="WORKFLOW", help="In which workflows: an id, a name, 'core *' or '*'; give it once for each."
)
_DEVICE = typer.Option(
    "--device", "-d", metavar="DEVICE", help="For which devices: a host name, an address, a network, each with :PORT or without, or '*'."
)
Vault = Annotated[
    tuple[str, str, str] | None, typer.Option(metavar="MOUNT PATH KEY", help="The value is in Vault's KV engine.", show_default=False)
]
Variable = Annotated[
    str | None, typer.Option("--environment", metavar="VARIABLE", help="The value is in a variable of the service.", show_default=False)
]
File = Annotated[
    str | None, typer.Option("--file", metavar="PATH", help="The value is in a file under the service's folder.", show_default=False)
]
Kubernetes = Annotated[
    tuple[str, str, str] | None,
    typer.Option(metavar="NAMESPACE SECRET KEY", help="The value is in a secret of Kubernetes.", show_default=False),
]
Description = Annotated[str | None, typer.Option(help="For people.", show_default=False)]


@app.command()
def add(
    name: Name,
    *,
    role: Annotated[list[str], _ROLE],
    workflow: Annotated[list[str], _WORKFLOW],
    device: Annotated[list[str], _DEVICE],
    without_device: Annotated[bool, typer.Option("--without-device", help="Steps that act on no device, scripts too, get it.")] = False,
    description: Description = None,
    vault: Vault = None,
    variable: Variable = None,
    file: File = None,
    kubernetes: Kubernetes = None,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Make a credential. Unless it is said where its value is, that is asked for, or read from the standard input, and stored encrypted."""
    source = _elsewhere(vault, variable, file, kubernetes) or {"kind": "stored", "value": _new_value(name)}
    order = Order(source, role, workflow, device, without_device, description)
    keep(lambda place: place.add(name, order), data_dir, config, url)
    typer.echo(f"{json.dumps({'credential': name}, ensure_ascii=False)} can take the place of a password")


@app.command()
def change(
    name: Name,
    *,
    role: Annotated[list[str] | None, _ROLE] = None,
    workflow: Annotated[list[str] | None, _WORKFLOW] = None,
    device: Annotated[list[str] | None, _DEVICE] = None,
    without_device: Annotated[
        bool | None, typer.Option("--without-device/--with-device", help="Whether steps that act on no device get it.", show_default=False)
    ] = None,
    description: Description = None,
    value: Annotated[bool, typer.Option("--value", help="Ask for a new value, or read it from the standard input.")] = False,
    vault: Vault = None,
    variable: Variable = None,
    file: File = None,
    kubernetes: Kubernetes = None,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Change what is given of a credential; the next step that uses it finds what is new."""
    source = _elsewhere(vault, variable, file, kubernetes)
    if value and source is not None:
        raise SettingsError("say --value, or where the value is: one of the two")
    source = {"kind": "stored", "value": _new_value(name)} if value else source
    order = Order(source, role or None, workflow or None, device or None, without_device, description)
    keep(lambda place: place.change(name, order), data_dir, config, url)
    typer.echo(f"{name} is changed")


@app.command("list")
def list_credentials(*, data_dir: DataDir = None, config: Config = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the credentials, without their values."""
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = keep(lambda place: place.all(), data_dir, config, url)
    if as_json:
        write_json([_as_object(each) for each in found])
        return
    rows = [(each.name, _where(each.source), ", ".join(each.roles), ", ".join(each.workflows), ", ".join(each.devices)) for each in found]
    write_rows(("credential", "from", "roles", "workflows", "devices"), rows)


@app.command()
def show(name: Name, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Write everything of a credential but its value, as JSON."""
    from stepswitch.cli.listing import write_json  # noqa: PLC0415

    write_json(_as_object(keep(lambda place: place.get(name), data_dir, config, url)))


@app.command()
def check(name: Name, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Open a credential as a step would, and say whether that went well; the value is shown to nobody.

    On a data directory that is done here, with the environment of this command. The exit code is 1 where it cannot be opened.
    """
    problem = keep(lambda place: place.problem(name), data_dir, config, url)
    if problem is not None:
        complain(problem)
        raise typer.Exit(Exit.FAILED)
    typer.echo(f"{name} can be opened")


@app.command()
def remove(name: Name, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Remove a credential, whoever refers to it: a step that wants it afterwards fails, and nothing is sent."""
    keep(lambda place: place.remove(name), data_dir, config, url)
    typer.echo(f"{name} is removed")


def _elsewhere(
    vault: tuple[str, str, str] | None, variable: str | None, file: str | None, kubernetes: tuple[str, str, str] | None
) -> Source | None:
    """Return where a value is, None where that is not said; raises SettingsError where several places are."""
    found: list[Source] = []
    if vault is not None:
        found.append({"kind": "vault", "mount": vault[0], "path": vault[1], "key": vault[2]})
    if variable is not None:
        found.append({"kind": "environment", "variable": variable})
    if file is not None:
        found.append({"kind": "file", "path": file})
    if kubernetes is not None:
        found.append({"kind": "kubernetes", "namespace": kubernetes[0], "secret": kubernetes[1], "key": kubernetes[2]})
    if len(found) > 1:
        raise SettingsError("say one of --vault, --environment, --file and --kubernetes: a value is in one place")
    return found[0] if found else None


def _new_value(name: str) -> str:
    """Return the value that somebody gives: typed twice at a terminal, else the whole standard input without the end of its last line."""
    from stepswitch.cli.prompts import ask_hidden  # noqa: PLC0415

    if not sys.stdin.isatty():
        return sys.stdin.read().removesuffix("\n")
    value = ask_hidden(f"Value of {name}")
    if ask_hidden("The same again") != value:
        complain("The two are not the same; nothing was changed.")
        raise typer.Exit(Exit.USAGE)
    return value


def _where(source: Source) -> str:
    return " ".join(source.values())


def _as_object(credential: "Credential") -> dict[str, Any]:
    return {
        "name": credential.name,
        "description": credential.description,
        "source": dict(credential.source),
        "roles": credential.roles,
        "workflows": credential.workflows,
        "devices": credential.devices,
        "withoutDevice": credential.without_device,
        "createdAt": credential.created_at.isoformat(),
        "createdBy": credential.created_by,
        "changedAt": credential.changed_at.isoformat(),
        "changedBy": credential.changed_by,
    }
