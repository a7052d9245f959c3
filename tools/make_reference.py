"""Writes the pages of docs/reference that are made from the source, so that they cannot say what is no longer true.

`make reference` writes them; with --check nothing is written and the exit code says whether they are current. The texts
around the tables stand here, beside the names that they explain: a state without a sentence is an error.
"""

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from stepswitch.api.operations import served
from stepswitch.cli import signatures
from stepswitch.domain.execution import Result, Status, Verdict
from stepswitch.domain.states import TERMINAL, TRANSITIONS, StepEvent, StepState
from stepswitch.engine.privileges import MEANINGS, ROLES, Privilege
from stepswitch.plugin import ENTRY_POINT_GROUP, StepSignature
from tools import doubt_diagram, platforms_page
from tools import inventory_page as inventory
from tools.state_diagram import draw

ROOT: Final = Path(__file__).resolve().parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
EXPLANATION: Final = ROOT / "docs" / "explanation"
NOTE: Final = "<!-- Made from the source by `make reference`; change the source, not this page. -->"

STATES: Final = {
    StepState.WAITING_BEFORE: "The execution is paused before this step, which has not run.",
    StepState.EXECUTABLE: "The step may run and waits for its turn, a place or its device.",
    StepState.EXECUTING: "A worker holds the claim on this attempt; the target may be acting.",
    StepState.EXECUTED: "The attempt is over and has a result; what follows is decided next, or its probe looks whether it was done.",
    StepState.WAITING_AFTER: "The attempt did not succeed and the execution is paused, so that somebody can retry or accept it.",
    StepState.READY_FOR_NEXT: "This step is settled and the conditions say which one is next.",
    StepState.RETRY: "This attempt is behind; the next attempt at the same step follows as a step execution of its own.",
    StepState.FINISHED: "This step execution is behind for good.",
}
EVENTS: Final = {
    StepEvent.RESUMED: "somebody lets the execution go on",
    StepEvent.CLAIMED: "a worker takes the step, before anything is sent to the target",
    StepEvent.GIVEN_BACK: "the worker stops before it has sent anything",
    StepEvent.REPORTED: "the result of the attempt is known, or is known to be unknown",
    StepEvent.PASSED: "the way goes on from here: it succeeded, a failure has a way of its own, or somebody accepted it",
    StepEvent.HELD: "the execution pauses here",
    StepEvent.RETRIED: "another attempt is made",
    StepEvent.ENDED: "the way leaves this step execution: the next one is known, or the execution has ended or moved elsewhere",
}
RESULTS: Final = {
    Result.SUCCEEDED: "The step did what it was asked to do.",
    Result.FAILED: "It certainly did not.",
    Result.UNKNOWN: "The target may or may not have acted; nobody can tell.",
    Result.SKIPPED: "It never ran.",
}
VERDICTS: Final = {
    Verdict.DONE: "The step was done: the way goes on as after success.",
    Verdict.NOT_DONE: "The step was not done: it runs again, or counts as failed.",
    Verdict.UNKNOWN: "It could not tell: it looks again, or the doubt remains.",
}
STATUSES: Final = {
    Status.QUEUED: "Accepted and stored; the first step has not been taken yet. An execution that begins with NOOPs is mostly past it when its answer comes.",
    Status.RUNNING: "Under way, or waiting for something that it names.",
    Status.PAUSED: "Waiting for somebody.",
    Status.COMPLETED: "Ended: the way reached a step without a next one.",
    Status.FAILED: "Ended: a step did not succeed and nothing else was asked for.",
    Status.ABORTED: "Ended: somebody stopped it.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or say which are stale; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is stale")
    check: bool = parser.parse_args(arguments).check
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        if check:
            print(f"{path.relative_to(ROOT)} is not what the source says: run `make reference`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


def pages() -> dict[Path, str]:
    """Return every page that is made from the source, by its path."""
    made: dict[str, Callable[[], str]] = {
        "states.md": states_page,
        "states.svg": lambda: draw(TRANSITIONS),
        "steps.md": steps_page,
        "router-platforms.md": lambda: _page(platforms_page.TITLE, platforms_page.INTRODUCTION, *platforms_page.sections()),
        "settings.md": settings_page,
        "command-line.md": command_line_page,
        "privileges.md": privileges_page,
        "inventory-file.md": inventory_page,
    }
    return {REFERENCE / name: page() for name, page in made.items()} | {EXPLANATION / "unknown.svg": doubt_diagram.draw()}


# --- states ----------------------------------------------------------------------------------------------------------


def states_page() -> str:
    """Return the page about states, drawn from the table of transitions."""
    return _page(
        "States",
        "Where an execution stands is one word, its `status`. Every step execution has a `state` of its own, and a `result` once it is over. "
        "What leads from one to the next is told in [the life of an execution](../explanation/life-of-an-execution.md).",
        "## Status of an execution",
        _table(("status", "meaning"), [(f"`{status}`", STATUSES[status]) for status in Status]),
        "## States of a step execution",
        "![The states of a step execution and what leads from one to another](states.svg)",
        _table(
            ("state", "meaning"), [(f"`{state}`", STATES[state] + (" A last state." if state in TERMINAL else "")) for state in StepState]
        ),
        "## What leads where",
        "These are all the changes there are. Anything else is refused as an error of the service, and what is stored stays as it was.",
        _table(("from", "when", "to"), [(f"`{source}`", EVENTS[event], f"`{target}`") for (source, event), target in TRANSITIONS.items()]),
        "## Results",
        _table(("result", "meaning"), [(f"`{result}`", RESULTS[result]) for result in Result]),
        "## Verdicts of a probe",
        "A [probe](../explanation/unknown.md#a-probe) looks whether a step was done of which nobody knows. It goes through the same states.",
        _table(("verdict", "meaning"), [(f"`{verdict}`", VERDICTS[verdict]) for verdict in Verdict]),
    )


# --- step types ------------------------------------------------------------------------------------------------------


_TOLD_ELSEWHERE: Final = {
    "Rehearsals carry": "[Rehearsals](../how-to/rehearse-workflows.md) carry",
    "A probe takes": "A [probe](workflow-document.md#probe) takes",
}


def steps_page() -> str:
    """Return the page about the installed step types, made from what they declare of themselves."""
    found = sorted((_signature(point.load()) for point in entry_points(group=ENTRY_POINT_GROUP) if _exists(point.module)), key=_name)
    return _page(
        "Step types",
        "What each type of step takes and gives; `stepswitch step-types` tells the same of what is installed. Inputs that a type does not know are kept, ignored, and warned about. "
        "Outputs are bound whether the step succeeds or not. How values get in and out: [the workflow document](workflow-document.md).",
        *(_step(signature) for signature in found),
    )


def _step(signature: StepSignature) -> str:
    said = " ".join(signatures.facts(signature, _code))
    for word, place in _TOLD_ELSEWHERE.items():
        said = said.replace(word, place)
    inputs, outputs = signatures.input_rows(signature, _code), signatures.output_rows(signature, _code)
    parts = [f"## {signature.name}", signature.description, said, "### Inputs" if inputs or signature.other_inputs else ""]
    parts += [_table(signatures.INPUT_COLUMNS, inputs)] if inputs else []
    parts += [signatures.OTHER_INPUTS] if signature.other_inputs else []
    parts += ["### Outputs", _table(signatures.OUTPUT_COLUMNS, outputs)] if outputs else []
    parts += [signatures.OTHER_OUTPUTS] if signature.other_outputs else []
    return "\n\n".join(filter(None, parts))


def _code(text: str) -> str:
    return f"`{text}`"


def _signature(step_type: Callable[[], Any]) -> StepSignature:
    signature = step_type().signature
    assert isinstance(signature, StepSignature)
    return signature


def _name(signature: StepSignature) -> str:
    return signature.name


# --- settings and command line ---------------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page about settings, made from the fields of the settings' model."""
    settings = _find("stepswitch.config.settings", "Settings")
    rows = [_setting(settings, name, field) for name, field in settings.model_fields.items()] if settings else []
    return _page(
        "Settings",
        "Settings are read once, at start. Each one can be given as an environment variable, or by its name in a TOML file that "
        "`STEPSWITCH_CONFIG` names; the command line goes before the environment, and the environment before the file. "
        "A setting that is unknown or wrong is refused at start with a sentence that names it.",
        _table(("setting", "environment variable", "default", "meaning"), rows),
    )


def _setting(settings: Any, name: str, field: Any) -> tuple[str, ...]:
    if not field.description:
        raise SystemExit(f"the setting {name} has no description")
    prefix = settings.model_config.get("env_prefix", "")
    default = "must be given" if field.is_required() else f"`{_shown(field.get_default(call_default_factory=False))}`"
    return (f"`{name}`", f"`{(prefix + name).upper()}`", "none" if default == "`null`" else default, field.description)


def privileges_page() -> str:
    """Return the page about who may do what, made from the privileges, the roles and the table of operations."""
    operations = [(path, operation) for path, operation, has_tenant in served() if not has_tenant]
    return _page(
        "Privileges and roles",
        "What somebody may do is what the roles of the user let him do; how users get them is told in "
        "[users and roles](../how-to/users-and-roles.md). What somebody may not see is 404, what he sees and may not do is 403.",
        "## Privileges",
        _table(("privilege", "lets people"), [(f"`{each}`", MEANINGS[each]) for each in Privilege]),
        "Whoever holds `Workflow Design` or `Workflow Execute` holds `Workflow Read` too, with `Execution Operate` comes "
        "`Execution Read`, and with `Function Manage` comes `Inventory Read`.",
        "## Roles",
        "Each can also be written as `workflow-executor`, and so on.",
        _table(
            ("role", *Privilege),
            [(name, *("yes" if each in role.privileges else "" for each in Privilege)) for name, role in ROLES.items()],
        ),
        "## One's own",
        "Whoever created a workflow sees it always. What else he may do with it his roles say, whatever they are narrowed to. Whoever created "
        "an execution sees it always, and steers it while he holds `Workflow Execute`.",
        "## Operations",
        "The documented operations are served under the root with the tenant, too.",
        _table(("operation", "needs"), [(f"{each.method} `{path}`", each.needs.told) for path, each in operations]),
    )


def inventory_page() -> str:
    """Return the page about inventory files, made from the structures of the API."""
    parts = [f"## {name}\n\n{meaning}\n\n{_table(('field', 'is', '', 'meaning'), rows)}" for name, meaning, rows in inventory.tables()]
    return _page(
        "The inventory file",
        "What an inventory says, in a file or through the API, which takes the same as JSON. [The inventory](../how-to/inventory.md) tells how to work with one. "
        "A field that is not here is a fault; one that is null counts as one that is not there. Ids are chosen by whoever writes the inventory: "
        "printable characters, 256 at most, none of them `/`.",
        "A file is YAML in UTF-8, of which what JSON can say is read: `no`, `12:30`, `2026-01-01`, `0012` and `1e5` are texts, `12` and `-1.5` "
        "are numbers, `true` and `false` are booleans. A name stands once in a map. Anchors and aliases can be used, tags cannot.",
        *parts,
    )


def command_line_page() -> str:
    """Return the page about the command line, made from the commands themselves."""
    app = _find("stepswitch.cli.main", "app")
    commands = list(_commands(importlib.import_module("typer.main").get_command(app), "stepswitch")) if app else []
    exits = _find("stepswitch.cli.exits", "EXIT_CODES_IN_WORDS")
    return _page("Command line", f"`stepswitch COMMAND --help` shows the same. Exit codes: {exits}.", *commands)


def _commands(command: Any, path: str) -> Iterable[str]:
    children = getattr(command, "commands", {})
    if not children or command.params:
        yield _command(command, path)
    for name, child in sorted(children.items()):
        yield from _commands(child, f"{path} {name}")


def _command(command: Any, path: str) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option" and not parameter.hidden]
    usage = " ".join([path, *map(_argument, arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"## {path}", f"    {usage}", "\n".join(line.strip() for line in (command.help or "").splitlines())]
    rows = [(_option_names(parameter), _option_default(parameter), _option_meaning(parameter)) for parameter in [*arguments, *options]]
    parts += [_table(("argument or option", "default", "meaning"), rows)] if rows else []
    return "\n\n".join(filter(None, parts))


def _argument(parameter: Any) -> str:
    return _argument_name(parameter) if parameter.required else f"[{_argument_name(parameter)}]"


def _argument_name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper() + ("..." if parameter.nargs != 1 else ""))


def _option_names(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else [_argument_name(parameter)]
    return ", ".join(f"`{name}`" for name in names)


def _option_meaning(parameter: Any) -> str:
    return f"{parameter.help or ''} Variable: `{parameter.envvar}`." if parameter.envvar else parameter.help or ""


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    return "" if not parameter.default or callable(parameter.default) else f"`{parameter.default}`"


# --- text ------------------------------------------------------------------------------------------------------------


def _exists(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _find(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name) if _exists(module) else None


def _shown(value: object) -> str:
    return str(value) if isinstance(value, str | Path) else json.dumps(value, ensure_ascii=False)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, *(part for part in parts if part)]) + "\n"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
