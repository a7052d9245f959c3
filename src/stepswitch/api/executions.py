"""The operation that queues an execution; with files it is in `attachments`. Listed in `operations`."""

from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from stepswitch.api.connections import when_cut
from stepswitch.api.services import Call, execution_response
from stepswitch.api.waiting import stand_when
from stepswitch.api.wire.bodies import parsed_json, read_body
from stepswitch.api.wire.idempotency import idempotency_key
from stepswitch.api.wire.preferences import APPLIED_HEADER, preferred_wait
from stepswitch.api.wire.requests import execution_request, existing_id
from stepswitch.api.wire.together import beside_body
from stepswitch.domain.errors import StepswitchError
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.keyed_requests import Queued
from stepswitch.engine.views import ExecutionView, is_settled

REPEATED_HEADER: Final = "x-stepswitch-repeated"
_KIND: Final = b"PUT"
_log = structlog.get_logger("stepswitch.api")


async def create_execution(call: Call) -> Response:
    """Queue an execution; answer with it, its first step execution included."""
    seconds = preferred_wait(call.request)
    key, (body, request), wrong = await beside_body(partial(idempotency_key, call.request), _order(call.request))
    existing_id(request.workflow_id)
    if wrong:
        refused = replace(request, faults=(*wrong, *request.faults))
        return await queued_response(call, Queued(await call.services.executions.create(call.caller, refused)))
    if seconds:
        request = replace(request, is_awaited=True)
    if key is not None:
        return await queued_response(call, await call.services.keyed_requests.create(call.caller, request, key, _KIND, body), seconds)
    answers = call.services.cut_answers
    order = await answers.order(call.caller, body)
    when_cut(call.request, partial(answers.cut, order))
    return await queued_response(call, await answers.carry_out(call.caller, order, request), seconds)


async def _order(request: Request) -> tuple[bytes, ExecutionRequest]:
    """Return the body as it came, and what it asks for."""
    body = await read_body(request)
    return body, execution_request(await parsed_json(body))


async def queued_response(call: Call, queued: Queued, seconds: int | None = None) -> Response:
    """Return the 200 with an execution that somebody asked for, now or before; as it has ended, is paused, or is after so many `seconds`, where he prefers to wait."""
    headers = {REPEATED_HEADER: "true"} if queued.is_repeat else {}
    if seconds is None:
        return await execution_response(call, queued.view, headers=headers)
    headers[APPLIED_HEADER] = f"wait={seconds}"
    view = await _settled(call, queued.view, seconds) if seconds else queued.view
    return await execution_response(call, view, headers=headers)


async def _settled(call: Call, view: ExecutionView, seconds: int) -> ExecutionView:
    """Return an execution as soon as it has ended or is paused, or after `seconds`; as it was queued where it cannot be shown then.

    It is stored: an answer that said anything else, because of what came afterwards, would be read as if it were not.
    """
    if is_settled(view.head.status):
        return view
    execution_id = view.head.id
    try:
        await stand_when(call, execution_id, lambda stand, _: stand.is_settled, seconds)
        return await call.services.views.shown(call.caller, execution_id)
    except StepswitchError as error:
        _log.warning("an execution was queued, and how it ended could not be waited for", execution=execution_id, error=str(error))
        return view
