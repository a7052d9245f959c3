"""What the reference says of the operation that rehearses workflows. Taken in by `operations`."""

from typing import Any, Final

from stepswitch.api import needs, rehearsals
from stepswitch.api.operation import OWN_ROOT, Audit, Operation
from stepswitch.api.wire import rehearsal_models
from stepswitch.domain.values import ValueType

_WORKFLOW: Final[dict[str, Any]] = {
    "name": "Lock an idle cell",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "ask",
    "inputs": {"host": {"type": "string", "required": True}, "secret": {"type": ValueType.PASSWORD.value, "required": True}},
    "variables": {"answer": {"type": "string"}},
    "steps": {
        "ask": {
            "type": "TCA_SSH",
            "inBindings": {
                "hostNameOrIP": {"type": "string", "exportName": "host"},
                "username": {"type": "string", "defaultValue": "operator"},
                "password": {"type": ValueType.PASSWORD.value, "exportName": "secret"},
                "cmd": {"type": "string", "defaultValue": "show users"},
            },
            "outBindings": {"answer": {"name": "outputText", "type": "string"}},
            "conditions": [{"name": "answer", "comparator": "contains", "value": "users: 0", "nextStepId": "lock"}],
        },
        "lock": {
            "type": "TCA_SSH",
            "inBindings": {
                "hostNameOrIP": {"type": "string", "exportName": "host"},
                "username": {"type": "string", "defaultValue": "operator"},
                "password": {"type": ValueType.PASSWORD.value, "exportName": "secret"},
                "cmd": {"type": "string", "defaultValue": "request cell lock"},
            },
        },
    },
}
_EXAMPLE: Final = {
    "workflow": _WORKFLOW,
    "assignments": {"host": "192.0.2.1", "secret": "any-word"},
    "rehearsals": [
        {
            "name": "an idle cell is locked",
            "results": {"ask": [{"outputs": {"outputText": "users: 0"}}], "lock": [{}]},
            "expected": {"way": ["ask", {"stepId": "lock", "inputs": {"cmd": "request cell lock"}}], "status": "COMPLETED"},
        },
        {
            "name": "a busy one is left alone",
            "results": {"ask": [{"outputs": {"outputText": "users: 12"}}]},
            "expected": {"way": ["ask"], "status": "COMPLETED"},
        },
        {
            "name": "nothing is locked blindly",
            "results": {"ask": [{"result": "FAILED", "error": {"code": "UNREACHABLE"}}]},
            "expected": {"way": [{"stepId": "ask", "error": "UNREACHABLE"}], "status": "FAILED"},
        },
    ],
}

REHEARSAL_OPERATIONS: Final = (
    Operation(
        "rehearseWorkflow", "POST", f"{OWN_ROOT}/rehearse", rehearsals.rehearse_workflow, "Workflows", "Rehearse a workflow",
        "Plays a workflow with given results of its steps, without any target, and says whether the way it takes is the one expected. "
        "Scripts are run, unless results are given for them; waits pass at once. Nothing is stored. What came out otherwise than expected "
        "is no error: `asExpected` and `divergences` say it. 404: there is no such workflow. 503: too many are rehearsed at the same time.",
        rehearsal_models.RehearsalReports, request=rehearsal_models.RehearsalDocument, refusals=(400, 401, 404, 413, 500, 503),
        example=_EXAMPLE,
        needs=needs.REHEARSE, audit=Audit.READ,
    ),
)  # fmt: skip
"""Ours; it has one path."""
