"""The operations of the workflow catalogue. Listed in `operations`."""

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.requests import existing_id, workflow_document


async def create_workflow(call: Call) -> Response:
    """Store a workflow; answer with it as it is now."""
    document = workflow_document(await read_json(call.request))
    checked = await call.services.catalogue.create(call.caller, document)
    headers = {"x-stepswitch-warnings": str(len(checked.warnings))} if checked.warnings else None
    return json_response(call.answers.workflow(checked.workflow, call.root), headers)


async def read_workflow(call: Call) -> Response:
    """Answer with a workflow."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    return json_response(call.answers.workflow(await call.services.catalogue.get(call.caller, workflow_id), call.root))
