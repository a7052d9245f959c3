"""What a workflow declares, read here as the service reads it. Called by commands that take values for its inputs and variables."""

from collections.abc import Mapping
from typing import Any

from stepswitch.domain.conversion import upgraded
from stepswitch.domain.document import Declaration, Workflow
from stepswitch.domain.parsing import parse


def workflow_in(document: Mapping[str, Any]) -> Workflow | None:
    """Return a document of any schema as a workflow, None where it is beyond us: then the service says what there is to say."""
    return parse(upgraded(document)).workflow


def declared_in(document: Mapping[str, Any]) -> Mapping[str, Declaration]:
    """Return the inputs and variables that a document declares, by name."""
    workflow = workflow_in(document)
    return {} if workflow is None else {**workflow.inputs, **workflow.variables}
