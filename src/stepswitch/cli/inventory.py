"""`stepswitch inventory`: what there is, where it is, and how it is reached. Called by `main`.

Works on the data directory, also beside a running service, which knows what is new with the next execution; or on a service, with a login.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stepswitch.cli.administration import AsJson, Config, DataDir, Url
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.inventory_places import InventoryPlace, SourceLine, look_after
from stepswitch.domain.inventory import Section

app = typer.Typer(no_args_is_help=True, help="See, check and change the inventory: what there is, where it is, and how it is reached.")
Kind = Annotated[Section, typer.Argument(metavar="SECTION", help=f"One of {', '.join(Section)}.")]
EntryId = Annotated[str, typer.Argument(metavar="ID", help="Id of the entry.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML; JSON is YAML, too.")]


@app.command()
def show(
    section: Annotated[Section | None, typer.Argument(metavar="[SECTION]", help=f"One of {', '.join(Section)}; all unless said.")] = None,
    entry_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id of one entry.")] = None,
    *,
    with_sources: Annotated[bool, typer.Option("--with-sources", help="With what sources bring, too; `set` does not take that.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write the inventory, or a part of it, as `set` and `put` take it. One entry is shown whoever brought it."""
    if section is not None and entry_id is not None:
        found = look_after(lambda place: place.entry(section, entry_id), data_dir, config, url)
    else:
        whole = look_after(lambda place: _whole(place, with_sources=with_sources), data_dir, config, url)
        found = whole if section is None else {section.value: whole[section]}
    _write(found, as_json=as_json)


async def _whole(place: InventoryPlace, *, with_sources: bool) -> Mapping[str, Any]:
    return await place.get_all() if with_sources else (await place.get())[0]


@app.command()
def sources(*, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Show how the sources stand: since when one cannot be read, how much each brings, and what of that cannot be used."""
    from stepswitch.cli.listing import time_of, write_rows  # noqa: PLC0415 - loads what --help does not need

    found = look_after(lambda place: place.source_states(), data_dir, config, url)
    header = ("source", "state", "last read", "fails since", "functions", "services", "machines", "what is wrong")
    write_rows(
        header,
        [
            (each.source, each.state, time_of(each.read_at), time_of(each.failing_since), *map(str, each.counts), _wrong(each))
            for each in found
        ],
    )


@app.command()
def refresh(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the source.")],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Read a source now, and say what it brings; an exit code of 1 says that it could not be read."""
    from stepswitch.cli.listing import time_of  # noqa: PLC0415 - loads what --help does not need
    from stepswitch.cli.wording import printable  # noqa: PLC0415

    found = look_after(lambda place: place.refresh(source), data_dir, config, url)
    if found.error is not None:
        since = "" if found.failing_since is None else f" since {time_of(found.failing_since)}"
        complain(printable(f"{source} cannot be read{since}: {found.error}"))
        raise typer.Exit(Exit.FAILED)
    functions, services, machines = map(_so_many, found.counts, ("network function", "network service", "virtual machine"))
    going_on = "; it is still being read" if found.is_being_read else ""
    typer.echo(f"{source} brings {functions}, {services} and {machines}{going_on}")
    for problem in found.problems:
        complain(printable(problem))


def _wrong(source: SourceLine) -> str:
    return "; ".join([*([] if source.error is None else [source.error]), *source.problems])


@app.command()
def check(file: File) -> None:
    """Look at an inventory file and say whether it is right; every fault is told with its line. Nothing is stored, and no service is asked."""
    from stepswitch.inventory.file import read_file  # noqa: PLC0415 - loads what --help does not need

    document = read_file(file).document
    typer.echo(f"{file} is right: {_counted(document)}")


@app.command("set")
def set_inventory(file: File, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Put what a file says in the place of the whole inventory, all of it or nothing; what the file leaves out is gone afterwards."""
    from stepswitch.inventory.file import read_file  # noqa: PLC0415

    document = read_file(file).document
    changes = look_after(lambda place: place.replace(document), data_dir, config, url)
    typer.echo(f"the inventory has {_counted(document)}; {changes}")


@app.command()
def put(section: Kind, entry_id: EntryId, file: File, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Store one entry, which a file says: a new one, or in place of that of this id."""
    from stepswitch.domain.inventory_parts import unfit_id  # noqa: PLC0415
    from stepswitch.inventory.file import read_entry  # noqa: PLC0415

    if (why := unfit_id(entry_id)) is not None:
        complain(f"{entry_id!r} is no id of an entry: {why}")
        raise typer.Exit(Exit.USAGE)
    entry = read_entry(file)
    if not isinstance(entry, Mapping):
        complain(f"{file} holds no entry: it is to be a map of its fields")
        raise typer.Exit(Exit.USAGE)
    look_after(lambda place: place.put(section, entry_id, entry), data_dir, config, url)
    typer.echo(f"{entry_id} is stored")


@app.command()
def remove(section: Kind, entry_id: EntryId, *, data_dir: DataDir = None, config: Config = None, url: Url = None) -> None:
    """Remove one entry; refused where another one names it."""
    look_after(lambda place: place.remove(section, entry_id), data_dir, config, url)
    typer.echo(f"{entry_id} is removed")


def _counted(document: Mapping[str, Any]) -> str:
    from stepswitch.domain.inventory_document import noun_of  # noqa: PLC0415

    counts = [(len(document.get(section) or {}), noun_of(section)) for section in Section]
    return ", ".join(_so_many(count, noun) for count, noun in counts if count) or "no entries"


def _so_many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _write(document: Mapping[str, Any], *, as_json: bool) -> None:
    from stepswitch.cli.listing import write_json  # noqa: PLC0415
    from stepswitch.cli.wording import printable  # noqa: PLC0415
    from stepswitch.inventory.yaml_text import write_yaml  # noqa: PLC0415

    if as_json:
        write_json(document)
        return
    text = write_yaml(document)
    sys.stdout.write(text if printable(text) == text else write_yaml(document, only_ascii=True))
