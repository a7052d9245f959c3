"""`stepswitch workflow rehearse`: rehearsals with the step types of a service, and with workflows of its catalogue. Listed in `groups`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepswitch.cli.exits import Exit
from stepswitch.cli.listing import write_json
from stepswitch.cli.wording import printable
from stepswitch.cli.workflow import AsJson

if TYPE_CHECKING:
    from stepswitch.client import RehearsalReport, StepswitchClient


async def rehearse(
    client: "StepswitchClient",
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The rehearsal document; - reads the standard input.")],
    *,
    as_json: AsJson = False,
) -> Exit:
    """Play a workflow with given results, as `stepswitch rehearse` does, at the service.

    Its document may name a workflow of the catalogue by `workflowId`. Ends with 0 when all came out as expected, 1 when not.
    """
    reports = await client.workflows.rehearse(_document(file))
    if as_json:
        write_json([report.raw for report in reports])
    else:
        for report in reports:
            _tell(report)
    return Exit.COMPLETED if all(report.as_expected for report in reports) else Exit.FAILED


def _document(file: Path) -> dict[str, Any]:
    """Return a document with the files that it names; raises InvalidRequestError where one of them is not there."""
    from stepswitch.cli.rehearsal_files import read_document  # noqa: PLC0415 - --help should not wait for it
    from stepswitch.domain.errors import InvalidRequestError  # noqa: PLC0415

    document, faults = read_document(file)
    if faults:
        raise InvalidRequestError(faults)
    return document


def _tell(report: "RehearsalReport") -> None:
    mark = typer.style("✔", fg=typer.colors.GREEN) if report.as_expected else typer.style("✘", fg=typer.colors.RED)
    typer.echo(f"{mark} {printable(report.name)}  {report.status} after {' → '.join(printable(step.step_id) for step in report.way)}")
    for divergence in report.divergences:
        typer.echo(f"    {printable(divergence.message)}")
