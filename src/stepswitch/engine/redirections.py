"""What somebody who only executes could change to have a designer's stored password sent elsewhere. Called by `executions` and `steering`.

Steps, and files of the workflow that another takes the place of, are the designer's; so is a variable that says where a step with a
stored password acts. Inputs are for whoever executes.
"""

from collections.abc import Collection, Mapping

from stepswitch.domain.document import InBinding, Step, Workflow
from stepswitch.domain.values import ValueType
from stepswitch.engine.callers import Caller
from stepswitch.engine.kept_passwords import TARGET
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.snapshots import Compiled


def check_designs(caller: Caller, compiled: Compiled) -> None:
    """Raise NotPermittedError where somebody may not change what the designer of a workflow has fixed."""
    is_own = compiled.snapshot.document.get("creationUser") == caller.user
    caller.require(Privilege.WORKFLOW_DESIGN, None if is_own else compiled.workflow.name)


def check_files(caller: Caller, compiled: Compiled, files: Mapping[str, str]) -> None:
    """Raise NotPermittedError where a file (key → id) takes the place of one of the workflow, which may be a script, and that is not allowed."""
    own = compiled.workflow.attachments
    if any(key in own and own[key] != file_id for key, file_id in files.items()):
        check_designs(caller, compiled)


def check_values(caller: Caller, compiled: Compiled, names: Collection[str]) -> None:
    """Raise NotPermittedError where a variable says where a stored password is sent to, and somebody may not change that."""
    workflow = compiled.workflow
    variables = {name for name in names if name in workflow.variables}
    if variables and any(_redirects(workflow, step, variables) for step in workflow.steps.values()):
        check_designs(caller, compiled)


def _redirects(workflow: Workflow, step: Step, names: Collection[str]) -> bool:
    bindings = step.all_in_bindings
    is_led = any(binding.name in TARGET and _reads(binding, names) for binding in bindings)
    return is_led and any(_holds_password(workflow, binding) for binding in bindings)


def _reads(binding: InBinding, names: Collection[str]) -> bool:
    read = {binding.export_name, *(binding.template.names if binding.template is not None else ())}
    return not read.isdisjoint(names)


def _holds_password(workflow: Workflow, binding: InBinding) -> bool:
    declared = workflow.declarations.get(binding.export_name or "")
    if declared is not None and declared.type is ValueType.PASSWORD and declared.default is not None:
        return True
    return binding.type is ValueType.PASSWORD and (binding.default is not None or (declared is not None and declared.default is not None))
