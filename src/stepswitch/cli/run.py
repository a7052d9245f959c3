"""`stepswitch run`: a workflow at once, without a server. Called by `main`; what carries it out is `alone`."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stepswitch.cli.exits import complain, exit_of
from stepswitch.cli.people import user_name
from stepswitch.cli.places import refuse_missing
from stepswitch.domain.execution import ContextType, Status

if TYPE_CHECKING:
    from stepswitch.cli.alone import Order
    from stepswitch.config.settings import Settings
    from stepswitch.domain.document import Workflow
    from stepswitch.engine.views import ExecutionView

_INPUT_HELP: Final = "A value, converted to the declared type; name=@FILE takes a file's content, name=@@text a text that begins with @."
_KEYS_HELP: Final = "Trust the host keys that are trusted in this data directory too."


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow document; - reads the standard input.")],
    *,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="NAME=VALUE", help=_INPUT_HELP)] = None,
    input_file: Annotated[Path | None, typer.Option(help="A JSON object of inputs; --input goes over it.")] = None,
    called: Annotated[list[Path] | None, typer.Option("--with", metavar="FILE", help="A workflow that it calls by its name.")] = None,
    attach: Annotated[list[str] | None, typer.Option(metavar="KEY=PATH", help="Attach a file under a key.")] = None,
    context_type: Annotated[ContextType, typer.Option(help="What the execution is about.")] = ContextType.NONE,
    context: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A key of the context, such as vimLocation.")] = None,
    pause_at_failure: Annotated[bool, typer.Option("--pause-at-failure", help="Stop as paused where a step fails.")] = False,
    debug_step: Annotated[list[str] | None, typer.Option(metavar="STEP", help="Stop as paused before this step.")] = None,
    accept_new_host_keys: Annotated[
        bool, typer.Option("--accept-new-host-keys", help="Trust a host key that was never seen, for this run only.")
    ] = False,
    data_dir: Annotated[Path | None, typer.Option(help=_KEYS_HELP)] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML); STEPSWITCH_CONFIG names one too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write nothing but the execution as JSON, when it is over.")] = False,
) -> None:
    """Run a workflow at once, without a server, and show how it goes.

    Nothing is kept: the execution, its log and its files are gone when it is over. Ctrl-C aborts it. A required password that was not
    given is asked for. The exit code tells how it went: 0 completed, 1 failed, 2 wrong usage, document or input, 3 paused, 4 aborted.
    """
    from stepswitch.cli.alone import Order  # noqa: PLC0415 - --help should not wait for what follows
    from stepswitch.cli.assignments import take  # noqa: PLC0415
    from stepswitch.cli.loading import load_settings  # noqa: PLC0415
    from stepswitch.engine.executions import ExecutionRequest  # noqa: PLC0415
    from stepswitch.telemetry.logging import set_up_logging  # noqa: PLC0415

    if data_dir is not None:
        refuse_missing(data_dir)
    document, workflow = _document(file)
    given = take(workflow.inputs, inputs, input_file, attach, context)
    request = ExecutionRequest(
        workflow_id="",
        context_type=context_type,
        context=given.context,
        assignments=given.assignments,
        pause_at_failure=pause_at_failure,
        debug_step_ids=tuple(debug_step or ()),
    )
    order = Order(document, request, given.files, tuple(_document(each)[0] for each in called or ()), data_dir)
    with tempfile.TemporaryDirectory(prefix="stepswitch-run-", ignore_cleanup_errors=True) as place:
        policy = {"host_keys": "accept-new"} if accept_new_host_keys else {}
        settings = load_settings({"data_dir": Path(place), "log_level": "error", "secrets_key": "", **policy}, config)
        set_up_logging(settings.log_level, settings.log_format)
        view = _execute(order, settings, workflow, as_json=as_json)
    raise typer.Exit(exit_of(view.head.status))


def _document(file: Path) -> "tuple[Mapping[str, Any], Workflow]":
    """Return the document and the workflow in it; raises where it cannot be read or has faults. Warnings are only said."""
    from stepswitch.bootstrap import installed_types  # noqa: PLC0415
    from stepswitch.cli.documents import read_object  # noqa: PLC0415
    from stepswitch.domain.errors import InvalidRequestError  # noqa: PLC0415
    from stepswitch.domain.validation import check  # noqa: PLC0415

    document = read_object(file)
    parsed = check(document, installed_types())
    for warning in parsed.warnings:
        complain(f"warning: {warning} [{warning.code}]")
    if parsed.faults or parsed.workflow is None:
        raise InvalidRequestError(parsed.faults)
    return document, parsed.workflow


def _execute(order: "Order", settings: "Settings", workflow: "Workflow", *, as_json: bool) -> "ExecutionView":
    from stepswitch.cli.alone import carry_out, outcome_of  # noqa: PLC0415
    from stepswitch.cli.tellers import teller_here  # noqa: PLC0415
    from stepswitch.engine.callers import administrator  # noqa: PLC0415

    caller = administrator(user_name())
    if as_json:
        view = asyncio.run(carry_out(order, settings, caller, None))
        _write_json(view)
        return view
    with teller_here(lambda step_id: workflow.steps[step_id].type) as teller:
        view = asyncio.run(carry_out(order, settings, caller, teller))
    teller.outcome(outcome_of(view))
    if view.head.status is Status.PAUSED:
        teller.remark("Without a server nobody can go on with it: it is gone now. On a server it would wait to be resumed or retried.")
    return view


def _write_json(view: "ExecutionView") -> None:
    from stepswitch.api.wire.answers import PLAIN_ROOT, Answers  # noqa: PLC0415
    from stepswitch.cli.listing import write_json  # noqa: PLC0415

    write_json(json.loads(Answers().execution(view, PLAIN_ROOT)))
