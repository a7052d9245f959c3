"""`stepswitch workflow`: the catalogue of a service. Listed in `groups`; revisions and files are in `workflow_revisions` and `workflow_files`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepswitch.cli.completion import complete_workflow
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.listing import time_of, write_answer, write_facts, write_json, write_rows
from stepswitch.cli.wording import shown

if TYPE_CHECKING:
    from stepswitch.cli.validate import Findings
    from stepswitch.client import StepswitchClient, Workflow

WorkflowId = Annotated[str, typer.Argument(metavar="WORKFLOW", help="Id or name of the workflow.", autocompletion=complete_workflow)]
Document = Annotated[Path, typer.Argument(metavar="FILE", help="The workflow document; - reads the standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the answer of the service as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
IfMatch = Annotated[
    str | None, typer.Option(metavar="ETAG", help="Only where the workflow is still the one that `workflow show` gave this etag for.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")]
Filter = Annotated[
    list[str] | None, typer.Option("--filter", metavar="FILTER", help="A filter of the API, such as (gte,createdAt,2027-01-01T00:00:00Z).")
]


async def create(
    client: "StepswitchClient",
    file: Document,
    *,
    workflow_id: Annotated[str | None, typer.Option("--id", help="Store it under this id, to move workflows between services.")] = None,
    attach: Annotated[list[str] | None, typer.Option(metavar="KEY=PATH", help="Store a file with it, under a key.")] = None,
    as_json: AsJson = False,
) -> None:
    """Store a workflow; write its id."""
    document = document_of(file)
    files = files_of(attach or [])
    stored = await client.workflows.create(document, files=None if workflow_id else files, workflow_id=workflow_id)
    for key, path in files.items() if workflow_id else ():
        await client.workflows.attach(stored.id, key, path)
    _tell(stored, as_json=as_json)


async def list_workflows(
    client: "StepswitchClient",
    *,
    name: Annotated[str | None, typer.Option(help="Only those of this name.")] = None,
    user: Annotated[str | None, typer.Option(help="Only those that this user created.")] = None,
    filters: Filter = None,
    sort: Annotated[
        str | None, typer.Option(metavar="ATTRIBUTE", help="Sort by this attribute. [default: newest first]", show_default=False)
    ] = None,
    descending: Annotated[bool, typer.Option("--desc", help="Largest first.")] = False,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List workflows."""
    from stepswitch.cli.selecting import first_of, selection_of  # noqa: PLC0415 - --help should not wait for httpx

    wanted = {"name": name, "creationUser": user}
    found = await first_of(client.workflows.iterate(selection_of(wanted, filters, sort, descending=descending, limit=limit)), limit)
    if as_json:
        write_json([each.raw for each in found])
        return
    header = ("id", "name", "version", "created", "by")
    write_rows(header, [(each.id, each.name, each.version, time_of(each.created_at), each.creation_user) for each in found])


async def show(
    client: "StepswitchClient",
    workflow: WorkflowId,
    *,
    revision: Annotated[int | None, typer.Option(min=1, help="As it was in this revision.")] = None,
    document: Annotated[bool, typer.Option("--document", help="Write the document alone, as it can be edited and sent back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a workflow."""
    found = await client.workflows.find(workflow)
    if revision is not None:
        found = await client.workflows.revision(found.id, revision)
    if document or as_json:
        write_json(found.document if document else found.raw)
        return
    write_facts(_facts(found))
    _write_inputs(found.document.get("inputs"))


async def replace(
    client: "StepswitchClient", workflow: WorkflowId, file: Document, *, if_match: IfMatch = None, as_json: AsJson = False
) -> None:
    """Store a document as the next revision of a workflow."""
    document = document_of(file)
    found = await client.workflows.find(workflow)
    _tell(await client.workflows.replace(found.id, document, if_match=if_match), as_json=as_json)


async def delete(client: "StepswitchClient", workflow: WorkflowId, *, yes: Yes = False, if_match: IfMatch = None) -> Exit | None:
    """Remove a workflow with all its revisions; executions keep their copy."""
    from stepswitch.cli.prompts import agreed  # noqa: PLC0415 - see above

    found = await client.workflows.find(workflow)
    if not agreed(f"Remove {found.name!r} ({found.id}) with all its revisions?", yes=yes):
        return Exit.FAILED
    await client.workflows.delete(found.id, if_match=if_match)
    complain(f"{found.name!r} ({found.id}) was removed")
    return None


async def convert(
    client: "StepswitchClient",
    file: Document,
    *,
    owner: Annotated[str | None, typer.Option(help="Id of the owner. [default: your login]", show_default=False)] = None,
    owner_type: Annotated[str, typer.Option(help="VNF, CNF, NS or USER.")] = "USER",
) -> None:
    """Turn a document of schema 1.0 or 2.0 into schema 3.0 and write it; nothing is stored."""
    from stepswitch.cli.logins import read_logins  # noqa: PLC0415 - see above
    from stepswitch.cli.people import user_name  # noqa: PLC0415

    known = read_logins().of_service.get(client.url)
    owner_id = owner or (known.username if known is not None else user_name())
    write_json(await client.workflows.convert(document_of(file), owner_id=owner_id, owner_type=owner_type))


async def validate(
    client: "StepswitchClient",
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflow documents; - reads the standard input.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON array with an object for each file.")] = False,
) -> Exit:
    """Check documents as the service does, with its step types, and print every fault with its path; nothing is stored.

    Ends as `stepswitch validate` does: with 0 when all are valid, 1 when one has faults, 2 when one cannot be read or is not JSON.
    """
    from stepswitch.cli.validate import tell  # noqa: PLC0415 - see above

    return tell([await _look_at(client, file) for file in files], as_json=as_json)


def document_of(file: Path) -> dict[str, Any]:
    """Return the workflow document in a file; raises UnreadableError or InvalidRequestError where there is none."""
    from stepswitch.cli.documents import read_object  # noqa: PLC0415 - see above

    return read_object(file)


def files_of(pairs: Sequence[str]) -> dict[str, Path]:
    """Return `--attach` as files by key; raises InvalidRequestError with what is wrong with any of it."""
    from stepswitch.cli.assignments import Given, files_given, refuse_faults  # noqa: PLC0415 - see above

    given = Given()
    files_given(given, pairs)
    refuse_faults(given)
    return given.files


def _tell(stored: "Workflow", *, as_json: bool) -> None:
    write_answer(stored, as_json=as_json)
    if stored.warnings:
        complain(f"stored with {stored.warnings} warning{'' if stored.warnings == 1 else 's'}, which stepswitch workflow validate shows")


async def _look_at(client: "StepswitchClient", file: Path) -> "Findings":
    from stepswitch.cli.validate import Findings, opened  # noqa: PLC0415 - see above

    document = opened(file)
    if isinstance(document, Findings):
        return document
    review = await client.workflows.validate(document)
    is_draft = not document.get("steps") or document.get("startStepId") is None
    return Findings(file, review.faults, review.warnings, is_draft)


def _facts(found: "Workflow") -> dict[str, str]:
    document = found.document
    owner = document.get("owner")
    steps = document.get("steps") or {}
    return {
        "id": found.id,
        "name": found.name,
        "version": found.version,
        "description": found.description or "",
        "owner": f"{owner.get('type')} {owner.get('id')}" if isinstance(owner, dict) else "",
        "read-only": "yes" if found.read_only else "",
        "created": f"{time_of(found.created_at)} by {found.creation_user}",
        "etag": found.etag or "",
        "schema": str(document.get("schemaVersion", "")),
        "steps": f"{len(steps)}, begins with {document['startStepId']}" if document.get("startStepId") else f"{len(steps)}",
        "files": ", ".join(document.get("attachments") or ()),
    }


def _write_inputs(inputs: Any) -> None:
    if not isinstance(inputs, dict) or not inputs:
        return
    rows = [_input(name, each) for name, each in inputs.items() if isinstance(each, dict)]
    typer.echo()
    write_rows(("input", "type", "", "default", "description"), rows)


def _input(name: str, declared: dict[str, Any]) -> tuple[str, ...]:
    default = declared.get("defaultValue")
    required = "required" if declared.get("required") else ""
    return (name, str(declared.get("type", "")), required, "" if default is None else shown(default), declared.get("description") or "")
