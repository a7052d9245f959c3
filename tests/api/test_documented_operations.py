"""Risk: one of the documented operations is missing under a root, or takes and gives something else than it is documented to."""

from typing import Any, Final

import httpx
import pytest

from stepswitch.api.openapi import openapi_document
from stepswitch.api.operation import ROOTS
from stepswitch.api.operations import WORKFLOW_OPERATIONS
from tests.api.house import House

JSON, PARTS, NONE, TEXT, BYTES = "application/json", "multipart/form-data", None, "text/plain", "application/octet-stream"
W, E = "/workflow/{workflowId}", "/workflowExecution/{workflowExecutionId}"
LIST: Final = {"query filter", "query nextpage_opaque_marker", "query fields", "query exclude_fields", "header x-tca-anymatch"}
KEY: Final = {"header Idempotency-Key"}
FILE: Final = {"query attachmentId"}
STEERED: Final = {"header x-stepswitch-reason", "header If-Match"}
Row = tuple[int, str, str, str | None, str | None, int, str | None, set[str]]
DOCUMENTED: Final[list[Row]] = [
    # number, method and path; what is sent, and its structure; the success, and its structure; parameters beside those in the path
    (1, "POST", "/convert", JSON, "WorkflowConversion", 200, "WorkflowBase", set()),
    (2, "PUT", "/workflow", JSON, "WorkflowBase", 200, "WorkflowResponse", set()),
    (3, "POST", "/workflow", PARTS, "workflow files", 200, "WorkflowResponse", set()),
    (4, "DELETE", W, NONE, None, 204, None, {"header If-Match"}),
    (5, "GET", W, NONE, None, 200, "WorkflowResponse", {"header If-None-Match"}),
    (6, "GET", "/workflow", NONE, None, 200, "[WorkflowResponse]", LIST),
    (7, "POST", W, JSON, "WorkflowBase", 200, "WorkflowResponse", {"header If-Match"}),
    (8, "POST", f"{W}/attachments", PARTS, "file", 200, "FileAttachment", {"header If-Match"}),
    (9, "GET", f"{W}/attachments", NONE, None, 200, BYTES, FILE),
    (10, "DELETE", f"{W}/attachments", NONE, None, 204, None, FILE | {"header If-Match"}),
    (11, "PUT", "/workflowExecution", JSON, "WorkflowExecutionCreateRequest", 200, "WorkflowExecution", KEY),
    (12, "POST", "/workflowExecution", PARTS, "workflowExecution files", 200, "WorkflowExecution", KEY),
    (13, "GET", "/workflowExecution", NONE, None, 200, "[WorkflowExecution]", LIST),
    (14, "GET", E, NONE, None, 200, "WorkflowExecution", {"query fields", "query exclude_fields"}),
    (15, "PATCH", E, JSON, "WorkflowExecutionChange", 200, "WorkflowExecution", STEERED),
    (16, "DELETE", E, NONE, None, 204, None, FILE | STEERED),
    (17, "POST", f"{E}/abort", NONE, None, 200, "WorkflowExecution", STEERED),
    (18, "POST", f"{E}/resume", NONE, None, 200, "WorkflowExecution", STEERED),
    (19, "POST", f"{E}/retry", NONE, None, 200, "WorkflowExecution", STEERED),
    (20, "GET", f"{E}/logs", NONE, None, 200, TEXT, set()),
    (21, "GET", f"{E}/vroLoginDetails", NONE, None, 200, "VroLoginDetails", set()),
    (22, "POST", f"{E}/updateWorkflow", NONE, None, 200, "WorkflowResponse", STEERED),
    (23, "POST", f"{E}/attachments", PARTS, "file", 200, "FileAttachment", STEERED),
    (24, "GET", f"{E}/attachments", NONE, None, 200, BYTES, FILE),
    (25, "DELETE", f"{E}/attachments", NONE, None, 204, None, FILE | STEERED),
]
SCHEMAS: Final = openapi_document("1")["components"]["schemas"]
PATHS: Final = openapi_document("1")["paths"]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("row", DOCUMENTED, ids=lambda row: f"{row[0]} {row[1]} {row[2]}")
def test_it_is_served_and_described_under_both_roots(root: str, row: Row) -> None:
    _, method, path, sent, structure, success, given, parameters = row
    described = PATHS[root + path][method.lower()]
    assert _request(described) == (sent, structure)
    assert _success(described) == (success, given)
    assert parameters <= {f"{each['in']} {each['name']}" for each in described["parameters"]}
    errors = {status for status in described["responses"] if status >= "400"}
    assert errors >= {"401", "500", "503"} | ({"404"} if "{" in path or "{" in root else set())
    assert sent is None or errors >= {"400", "413"}


def test_nothing_else_stands_under_the_roots() -> None:
    assert {(each.method, each.path) for each in WORKFLOW_OPERATIONS} == {(method, path) for _, method, path, *_ in DOCUMENTED}
    assert [number for number, *_ in DOCUMENTED] == list(range(1, 26))
    assert ROOTS == ("/telco/api/workflows", "/tca/workflows/api/v1/orgs/{tenantId}")


@pytest.mark.parametrize(("method", "path"), [(method, path) for _, method, path, *_ in DOCUMENTED])
async def test_it_is_reached_by_whoever_is_logged_in_and_by_nobody_else(house: House, root: str, method: str, path: str) -> None:
    place = f"{root}{path}".replace("{workflowId}", "x").replace("{workflowExecutionId}", "x")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as client:
        assert (await client.request(method, place)).status_code == 401
    elsewhere = place.replace("/orgs/default/", "/orgs/elsewhere/")
    if elsewhere != place:
        assert (await house.client.request(method, elsewhere)).status_code == 404


def _request(described: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the type of what is sent, and its structure: the name of an object, or the names of the parts."""
    if "requestBody" not in described:
        return None, None
    ((kind, content),) = described["requestBody"]["content"].items()
    name = content["schema"]["$ref"].rpartition("/")[2]
    return kind, " ".join(SCHEMAS[name]["properties"]) if kind == PARTS else name


def _success(described: dict[str, Any]) -> tuple[int, str | None]:
    """Return the status of the success, and the structure of its body: an object, an array of them, or a type of content."""
    ((status, response),) = [(status, each) for status, each in described["responses"].items() if status.startswith("2")]
    if "content" not in response:
        return int(status), None
    ((kind, content),) = response["content"].items()
    schema = content["schema"]
    if kind != JSON:
        return int(status), kind
    name = schema.get("items", schema)["$ref"].rpartition("/")[2]
    return int(status), f"[{name}]" if schema.get("type") == "array" else name
