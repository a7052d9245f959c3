"""The operations of executions. Listed in `operations`."""

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.requests import execution_request, existing_id


async def create_execution(call: Call) -> Response:
    """Queue an execution; answer with it, its first step execution included."""
    request = execution_request(await read_json(call.request))
    existing_id(request.workflow_id)
    return json_response(call.answers.execution(await call.services.executions.create(call.caller, request), call.root))
