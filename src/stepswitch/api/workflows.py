"""The operations of the workflow catalogue. Listed in `catalogue_operations`; earlier revisions are in `revisions`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from starlette.responses import Response

from stepswitch.api.list_requests import fields_request
from stepswitch.api.lists import workflow_lists
from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import UNSHARED, etag, known_tags, unchanged, wanted_tags
from stepswitch.api.wire.requests import conversion, existing_id, new_id, workflow_document
from stepswitch.api.wire.together import both, faults_of
from stepswitch.domain.errors import Fault, InvalidRequestError
from stepswitch.engine.catalogue import Checked, tag_of
from stepswitch.engine.kept_passwords import masked_document


def checked_response(call: Call, checked: Checked) -> Response:
    """Return the 200 with a workflow that was stored a moment ago."""
    headers = {"ETag": etag(tag_of(checked.workflow))}
    if checked.warnings:
        headers["x-stepswitch-warnings"] = str(len(checked.warnings))
    return json_response(call.answers.workflow(checked.workflow, call.root), headers)


async def refuse(call: Call, document: Mapping[str, Any], faults: Sequence[Fault]) -> NoReturn:
    """Raise InvalidRequestError with what is wrong around a document, and with what is wrong in it."""
    raise InvalidRequestError([*faults, *(await call.services.catalogue.validate(document)).faults])


async def create_workflow(call: Call) -> Response:
    """Store a workflow; answer with it as it is now."""
    document = workflow_document(await read_json(call.request))
    return checked_response(call, await call.services.catalogue.create(call.caller, document))


async def create_workflow_as(call: Call) -> Response:
    """Store a workflow under the id that the path gives."""
    document = workflow_document(await read_json(call.request))
    try:
        workflow_id = new_id(call.request.path_params["workflowId"])
    except InvalidRequestError as error:
        await refuse(call, document, error.faults)
    return checked_response(call, await call.services.catalogue.create(call.caller, document, workflow_id))


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
    read_tags = partial(wanted_tags, call.request)
    wrong = faults_of(read_tags)
    try:
        document = workflow_document(await read_json(call.request))
    except InvalidRequestError as error:
        raise InvalidRequestError([*wrong, *error.faults]) from None
    if wrong:
        await refuse(call, document, wrong)
    tags = read_tags()
    return checked_response(call, await call.services.catalogue.replace(call.caller, workflow_id, document, tags))


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
