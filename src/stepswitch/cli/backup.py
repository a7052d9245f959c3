"""`stepswitch backup` and `stepswitch restore`: copies of a data directory, made beside a running service. Called by `main`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.exits import complain
from stepswitch.cli.people import recorded
from stepswitch.cli.places import refuse_missing
from stepswitch.domain.errors import StepswitchError
from stepswitch.domain.execution import ENDED, Status

if TYPE_CHECKING:
    from stepswitch.engine.audit import Entry

DataDir = Annotated[
    Path | None, typer.Option(help="Data directory of the service. [default: as in the settings: stepswitch-data]", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")]


def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The backup: a directory that is not there yet.")],
    *,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Copy a data directory, database and files, while the service runs.

    The copy is as of one moment. It gets its name when all of it is on the disk and has been read back; one that was interrupted ends
    in .part and is no backup.
    """
    from stepswitch.bootstrap import back_up  # noqa: PLC0415 - loads everything
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)
    _record(settings.data_dir, target)
    made = back_up(settings.data_dir, target)
    size = made.database_bytes + sum(made.files.values())
    typer.echo(f"{target}: {size / 2**20:,.1f} MiB, {len(made.files)} file{'' if len(made.files) == 1 else 's'}, read back and found whole")


def _record(directory: Path, target: Path) -> None:
    """Record a backup before it is made; one of a database that takes nothing any more is made all the same."""
    from stepswitch.engine.audit import Thing  # noqa: PLC0415 - loads what --help does not need

    try:
        asyncio.run(_append(directory, recorded("backup", Thing("backup", str(target)))))
    except StepswitchError as error:
        complain(f"the backup is not in the audit trail: {error}")


async def _append(directory: Path, entry: "Entry") -> None:
    from stepswitch.bootstrap import open_audit  # noqa: PLC0415 - loads everything

    async with open_audit(directory) as store:
        await store.append(entry)


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A directory that `stepswitch backup` has made.")],
    *,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Put a backup into a new data directory, and pause what may have gone on since it was made.

    The whole backup is checked first. Every execution that was not over pauses before its next step, unless that is safe to run again;
    somebody has to say where to go on. Everybody has to log in anew.
    """
    from stepswitch.bootstrap import restore as restore_backup  # noqa: PLC0415 - loads everything
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415

    settings = load_settings({"data_dir": data_dir}, config)
    done = asyncio.run(restore_backup(settings, source, entry=recorded("restore")))
    paused = done.unfinished[Status.PAUSED]
    going = sum(count for status, count in done.unfinished.items() if status is not Status.PAUSED and status not in ENDED)
    typer.echo(f"{settings.data_dir}: restored from {source}")
    typer.echo(f"executions that wait for somebody: {paused}; that go on up to their first step that is not safe: {going}")
