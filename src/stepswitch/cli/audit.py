"""`stepswitch audit`: who did what, and whether that was touched. Called by `main`.

Works on the data directory, also beside a running service.
"""

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stepswitch.cli.administration import Url, service_at
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.listing import TIME_FORMATS, write_json
from stepswitch.cli.people import recorded
from stepswitch.cli.places import refuse_missing
from stepswitch.domain.errors import SettingsError

if TYPE_CHECKING:
    from stepswitch.client import AuditSelection
    from stepswitch.engine.audit_chain import ChainCheck
    from stepswitch.engine.audit_ports import Wanted

app = typer.Typer(no_args_is_help=True, help="See who did what, and check that nobody has changed that afterwards.")
DataDir = Annotated[
    Path | None, typer.Option(help="Data directory of the service. [default: as in the settings: stepswitch-data]", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")]
_LINES_AT_ONCE: Final = 500


@app.command()
def verify(
    *,
    head: Annotated[
        str | None, typer.Option(metavar="HASH", help="A hash that was noted elsewhere: a record has to have it, or the end was cut off.")
    ] = None,
    since: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Begin with this record, and take those before it on trust.")] = 1,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Check the chain of the audit trail from its start to its end.

    Ends with 0 where it is whole, with 1 where a record was changed, removed or moved, or the noted hash is not there, and with 2 where it cannot be
    read. What was cut off at the end is found only with --head: note the hash that this command says somewhere else.
    """
    check = asyncio.run(_checked(_directory(data_dir, config), head, since))
    finding = check.finding
    if as_json:
        broken = None if finding is None else {"number": finding.number, "kind": finding.kind.value, "message": finding.text}
        write_json({"records": check.count, "pruned": check.missing, "number": check.number, "head": check.head, "broken": broken})
    elif finding is None:
        typer.echo(f"whole: {check.count} record{'' if check.count == 1 else 's'}, up to number {check.number}")
        if check.missing:
            from stepswitch.engine.audit_ports import PRUNE  # noqa: PLC0415 - loads what --help does not need

            typer.echo(f"pruned: the records up to number {check.missing}, as a record says: `stepswitch audit export --operation {PRUNE}`")
        typer.echo(f"head: {check.head}")
    else:
        complain(f"broken ({finding.kind.value}): {finding.text}")
        complain(f"{check.count} record{' is' if check.count == 1 else 's are'} whole before it")
    if finding is not None:
        raise typer.Exit(Exit.FAILED)


Since = Annotated[datetime | None, typer.Option(formats=TIME_FORMATS, help="Only what happened then or later.", show_default=False)]
Until = Annotated[datetime | None, typer.Option(formats=TIME_FORMATS, help="Only what happened before.", show_default=False)]


@app.command()
def export(
    *,
    since: Since = None,
    until: Until = None,
    user: Annotated[str | None, typer.Option(help="Only what this user did.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only this operation, as in createUser.")] = None,
    about: Annotated[
        str | None, typer.Option("--object", help="Only what was done to this: the id of a workflow or an execution, the name of a user.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="Only what was allowed, or refused.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Write the audit trail as JSON lines, the oldest record first: of a data directory, or of a service where you are an administrator."""
    if url is not None:
        if data_dir is not None or config is not None:
            raise SettingsError("say --url, or --data-dir or --config: in one of the two places, not in both")
        from stepswitch.client import AuditSelection  # noqa: PLC0415 - loads what --help does not need

        selection = AuditSelection(_zoned(since), _zoned(until), user, operation, about, outcome)
        asyncio.run(_exported_afar(url, selection))
        return
    from stepswitch.engine.audit_ports import Wanted  # noqa: PLC0415 - loads what --help does not need

    wanted = Wanted(since=_time(since), until=_time(until), user=user, operation=operation, thing=about, outcome=outcome)
    asyncio.run(_exported(_directory(data_dir, config), wanted))


@app.command()
def prune(
    *,
    before: Annotated[datetime, typer.Option(formats=TIME_FORMATS, help="Remove what happened before.", show_default=False)],
    export: Annotated[Path | None, typer.Option("--export", metavar="FILE", help="Write what is removed to this new file first.")] = None,
    exported: Annotated[bool, typer.Option("--exported", help="It was exported already: remove it.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Remove the beginning of the audit trail, and record that.

    The record says up to which record it went, and the hash of that, so that `stepswitch audit verify` still proves the rest. What is still to be sent
    to the syslog server of the settings stays. A pruning that was interrupted is completed by the next one.
    """
    from stepswitch.bootstrap import prune_audit  # noqa: PLC0415 - loads everything
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415
    from stepswitch.engine.audit_ports import PRUNE  # noqa: PLC0415

    if exported is (export is not None):
        raise SettingsError(
            "say --export FILE, which writes what is removed to a file first, or --exported, where that was done: one of the two"
        )
    time = _time(before)
    if time is None or before.astimezone() > datetime.now().astimezone():
        raise SettingsError("--before lies in the future; only what is old is removed")
    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)
    entry = replace(recorded(PRUNE), after={"before": time, "exportedTo": None if export is None else export.name})
    done = asyncio.run(prune_audit(settings, time, entry, export))
    if done.count:
        typer.echo(f"removed: {done.count} record{'' if done.count == 1 else 's'}, up to number {done.last}; that is recorded")
    else:
        typer.echo("nothing was removed: there is nothing that old")
    if done.kept:
        typer.echo(f"{done.kept} more stay until they are sent on to the syslog server")


def _directory(data_dir: Path | None, config: Path | None) -> Path:
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415 - loads what --help does not need

    settings = load_settings({"data_dir": data_dir}, config)
    refuse_missing(settings.data_dir)
    return settings.data_dir


async def _checked(directory: Path, head: str | None, since: int) -> "ChainCheck":
    from stepswitch.bootstrap import open_audit  # noqa: PLC0415 - loads everything
    from stepswitch.engine.audit_trail import check_chain  # noqa: PLC0415

    async with open_audit(directory) as store:
        return await check_chain(store, None if head is None else head.strip().lower(), since)


async def _exported(directory: Path, wanted: "Wanted") -> None:
    from stepswitch.bootstrap import open_audit  # noqa: PLC0415 - loads everything

    async with open_audit(directory) as store:
        after, until = 0, await store.newest()
        while after < until:
            records, after = await store.page(wanted, after, until, _LINES_AT_ONCE)
            if records:
                typer.echo("\n".join(record.line for record in records))


async def _exported_afar(url: str, selection: "AuditSelection") -> None:
    from stepswitch.cli.remote import explain_refusal  # noqa: PLC0415
    from stepswitch.client import ClientError  # noqa: PLC0415

    place = service_at(url)
    try:
        async with place.client() as client:
            async for chunk in client.audit.export(selection):
                typer.echo(chunk, nl=False)
    except ClientError as error:
        raise typer.Exit(explain_refusal(error, place)) from None


def _zoned(given: datetime | None) -> datetime | None:
    """Return a time with its offset: without one it is that of this machine."""
    return None if given is None else given.astimezone()


def _time(given: datetime | None) -> str | None:
    from stepswitch.engine.audit import written_time  # noqa: PLC0415 - loads what --help does not need

    return None if given is None else written_time(round(given.timestamp() * 1000))
