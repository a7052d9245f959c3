"""`stepswitch rehearse`: workflows played with given results, without any target. Called by `main`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.documents import UnreadableError
from stepswitch.cli.exits import Exit
from stepswitch.domain.errors import Fault, InvalidRequestError

if TYPE_CHECKING:
    from stepswitch.engine.rehearsals import Rehearsals, Report


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What is to be said of one file: its reports, or why there are none."""

    file: Path
    reports: Sequence["Report"] = ()
    faults: Sequence[Fault] = ()
    unreadable: UnreadableError | None = None

    @property
    def exit(self) -> Exit:
        """The exit code that this file alone would have."""
        if self.unreadable is not None or self.faults:
            return Exit.USAGE
        return Exit.COMPLETED if all(report.is_as_expected for report in self.reports) else Exit.FAILED


def rehearse(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rehearsal documents; - reads the standard input.")],
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every step of the way, why it was taken, and the outputs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON array with an object for each file.")] = False,
) -> None:
    """Play workflows with given results, without any target, and say whether they take the way that is expected.

    Scripts are run, unless results are given for them; waits pass at once. Ends with 0 when all came out as expected, 1 when one did not, 2
    when a file cannot be read or has faults.
    """
    from stepswitch.cli.rehearsal_lines import lines_of  # noqa: PLC0415 - --help should not wait for what follows

    found = asyncio.run(_rehearse_all(files))
    if as_json:
        typer.echo(json.dumps([_as_object(rehearsed) for rehearsed in found], indent=2, ensure_ascii=False))
    else:
        for line in lines_of(found, verbose=verbose):
            typer.echo(line)
    raise typer.Exit(max(rehearsed.exit for rehearsed in found))


async def _rehearse_all(files: Sequence[Path]) -> list[Rehearsed]:
    from stepswitch.bootstrap import open_rehearsals  # noqa: PLC0415 - loads the step types

    async with open_rehearsals() as rehearsals:
        return [await _rehearse(file, rehearsals) for file in files]


async def _rehearse(file: Path, rehearsals: "Rehearsals") -> Rehearsed:
    from stepswitch.api.wire.rehearsals import rehearsal_order  # noqa: PLC0415
    from stepswitch.cli.people import user_name  # noqa: PLC0415
    from stepswitch.cli.rehearsal_files import read_document  # noqa: PLC0415
    from stepswitch.engine.callers import administrator  # noqa: PLC0415

    try:
        document, faults = read_document(file)
        order = rehearsal_order(document)
        order = replace(order, faults=(*faults, *order.faults))
        if faults and not document["workflow"]:
            return Rehearsed(file, faults=order.faults)
        return Rehearsed(file, await rehearsals.rehearse(administrator(user_name()), order))
    except UnreadableError as error:
        return Rehearsed(file, unreadable=error)
    except InvalidRequestError as error:
        return Rehearsed(file, faults=error.faults)


def _as_object(rehearsed: Rehearsed) -> Mapping[str, object]:
    from stepswitch.api.wire.rehearsals import shown_reports  # noqa: PLC0415

    told: dict[str, object] = {"file": str(rehearsed.file)}
    if rehearsed.unreadable is not None:
        error = rehearsed.unreadable
        return {**told, "asExpected": False, "unreadable": {"message": str(error), "line": error.line, "column": error.column}}
    if rehearsed.faults:
        faults = [{"code": fault.code, "path": fault.path, "message": fault.message} for fault in rehearsed.faults]
        return {**told, "asExpected": False, "faults": faults}
    return {**told, **shown_reports(rehearsed.reports)}
