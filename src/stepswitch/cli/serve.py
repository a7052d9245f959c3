"""`stepswitch serve`: the service itself. Called by `main`."""

from pathlib import Path
from typing import Annotated, Final

import typer

DATA_DIR_HELP: Final = "Directory of the database and the files; made when missing. [default: stepswitch-data]"
CONFIG_HELP: Final = "Settings file (TOML); STEPSWITCH_CONFIG names one too."


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8080]", show_default=False)] = None,
    data_dir: Annotated[Path | None, typer.Option(help=DATA_DIR_HELP, show_default=False)] = None,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP, show_default=False)] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. [default: info]", show_default=False, metavar="LEVEL")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json. [default: text]", show_default=False, metavar="FORMAT")] = None,
    host_keys: Annotated[
        str | None,
        typer.Option(
            help="strict refuses a host key that was never seen, accept-new trusts it. [default: strict]",
            show_default=False,
            metavar="POLICY",
        ),
    ] = None,
    steps_at_once: Annotated[int | None, typer.Option(help="Steps carried out at once. [default: 100]", show_default=False)] = None,
) -> None:
    """Start the service and keep it up until it is told to stop (Ctrl-C or SIGTERM).

    Settings come from defaults, a file, STEPSWITCH_... variables and these options, each over the one before. The first start makes the
    user admin with the password in STEPSWITCH_ADMIN_PASSWORD, or makes one up and shows it once.
    """
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415 - --help should not wait for pydantic

    options = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "log_level": log_level,
        "log_format": log_format,
        "host_keys": host_keys,
        "steps_at_once": steps_at_once,
    }
    settings = load_settings(options, config)
    from stepswitch.bootstrap import serve as run_service  # noqa: PLC0415 - loads everything; wrong settings are refused before

    raise typer.Exit(run_service(settings))
