"""Every operation of the API in one table: its path, who carries it out, and what the reference says of it. Read by `app` and `openapi`."""

from typing import Final

from stepswitch.api import execution_reads, executions, health, host_keys, needs, sessions
from stepswitch.api.attachment_operations import ATTACHMENT_OPERATIONS, AWAITED, IDEMPOTENCY_KEY, QUEUED_HEADERS
from stepswitch.api.audit_operations import AUDIT_OPERATIONS
from stepswitch.api.catalogue_operations import CATALOGUE_OPERATIONS, OWN_CATALOGUE_OPERATIONS
from stepswitch.api.credential_operations import CREDENTIAL_OPERATIONS
from stepswitch.api.inventory_operations import INVENTORY_OPERATIONS
from stepswitch.api.list_operations import FIELDS, LIST_OPERATIONS
from stepswitch.api.lock_operations import LOCK_OPERATIONS
from stepswitch.api.login_operations import LOGIN_OPERATIONS
from stepswitch.api.operation import OWN_ROOT, ROOTS, TAGS, Audit, Operation, Parameter
from stepswitch.api.operation import WITH_BODY as _WITH_BODY
from stepswitch.api.provider_operations import PROVIDER_OPERATIONS
from stepswitch.api.rehearsal_operations import REHEARSAL_OPERATIONS
from stepswitch.api.steering_operations import EXECUTION_ID, OWN_STEERING_OPERATIONS, STEERING_OPERATIONS
from stepswitch.api.stream_operations import STREAM_OPERATIONS
from stepswitch.api.usage_operations import USAGE_OPERATIONS
from stepswitch.api.user_operations import USER_OPERATIONS
from stepswitch.api.wire import host_key_models, models, service_models
from stepswitch.api.wire.preferences import APPLIED_HEADER

TENANT: Final = Parameter("tenantId", "The caller's own tenant; any other is 404.", limits={"examples": ["default"]})
HEALTH_PATH: Final = f"{OWN_ROOT}/health"
_EXECUTION_EXAMPLE: Final = {
    "workflowId": "5f0c3b1e-6d0f-4a9e-9d52-3c1f6f0a7b11",
    "contextType": "NONE",
    "assignments": {"who": "world"},
    "pauseAtFailure": False,
    "debugStepIds": [],
    "retainedTil": "2027-01-31T08:15:00Z",
}
_NEWS: Final = (
    Parameter(
        "If-None-Match", "The `ETag` of what the caller has: 304 where that still is so; with `Prefer: wait`, what is waited for to change.",
        "header", is_required=False, limits=TAGS,
    ),
    Parameter(
        "Prefer", "`wait=N`: answer at the next change, at the end, or after N seconds, 60 at most (RFC 7240).", "header", is_required=False,
        limits={"examples": ["wait=1"]},
    ),
)  # fmt: skip
_NEWS_HEADERS: Final = {
    "ETag": "Changes with whatever is shown; what `If-None-Match` takes.",
    APPLIED_HEADER: QUEUED_HEADERS[APPLIED_HEADER],
}

WORKFLOW_OPERATIONS: Final = (
    *CATALOGUE_OPERATIONS,
    *ATTACHMENT_OPERATIONS,
    *LIST_OPERATIONS,
    Operation(
        "createWorkflowExecution", "PUT", "/workflowExecution", executions.create_execution, "Executions", "Queue an execution",
        "Creates an execution of a workflow and queues it. When the answer is there, the execution is on disk, and its first step "
        "execution is in the answer. 404: there is no such workflow, or what the `Idempotency-Key` made was deleted. Sent again, byte for byte, "
        "within 60 seconds after its connection broke, it is answered with the execution that it made. With `Prefer: wait=N` the answer comes "
        "when the execution has ended or is paused, and after N seconds in any case, and shows it as it is then.",
        models.WorkflowExecution, request=models.WorkflowExecutionCreateRequest, refusals=(*_WITH_BODY, 403), example=_EXECUTION_EXAMPLE,
        parameters=(IDEMPOTENCY_KEY, AWAITED), answer_headers=QUEUED_HEADERS,
        needs=needs.CREATE_EXECUTION, audit=Audit.CHANGE,
    ),
    Operation(
        "getWorkflowExecution", "GET", "/workflowExecution/{workflowExecutionId}", execution_reads.read_execution, "Executions",
        "Read an execution", "Answers with the execution, all its step executions and its log, secrets masked. With `Prefer: wait=N` as soon as "
        "it changes or has ended, and after N seconds in any case.",
        models.WorkflowExecution, parameters=(EXECUTION_ID, *FIELDS, *_NEWS),
        refusals=(400, 401, 404, 500, 503), answer_headers=_NEWS_HEADERS, may_be_known=True,
        needs=needs.READ_EXECUTION, audit=Audit.READ,
    ),
    *STEERING_OPERATIONS,
)  # fmt: skip
"""The documented operations; each is served under both roots."""


def _session_operations(path: str, suffix: str) -> tuple[Operation, ...]:
    return (
        Operation(
            f"login{suffix}", "POST", path, sessions.login, "Sessions", "Log in",
            "Opens a session. The token comes in the header `x-hm-authorization`; send it in that header, or as "
            "`Authorization: Bearer`, with every other request.",
            service_models.SessionResponse, request=service_models.Credentials, refusals=(400, 401, 413, 429, 500, 503),
            example={"username": "admin", "password": "…"}, answer_headers={"x-hm-authorization": "The token."},
            needs=needs.NOTHING, audit=Audit.CHANGE,
        ),
        Operation(
            f"logout{suffix}", "DELETE", path, sessions.logout, "Sessions", "Log out", "Ends the session of the token that is sent. 403: it is an access token of the "
            "provider of logins, which has no session here.",
            None, refusals=(401, 403, 500, 503),
            needs=needs.A_LOGIN, audit=Audit.CHANGE,
        ),
    )  # fmt: skip


_SERVER: Final = (
    Parameter("host", "Name or address of the server.", "query", limits=host_key_models.HOST),
    Parameter(
        "port", "Port of the server; 22 unless said.", "query", is_required=False, kind="integer", limits={"minimum": 1, "maximum": 65_535}
    ),
)
OTHER_OPERATIONS: Final = (
    *_session_operations("/hybridity/api/sessions", ""),
    *_session_operations("/hybridity/api/session", "Singular"),
    *OWN_CATALOGUE_OPERATIONS,
    *REHEARSAL_OPERATIONS,
    *OWN_STEERING_OPERATIONS,
    *STREAM_OPERATIONS,
    *USER_OPERATIONS,
    *LOGIN_OPERATIONS,
    *PROVIDER_OPERATIONS,
    *AUDIT_OPERATIONS,
    *CREDENTIAL_OPERATIONS,
    *USAGE_OPERATIONS,
    *LOCK_OPERATIONS,
    *INVENTORY_OPERATIONS,
    Operation(
        "health", "GET", HEALTH_PATH, health.read_health, "Service", "How the service is",
        "Needs no login. 503 with the same body where the service cannot do its work.", service_models.Health, refusals=(500, 503),
        needs=needs.NOTHING, audit=Audit.READ,
    ),
    Operation(
        "listHostKeys", "GET", f"{OWN_ROOT}/host-keys", host_keys.list_host_keys, "Host keys", "List the trusted host keys",
        "Administrators only.", list[host_key_models.TrustedHostKey], refusals=(401, 403, 500, 503),
        needs=needs.RUN_INSTALLATION, audit=Audit.READ,
    ),
    Operation(
        "trustHostKey", "POST", f"{OWN_ROOT}/host-keys", host_keys.trust_host_key, "Host keys", "Trust a host key",
        "Give the key, or its fingerprint: then the server is asked for its keys, and the one that fits is trusted. At once good for "
        "every worker. Administrators only.",
        host_key_models.TrustedHostKey, request=host_key_models.TrustRequest, refusals=(400, 401, 403, 413, 500, 503),
        example={"host": "192.0.2.1", "port": 22, "fingerprint": "SHA256:…"},
        needs=needs.RUN_INSTALLATION, audit=Audit.CHANGE,
    ),
    Operation(
        "forgetHostKeys", "DELETE", f"{OWN_ROOT}/host-keys", host_keys.forget_host_keys, "Host keys", "Forget a server's host keys",
        "404 where none is trusted. Administrators only.", None, parameters=_SERVER, refusals=(400, 401, 403, 404, 500, 503),
        needs=needs.RUN_INSTALLATION, audit=Audit.CHANGE,
    ),
    Operation(
        "scanHostKeys", "POST", f"{OWN_ROOT}/host-keys/scan", host_keys.scan_host_keys, "Host keys", "Ask a server for its host keys",
        "Nothing is trusted by that, and nothing is proven: compare the fingerprints. Administrators only.",
        list[host_key_models.ShownKey], request=host_key_models.ServerOrder, refusals=(400, 401, 403, 413, 500, 503), example={"host": "192.0.2.1"},
        needs=needs.RUN_INSTALLATION, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""The operations that have one path: the login, and what is ours."""


def served() -> list[tuple[str, Operation, bool]]:
    """Return every operation with its whole path, and whether that has the tenant in it."""
    documented = [(root + operation.path, operation, "{tenantId}" in root) for root in ROOTS for operation in WORKFLOW_OPERATIONS]
    return [*documented, *((operation.path, operation, False) for operation in OTHER_OPERATIONS)]
