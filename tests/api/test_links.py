"""Risk: a link of the description leads to an operation that is not there, gives it what it does not take, or reads what no answer has."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncssh
import httpx
import pytest

from stepswitch.api.openapi import openapi_document
from tests.api import inventories
from tests.api.real import OWN, PLAIN, Real, real_service

PATHS: Final = openapi_document("1")["paths"]
OPERATIONS: Final = {each["operationId"]: (method, path, each) for path, methods in PATHS.items() for method, each in methods.items()}
LINKS: Final = [
    (start, name, link)
    for start, (_, _, operation) in OPERATIONS.items()
    for response in operation["responses"].values()
    for name, link in response.get("links", {}).items()
]
TEXT: Final = {"type": "string"}
WORKFLOW: Final = {
    "name": "Say", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
    "inputs": {"word": TEXT}, "steps": {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP"}},
}  # fmt: skip
OLD: Final = {
    "name": "Old", "version": "1", "schemaVersion": "1.0",
    "steps": [{"stepId": "s", "stepNumber": 1, "workflow": "RUN_SSH_COMMAND_IN_GUEST", "namespace": "", "type": "VRO", "nextStep": "END",
               "inBinding": [{"name": "hostNameOrIP", "type": "string", "default": "r1"}, {"name": "cmd", "type": "string", "default": "id"}],
               "outBinding": []}],
}  # fmt: skip
CREDENTIAL: Final = {
    "source": {"kind": "stored", "value": "a pigeon"},
    "roles": ["*"],
    "workflows": ["*"],
    "devices": ["*"],
}
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
FILE: Final = ("files", ("hello.txt", "hello", "text/plain"))


def plain(operation_id: str) -> str:
    return operation_id.removesuffix("OfTenant")


@pytest.mark.parametrize(("start", "name", "link"), LINKS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_link_gives_an_operation_that_is_there_parameters_that_it_has(start: str, name: str, link: dict[str, Any]) -> None:
    _, _, target = OPERATIONS[link["operationId"]]
    taken = {f"{each['in']}.{each['name']}": each["required"] for each in target["parameters"]}
    given = set(link.get("parameters", {}))
    assert given <= set(taken)
    assert given >= {place for place, is_required in taken.items() if is_required}, "what has to be given is left open"
    assert "requestBody" not in link or "requestBody" in target
    asked = {each["name"] for each in OPERATIONS[start][2]["parameters"]}
    for expression in _expressions(link):
        if found := re.fullmatch(r"\$request\.path\.(\w+)", expression):
            assert found[1] in asked


def test_links_stay_under_their_root() -> None:
    for start, _, link in LINKS:
        _, path, _ = OPERATIONS[link["operationId"]]
        if path.startswith(("/telco", "/tca")):
            of_tenant = start.endswith("OfTenant")
            assert of_tenant == link["operationId"].endswith("OfTenant") or start == "createWorkflowAs"


def test_what_is_made_leads_on() -> None:
    """Whoever makes something is shown where to read it, change it and take it away."""
    led = {(plain(start), plain(link["operationId"])) for start, _, link in LINKS}
    for start, targets in {
        "createWorkflow": {"getWorkflow", "replaceWorkflow", "deleteWorkflow", "createWorkflowExecution", "listRevisions"},
        "createWorkflowExecution": {"getWorkflowExecution", "changeWorkflowExecution", "abortWorkflowExecution", "resumeWorkflowExecution",
                                    "retryWorkflowExecution", "deleteWorkflowExecution", "getWorkflowExecutionLogs", "followExecution"},
        "attachToWorkflow": {"readAttachment", "detachFromWorkflow"},
        "createUser": {"getUser", "changeUser", "endSessionsOfUser", "createTokenOfUser"},
        "createOwnToken": {"endOwnSession"},
        "createRole": {"removeRole"},
        "createCredential": {"getCredential", "changeCredential", "removeCredential", "checkCredential"},
        "putDevice": {"getDevice", "removeDevice"},
        "trustHostKey": {"forgetHostKeys"},
    }.items():  # fmt: skip
        assert {target for source, target in led if source == start} >= targets


@dataclass
class Asked:
    """A request, and what came of it."""

    path: Mapping[str, str]
    body: Any
    answer: httpx.Response


@dataclass
class Walk:
    """Sends requests that work, and follows links from their answers."""

    real: Real
    ssh_port: int
    order: dict[str, Any]
    """Asks for an execution that stops before its first step."""
    made: int = 0

    async def start(self, operation_id: str) -> Asked:
        """Send a request that works, to what is made for it."""
        self.made += 1
        _, template, _ = OPERATIONS[operation_id]
        path = {"tenantId": "default"}
        if plain(operation_id) == "createWorkflowAs":
            path["workflowId"] = f"given-{self.made}"
        elif "{workflowId}" in template:
            path["workflowId"] = (await self.real.create(WORKFLOW))["id"]
        if "{workflowExecutionId}" in template:
            path["workflowExecutionId"] = (await self.real.client.put(f"{PLAIN}/workflowExecution", json=self.order)).json()["id"]
        if "{username}" in template:
            path["username"] = "admin"
        if operation_id == "listCredentials":
            await self.start("createCredential")
        if "{credential}" in template:
            path["credential"] = (await self.start("createCredential")).body["name"]
        if "/inventory" in template:
            assert (await self.real.client.put(f"{OWN}/inventory", json=inventories.WHOLE)).status_code == 200
            path |= inventories.NAMES
        if operation_id == "listHostKeys":
            await self.start("trustHostKey")
        if operation_id in ("listOwnSessions", "listSessionsOfUser"):
            await self.real.login()  # so that it is not this very session which the link ends
        body = self._body(plain(operation_id))
        return Asked(path, body, await self._send(operation_id, path, {}, {}, body))

    async def follow(self, asked: Asked, link: Mapping[str, Any]) -> httpx.Response:
        given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
        for place, expression in link.get("parameters", {}).items():
            kind, _, name = place.partition(".")
            value = _evaluate(expression, asked)
            assert value not in (None, ""), f"{expression} gives nothing"
            given[kind][name] = str(value)
        target = link["operationId"]
        body = _resolve(link["requestBody"], asked) if "requestBody" in link else self._body(plain(target))
        return await self._send(target, given["path"], given["query"], given["header"], body)

    async def _send(
        self, operation_id: str, path: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str], body: Any
    ) -> httpx.Response:
        method, template, operation = OPERATIONS[operation_id]
        url = re.sub(r"{(\w+)}", lambda found: path[found[1]], template)
        more: dict[str, Any] = {} if body is None else {"json": body}
        if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}):
            more = {"files": body}
        request = self.real.client.build_request(method.upper(), url, params=query, headers=headers, **more)
        answer = await self.real.client.send(request, stream=True)
        if "event-stream" not in answer.headers.get("content-type", ""):
            await answer.aread()
        await answer.aclose()
        return answer

    def _body(self, operation_id: str) -> Any:
        return {
            "createWorkflow": WORKFLOW,
            "createWorkflowAs": WORKFLOW,
            "replaceWorkflow": WORKFLOW,
            "createWorkflowWithFiles": [("workflow", (None, json.dumps(WORKFLOW), "application/json")), FILE],
            "createWorkflowExecution": self.order,
            "createWorkflowExecutionWithFiles": [("workflowExecution", (None, json.dumps(self.order), "application/json")), FILE],
            "convertWorkflow": {"owner": {"id": "admin", "type": "USER"}, "original": OLD},
            "attachToWorkflow": [("file", FILE[1])],
            "attachToExecution": [("file", FILE[1])],
            "changeWorkflowExecution": {"pauseAtFailure": True},
            "setExecutionValues": {"values": {"word": "go"}},
            "createUser": {"username": f"user{self.made}", "password": "a pigeon on the roof", "roles": ["Operations"]},
            "changeUser": {"isDisabled": True},
            "createOwnToken": {"name": f"token{self.made}"},
            "createTokenOfUser": {"name": f"token{self.made}"},
            "createRole": {"name": f"role{self.made}", "privileges": ["Workflow Read"]},
            "createCredential": {**CREDENTIAL, "name": f"credential{self.made}"},
            "changeCredential": {"description": "for people"},
            "scanHostKeys": {"host": "127.0.0.1", "port": self.ssh_port},
            **inventories.BODIES,
            "trustHostKey": {"host": "127.0.0.1", "port": self.ssh_port, "publicKey": KEY},
        }.get(operation_id)


@asynccontextmanager
async def an_ssh_server() -> AsyncIterator[int]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[key])
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_each_link_is_followed_from_a_real_answer(tmp_path: Path) -> None:
    async with an_ssh_server() as port, real_service(tmp_path) as real:
        workflow_id = (await real.create(WORKFLOW))["id"]
        walk = Walk(real, port, {"workflowId": workflow_id, "contextType": "NONE", "debugStepIds": ["a"]})
        for start, name, link in LINKS:
            asked = await walk.start(start)
            assert asked.answer.status_code == 200, (start, asked.answer.status_code, asked.answer.text)
            answer = await walk.follow(asked, link)
            code = answer.headers.get("x-error-code")
            is_over = plain(start) == "abortWorkflowExecution"
            assert code == (None if is_over else REFUSED.get(name)), (start, name, answer.status_code)
            assert code or answer.is_success or answer.status_code == 304, (start, name, answer.status_code)


REFUSED: Final = {
    "retryWorkflowExecution": "STATE_CONFLICT",
    "deleteWorkflowExecution": "STATE_CONFLICT",
    "abandonExecutionCleanup": "STATE_CONFLICT",
    "getVroLoginDetails": "NOT_PERMITTED",
}
"""What does not fit an execution that is paused, or an installation where the settings do not allow it: the execution was found."""


def _expressions(link: Mapping[str, Any]) -> list[str]:
    body = link.get("requestBody")
    values = [*link.get("parameters", {}).values(), *(body.values() if isinstance(body, dict) else [body])]
    return [each for each in values if isinstance(each, str) and each.startswith("$")]


def _resolve(body: Any, asked: Asked) -> Any:
    if isinstance(body, dict):
        return {name: _resolve(each, asked) for name, each in body.items()}
    return _evaluate(body, asked) if isinstance(body, str) and body.startswith("$") else body


def _evaluate(expression: str, asked: Asked) -> Any:
    """Return what a runtime expression of OpenAPI gives."""
    whole, _, pointer = expression.partition("#")
    if whole.startswith("$request.path."):
        return asked.path[whole.removeprefix("$request.path.")]
    if whole.startswith("$response.header."):
        return asked.answer.headers[whole.removeprefix("$response.header.")]
    value = {"$request.body": lambda: asked.body, "$response.body": asked.answer.json}[whole]()
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
