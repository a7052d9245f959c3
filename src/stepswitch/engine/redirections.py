"""What somebody could change to have commands run that are not his to write, or a password sent elsewhere. Called by `executions` and `steering`.

Steps, files of the workflow that another takes the place of, and variables that become commands are for designers. A variable that says where a
stored password is sent, or which script is run with it, is for whoever gave the password. Inputs are for whoever executes, and with them the
passwords that he assigns: these nobody else sends elsewhere.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from stepswitch.domain.document import Step
from stepswitch.domain.errors import NotPermittedError
from stepswitch.domain.execution import Head
from stepswitch.domain.influence import designed_commands
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.values import ValueType
from stepswitch.engine.callers import Caller
from stepswitch.engine.givers import NOBODY, givers_of_snapshot
from stepswitch.engine.kept_passwords import held_passwords, moved_passwords, stored_passwords
from stepswitch.engine.password_ways import SECTIONS, Place, Ways, objects
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.snapshots import Compiled

_LEADS: Final = "says where a stored password is used: give the password itself with it, or have it changed by whoever gave the password"
_IS_RUN: Final = "becomes a part of what is run: that is for whoever may design the workflow; what others may give it is an input"
_LEADS_GIVEN: Final = (
    "says where a password is used that somebody else gave this execution: give one of your own with it, or have him change it"
)


def check_designs(caller: Caller, compiled: Compiled) -> None:
    """Raise NotPermittedError where somebody may not change what the designer of a workflow has fixed."""
    caller.require(Privilege.WORKFLOW_DESIGN, None if is_own(caller, compiled) else compiled.workflow.name)


def check_files(caller: Caller, compiled: Compiled, files: Mapping[str, str], types: StepTypes) -> None:
    """Raise NotPermittedError where a file (key → id) takes the place of one of the workflow, which may be a script, and that is not allowed.

    Steps may name a file by its id too: a key that is one takes its place as well. A script that is given a stored password is only for whoever gave
    that to bring along.
    """
    own = compiled.workflow.attachments
    if any(key in own.values() or (key in own and own[key] != file_id) for key, file_id in files.items()):
        check_designs(caller, compiled)
    if not files or not compiled.is_confidential:
        return
    document = compiled.snapshot.document
    brought = {**document, "attachments": {**(document.get("attachments") or {}), **_attachments(files)}}
    if moved_passwords(_unknown(caller, compiled), brought, document, types):
        raise NotPermittedError("a script that is given a stored password is brought along only by whoever gave the password")


def check_attached(caller: Caller, compiled: Compiled, head: Head, files: Mapping[str, str], types: StepTypes) -> None:
    """Raise NotPermittedError where a file (key → id) may be a script that is given a password which somebody else gave the execution."""
    held = _places(passwords_of_others(caller, compiled, head))
    if not held:
        return
    document = _with_chosen_files(compiled, head)
    before = {**document, "attachments": _attachments(head.attachments)}
    if moved_passwords(held, {**document, "attachments": _attachments({**head.attachments, **files})}, before, types):
        raise NotPermittedError("a script that is given a password of somebody else is brought along only by whoever gave the password")


def _attachments(files: Mapping[str, str]) -> dict[str, Any]:
    return {key: {"id": file_id} for key, file_id in files.items()}


def _with_chosen_files(compiled: Compiled, head: Head) -> dict[str, Any]:
    """Return the document as if the files that the values of an execution name stood in it."""
    document = dict(compiled.snapshot.document)
    for section in SECTIONS:
        chosen = {
            name: {**entry, "defaultValue": head.values.get(name)} if entry.get("type") == ValueType.FILE else entry
            for name, entry in objects(document.get(section))
        }
        document |= {section: chosen}
    return document


def check_values(caller: Caller, compiled: Compiled, values: Collection[str], types: StepTypes) -> None:
    """Raise NotPermittedError where one of `values` is a variable that says what is run, or where a stored password is used, and that is not the caller's to say.

    A password that is given with them is no stored one any more; None where it is taken away.
    """
    variables = {name for name in values if name in compiled.workflow.variables}
    if not variables:
        return
    if commands := variables & designed_commands(compiled.workflow):
        _check_commands(caller, compiled, commands)
    if not compiled.is_confidential:
        return
    document = compiled.snapshot.document
    ways = Ways(document, types)
    held = [place for place in held_passwords(document) if not _is_given(place, values)]
    if variables & ways.leading(held):
        check_designs(caller, compiled)
        knows = givers_of_snapshot(compiled.snapshot).known_to(caller.user)
        if led := variables & ways.leading([place for place in held if not knows(place)]):
            raise NotPermittedError(f"{', '.join(sorted(led))} {_LEADS}")


def check_choice(caller: Caller, compiled: Compiled, step_id: str, types: StepTypes) -> None:
    """Raise NotPermittedError where a step hands a password that somebody else has stored to a workflow that the document does not fix by its id."""
    unknown = _unknown(caller, compiled) if compiled.is_confidential else ()
    if unknown and Ways(compiled.snapshot.document, types).is_free_to_call(step_id, unknown):
        raise NotPermittedError("a stored password is handed only to a workflow that the document names by a workflowId of its own")


def _check_commands(caller: Caller, compiled: Compiled, commands: Collection[str]) -> None:
    """Raise NotPermittedError where somebody who may not design would say what is run: commands come from the workflow, and what it asks for as inputs."""
    try:
        check_designs(caller, compiled)
    except NotPermittedError:
        raise NotPermittedError(f"{', '.join(sorted(commands))} {_IS_RUN}") from None


def check_assigned(caller: Caller, compiled: Compiled, head: Head, values: Mapping[str, Any], types: StepTypes) -> dict[str, str]:
    """Raise NotPermittedError where one of `values` says where a password is used that somebody else gave an execution.

    Returns who gave what then: the caller his values, and whoever gave a password that is replaced, what steps have made of it.
    """
    others = passwords_of_others(caller, compiled, head)
    ways = Ways(compiled.snapshot.document, types) if others and values else None
    givers = {name: caller.user for name in values if name in compiled.secret_names}
    if ways is None:
        return givers
    for name, giver in others.items():
        made = ways.holding(_places([name])) if name in values else ()
        givers |= {each: giver for each in made if each not in values and head.values.get(each) is not None}
    held = {name for name in others if name not in values} | {name for name, giver in givers.items() if giver != caller.user}
    if led := ways.leading(_places(held)) & values.keys():
        raise NotPermittedError(f"{', '.join(sorted(led))} {_LEADS_GIVEN}")
    return givers


def made_by_edited(caller: Caller, compiled: Compiled, head: Head, steps: Collection[str], types: StepTypes) -> dict[str, str]:
    """Return the names that hold what edited steps have made so far of passwords in them that somebody else gave, with who that was."""
    places = [place for place in _unknown(caller, compiled) if not place.is_declared and place.owner in steps]
    ways = Ways(compiled.snapshot.document, types) if places else None
    if ways is None:
        return {}
    givers = givers_of_snapshot(compiled.snapshot)
    made = {name: givers.of(place) for place in places for name in ways.holding([place])}
    return {name: giver for name, giver in made.items() if head.values.get(name) is not None}


def passwords_of_others(caller: Caller, compiled: Compiled, head: Head) -> dict[str, str]:
    """Return the names whose values in an execution are passwords, or made of some, that somebody else gave it, with who that was."""
    givers = {name: head.creation_user for name in head.assignments if name in compiled.secret_names} | dict(head.givers)
    return {name: giver for name, giver in givers.items() if giver != caller.user and head.values.get(name) is not None}


def given_by_others(caller: Caller, compiled: Compiled, head: Head, step_id: str, types: StepTypes) -> dict[str, str]:
    """Return the inputs of a step that may hold a password which somebody else gave the execution or its workflow, or what was made of one.

    With who that was; nobody, where several did.
    """
    if not compiled.is_confidential:
        return {}
    given, givers = passwords_of_others(caller, compiled, head), givers_of_snapshot(compiled.snapshot)
    replaced = head.assignments.keys() | head.givers.keys()
    stored = [place for place in _unknown(caller, compiled) if not (place.is_declared and place.owner in replaced)]
    places = [*((place, given[place.owner]) for place in _places(given)), *((place, givers.of(place)) for place in stored)]
    if not places:
        return {}
    ways, own = Ways(compiled.snapshot.document, types), {name for name, giver in head.givers.items() if giver == caller.user}
    found: dict[str, set[str]] = {}
    for place, giver in places:
        for name in _taken(compiled.workflow.steps[step_id], ways.holding([place]) - own, place):
            found.setdefault(name, set()).add(giver)
    return {name: next(iter(who)) if len(who) == 1 else NOBODY for name, who in found.items()}


def _taken(step: Step, names: Collection[str], place: Place) -> Iterator[str]:
    """Yield the inputs of a step that take a value from one of `names`, or in which a password stands itself."""
    for binding in step.in_bindings:
        read = {binding.export_name, *(binding.template.names if binding.template is not None else ())}
        if not read.isdisjoint(names) or place.keys == ("steps", step.id, "inBindings", binding.name, "defaultValue"):
            yield binding.name


def _places(names: Iterable[str]) -> list[Place]:
    return [Place(("values", name), name, is_declared=True) for name in names]


def _unknown(caller: Caller, compiled: Compiled) -> list[Place]:
    """Return where passwords stand in a workflow that somebody else gave it."""
    knows = givers_of_snapshot(compiled.snapshot).known_to(caller.user)
    return [place for place in stored_passwords(compiled.snapshot.document) if not knows(place)]


def _is_given(place: Place, values: Collection[str]) -> bool:
    return place.is_declared and isinstance(values, Mapping) and bool(values.get(place.owner))


def is_own(caller: Caller, compiled: Compiled) -> bool:
    """Return whether somebody made the workflow: what his roles are narrowed to is no matter then."""
    return compiled.snapshot.document.get("creationUser") == caller.user
