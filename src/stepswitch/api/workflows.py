"""The operations of the workflow catalogue. Listed in `catalogue_operations`; earlier revisions are in `revisions`."""

from collections.abc import Sequence
from functools import partial

from starlette.responses import Response

from stepswitch.api.list_requests import fields_request
from stepswitch.api.lists import workflow_lists
from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json, read_json_as
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import UNSHARED, etag, known_tags, unchanged, wanted_tags
from stepswitch.api.wire.requests import conversion, existing_id, new_id, workflow_document
from stepswitch.api.wire.together import beside_body, both, noted
from stepswitch.domain.errors import Fault
from stepswitch.engine.catalogue import Checked, tag_of
from stepswitch.engine.kept_passwords import masked_document


def checked_response(call: Call, checked: Checked) -> Response:
    """Return the 200 with a workflow that was stored a moment ago."""
    headers = {"ETag": etag(tag_of(checked.workflow))}
    if checked.warnings:
        headers["x-stepswitch-warnings"] = str(len(checked.warnings))
    return json_response(call.answers.workflow(checked.workflow, call.root), headers)


async def create_workflow(call: Call) -> Response:
    """Store a workflow; answer with it as it is now."""
    document = workflow_document(await read_json(call.request))
    return checked_response(call, await call.services.catalogue.create(call.caller, document))


async def create_workflow_as(call: Call) -> Response:
    """Store a workflow under the id that the path gives."""
    document = workflow_document(await read_json(call.request))
    workflow_id, wrong = noted(partial(new_id, call.request.path_params["workflowId"]))
    return checked_response(call, await call.services.catalogue.create(call.caller, document, workflow_id, wrong))


async def read_workflow(call: Call) -> Response:
    """Answer with a workflow, unless the caller has it already."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    fields, _ = both(partial(fields_request, call.request, workflow_lists().shape), partial(known_tags, call.request))
    workflow = await call.services.catalogue.get(call.caller, workflow_id)
    headers = {"ETag": etag(tag_of(workflow)), "Cache-Control": UNSHARED}
    return unchanged(call.request, tag_of(workflow)) or json_response(call.answers.workflow(workflow, call.root, fields), headers)


async def replace_workflow(call: Call) -> Response:
    """Store the next revision of a workflow; answer with it as it is now."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    tags, document, wrong = await beside_body(partial(wanted_tags, call.request), read_json_as(call.request, workflow_document))
    return checked_response(call, await call.services.catalogue.replace(call.caller, workflow_id, document, tags, wrong))


async def delete_workflow(call: Call) -> Response:
    """Remove a workflow."""
    workflow_id = existing_id(call.request.path_params["workflowId"])
    await call.services.catalogue.delete(call.caller, workflow_id, wanted_tags(call.request))
    return Response(None, 204)


async def convert_workflow(call: Call) -> Response:
    """Answer with a document of an older schema in schema 3.0; nothing is stored."""
    original, owner, faults = conversion(await read_json(call.request))
    return json_response(encode(masked_document(await call.services.catalogue.convert(original, owner, faults))))


async def validate_workflow(call: Call) -> Response:
    """Answer with everything that can be said about a document; nothing is stored."""
    review = await call.services.catalogue.validate(workflow_document(await read_json(call.request)))
    return json_response(encode({"faults": _listed(review.faults), "warnings": _listed(review.warnings)}))


def _listed(faults: Sequence[Fault]) -> list[dict[str, str]]:
    return [{"code": fault.code, "path": fault.path, "message": fault.message} for fault in faults]
