"""What a workflow declares, read here as the service reads it. Called by commands that take values for its inputs and variables."""

import json
from collections.abc import Mapping
from typing import Any

from stepswitch.domain.conversion import upgraded
from stepswitch.domain.document import Declaration, Workflow
from stepswitch.domain.edits import told_value
from stepswitch.domain.parsing import parse
from stepswitch.domain.secrecy import MASK, secret_names


def workflow_in(document: Mapping[str, Any]) -> Workflow | None:
    """Return a document of any schema as a workflow, None where it is beyond us: then the service says what there is to say."""
    return parse(upgraded(document)).workflow


def declared_in(document: Mapping[str, Any]) -> Mapping[str, Declaration]:
    """Return the inputs and variables that a document declares, by name."""
    workflow = workflow_in(document)
    return {} if workflow is None else {**workflow.inputs, **workflow.variables}


def shown_values(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they may be shown: a password is masked, the name of a credential is none. What is declared beyond us is masked, too."""
    workflow = workflow_in(document)
    secret = frozenset(values) if workflow is None else secret_names(workflow)
    return {name: MASK if name in secret and value is not None and not isinstance(value, dict) else value for name, value in values.items()}


def told(value: object) -> str:
    """Return a value as a line tells it: a text as it is unless it is long, anything else as in JSON, `none` where there is none."""
    return told_value(value) if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
