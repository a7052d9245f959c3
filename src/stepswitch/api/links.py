"""Which operation leads to which: what an answer names, and who takes it. Read by `openapi`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.api.operation import Operation

JsonObject = dict[str, Any]
_OF_TENANT: Final = "OfTenant"
_FROM_PATH: Final = "$request.path."


@dataclass(frozen=True, slots=True)
class _Leads:
    """From the answers of some operations to others; `gives` are their parameters, as runtime expressions of OpenAPI."""

    start: tuple[str, ...]
    gives: Mapping[str, str]
    to: tuple[str, ...]
    body: Any = None


_CREATE: Final = ("createWorkflow", "createWorkflowWithFiles", "createWorkflowAs")
_QUEUE: Final = ("createWorkflowExecution", "createWorkflowExecutionWithFiles")
_OF_WORKFLOW: Final = ("getWorkflow", "replaceWorkflow", "deleteWorkflow", "attachToWorkflow", "listRevisions")
_ACTS: Final = (
    "abortWorkflowExecution",
    "resumeWorkflowExecution",
    "retryWorkflowExecution",
    "pauseExecution",
    "setExecutionValues",
    "abandonExecutionCleanup",
)
_OF_EXECUTION: Final = (
    "getWorkflowExecution", "changeWorkflowExecution", "deleteWorkflowExecution", *_ACTS, "getWorkflowExecutionLogs", "getVroLoginDetails",
    "updateWorkflowFromExecution", "attachToExecution", "followExecution",
)  # fmt: skip
_WORKFLOW: Final = {"workflowId": f"{_FROM_PATH}workflowId"}
_EXECUTION: Final = {"workflowExecutionId": f"{_FROM_PATH}workflowExecutionId"}
_FILE: Final = {"attachmentId": "$response.body#/id"}
_USER: Final = {"username": "$response.body#/username"}
_USER_AGAIN: Final = {"username": f"{_FROM_PATH}username"}
_SERVER: Final = {"host": "$response.body#/host", "port": "$response.body#/port"}
_ENTRIES: Final = ("site", "vimLocation", "virtualMachine", "networkFunction", "networkService", "device")


def _of_entry(parameter: str) -> tuple[_Leads, ...]:
    name, again = parameter[0].upper() + parameter[1:], {parameter: f"{_FROM_PATH}{parameter}"}
    read, put, remove = f"get{name}", f"put{name}", f"remove{name}"
    return (_Leads((put,), again, (read, remove)), _Leads((read,), {**again, "If-Match": "$response.header.ETag"}, (put, remove)))


_LEADS: Final = (
    _Leads(_CREATE, {"workflowId": "$response.body#/id"}, _OF_WORKFLOW),
    _Leads(_CREATE, {}, ("createWorkflowExecution",), {"workflowId": "$response.body#/id", "contextType": "NONE"}),
    _Leads(("getWorkflow",), {**_WORKFLOW, "If-Match": "$response.header.ETag"}, ("replaceWorkflow", "deleteWorkflow")),
    _Leads(("listWorkflows",), {"workflowId": "$response.body#/0/id"}, ("getWorkflow",)),
    _Leads(("attachToWorkflow",), {**_WORKFLOW, **_FILE}, ("readAttachment", "detachFromWorkflow")),
    _Leads(
        ("listRevisions",), {**_WORKFLOW, "revision": "$response.body#/0/number"}, ("getRevision", "compareRevisions", "restoreRevision")
    ),
    _Leads(_QUEUE, {"workflowExecutionId": "$response.body#/id"}, _OF_EXECUTION),
    _Leads(("listWorkflowExecutions",), {"workflowExecutionId": "$response.body#/0/id"}, ("getWorkflowExecution",)),
    _Leads(("getWorkflowExecution",), {**_EXECUTION, "If-None-Match": "$response.header.ETag"}, ("getWorkflowExecution",)),
    _Leads(
        ("getWorkflowExecution",), {**_EXECUTION, "If-Match": "$response.header.ETag"},
        ("changeWorkflowExecution", "abortWorkflowExecution", "resumeWorkflowExecution", "retryWorkflowExecution"),
    ),
    _Leads(("changeWorkflowExecution", "setExecutionValues"), _EXECUTION, ("resumeWorkflowExecution", "retryWorkflowExecution")),
    _Leads(("pauseExecution",), _EXECUTION, ("changeWorkflowExecution", "setExecutionValues", "resumeWorkflowExecution")),
    _Leads(("abortWorkflowExecution",), _EXECUTION, ("deleteWorkflowExecution",)),
    _Leads(("attachToExecution",), {**_EXECUTION, **_FILE}, ("readExecutionAttachment", "detachFromExecution")),
    _Leads(_CREATE, {}, ("rehearseWorkflow",), {"workflowId": "$response.body#/id", "rehearsals": [{"name": "as it is"}]}),
    _Leads(("convertWorkflow",), {}, ("createWorkflow", "validateWorkflow"), "$response.body"),
    _Leads(("createUser",), _USER, ("getUser", "changeUser", "endSessionsOfUser", "listSessionsOfUser", "createTokenOfUser")),
    _Leads(("listUsers",), {"username": "$response.body#/0/username"}, ("getUser",)),
    _Leads(("listOwnSessions",), {"sessionId": "$response.body#/0/id"}, ("endOwnSession",)),
    _Leads(("createOwnToken",), {"sessionId": "$response.body#/id"}, ("endOwnSession",)),
    _Leads(("listSessionsOfUser",), {**_USER_AGAIN, "sessionId": "$response.body#/0/id"}, ("endSessionOfUser",)),
    _Leads(("createTokenOfUser",), {**_USER_AGAIN, "sessionId": "$response.body#/id"}, ("endSessionOfUser",)),
    _Leads(("createRole",), {"role": "$response.body#/name"}, ("removeRole",)),
    _Leads(
        ("createCredential",), {"credential": "$response.body#/name"}, ("getCredential", "changeCredential", "checkCredential", "removeCredential")
    ),
    _Leads(("listCredentials",), {"credential": "$response.body#/0/name"}, ("getCredential",)),
    _Leads(
        ("getCredential",), {"credential": f"{_FROM_PATH}credential", "If-Match": "$response.header.ETag"}, ("changeCredential", "removeCredential")
    ),
    _Leads(("getInventory",), {"If-Match": "$response.header.ETag"}, ("replaceInventory",)),
    *(each for parameter in _ENTRIES for each in _of_entry(parameter)),
    _Leads(("scanHostKeys",), {}, ("trustHostKey",), {
        "host": "$request.body#/host", "port": "$request.body#/port", "publicKey": "$response.body#/0/publicKey",
    }),
    _Leads(("trustHostKey",), _SERVER, ("forgetHostKeys",)),
    _Leads(("listHostKeys",), {"host": "$response.body#/0/host", "port": "$response.body#/0/port"}, ("forgetHostKeys",)),
)  # fmt: skip


def links_of(operation: Operation, by_id: Mapping[str, Operation], *, has_tenant: bool) -> JsonObject:
    """Return the links of an operation's answer, which stay under its root where that serves the other one too."""
    return {name: link for leads in _LEADS if operation.id in leads.start for name, link in _links(leads, by_id, has_tenant=has_tenant)}


def _links(leads: _Leads, by_id: Mapping[str, Operation], *, has_tenant: bool) -> Iterator[tuple[str, JsonObject]]:
    for target_id in leads.to:
        target = by_id[target_id]
        stays = has_tenant and not target.path.startswith("/stepswitch")
        link: JsonObject = {"operationId": target_id + (_OF_TENANT if stays else ""), "description": target.summary + "."}
        places = {each.name: each.place for each in target.parameters}
        parameters = {f"{places[name]}.{name}": expression for name, expression in leads.gives.items()}
        if stays:
            parameters["path.tenantId"] = f"{_FROM_PATH}tenantId"
        if parameters:
            link["parameters"] = parameters
        if leads.body is not None:
            link["requestBody"] = leads.body
        yield target_id, link
