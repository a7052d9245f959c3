"""The operations that steer an execution, as a table. Taken into `operations`."""

from typing import Final

from stepswitch.api import needs, steering
from stepswitch.api.operation import ID, OWN_ROOT, TAGS, Audit, Operation, Parameter
from stepswitch.api.wire import models, steering_models

_TAG: Final = "Steering"
EXECUTION_ID: Final = Parameter("workflowExecutionId", "Id of the execution.", limits=ID)
REASON: Final = Parameter(
    steering.REASON_HEADER,
    "Why; goes into the execution's log. At most 1,000 characters, UTF-8.",
    "header",
    is_required=False,
    limits={"maxLength": steering.LONGEST_REASON},
)
IF_SEEN: Final = Parameter(
    "If-Match",
    "The `ETag` of the state for which this is meant alone: 412 where the execution has moved on since.",
    "header",
    is_required=False,
    limits=TAGS,
)
_ACT: Final = (EXECUTION_ID, REASON, IF_SEEN)
_REFUSALS: Final = (400, 401, 404, 412, 500, 503)
_WITH_BODY: Final = (400, 401, 404, 412, 413, 500, 503)
_SHOWN: Final = {"ETag": "The state that is shown, for the `If-Match` of what follows."}
_WARNINGS: Final = {**_SHOWN, "x-stepswitch-warnings": "How many warnings the edited workflow draws; absent where there are none."}
_CHANGE_EXAMPLE: Final = {
    "startStepId": "configure",
    "pauseAtFailure": True,
    "debugStepIds": ["configure"],
    "steps": {"configure": {"type": "NOOP", "nextStepId": "check"}, "check": {"type": "NOOP"}, "obsolete": None},
}
_PLACE: Final = "/workflowExecution/{workflowExecutionId}"
_OWN_PLACE: Final = f"{OWN_ROOT}/executions/{{workflowExecutionId}}"

STEERING_OPERATIONS: Final = (
    Operation(
        "changeWorkflowExecution", "PATCH", _PLACE, steering.change_execution, _TAG, "Change an execution",
        "Changes all that is sent, or nothing. `debugStepIds` and `pauseAtFailure` can be changed until it has ended well, `steps` and "
        "`startStepId` while it is PAUSED or FAILED, `retainedTil` always. What does not fit its state is 400 with the code "
        "STATE_CONFLICT, and MOVED_ON where it went on meanwhile.",
        models.WorkflowExecution, request=steering_models.WorkflowExecutionChange, parameters=_ACT, refusals=_WITH_BODY, example=_CHANGE_EXAMPLE,
        answer_headers=_WARNINGS,
        needs=needs.CHANGE_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "deleteWorkflowExecution", "DELETE", _PLACE, steering.delete_execution, _TAG, "Delete an execution",
        "Removes an execution that has ended, with its logs and its own files; one that has not is 400. Where the step that an "
        "abort has stopped still says `cleanupPending`, the answer waits up to 10 s until its session is closed; after that, or where `If-Match` is "
        "given, it is 400 with the code CLEANUP_PENDING, and nothing is removed.",
        None, parameters=(*_ACT, Parameter("attachmentId", "Accepted and ignored.", "query", is_required=False)), refusals=_REFUSALS,
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "abortWorkflowExecution", "POST", f"{_PLACE}/abort", steering.abort_execution, _TAG, "Abort an execution",
        "Stops it at once: no step starts any more, and the one that runs is cancelled. One that is aborted already is 200 once more; "
        "one that has ended otherwise is 400.",
        models.WorkflowExecution, parameters=_ACT, refusals=_REFUSALS, answer_headers=_SHOWN,
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "resumeWorkflowExecution", "POST", f"{_PLACE}/resume", steering.resume_execution, _TAG, "Resume an execution",
        "Goes on after a pause: runs the step before which it waits, or accepts the failure after which it waits, or goes on at the "
        "`startStepId` that a PATCH set; that also reopens an execution that has FAILED.",
        models.WorkflowExecution, parameters=_ACT, refusals=_REFUSALS, answer_headers=_SHOWN,
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "retryWorkflowExecution", "POST", f"{_PLACE}/retry", steering.retry_execution, _TAG, "Retry the failed step",
        "Runs the step that failed once more, as it is now; reopens an execution that has FAILED.",
        models.WorkflowExecution, parameters=_ACT, refusals=_REFUSALS, answer_headers=_SHOWN,
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "getWorkflowExecutionLogs", "GET", f"{_PLACE}/logs", steering.read_logs, _TAG, "Download the log",
        "A line per entry: time, level, number of the step execution (`-` for the execution itself), message. Line breaks in a message "
        "are written as `\\n`; secrets are masked.",
        str, parameters=(EXECUTION_ID,), media_type="text/plain", answer_headers={"Content-Disposition": "A name for the file."},
        needs=needs.READ_EXECUTION, audit=Audit.READ,
    ),
    Operation(
        "getVroLoginDetails", "GET", f"{_PLACE}/vroLoginDetails", steering.read_vro_login, _TAG, "Read the login of the vRO",
        "Administrators only, and only where the setting `vro_login_details` allows it. It is the vRO that was used last, as the inventory "
        "has it now; 404 where no step has used one. Its credential is opened in the caller's name: where he may not use it, that is 400.",
        steering_models.VroLoginDetails, parameters=(EXECUTION_ID,), refusals=(400, 401, 403, 404, 500, 503),
        needs=needs.READ_LOGIN, audit=Audit.SENSITIVE,
    ),
    Operation(
        "updateWorkflowFromExecution", "POST", f"{_PLACE}/updateWorkflow", steering.update_workflow, _TAG, "Write edited steps back",
        "Gives the workflow in the catalogue the steps of this execution. 400 where the workflow has changed since it was copied, 404 "
        "where it is gone.",
        models.WorkflowResponse, parameters=_ACT, refusals=(400, 401, 403, 404, 412, 500, 503),
        answer_headers={"ETag": "What `If-Match` of the workflow's own operations takes."},
        needs=needs.WRITE_BACK, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""The documented ones; each is served under both roots."""

OWN_STEERING_OPERATIONS: Final = (
    Operation(
        "pauseExecution", "POST", f"{_OWN_PLACE}/pause", steering.pause_execution, _TAG, "Pause an execution",
        "Pauses before the next step that nobody has begun; the one that runs ends first. One that waits already is 200 once more.",
        models.WorkflowExecution, parameters=_ACT, refusals=_REFUSALS, answer_headers=_SHOWN,
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "setExecutionValues", "POST", f"{_OWN_PLACE}/values", steering.set_values, _TAG, "Correct values",
        "Replaces values of inputs and variables while the execution is PAUSED or FAILED; null takes one away. The next step that "
        "begins takes the new ones.",
        models.WorkflowExecution, request=steering_models.ValueCorrection, parameters=_ACT, refusals=_WITH_BODY,
        example={"values": {"host": "192.0.2.7", "note": None}}, answer_headers=_SHOWN,
        needs=needs.CORRECT_VALUES, audit=Audit.CHANGE,
    ),
    Operation(
        "abandonExecutionCleanup", "POST", f"{_OWN_PLACE}/cleanup/abandon", steering.abandon_cleanup, _TAG, "Abandon a cleanup",
        "For a target that is gone for good: what steps may have left there is taken for gone, and nobody looks for it any more. Of the step executions "
        "that `stepNumbers` names, or of all that say `cleanupPending` where no body is sent. The log of the execution says who said so, why, and "
        "what was left where; after that the execution can be deleted. Nothing is done at the target. 400 with the code STATE_CONFLICT where "
        "nothing is left behind.",
        models.WorkflowExecution, request=steering_models.CleanupAbandonment, is_request_optional=True, parameters=_ACT, refusals=_WITH_BODY,
        example={"stepNumbers": [0]}, answer_headers=_SHOWN,
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Those that the vendor does not have."""
