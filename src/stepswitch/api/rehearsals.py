"""The operation that rehearses workflows. Listed in `rehearsal_operations`."""

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.rehearsals import rehearsal_order, shown_reports


async def rehearse_workflow(call: Call) -> Response:
    """Answer with what every rehearsal of a document came to; nothing is stored, and nothing is sent."""
    order = rehearsal_order(await read_json(call.request))
    return json_response(encode(shown_reports(await call.services.rehearsals.rehearse(call.caller, order))))
