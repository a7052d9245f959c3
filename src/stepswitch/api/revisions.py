"""The operations of a workflow's earlier revisions. Listed in `catalogue_operations`."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import wanted_tags
from stepswitch.api.wire.requests import existing_id
from stepswitch.api.wire.times import format_time
from stepswitch.api.workflows import checked_response
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError
from stepswitch.engine.differences import MISSING, Difference, at, differences
from stepswitch.engine.kept_passwords import masked_document


async def list_revisions(call: Call) -> Response:
    """Answer with every revision of a workflow, oldest first."""
    found = await call.services.catalogue.revisions(call.caller, _workflow_id(call))
    listed = [{"number": each.number, "changedAt": format_time(each.changed_at), "changedBy": each.changed_by} for each in found]
    return json_response(encode(listed))


async def read_revision(call: Call) -> Response:
    """Answer with a workflow as it was."""
    workflow = await call.services.catalogue.revision(call.caller, _workflow_id(call), _number(call))
    return json_response(call.answers.workflow(workflow, call.root))


async def compare_revisions(call: Call) -> Response:
    """Answer with what a revision changed, against the one before or another one."""
    number, text = _number(call), call.request.query_params.get("against")
    if text is not None and _as_number(text) is None:
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, "against", "is no number of a revision")])
    against = number - 1 if text is None else _as_number(text) or 0
    after = (await call.services.catalogue.revision(call.caller, _workflow_id(call), number)).document
    before: Mapping[str, Any] = {}
    if text is not None or against > 0:  # what the first revision changed is all of it
        before = (await call.services.catalogue.revision(call.caller, _workflow_id(call), against)).document
    shown_before, shown_after = masked_document(before), masked_document(after)
    return json_response(encode([_written(each, shown_before, shown_after) for each in differences(before, after)]))


async def restore_revision(call: Call) -> Response:
    """Make a revision the current one again."""
    tags = wanted_tags(call.request)
    return checked_response(call, await call.services.catalogue.restore(call.caller, _workflow_id(call), _number(call), tags))


def _written(difference: Difference, shown_before: Mapping[str, Any], shown_after: Mapping[str, Any]) -> dict[str, Any]:
    """Return a difference as it may be shown: what was compared is in clear, what is shown is not."""
    if difference.before is MISSING:
        return {"op": "add", "path": difference.path, "after": at(shown_after, difference.path)}
    if difference.after is MISSING:
        return {"op": "remove", "path": difference.path, "before": at(shown_before, difference.path)}
    before, after = at(shown_before, difference.path), at(shown_after, difference.path)
    return {"op": "replace", "path": difference.path, "before": before, "after": after}


def _workflow_id(call: Call) -> str:
    return existing_id(call.request.path_params["workflowId"])


def _number(call: Call) -> int:
    number = _as_number(call.request.path_params["revision"])
    if number is None:
        raise NotFoundError("there is no such revision")
    return number


def _as_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None
