"""The operation that rehearses workflows. Listed in `rehearsal_operations`."""

import asyncio

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.rehearsals import is_large_body, rehearsal_order, shown_reports


async def rehearse_workflow(call: Call) -> Response:
    """Answer with what every rehearsal of a document came to; nothing is stored, and nothing is sent."""
    body = await read_json(call.request)
    order = await asyncio.to_thread(rehearsal_order, body) if is_large_body(body) else rehearsal_order(body)
    return json_response(encode(shown_reports(await call.services.rehearsals.rehearse(call.caller, order))))
