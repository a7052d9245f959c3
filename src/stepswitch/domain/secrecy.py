"""What stands for a secret, from which length on one is known again, and which names of a workflow hold one. Called all over the service."""

from typing import Final

from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.values import ValueType

MASK: Final = "********"
SHORTEST_SECRET: Final = 4
"""A secret of fewer characters is not masked by value: it would blank out everything."""
CUT: Final = "[…]"
"""Stands at once behind a text that was cut off, and before its other part: what may be a part of a secret next to it is masked."""


def holds_passwords(workflow: Workflow) -> bool:
    """Return whether an execution of this workflow may know anything that must not be shown."""
    if any(declared.type is ValueType.PASSWORD for declared in workflow.declarations.values()):
        return True
    return any(
        binding.type is ValueType.PASSWORD
        for step in workflow.steps.values()
        for bindings in (step.all_in_bindings, step.all_out_bindings)
        for binding in bindings
    )


def password_outputs(step: Step) -> frozenset[str]:
    """Return the outputs of a step that are written as passwords, and as nothing else."""
    written = frozenset(binding.name for binding in step.all_out_bindings)
    return written - {binding.name for binding in step.all_out_bindings if binding.type is not ValueType.PASSWORD}


def secret_names(workflow: Workflow) -> frozenset[str]:
    """Return the inputs, variables and outputs that hold secrets: those declared as passwords, and those that a step takes or writes as one."""
    names = {name for name, declared in workflow.declarations.items() if declared.type is ValueType.PASSWORD}
    for step in workflow.steps.values():
        names.update(binding.target for binding in step.all_out_bindings if binding.type is ValueType.PASSWORD)
        names.update(binding.export_name for binding in step.all_in_bindings if binding.type is ValueType.PASSWORD and binding.export_name)
    return frozenset(names)
