"""Every operation of the API in one table: its path, who carries it out, and what the reference says of it. Read by `app` and `openapi`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from stepswitch.api import executions, health, host_keys, sessions, workflows
from stepswitch.api.services import Handler
from stepswitch.api.wire import models

ROOTS: Final = ("/telco/api/workflows", "/tca/workflows/api/v1/orgs/{tenantId}")
OWN_ROOT: Final = "/stepswitch/api/v1"
_GUARDED: Final = (401, 404, 500, 503)
_WITH_BODY: Final = (400, 401, 404, 413, 500, 503)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path, the query or a header."""

    name: str
    description: str
    place: str = "path"
    is_required: bool = True
    kind: str = "string"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `answer` is the type of the 200's body, None where the success is 204."""

    id: str
    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str
    answer: Any
    request: type[BaseModel] | None = None
    parameters: Sequence[Parameter] = ()
    refusals: Sequence[int] = _GUARDED
    answer_headers: dict[str, str] = field(default_factory=dict)
    is_public: bool = False
    example: Any = None
    """A request that works, where there is one worth showing."""


TENANT: Final = Parameter("tenantId", "The caller's own tenant; any other is 404.")
_WORKFLOW_EXAMPLE: Final = {
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
_EXECUTION_EXAMPLE: Final = {
    "workflowId": "5f0c3b1e-6d0f-4a9e-9d52-3c1f6f0a7b11",
    "contextType": "NONE",
    "assignments": {"who": "world"},
    "pauseAtFailure": False,
    "debugStepIds": [],
    "retainedTil": "2027-01-31T08:15:00Z",
}

WORKFLOW_OPERATIONS: Final = (
    Operation(
        "createWorkflow", "PUT", "/workflow", workflows.create_workflow, "Workflows", "Create a workflow",
        "Stores a workflow in the catalogue. Every fault of the document is listed. A document without steps or without "
        "`startStepId` is stored as a draft.",
        models.WorkflowResponse, request=models.WorkflowBase, refusals=_WITH_BODY, example=_WORKFLOW_EXAMPLE,
        answer_headers={"x-stepswitch-warnings": "How many warnings the document draws; absent where there are none."},
    ),
    Operation(
        "getWorkflow", "GET", "/workflow/{workflowId}", workflows.read_workflow, "Workflows", "Read a workflow",
        "Answers with the workflow as it was sent, unknown fields included; passwords in it are shown as `********`.",
        models.WorkflowResponse, parameters=(Parameter("workflowId", "Id of the workflow."),),
    ),
    Operation(
        "createWorkflowExecution", "PUT", "/workflowExecution", executions.create_execution, "Executions", "Queue an execution",
        "Creates an execution of a workflow and queues it. When the answer is there, the execution is on disk, and its first step "
        "execution is in the answer. 404: there is no such workflow.",
        models.WorkflowExecution, request=models.WorkflowExecutionCreateRequest, refusals=(*_WITH_BODY, 403), example=_EXECUTION_EXAMPLE,
    ),
    Operation(
        "getWorkflowExecution", "GET", "/workflowExecution/{workflowExecutionId}", executions.read_execution, "Executions",
        "Read an execution", "Answers with the execution, all its step executions and its log, secrets masked.",
        models.WorkflowExecution, parameters=(Parameter("workflowExecutionId", "Id of the execution."),),
    ),
)  # fmt: skip
"""The documented operations; each is served under both roots."""


def _session_operations(path: str, suffix: str) -> tuple[Operation, ...]:
    return (
        Operation(
            f"login{suffix}", "POST", path, sessions.login, "Sessions", "Log in",
            "Opens a session. The token comes in the header `x-hm-authorization`; send it in that header, or as "
            "`Authorization: Bearer`, with every other request.",
            models.SessionResponse, request=models.Credentials, refusals=(400, 401, 413, 500, 503), is_public=True,
            example={"username": "admin", "password": "…"}, answer_headers={"x-hm-authorization": "The token."},
        ),
        Operation(
            f"logout{suffix}", "DELETE", path, sessions.logout, "Sessions", "Log out", "Ends the session of the token that is sent.",
            None, refusals=(401, 500, 503),
        ),
    )  # fmt: skip


_SERVER: Final = (
    Parameter("host", "Name or address of the server.", "query"),
    Parameter("port", "Port of the server; 22 unless said.", "query", is_required=False, kind="integer"),
)
OTHER_OPERATIONS: Final = (
    *_session_operations("/hybridity/api/sessions", ""),
    *_session_operations("/hybridity/api/session", "Singular"),
    Operation(
        "health", "GET", f"{OWN_ROOT}/health", health.read_health, "Service", "How the service is",
        "Needs no login. 503 with the same body where the service cannot do its work.", models.Health, refusals=(500, 503), is_public=True,
    ),
    Operation(
        "listHostKeys", "GET", f"{OWN_ROOT}/host-keys", host_keys.list_host_keys, "Host keys", "List the trusted host keys",
        "Administrators only.", list[models.TrustedHostKey], refusals=(401, 403, 500, 503),
    ),
    Operation(
        "trustHostKey", "POST", f"{OWN_ROOT}/host-keys", host_keys.trust_host_key, "Host keys", "Trust a host key",
        "Give the key, or its fingerprint: then the server is asked for its keys, and the one that fits is trusted. At once good for "
        "every worker. Administrators only.",
        models.TrustedHostKey, request=models.TrustRequest, refusals=(400, 401, 403, 413, 500, 503),
        example={"host": "192.0.2.1", "port": 22, "fingerprint": "SHA256:…"},
    ),
    Operation(
        "forgetHostKeys", "DELETE", f"{OWN_ROOT}/host-keys", host_keys.forget_host_keys, "Host keys", "Forget a server's host keys",
        "404 where none is trusted. Administrators only.", None, parameters=_SERVER, refusals=(400, 401, 403, 404, 500, 503),
    ),
    Operation(
        "scanHostKeys", "POST", f"{OWN_ROOT}/host-keys/scan", host_keys.scan_host_keys, "Host keys", "Ask a server for its host keys",
        "Nothing is trusted by that, and nothing is proven: compare the fingerprints. Administrators only.",
        list[models.ShownKey], request=models.ServerOrder, refusals=(400, 401, 403, 413, 500, 503), example={"host": "192.0.2.1"},
    ),
)  # fmt: skip
"""The operations that have one path: the login, and what is ours."""


def served() -> list[tuple[str, Operation, bool]]:
    """Return every operation with its whole path, and whether that has the tenant in it."""
    documented = [(root + operation.path, operation, "{tenantId}" in root) for root in ROOTS for operation in WORKFLOW_OPERATIONS]
    return [*documented, *((operation.path, operation, False) for operation in OTHER_OPERATIONS)]
