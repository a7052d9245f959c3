"""The operations that list workflows and executions. Listed in `list_operations`."""

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from starlette.responses import Response, StreamingResponse

from stepswitch.api.list_requests import ListKind, ListRequest, list_request
from stepswitch.api.services import Call, json_response
from stepswitch.api.wire import models
from stepswitch.api.wire.fields import Fields, shape_of
from stepswitch.engine.lists import HEADS_AT_ONCE, Wanted
from stepswitch.engine.selection import EXECUTION_ATTRIBUTES, WORKFLOW_ATTRIBUTES, Page

_MASKED = ("stepExecutions", "outputs", "assignments", "context", "logs")
"""What the values of steps are masked in: where one of them is shown, the steps have to be read."""


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
    body = _array(_execution_items(call, page, asked.fields))
    if len(page.items) > HEADS_AT_ONCE:
        first = await anext(body)  # what goes wrong at the beginning is still answered as such
        return StreamingResponse(_behind(first, body), 200, headers, "application/json")
    return json_response(b"".join([piece async for piece in body]), headers)


async def _execution_items(call: Call, page: Page[str], fields: Fields) -> AsyncIterator[bytes]:
    wanted = Wanted(steps=any(map(fields.shows, _MASKED)), logs=fields.shows("logs") or fields.shows("stepExecutions", "logs"))
    async for view in call.services.lists.views(call.caller, page.items, wanted):
        yield call.answers.execution(view, call.root, fields)


async def _array(items: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    opening = b"["
    async for item in items:
        yield opening + item
        opening = b","
    yield b"[]" if opening == b"[" else b"]"


async def _behind(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _headers(call: Call, asked: ListRequest, page: Page[Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    if page.last is not None:
        headers["Link"] = asked.link_to(f"{call.root.prefix}/{asked.kind.name}", page.last)
    if page.total is not None:
        headers["x-total-count"] = str(page.total)
    return headers
