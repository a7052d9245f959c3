"""What the reference says of the operations of the catalogue. Taken in by `operations`."""

from typing import Any, Final

from stepswitch.api import needs, revisions, workflows
from stepswitch.api.list_operations import FIELDS
from stepswitch.api.operation import ID, OWN_ROOT, TAGS, WITH_BODY, Audit, Operation, Parameter
from stepswitch.api.wire import catalogue_models, models

WORKFLOW_ID: Final = Parameter("workflowId", "Id of the workflow.", limits=ID)
IF_MATCH: Final = Parameter(
    "If-Match", "The `ETag` that was read: 412 where the workflow has changed since.", "header", is_required=False, limits=TAGS
)
IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "The `ETag` of what the caller has: 304 where that still is so.", "header", is_required=False, limits=TAGS
)
STORED: Final = {
    "ETag": "What `If-Match` takes.",
    "x-stepswitch-warnings": "How many warnings the document draws; absent where there are none.",
}
WORKFLOW_EXAMPLE: Final[dict[str, Any]] = {
    "name": "Say hello",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "greet",
    "inputs": {"who": {"type": "string", "required": True}},
    "outputs": {"greeting": {"type": "string"}},
    "steps": {
        "greet": {
            "type": "JS",
            "inBindings": {
                "script": {"type": "string", "defaultValue": "return { text: 'Hello, ' + who }"},
                "who": {"type": "string", "exportName": "who"},
            },
            "outBindings": {"greeting": {"name": "text", "type": "string"}},
        }
    },
}
_CONVERSION_EXAMPLE: Final = {
    "owner": {"id": "admin", "type": "USER"},
    "original": {
        "name": "Restart",
        "version": "1",
        "schemaVersion": "1.0",
        "inputs": [{"name": "host", "type": "string"}, {"name": "pw", "type": "password"}],
        "steps": [
            {
                "stepId": "restart",
                "stepNumber": 1,
                "workflow": "RUN_SSH_COMMAND_IN_GUEST",
                "namespace": "",
                "type": "VRO",
                "inBinding": [
                    {"name": "hostNameOrIP", "type": "string", "exportName": "host"},
                    {"name": "port", "type": "number", "default": "22"},
                    {"name": "username", "type": "string", "default": "admin"},
                    {"name": "password", "type": "password", "exportName": "pw"},
                    {"name": "cmd", "type": "string", "default": "restart"},
                ],
                "outBinding": [],
                "nextStep": "END",
            }
        ],
    },
}
_CHANGES: Final = (400, 401, 403, 404, 412, 413, 500, 503)

CATALOGUE_OPERATIONS: Final = (
    Operation(
        "convertWorkflow", "POST", "/convert", workflows.convert_workflow, "Workflows", "Convert an older workflow",
        "Turns a document of schema 1.0 or 2.0 into schema 3.0; nothing is stored. What could not be carried over is said in "
        "`description`; faults name the place in `original`.",
        models.WorkflowBase, request=catalogue_models.WorkflowConversion, refusals=WITH_BODY, example=_CONVERSION_EXAMPLE,
        needs=needs.DESIGN, audit=Audit.READ,
    ),
    Operation(
        "createWorkflow", "PUT", "/workflow", workflows.create_workflow, "Workflows", "Create a workflow",
        "Stores a workflow in the catalogue. Every fault of the document is listed. A document without steps or without "
        "`startStepId` is stored as a draft. One of schema 1.0 or 2.0 is stored as it was sent and executed as it is converted.",
        models.WorkflowResponse, request=models.WorkflowBase, refusals=WITH_BODY, example=WORKFLOW_EXAMPLE, answer_headers=STORED,
        needs=needs.CREATE_WORKFLOW, audit=Audit.CHANGE,
    ),
    Operation(
        "getWorkflow", "GET", "/workflow/{workflowId}", workflows.read_workflow, "Workflows", "Read a workflow",
        "Answers with the workflow as it was sent, unknown fields included; passwords in it are shown as `********`.",
        models.WorkflowResponse, parameters=(WORKFLOW_ID, *FIELDS, IF_NONE_MATCH), refusals=(400, 401, 404, 500, 503),
        answer_headers={"ETag": "What `If-Match` and `If-None-Match` take."}, may_be_known=True,
        needs=needs.READ_WORKFLOW, audit=Audit.READ,
    ),
    Operation(
        "replaceWorkflow", "POST", "/workflow/{workflowId}", workflows.replace_workflow, "Workflows", "Replace a workflow",
        "Stores the document as the next revision; earlier ones are kept. A password that is sent as `********` stays as it is, where "
        "the same change does not send it elsewhere: neither the type nor the target of a step that uses it may change. A `readOnly` "
        "workflow is 403; the user who owns it, and administrators, may send it back with `readOnly` false and no other change.",
        models.WorkflowResponse, request=models.WorkflowBase, parameters=(WORKFLOW_ID, IF_MATCH), refusals=_CHANGES,
        example=WORKFLOW_EXAMPLE, answer_headers=STORED,
        needs=needs.CHANGE_WORKFLOW, audit=Audit.CHANGE,
    ),
    Operation(
        "deleteWorkflow", "DELETE", "/workflow/{workflowId}", workflows.delete_workflow, "Workflows", "Delete a workflow",
        "Removes it with all its revisions. Executions keep their snapshot. A `readOnly` workflow is 403.",
        None, parameters=(WORKFLOW_ID, IF_MATCH), refusals=(400, 401, 403, 404, 412, 500, 503),
        needs=needs.CHANGE_WORKFLOW, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""The documented ones; each is served under both roots."""

_OWN_WORKFLOW: Final = f"{OWN_ROOT}/workflows/{{workflowId}}"
REVISION: Final = {"minimum": 1, "maximum": 999_999_999}
_REVISION: Final = Parameter("revision", "Number of the revision; the first one is 1.", kind="integer", limits=REVISION)

OWN_CATALOGUE_OPERATIONS: Final = (
    Operation(
        "validateWorkflow", "POST", f"{OWN_ROOT}/validate", workflows.validate_workflow, "Workflows", "Validate a workflow",
        "Answers with every fault and every warning of a document of any schema; nothing is stored.",
        catalogue_models.Review, request=catalogue_models.AnyDocument, refusals=(400, 401, 413, 500, 503), example=WORKFLOW_EXAMPLE,
        needs=needs.VALIDATE, audit=Audit.READ,
    ),
    Operation(
        "createWorkflowAs", "PUT", _OWN_WORKFLOW, workflows.create_workflow_as, "Workflows", "Create a workflow under an id",
        "As the create, under the id that is given: to move workflows between installations. An id that exists is 400.",
        models.WorkflowResponse, request=models.WorkflowBase, parameters=(WORKFLOW_ID,), refusals=(400, 401, 413, 500, 503),
        example=WORKFLOW_EXAMPLE, answer_headers=STORED,
        needs=needs.CREATE_WORKFLOW, audit=Audit.CHANGE,
    ),
    Operation(
        "listRevisions", "GET", f"{_OWN_WORKFLOW}/revisions", revisions.list_revisions, "Workflows", "List the revisions of a workflow",
        "Every one that was ever stored, oldest first; the last one is the current one.",
        list[catalogue_models.Revision], parameters=(WORKFLOW_ID,),
        needs=needs.READ_WORKFLOW, audit=Audit.READ,
    ),
    Operation(
        "getRevision", "GET", f"{_OWN_WORKFLOW}/revisions/{{revision}}", revisions.read_revision, "Workflows", "Read a revision",
        "The workflow as it was then, passwords shown as `********`.", models.WorkflowResponse, parameters=(WORKFLOW_ID, _REVISION),
        needs=needs.READ_WORKFLOW, audit=Audit.READ,
    ),
    Operation(
        "compareRevisions", "GET", f"{_OWN_WORKFLOW}/revisions/{{revision}}/diff", revisions.compare_revisions, "Workflows",
        "Compare two revisions", "Every changed path with its value before and after, passwords shown as `********` on both sides.",
        list[catalogue_models.Difference], refusals=(400, 401, 404, 500, 503),
        parameters=(WORKFLOW_ID, _REVISION, Parameter("against", "The earlier revision; the one before unless said.", "query", is_required=False, kind="integer", limits=REVISION)),
        needs=needs.READ_WORKFLOW, audit=Audit.READ,
    ),
    Operation(
        "restoreRevision", "POST", f"{_OWN_WORKFLOW}/revisions/{{revision}}/restore", revisions.restore_revision, "Workflows",
        "Bring a revision back", "Stores what it held as the next revision, its passwords too. A `readOnly` workflow is 403.",
        models.WorkflowResponse, parameters=(WORKFLOW_ID, _REVISION, IF_MATCH), refusals=(400, 401, 403, 404, 412, 500, 503),
        answer_headers=STORED,
        needs=needs.CHANGE_WORKFLOW, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
