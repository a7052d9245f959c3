"""Risk: of two faults in a request only the first is told, without its place, or something was changed all the same.

Every operation stands here: with a request that has two faults, or with the reason why none can have them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.api.operations import served
from tests.api import inventories
from tests.api.real import OWN, PLAIN, Real, real_service

JsonObject = dict[str, Any]
OPERATIONS: Final = {operation.id: (path, operation) for path, operation, has_tenant in served() if not has_tenant}
TEXT: Final = {"type": "string"}
WORKFLOW: Final = {
    "name": "Say", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
    "inputs": {"word": TEXT}, "steps": {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP"}},
}  # fmt: skip
BROKEN: Final = {**WORKFLOW, "startStepId": "nowhere", "steps": {"a": {"type": "NOOP", "nextStepId": "b"}}}
FILE: Final = ("files", ("hello.txt", "hello", "text/plain"))
IS_THERE: Final = "00000000-0000-0000-0000-000000000000"
"""Put into requests for the id of a workflow that is there."""
CREDENTIAL: Final = {
    "name": "core",
    "source": {"kind": "stored", "value": "a pigeon"},
    "roles": ["*"],
    "workflows": ["*"],
    "devices": ["*"],
}
BAD_ORDER: Final = {"workflowId": IS_THERE, "contextType": "X", "pauseAtFailure": 3}
NO_TAG: Final = {"If-Match": "no tag"}
NO_TAG_KNOWN: Final = {"If-None-Match": "no tag"}
BAD_LIST: Final = {"filter": "(eq,nothing,1)", "nextpage_opaque_marker": "page_size=2000"}


@dataclass(frozen=True)
class Two:
    """A request with two faults, and the places that have to be told."""

    first: str
    second: str
    body: Any = None
    parts: Any = None
    query: Any = ()
    headers: dict[str, str] = field(default_factory=dict)


LONG: Final = {"x-stepswitch-reason": "x" * 1001}
STEERED: Final = Two("x-stepswitch-reason", "If-Match", headers=LONG | NO_TAG)
ONLY_NAMED: Final = "what is named in the path is there, or it is 404"
ONE_VALUE: Final = "beside what is named in the path, which is there or 404, it takes one value"
TAKES_NOTHING: Final = "it takes nothing"
ROWS: Final[dict[str, Two | str]] = {
    "convertWorkflow": Two(
        "owner.type", "original.steps", body={"owner": {"id": "admin"}, "original": {**WORKFLOW, "schemaVersion": "1.0", "steps": 5}}
    ),
    "createWorkflow": Two("startStepId", "steps.a.nextStepId", body=BROKEN),
    "getWorkflow": Two("fields", "If-None-Match", query=[("fields", "name"), ("fields", "version")], headers=NO_TAG_KNOWN),
    "replaceWorkflow": Two("If-Match", "steps.a.nextStepId", body=BROKEN, headers=NO_TAG),
    "deleteWorkflow": ONE_VALUE,
    "createWorkflowWithFiles": Two(
        "other", "steps.a.nextStepId", parts=[("workflow", (None, json.dumps(BROKEN), "application/json")), FILE, ("other", FILE[1])]
    ),
    "attachToWorkflow": Two("file", "other", parts=[("other", FILE[1])]),
    "readAttachment": Two("attachmentId", "If-None-Match", headers=NO_TAG_KNOWN),
    "detachFromWorkflow": Two("attachmentId", "If-Match", headers=NO_TAG),
    "createWorkflowExecutionWithFiles": Two(
        "other",
        "pauseAtFailure",
        parts=[("workflowExecution", (None, json.dumps(BAD_ORDER), "application/json")), FILE, ("other", FILE[1])],
    ),
    "attachToExecution": Two("file", "other", parts=[("other", FILE[1])]),
    "readExecutionAttachment": Two("attachmentId", "If-None-Match", headers=NO_TAG_KNOWN),
    "detachFromExecution": Two("attachmentId", "x-stepswitch-reason", headers=LONG),
    "listWorkflows": Two("filter", "nextpage_opaque_marker", query=BAD_LIST),
    "listWorkflowExecutions": Two("filter", "nextpage_opaque_marker", query=BAD_LIST),
    "createWorkflowExecution": Two("contextType", "pauseAtFailure", body=BAD_ORDER),
    "getWorkflowExecution": Two("fields", "exclude_fields", query={"fields": "nothing", "exclude_fields": "neither"}),
    "changeWorkflowExecution": Two("startStepId", "pauseAtFailure", body={"startStepId": "nowhere", "pauseAtFailure": 3}),
    "deleteWorkflowExecution": STEERED,
    "abortWorkflowExecution": STEERED,
    "resumeWorkflowExecution": STEERED,
    "retryWorkflowExecution": STEERED,
    "getWorkflowExecutionLogs": ONLY_NAMED,
    "getVroLoginDetails": ONLY_NAMED,
    "updateWorkflowFromExecution": STEERED,
    "login": Two("username", "password", body={}),
    "logout": TAKES_NOTHING,
    "loginSingular": Two("username", "password", body={}),
    "logoutSingular": TAKES_NOTHING,
    "beginProviderLogin": ONE_VALUE,
    "finishProviderLogin": "what a browser is sent back with is one answer of the provider, and taken or refused as a whole",
    "openProviderSession": TAKES_NOTHING,
    "logoutAtProvider": ONE_VALUE,
    "finishProviderLogout": "what does not name a path leads to the usual one: it is no fault of who comes back",
    "beginDeviceLogin": TAKES_NOTHING,
    "openDeviceSession": Two("deviceCode", "other", body={"other": 1}),
    "validateWorkflow": "faults of a document are its answer, all of them, and no document at all is one fault",
    "createWorkflowAs": Two("id", "steps.a.nextStepId", body=BROKEN),
    "listRevisions": ONLY_NAMED,
    "getRevision": ONLY_NAMED,
    "compareRevisions": ONE_VALUE,
    "restoreRevision": ONE_VALUE,
    "rehearseWorkflow": Two("workflow.startStepId", "rehearsals[0].name", body={"workflow": BROKEN, "rehearsals": [{}]}),
    "pauseExecution": STEERED,
    "listLocks": TAKES_NOTHING,
    "breakExecutionLock": Two("lockId", "If-Match", body={"lockId": 3}, headers=NO_TAG),
    "abandonExecutionCleanup": Two("stepNumbers[0]", "other", body={"stepNumbers": [-1], "other": 1}),
    "setExecutionValues": Two("values.nothing", "values.neither", body={"values": {"nothing": 1, "neither": 2}}),
    "followExecution": "an unknown event is no fault: the answer says that it has to be read anew",
    "followExecutions": "an unknown event is no fault: the answer says that it has to be read anew",
    "listOwnSessions": TAKES_NOTHING,
    "endOwnSession": ONLY_NAMED,
    "createOwnToken": Two("name", "privileges[0]", body={"name": "", "privileges": ["anything"]}),
    "listSessionsOfUser": ONLY_NAMED,
    "endSessionOfUser": ONLY_NAMED,
    "createTokenOfUser": Two("name", "privileges[0]", body={"name": "", "privileges": ["anything"]}),
    "listUsers": TAKES_NOTHING,
    "createUser": Two("password", "roles[0]", body={"username": "ann", "password": "short", "roles": ["nobody"]}),
    "getUser": ONLY_NAMED,
    "changeUser": Two("password", "roles[0]", body={"password": "short", "roles": ["nobody"]}),
    "endSessionsOfUser": ONLY_NAMED,
    "changeOwnPassword": Two("oldPassword", "newPassword", body={"oldPassword": 3}),
    "listRoles": TAKES_NOTHING,
    "createRole": Two("name", "privileges[0]", body={"name": " ", "privileges": ["anything"]}),
    "removeRole": ONLY_NAMED,
    "health": TAKES_NOTHING,
    "listAuditRecords": Two("since", "page_size", query={"since": "yesterday", "page_size": "0"}),
    "exportAuditRecords": Two("since", "outcome", query={"since": "yesterday", "outcome": "perhaps"}),
    "listCredentials": "it takes one value, a marker that is one of its own or a fault",
    "createCredential": Two("name", "devices[0]", body={**CREDENTIAL, "name": "a/b", "devices": ["192.0.2.*"]}),
    "getCredential": ONE_VALUE,
    "changeCredential": Two("source.value", "If-Match", body={"source": {"kind": "stored"}}, headers=NO_TAG),
    "removeCredential": ONE_VALUE,
    "checkCredential": ONLY_NAMED,
    "listUsage": ONE_VALUE,
    "getInventory": Two("withSources", "If-None-Match", query={"withSources": "perhaps"}, headers=NO_TAG_KNOWN),
    "listSourceStates": TAKES_NOTHING,
    "refreshSource": ONLY_NAMED,
    "replaceInventory": Two("devices.d.addresses", "other", body={"devices": {"d": {}}, "other": {}}),
    **dict.fromkeys(inventories.ENTRY_READS + inventories.ENTRY_REMOVALS, ONE_VALUE),
    **dict.fromkeys(inventories.ENTRY_PUTS, Two("If-Match", "other", body={"other": 1}, headers=NO_TAG)),
    "listHostKeys": TAKES_NOTHING,
    "trustHostKey": Two("host", "port", body={"host": " ", "port": 0, "publicKey": "x"}),
    "forgetHostKeys": Two("host", "port", query={"port": "0"}),
    "scanHostKeys": Two("host", "port", body={"host": " ", "port": 0}),
}


def test_every_operation_stands_here() -> None:
    assert ROWS.keys() == OPERATIONS.keys()
    for name, row in ROWS.items():
        _, operation = OPERATIONS[name]
        given = [each for each in operation.parameters if each.place != "path"]
        if row == TAKES_NOTHING:
            assert not operation.parameters
            assert operation.request is None
        elif row == ONLY_NAMED:
            assert not given
            assert operation.request is None
        elif row == ONE_VALUE:
            assert len(given) == 1
            assert operation.request is None


async def everything(real: Real) -> list[Any]:
    """Return all that can be read."""
    paths = (
        f"{PLAIN}/workflow",
        f"{PLAIN}/workflowExecution",
        f"{OWN}/users",
        f"{OWN}/roles",
        f"{OWN}/host-keys",
        f"{OWN}/sessions",
        f"{OWN}/credentials",
        f"{OWN}/inventory",
    )
    lists = [(await real.client.get(path)).json() for path in paths]
    executions = [(await real.client.get(f"{PLAIN}/workflowExecution/{each['id']}")).json() for each in lists[1]]
    return [lists, executions, real.on_disk()]


@pytest.mark.parametrize(
    ("method", "path", "headers", "place"),
    [
        ("POST", "workflow/{workflow}", NO_TAG, "If-Match"),
        ("PATCH", "workflowExecution/{execution}", NO_TAG, "If-Match"),
        ("PATCH", "workflowExecution/{execution}", LONG, "x-stepswitch-reason"),
        ("PUT", "workflowExecution", {"Idempotency-Key": "x" * 1000}, "Idempotency-Key"),
    ],
)
async def test_a_header_that_is_wrong_is_told_beside_a_body_that_is_no_json(
    method: str, path: str, headers: dict[str, str], place: str, tmp_path: Path
) -> None:
    async with real_service(tmp_path) as real:
        workflow = (await real.create(WORKFLOW))["id"]
        order = {"workflowId": workflow, "contextType": "NONE", "debugStepIds": ["a"]}
        execution = (await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"]
        where = f"{PLAIN}/{path.format(workflow=workflow, execution=execution)}"
        json_headers = {"content-type": "application/json", **headers}
        answer = await real.client.request(method, where, headers=json_headers, content=b'{"a": }')
        assert answer.status_code == 400
        told = [each["message"] for each in answer.json()["errors"]]
        assert [each.partition(": ")[0] for each in told] == [place, "line 1, column 7"]


BAD_KEY: Final = {"Idempotency-Key": "x" * 1000}
NO_SUCH: Final = {"workflowId": IS_THERE, "contextType": "NONE", "assignments": {"nothing": 1}}
OTHER_PART: Final = ("other", FILE[1])
MASKED: Final = {"type": "password", "defaultValue": "********"}


def json_part(value: Any) -> Any:
    return (None, value if isinstance(value, bytes) else json.dumps(value), "application/json")


@pytest.mark.parametrize(
    ("method", "path", "headers", "sent", "places"),
    [
        ("PUT", "/workflowExecution", BAD_KEY, {"json": BAD_ORDER}, ["Idempotency-Key", "contextType", "pauseAtFailure"]),
        ("PUT", "/workflowExecution", BAD_KEY, {"json": NO_SUCH}, ["Idempotency-Key", "assignments.nothing"]),
        ("PUT", "/workflowExecution", {**BAD_KEY, "content-type": "text/plain"}, {"content": "{}"}, ["Idempotency-Key", "Content-Type"]),
        ("POST", "/workflowExecution", BAD_KEY, {"content": "{}"}, ["Idempotency-Key", "Content-Type"]),
        ("POST", "/workflowExecution", BAD_KEY, {"files": [OTHER_PART]}, ["Idempotency-Key", "other", "workflowExecution"]),
        (
            "POST", "/workflowExecution", BAD_KEY, {"files": [("workflowExecution", json_part(b"{")), OTHER_PART, FILE, FILE]},
            ["Idempotency-Key", "line 1, column 2", "other", "files"],
        ),
        (
            "POST", "/workflowExecution", BAD_KEY, {"files": [FILE, OTHER_PART, ("workflowExecution", json_part(NO_SUCH))]},
            ["Idempotency-Key", "other", "assignments.nothing"],
        ),
        ("POST", "/workflowExecution", BAD_KEY, {"files": [("workflowExecution", json_part(BAD_ORDER)), FILE]}, ["Idempotency-Key", "contextType", "pauseAtFailure"]),
        ("POST", "/workflow", {}, {"files": [("workflow", json_part(b"{")), OTHER_PART]}, ["line 1, column 2", "other"]),
        ("POST", "/workflow/{workflow}/attachments", NO_TAG, {"files": [OTHER_PART]}, ["If-Match", "other", "file"]),
        ("POST", "/workflow/{workflow}", NO_TAG, {"json": WORKFLOW | {"inputs": {"pin": MASKED, "new": MASKED}}}, ["If-Match", "inputs.new.defaultValue"]),
        (
            "POST", "/workflowExecution/{execution}/attachments", LONG | NO_TAG, {"files": [OTHER_PART]},
            ["x-stepswitch-reason", "If-Match", "other", "file"],
        ),
        (
            "PATCH", "/workflowExecution/{execution}", LONG | NO_TAG, {"json": {"startStepId": "nowhere", "pauseAtFailure": 3}},
            ["x-stepswitch-reason", "If-Match", "pauseAtFailure", "startStepId"],
        ),
        (
            "POST", "/values", LONG | NO_TAG, {"json": {"values": {"nothing": 1}, "other": 1}},
            ["x-stepswitch-reason", "If-Match", "other", "values.nothing"],
        ),
    ],
)  # fmt: skip
async def test_a_header_that_is_wrong_is_told_beside_what_the_body_means(
    method: str, path: str, headers: dict[str, str], sent: Any, places: list[str], tmp_path: Path
) -> None:
    async with real_service(tmp_path) as real:
        workflow = (await real.create(WORKFLOW | {"inputs": {"word": TEXT, "pin": {"type": "password", "defaultValue": "a pigeon"}}}))["id"]
        order = {"workflowId": workflow, "contextType": "NONE", "debugStepIds": ["a"]}
        execution = (await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"]
        where = f"{OWN}/executions/{execution}/values" if path == "/values" else PLAIN + path.format(workflow=workflow, execution=execution)
        before = await everything(real)
        request = real.client.build_request(method, where, headers=headers, **sent)
        content = request.read().replace(IS_THERE.encode(), workflow.encode())
        answer = await real.client.request(method, where, headers=request.headers, content=content)
        assert answer.status_code == 400, answer.text
        assert [each["message"].partition(": ")[0] for each in answer.json()["errors"]] == places
        assert await everything(real) == before


async def test_two_faults_are_told_with_their_places_and_nothing_is_changed(tmp_path: Path) -> None:
    async with real_service(tmp_path) as real:
        workflow = (await real.create(WORKFLOW))["id"]
        order = {"workflowId": workflow, "contextType": "NONE", "debugStepIds": ["a"]}
        execution = (await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"]
        assert (await real.client.post(f"{OWN}/credentials", json=CREDENTIAL)).status_code == 200
        names = {
            "credential": "core",
            "workflowId": workflow,
            "workflowExecutionId": execution,
            "username": "admin",
            "revision": "1",
            "role": "none",
            **inventories.NAMES,
        }
        before = await everything(real)
        untold = []
        for name, row in ROWS.items():
            if isinstance(row, str):
                continue
            path, operation = OPERATIONS[name]
            path = path.format(**names | ({"workflowId": "%20"} if name == "createWorkflowAs" else {}))
            sent: JsonObject = {"json": row.body} if row.body is not None else {"files": row.parts}
            request = real.client.build_request(operation.method, path, params=row.query, headers=row.headers, **sent)
            content = request.read().replace(IS_THERE.encode(), workflow.encode())
            answer = await real.client.request(request.method, request.url, headers=request.headers, content=content)
            told = [each["message"].partition(": ")[0] for each in answer.json()["errors"]] if answer.status_code == 400 else []
            untold += [(name, place, answer.status_code, told) for place in (row.first, row.second) if place not in told]
            assert await everything(real) == before, f"{name} has changed something"
    assert not untold
