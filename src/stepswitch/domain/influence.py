"""What of a workflow does something else where a value or a file of an execution changes. Called by both `steering`, `redirections`, `step_checks`."""

from collections.abc import Collection, Mapping
from typing import Final

from stepswitch.domain.document import Declaration, InBinding, Step, Workflow
from stepswitch.domain.values import Value, ValueType

RUN: Final = frozenset({"cmd", "script", "payload"})
"""The inputs that are run, or put into a device, as they are."""
_TAME: Final = frozenset({ValueType.NUMBER, ValueType.BOOLEAN})


def designed_commands(workflow: Workflow) -> set[str]:
    """Return the variables that become what is run, or a part of it, and that the workflow gives a value itself: to change one is to write commands."""
    run = {name for step in workflow.steps.values() for binding in step.all_in_bindings if binding.name in RUN for name in _names(binding)}
    of_context = variables_of_context(workflow)
    return {name for name in run if name in workflow.variables and name not in of_context and is_free_text(workflow.variables[name])}


def variables_of_context(workflow: Workflow) -> set[str]:
    """Return the variables that nothing in the workflow gives a value: they are there for the context of whoever executes it."""
    written = {binding.target for step in workflow.steps.values() for binding in step.all_out_bindings}
    return {name for name, declared in workflow.variables.items() if declared.default is None and name not in written}


def is_free_text(declared: Declaration) -> bool:
    """Return whether a value that is declared so may hold anything that a command may hold."""
    return declared.type not in _TAME and declared.format != "ip"


def steps_given(workflow: Workflow, names: Collection[str], first: Collection[str] = ()) -> list[str]:
    """Return the steps that take a value from one of `names`, or from what such a step or one of `first` writes; those of `first` too."""
    readers: dict[str, list[Step]] = {}
    for step in workflow.steps.values():
        for name in {name for binding in step.all_in_bindings for name in _names(binding)}:
            readers.setdefault(name, []).append(step)
    found: set[str] = set()
    ahead = [workflow.steps[step_id] for step_id in first] + [step for name in names for step in readers.get(name, ())]
    while ahead:
        step = ahead.pop()
        if step.id not in found:
            found.add(step.id)
            ahead += [reader for binding in step.all_out_bindings for reader in readers.get(binding.target, ())]
    return [step_id for step_id in workflow.steps if step_id in found]


def steps_with_file(workflow: Workflow, values: Mapping[str, Value], files: Mapping[str, str], key: str) -> list[str]:
    """Return the steps that do something else where the file that goes by `key` is another one; `files` are those that there are, with their ids."""
    called = {key, files.get(key)}
    first = [step.id for step in workflow.steps.values() if any(_file(binding, values) in called for binding in _files(step))]
    return steps_given(workflow, (), first)


def takes_password(workflow: Workflow, step_id: str) -> bool:
    """Return whether a step is given a password, and so may be given a credential."""
    return any(_is_password(workflow, binding) for binding in workflow.steps[step_id].all_in_bindings)


def _names(binding: InBinding) -> set[str]:
    own = () if binding.export_name is None else (binding.export_name,)
    return {*own, *(binding.template.names if binding.template is not None else ())}


def _is_password(workflow: Workflow, binding: InBinding) -> bool:
    declared = None if binding.export_name is None else workflow.declarations.get(binding.export_name)
    return ValueType.PASSWORD in (binding.type, None if declared is None else declared.type)


def _files(step: Step) -> list[InBinding]:
    return [binding for binding in step.all_in_bindings if binding.type is ValueType.FILE]


def _file(binding: InBinding, values: Mapping[str, Value]) -> Value | None:
    """Return what an input is given that takes a file; something that is no key of one where it takes none."""
    value = None if binding.export_name is None else values.get(binding.export_name)
    return binding.default or "" if value is None else value
