"""`stepswitch secrets`: the keys that stored passwords are encrypted with. Called by `main`.

Works on the data directory, also beside a running service, which takes a new key at hand within five seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stepswitch.cli.people import recorded
from stepswitch.cli.places import refuse_missing

if TYPE_CHECKING:
    from stepswitch.config.settings import Settings
    from stepswitch.secrets.data_keys import DataKeys

Answer = TypeVar("Answer")
app = typer.Typer(no_args_is_help=True, help="See and change the keys that stored passwords are encrypted with.")
DataDir = Annotated[
    Path | None, typer.Option(help="Data directory of the service. [default: as in the settings: stepswitch-data]", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command()
def rotate(*, data_dir: DataDir = None, config: Config = None) -> None:
    """Encrypt with a new key from now on, and everything anew that older ones encrypt.

    A service that runs does that by itself, a little at a time, also after it was stopped in between; `stepswitch secrets status` says what is
    left. Without one, it is done when the command ends.
    """
    from stepswitch.bootstrap import has_service, reseal_alone  # noqa: PLC0415 - loads everything

    settings = _settings(data_dir, config)
    generation = _with_keys(settings, lambda keys: keys.rotate(recorded("rotateSecrets")))
    typer.echo(f"generation {generation} is there")
    if has_service(settings):
        typer.echo("the service encrypts anew what older ones encrypt; `stepswitch secrets status` says what is left")
    else:
        typer.echo(f"encrypted anew: {asyncio.run(reseal_alone(settings))}")


@app.command()
def rewrap(
    *,
    to: Annotated[
        str, typer.Option(metavar="KEY", help="The new one, as in the setting secrets_key: file:PATH, env:VARIABLE or vault:KEY.")
    ],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Move to another key-encryption key: the data keys are encrypted with it, and no value changes.

    Afterwards set `secrets_key` to the new one and start the service again; one that runs goes on until then. The old key is still needed for the
    backups of before.
    """
    from stepswitch.bootstrap import key_choice  # noqa: PLC0415 - loads everything

    settings = _settings(data_dir, config)
    name = _with_keys(settings, lambda keys: keys.rewrap(replace(key_choice(settings), wanted=to), recorded("rewrapSecrets")))
    typer.echo(f"the data keys are encrypted with {name}; set secrets_key to {to}, and start the service again")


@app.command()
def status(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say which keys there are, what each is encrypted with, and how many values it encrypts."""
    from stepswitch.cli.listing import write_json, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = _with_keys(_settings(data_dir, config), lambda keys: keys.standing())
    if as_json:
        write_json(
            [
                {"generation": key.generation, "encryptedWith": key.wrapped_by, "madeAt": _time(key.made_at), "values": values}
                for key, values in found
            ]
        )
        return
    rows = [(str(key.generation), key.wrapped_by, _time(key.made_at), str(values)) for key, values in found]
    write_rows(("generation", "encrypted with", "made at", "values"), rows)


def _settings(data_dir: Path | None, config: Path | None) -> "Settings":
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)
    return settings


def _with_keys(settings: "Settings", use: "Callable[[DataKeys], Awaitable[Answer]]") -> Answer:
    from stepswitch.bootstrap import open_data_keys  # noqa: PLC0415 - loads everything

    async def opened() -> Answer:
        async with open_data_keys(settings) as keys:
            return await use(keys)

    return asyncio.run(opened())


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
