"""What the reference says of the operations of files. Taken in by `operations`."""

from typing import Final

from stepswitch.api import attachments, needs
from stepswitch.api.catalogue_operations import IF_MATCH, IF_NONE_MATCH, STORED, WORKFLOW_ID
from stepswitch.api.executions import REPEATED_HEADER
from stepswitch.api.operation import WITH_BODY, Audit, Operation, Parameter
from stepswitch.api.steering_operations import EXECUTION_ID, IF_SEEN, REASON
from stepswitch.api.wire import catalogue_models, models
from stepswitch.api.wire.preferences import APPLIED_HEADER
from stepswitch.engine.keyed_requests import KEY_HEADER

_ATTACHMENT: Final = Parameter("attachmentId", "The id of the file; its key is understood too.", "query", limits={"minLength": 1})
_DOWNLOAD: Final = {
    "ETag": "SHA-256 of the content, in hex.",
    "Content-Disposition": "The name of the file, made safe.",
}
IDEMPOTENCY_KEY: Final = Parameter(
    KEY_HEADER, "What makes it safe to send the request again, within 24 hours: the same key makes one execution, and each answer is that one as it "
    "is now. With another body it is 400. 1 to 255 printable characters of ASCII.", "header", is_required=False,
    limits={"pattern": "^[!-~]{1,255}$", "examples": ["change-4711"]},
)  # fmt: skip
AWAITED: Final = Parameter(
    "Prefer", "`wait=N`: answer when the execution has ended or is paused, or after N seconds, 60 at most (RFC 7240).", "header", is_required=False,
    limits={"examples": ["wait=30"]},
)  # fmt: skip
QUEUED_HEADERS: Final = {
    REPEATED_HEADER: "`true` where an earlier request has made the execution; else absent.",
    APPLIED_HEADER: "How long the answer was, or would have been, held back: `wait=N`.",
}
_BYTES: Final = "application/octet-stream"

ATTACHMENT_OPERATIONS: Final = (
    Operation(
        "createWorkflowWithFiles", "POST", "/workflow", attachments.create_workflow_with_files, "Workflows", "Create a workflow with its files",
        "As the create, with the document as part `workflow` (or `workflowExecution`) and a part `files` for each file. A file's name is "
        "its key in `attachments`. A file may have 50 MiB, and all parts together 256 MiB, or as it is set.",
        models.WorkflowResponse, request=catalogue_models.WorkflowWithFiles, request_media_type="multipart/form-data", refusals=WITH_BODY,
        answer_headers=STORED,
        needs=needs.CREATE_WORKFLOW, audit=Audit.CHANGE,
    ),
    Operation(
        "attachToWorkflow", "POST", "/workflow/{workflowId}/attachments", attachments.attach_to_workflow, "Workflows", "Add a file",
        "Stores the file and makes a new revision of the workflow that names it. A file of the same name is replaced. A `readOnly` workflow "
        "is 403.",
        catalogue_models.FileAttachment, request=catalogue_models.FileUpload, request_media_type="multipart/form-data", parameters=(WORKFLOW_ID, IF_MATCH),
        refusals=(400, 401, 403, 404, 412, 413, 500, 503), answer_headers={"ETag": STORED["ETag"]},
        needs=needs.CHANGE_WORKFLOW, audit=Audit.CHANGE,
    ),
    Operation(
        "readAttachment", "GET", "/workflow/{workflowId}/attachments", attachments.read_attachment, "Workflows", "Download a file",
        "Answers with the content.", str, parameters=(WORKFLOW_ID, _ATTACHMENT, IF_NONE_MATCH), refusals=(400, 401, 404, 500, 503),
        media_type=_BYTES, answer_headers=_DOWNLOAD, may_be_known=True,
        needs=needs.READ_WORKFLOW, audit=Audit.READ,
    ),
    Operation(
        "detachFromWorkflow", "DELETE", "/workflow/{workflowId}/attachments", attachments.detach_from_workflow, "Workflows", "Remove a file",
        "Makes a new revision without it. Earlier revisions keep it, and so do executions. A `readOnly` workflow is 403.",
        None, parameters=(WORKFLOW_ID, _ATTACHMENT, IF_MATCH), refusals=(400, 401, 403, 404, 412, 500, 503),
        needs=needs.CHANGE_WORKFLOW, audit=Audit.CHANGE,
    ),
    Operation(
        "createWorkflowExecutionWithFiles", "POST", "/workflowExecution", attachments.create_execution_with_files, "Executions",
        "Queue an execution with its files",
        "As the create, with the request as part `workflowExecution` and a part `files` for each file. A file's name is its key in "
        "`attachments`.",
        models.WorkflowExecution, request=catalogue_models.ExecutionWithFiles, request_media_type="multipart/form-data", refusals=WITH_BODY,
        parameters=(IDEMPOTENCY_KEY, AWAITED), answer_headers=QUEUED_HEADERS,
        needs=needs.CREATE_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "attachToExecution", "POST", "/workflowExecution/{workflowExecutionId}/attachments", attachments.attach_to_execution,
        "Executions", "Add a file to an execution",
        "Gives it a file of its own, until it has ended well or was aborted. One of the same name, its own or its workflow's, is replaced by "
        "it, but only while it is PAUSED or FAILED: a step that runs must not read half of each.",
        catalogue_models.FileAttachment, request=catalogue_models.FileUpload, request_media_type="multipart/form-data",
        parameters=(EXECUTION_ID, REASON, IF_SEEN), refusals=(*WITH_BODY, 412),
        needs=needs.ATTACH_TO_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "readExecutionAttachment", "GET", "/workflowExecution/{workflowExecutionId}/attachments", attachments.read_execution_attachment,
        "Executions", "Download a file of an execution", "Answers with the content; the files of its workflow's snapshot are there too.",
        str, parameters=(EXECUTION_ID, _ATTACHMENT, IF_NONE_MATCH),
        refusals=(400, 401, 404, 500, 503), media_type=_BYTES, answer_headers=_DOWNLOAD, may_be_known=True,
        needs=needs.READ_EXECUTION, audit=Audit.READ,
    ),
    Operation(
        "detachFromExecution", "DELETE", "/workflowExecution/{workflowExecutionId}/attachments", attachments.detach_from_execution,
        "Executions", "Remove a file of an execution",
        "Takes a file of its own away while it is PAUSED or FAILED; where the workflow has one of the same key, that one is back. One that "
        "a value or an input of a step still refers to is 400 with the code FILE_IN_USE, and so is, with STATE_CONFLICT, one of the "
        "workflow.",
        None, parameters=(EXECUTION_ID, _ATTACHMENT, REASON, IF_SEEN), refusals=(400, 401, 404, 412, 500, 503),
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""The documented ones; each is served under both roots."""
