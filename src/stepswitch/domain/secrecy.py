"""What stands for a secret, from which length on one is known again, and which names of a workflow hold one. Called all over the service."""

from typing import Final

from stepswitch.domain.document import Workflow
from stepswitch.domain.values import ValueType

MASK: Final = "********"
SHORTEST_SECRET: Final = 4
"""A secret of fewer characters is not masked by value: it would blank out everything."""
CUT: Final = "[…]"
"""Stands at once behind a text that was cut off, and before its other part: what may be a part of a secret next to it is masked."""


def secret_names(workflow: Workflow) -> frozenset[str]:
    """Return the inputs, variables and outputs that hold secrets: those declared as passwords, and those that a step takes or writes as one."""
    names = {name for name, declared in workflow.declarations.items() if declared.type is ValueType.PASSWORD}
    for step in workflow.steps.values():
        names.update(binding.target for binding in step.all_out_bindings if binding.type is ValueType.PASSWORD)
        names.update(binding.export_name for binding in step.all_in_bindings if binding.type is ValueType.PASSWORD and binding.export_name)
    return frozenset(names)
