"""`stepswitch execution start`: a workflow of the catalogue, or one in a file, executed by a service. Listed in `groups`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stepswitch.cli.completion import complete_workflow
from stepswitch.cli.documents import read_object
from stepswitch.cli.execution import AsJson
from stepswitch.cli.execution_watch import ThroughPauses
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.listing import TIME_FORMATS, moment, write_answer
from stepswitch.domain.document import Declaration
from stepswitch.domain.errors import CallerError, InvalidRequestError
from stepswitch.domain.execution import ContextType

if TYPE_CHECKING:
    from stepswitch.cli.assignments import Given
    from stepswitch.client import StepswitchClient, Workflow
    from stepswitch.domain.document import Workflow as Parsed

INPUT_HELP: Final = "A value, converted to the declared type; name=@FILE takes a file's content, name=@@text a text that begins with @."
Target = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW",
        autocompletion=complete_workflow,
        help="Id or name of a workflow; or a document, which is stored first: its file's name has a slash in it or ends in .json, or is -.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Show how it goes, as `execution watch` does, and end as that does.")]
KeepUntil = Annotated[
    datetime | None,
    typer.Option(formats=TIME_FORMATS, metavar="TIME", help="Until when it is kept once it has ended.", show_default=False),
]


async def start(
    client: "StepswitchClient",
    workflow: Target,
    *,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="NAME=VALUE", help=INPUT_HELP)] = None,
    input_file: Annotated[Path | None, typer.Option(help="A JSON object of inputs; --input goes over it.")] = None,
    attach: Annotated[list[str] | None, typer.Option(metavar="KEY=PATH", help="Attach a file under a key.")] = None,
    context_type: Annotated[ContextType, typer.Option(help="What the execution is about.")] = ContextType.NONE,
    context: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A key of the context, such as vimLocation.")] = None,
    pause_at_failure: Annotated[bool, typer.Option("--pause-at-failure", help="Pause where a step fails, instead of ending.")] = False,
    debug: Annotated[list[str] | None, typer.Option("--debug-step", "--debug", metavar="STEP", help="Pause before this step.")] = None,
    keep_until: KeepUntil = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Store the document as the next revision of the workflow of its name.")
    ] = False,
    watch: Watch = False,
    through_pauses: ThroughPauses = False,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Start it once, however often this is called with this key.")] = None,
    as_json: AsJson = False,
) -> Exit | None:
    """Start an execution; write its id.

    A required password that was not given is asked for. When the id is there the execution is kept, and is carried out whatever happens.
    """
    from stepswitch.cli import watching  # noqa: PLC0415 - --help should not wait for what follows
    from stepswitch.cli.assignments import take  # noqa: PLC0415

    found, given = await _prepare(
        client, workflow, lambda declared: take(declared, inputs, input_file, attach, context), context_type, replace=replace
    )
    queued = await client.executions.start(
        found.id,
        given.assignments,
        context_type=context_type,
        context=given.context,
        files=given.files,
        pause_at_failure=pause_at_failure,
        debug_step_ids=debug or (),
        retained_til=moment(keep_until),
        idempotency_key=key,
    )
    if watch:
        complain(f"started as execution {queued.id}")
        return await watching.watch(client, queued.id, through_pauses=through_pauses, as_json=as_json)
    write_answer(queued, as_json=as_json)
    return None


async def _prepare(
    client: "StepswitchClient",
    target: str,
    take: Callable[[Mapping[str, Declaration]], "Given"],
    context_type: ContextType,
    *,
    replace: bool,
) -> "tuple[Workflow, Given]":
    """Return the workflow that is meant, and what is given for its inputs; a document is stored once it is known that it can start."""
    from stepswitch.cli.declared import workflow_in  # noqa: PLC0415

    is_file = target == "-" or "/" in target or target.lower().endswith(".json")
    found = None if is_file else await client.workflows.find(target)
    document = read_object(Path(target)) if found is None else dict(found.raw)
    read = workflow_in(document)
    given = take({} if read is None else read.inputs)
    if found is None:
        _refuse_misfits(read, given, context_type)
        found = await _stored(client, target, document, replace=replace)
    return found, given


def _refuse_misfits(workflow: "Parsed | None", given: "Given", context_type: ContextType) -> None:
    """Raise InvalidRequestError with every fault of what an execution of a document would start with."""
    from stepswitch.domain.assignments import check_assignments  # noqa: PLC0415

    faults = () if workflow is None else check_assignments(workflow, given.assignments, given.context, context_type, given.files)
    if faults:
        raise InvalidRequestError(faults)


async def _stored(client: "StepswitchClient", file: str, document: dict[str, Any], *, replace: bool) -> "Workflow":
    """Store a document; raises CallerError where there is a workflow of its name already, and nobody said what to do about that."""
    from stepswitch.client import Selection, compare  # noqa: PLC0415

    name = document.get("name")
    same = (
        await client.workflows.list(Selection(where=[compare("name", "eq", name)], page_size=2)) if isinstance(name, str) and name else None
    )
    if same is None or not same.items:
        stored = await client.workflows.create(document)
        complain(f"stored as workflow {stored.id}")
        return stored
    if not replace:
        raise CallerError(
            f"there is a workflow {name!r} already ({same.items[0].id}); start it by its name, say --replace to store {file} as its next "
            "revision, or stepswitch workflow create to have two of them"
        )
    if len(same.items) > 1:
        raise CallerError(f"several workflows are called {name!r}; take stepswitch workflow replace with the id of one of them")
    stored = await client.workflows.replace(same.items[0].id, document)
    complain(f"stored as the next revision of workflow {stored.id}")
    return stored
