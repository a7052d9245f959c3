"""What somebody could change to have a password that he need not know sent elsewhere. Called by `executions` and `steering`.

Steps, and files of the workflow that another takes the place of, are for designers. A variable that says where a stored password is sent, or
which script is run with it, is for whoever made the workflow. Inputs are for whoever executes, and with them the passwords that he assigns.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stepswitch.domain.errors import NotPermittedError
from stepswitch.domain.execution import Head
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.values import ValueType
from stepswitch.engine.callers import Caller
from stepswitch.engine.kept_passwords import held_passwords, moved_passwords, stored_passwords
from stepswitch.engine.password_ways import Place, Ways
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.snapshots import Compiled

_LEADS: Final = "says where a stored password is used: give the password itself with it, or have it changed by whoever made the workflow"


def check_designs(caller: Caller, compiled: Compiled) -> None:
    """Raise NotPermittedError where somebody may not change what the designer of a workflow has fixed."""
    caller.require(Privilege.WORKFLOW_DESIGN, None if is_own(caller, compiled) else compiled.workflow.name)


def check_files(caller: Caller, compiled: Compiled, files: Mapping[str, str], types: StepTypes) -> None:
    """Raise NotPermittedError where a file (key → id) takes the place of one of the workflow, which may be a script, and that is not allowed.

    Steps may name a file by its id too: a key that is one takes its place as well. A script that is given a stored password is only for whoever made
    the workflow to bring along.
    """
    own = compiled.workflow.attachments
    if any(key in own.values() or (key in own and own[key] != file_id) for key, file_id in files.items()):
        check_designs(caller, compiled)
    if files and compiled.is_confidential and not is_own(caller, compiled):
        document = compiled.snapshot.document
        brought = {**(document.get("attachments") or {}), **{key: {"id": file_id} for key, file_id in files.items()}}
        if moved_passwords(stored_passwords(document), {**document, "attachments": brought}, document, types):
            raise NotPermittedError("a script that is given a stored password is brought along only by whoever made the workflow")


def check_values(caller: Caller, compiled: Compiled, values: Collection[str], types: StepTypes) -> None:
    """Raise NotPermittedError where one of `values` is a variable that says where a stored password is used, and that is not the caller's to say.

    A password that is given with them is no stored one any more; None where it is taken away.
    """
    variables = {name for name in values if name in compiled.workflow.variables}
    if not variables or not compiled.is_confidential:
        return
    document = compiled.snapshot.document
    ways = Ways(document, types)
    held = [place for place in held_passwords(document) if not _is_given(place, values)]
    if led := variables & ways.leading(held):
        check_designs(caller, compiled)
        if not is_own(caller, compiled):
            raise NotPermittedError(f"{', '.join(sorted(led))} {_LEADS}")


def check_assigned(caller: Caller, compiled: Compiled, head: Head, values: Mapping[str, Any], types: StepTypes) -> None:
    """Raise NotPermittedError where one of `values` says where a password is used that another person gave an execution, and that is not allowed."""
    held = [Place(("values", name), name, is_declared=True) for name in _assigned(compiled, head, caller) if name not in values]
    if not held or not values:
        return
    ways = Ways(compiled.snapshot.document, types)
    if not ways.leading(held).isdisjoint(values):
        check_designs(caller, compiled)


def _assigned(compiled: Compiled, head: Head, caller: Caller) -> list[str]:
    """Return the passwords of an execution that somebody gave it, and of whom nobody can say that it was the caller."""
    workflow = compiled.workflow
    written = {binding.target for step in workflow.steps.values() for binding in step.all_out_bindings}
    own = head.assignments if head.creation_user == caller.user else {}
    return [
        name
        for name, declared in workflow.declarations.items()
        if declared.type is ValueType.PASSWORD and name not in written
        if head.values.get(name) not in (None, declared.default, own.get(name))
    ]


def _is_given(place: Place, values: Collection[str]) -> bool:
    return place.is_declared and isinstance(values, Mapping) and bool(values.get(place.owner))


def is_own(caller: Caller, compiled: Compiled) -> bool:
    """Return whether somebody made the workflow, and so is believed to know the passwords in it."""
    return compiled.snapshot.document.get("creationUser") == caller.user
