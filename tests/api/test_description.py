"""Risk: the description of the API lies, leaves something out, or cannot be read without the Internet."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from stepswitch.api.app import StepswitchApi, describe
from stepswitch.api.openapi import openapi_document
from stepswitch.api.operations import served
from stepswitch.api.reference_page import reference_page
from stepswitch.api.wire import models
from tests.api.house import House

DOCUMENT = openapi_document("1.2.3")
OPERATIONS = {(path, method): each for path, methods in DOCUMENT["paths"].items() for method, each in methods.items()}


async def test_it_is_served_to_everybody(house: House) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as client:
        answer = await client.get("/openapi.json")
        page = await client.get("/docs")
    assert (answer.status_code, answer.json()) == (200, DOCUMENT)
    assert isinstance(house.app, StepswitchApi)
    assert house.app.openapi() == DOCUMENT
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_process_makes_it_once_for_each_version(house: House) -> None:
    assert isinstance(house.app, StepswitchApi)
    assert describe("1.2.3").document is house.app.openapi()
    other = describe("9.8.7")
    assert (other.document["info"]["version"], json.loads(other.encoded)["info"]["version"]) == ("9.8.7", "9.8.7")
    assert "9.8.7" in other.page.decode()


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len({each["operationId"] for each in OPERATIONS.values()}) == len(OPERATIONS)


def test_every_reference_leads_somewhere_and_everything_is_described() -> None:
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place["description"], reference
    undescribed = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, each in schema.get("properties", {}).items()
        if not each.get("description")
    ]
    assert not undescribed
    for path in ("/stepswitch/api/v1/events", "/stepswitch/api/v1/executions/{workflowExecutionId}/events"):
        events = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]["anyOf"]
        assert all(field["description"] for event in events for field in event["properties"].values())
    for operation in OPERATIONS.values():
        assert operation["summary"]
        assert operation["description"]
        assert all(parameter["description"] for parameter in operation["parameters"])
        assert all(response["description"] for response in operation["responses"].values())


def test_every_parameter_of_a_path_is_described() -> None:
    for (path, _), operation in OPERATIONS.items():
        described = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path)), path


def test_401_403_404_have_no_body_and_400_500_list_errors() -> None:
    for (path, _), operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            if status in {"401", "403", "404", "204", "302", "304"}:
                assert "content" not in response
            elif path.endswith("/health") and status == "503":
                assert response["content"] == operation["responses"]["200"]["content"]
            elif status != "200":
                assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}


def test_every_operation_that_asks_the_store_may_be_503() -> None:
    assert not [key for key, operation in OPERATIONS.items() if "503" not in operation["responses"]]


def test_the_seeds_operation_is_described_as_its_page_says() -> None:
    operation = OPERATIONS["/telco/api/workflows/workflowExecution", "put"]
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "404", "500"}
    request = DOCUMENT["components"]["schemas"]["WorkflowExecutionCreateRequest"]
    assert set(request["required"]) == {"workflowId", "contextType"}
    assert set(request["properties"]) == {
        "workflowId", "contextType", "context", "assignments", "attachments", "pauseAtFailure", "debugStepIds", "retainedTil",
    }  # fmt: skip
    execution = DOCUMENT["components"]["schemas"]["WorkflowExecution"]["properties"]
    assert {"pauseAtFailure", "retainedTil", "debugStepIds", "contextType", "workflow", "id", "creationTime", "aborted", "endTime",
            "creationUser", "stepExecutions", "logs"} <= set(execution)  # fmt: skip


@pytest.mark.parametrize(
    "operation", [operation for _, operation, has_tenant in served() if not has_tenant], ids=lambda operation: str(operation.id)
)
def test_an_example_is_a_request_that_is_described(operation: Any) -> None:
    if operation.example is not None:
        operation.request.model_validate(operation.example)


async def test_the_example_workflow_is_accepted(house: House) -> None:
    example = OPERATIONS["/telco/api/workflows/workflow", "put"]["requestBody"]["content"]["application/json"]["example"]
    workflow_id = await house.put_workflow(example)
    order = OPERATIONS["/telco/api/workflows/workflowExecution", "put"]["requestBody"]["content"]["application/json"]["example"]
    house.clock.time = 1_780_000_000_000
    answer = await house.put_execution(**order | {"workflowId": workflow_id})
    assert answer.status_code == 200, answer.text


def test_the_models_refuse_what_nobody_described() -> None:
    with pytest.raises(ValueError, match="extra"):
        models.ErrorResponse.model_validate({"errors": [], "trace": "x"})


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    page = reference_page(DOCUMENT)
    seen = _Page()
    seen.feed(page)
    assert not seen.open
    assert not seen.tags & {"script", "link", "img", "iframe"}
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    assert {target.removeprefix("#") for target in seen.targets if target.startswith("#")} <= seen.ids
    for path, _ in OPERATIONS:
        assert path in page
    for field in ("retainedTil", "x-hm-authorization", "waitingAfterExecution"):
        assert field in page


class _Page(HTMLParser):
    """Notes tags, ids and links, and what was not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        self.ids.update(value for name, value in attrs if name == "id" and value)
        self.targets += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
