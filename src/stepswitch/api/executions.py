"""The operation that queues an execution; with files it is in `attachments`. Listed in `operations`."""

from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepswitch.api.connections import when_cut
from stepswitch.api.services import Call, execution_response
from stepswitch.api.wire.bodies import parsed_json, read_body
from stepswitch.api.wire.idempotency import idempotency_key
from stepswitch.api.wire.requests import execution_request, existing_id
from stepswitch.api.wire.together import beside_body
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.keyed_requests import Queued

REPEATED_HEADER: Final = "x-stepswitch-repeated"
_KIND: Final = b"PUT"


async def create_execution(call: Call) -> Response:
    """Queue an execution; answer with it, its first step execution included."""
    key, (body, request), wrong = await beside_body(partial(idempotency_key, call.request), _order(call.request))
    existing_id(request.workflow_id)
    if wrong:
        refused = replace(request, faults=(*wrong, *request.faults))
        return await queued_response(call, Queued(await call.services.executions.create(call.caller, refused)))
    if key is not None:
        return await queued_response(call, await call.services.keyed_requests.create(call.caller, request, key, _KIND, body))
    answers = call.services.cut_answers
    order = await answers.order(call.caller, body)
    when_cut(call.request, partial(answers.cut, order))
    return await queued_response(call, await answers.carry_out(call.caller, order, request))


async def _order(request: Request) -> tuple[bytes, ExecutionRequest]:
    """Return the body as it came, and what it asks for."""
    body = await read_body(request)
    return body, execution_request(await parsed_json(body))


async def queued_response(call: Call, queued: Queued) -> Response:
    """Return the 200 with an execution that somebody asked for, now or before."""
    return await execution_response(call, queued.view, headers={REPEATED_HEADER: "true"} if queued.is_repeat else None)
