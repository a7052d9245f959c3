"""The operations that list workflows and executions. Listed in `list_operations`."""

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from starlette.responses import Response

from stepswitch.api.list_requests import ListKind, ListRequest, list_request
from stepswitch.api.services import Call, json_response, pieces_response
from stepswitch.api.wire import models
from stepswitch.api.wire.fields import Fields, shape_of
from stepswitch.engine.selection import EXECUTION_ATTRIBUTES, WORKFLOW_ATTRIBUTES, Page
from stepswitch.engine.views import Wanted


@lru_cache(1)
def workflow_lists() -> ListKind:
    """Return what the list of workflows is."""
    return ListKind("workflow", WORKFLOW_ATTRIBUTES, "createdAt", shape_of(models.WorkflowResponse), {})


@lru_cache(1)
def execution_lists() -> ListKind:
    """Return what the list of executions is."""
    logs = (("logs",), ("stepExecutions", "logs"))
    return ListKind(
        "workflowExecution", EXECUTION_ATTRIBUTES, "creationTime", shape_of(models.WorkflowExecution), {"name": "workflow/name"}, logs
    )


async def list_workflows(call: Call) -> Response:
    """Answer with a page of workflows."""
    asked = list_request(call.request, workflow_lists())
    page = await call.services.lists.workflows(call.caller, asked.selection)
    items = [call.answers.workflow(stored, call.root, asked.fields) for stored in page.items]
    return json_response(b"[" + b",".join(items) + b"]", _headers(call, asked, page))


async def list_executions(call: Call) -> Response:
    """Answer with a page of executions; a long one is written as it is read."""
    asked = list_request(call.request, execution_lists())
    page = await call.services.lists.executions(call.caller, asked.selection)
    headers = _headers(call, asked, page)
    return await pieces_response(_array(_execution_pieces(call, page, asked.fields)), headers)


def wanted_of(fields: Fields) -> Wanted:
    """Return what of an execution has to be read to show `fields`."""
    return Wanted(
        steps=fields.shows("stepExecutions"),
        step_logs=fields.shows("stepExecutions", "logs"),
        logs=fields.shows("logs"),
        values=any(map(fields.shows, ("outputs", "assignments", "context", "waitingFor"))),
    )


async def _execution_pieces(call: Call, page: Page[str], fields: Fields) -> AsyncIterator[bytes]:
    """Give the executions of a page with commas between them."""
    separator = b""
    async for view in call.services.lists.views(call.caller, page.items, wanted_of(fields)):
        async for piece in call.answers.execution_pieces(view, call.root, fields):
            yield separator + piece
            separator = b""
        separator = b","


async def _array(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    opening = b"["
    async for piece in pieces:
        yield opening + piece
        opening = b""
    yield opening + b"]"


def _headers(call: Call, asked: ListRequest, page: Page[Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    if page.last is not None:
        headers["Link"] = asked.link_to(f"{call.root.prefix}/{asked.kind.name}", page.last)
    if page.total is not None:
        headers["x-total-count"] = str(page.total)
    return headers
