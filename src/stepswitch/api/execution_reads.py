"""Reading one execution: at once, only where it has changed, or as soon as it does. Listed in `operations`."""

import hashlib
from functools import partial
from typing import Final

from starlette.responses import Response

from stepswitch.api.list_requests import fields_request
from stepswitch.api.lists import execution_lists, wanted_of
from stepswitch.api.services import Call, execution_response
from stepswitch.api.waiting import stand_when
from stepswitch.api.wire.etags import UNSHARED, KnownTags, etag, known_tags
from stepswitch.api.wire.preferences import APPLIED_HEADER, preferred_wait
from stepswitch.api.wire.requests import existing_id
from stepswitch.api.wire.together import both
from stepswitch.engine.views import Stand

_HASH_BYTES: Final = 8


async def read_execution(call: Call) -> Response:
    """Answer with an execution as it is on disk; to who prefers to wait, as soon as it is no longer as it was. A long one is sent while it is read."""
    execution_id = existing_id(call.request.path_params["workflowExecutionId"])
    fields, known = both(partial(fields_request, call.request, execution_lists().shape), partial(known_tags, call.request))
    seconds = preferred_wait(call.request)
    if seconds:
        stand = await stand_when(call, execution_id, partial(_is_news, known), seconds)
    else:
        stand = await call.services.views.stand(call.caller, execution_id)
    tag = _tag(call, stand)
    headers = {"ETag": etag(tag, is_weak=True), "Cache-Control": UNSHARED}
    if seconds is not None:
        headers[APPLIED_HEADER] = f"wait={seconds}"
    if known.has(tag):
        return Response(None, 304, headers)
    view = await call.services.views.shown(call.caller, execution_id, wanted_of(fields))
    return await execution_response(call, view, fields, headers)


def _is_news(known: KnownTags, stand: Stand, first: Stand) -> bool:
    """Return whether an execution that stood as `first` when the request came is to be shown as it stands now: it has changed, has ended, or is not as the tags say."""
    return stand.has_ended or stand.lasting != first.lasting or bool(known and not _names(known, stand))


def _names(known: KnownTags, stand: Stand) -> bool:
    """Return whether a tag names how an execution stands; why it waits may be another reason by now."""
    return known.is_any or any(tag.rpartition(".")[0] == _lasting(stand) for tag in known.tags)


def _tag(call: Call, stand: Stand) -> str:
    """Return the tag of what is shown: one for each way to ask for it. Weak, for it is made before the rows are read, which may be newer."""
    query = call.request.query_params
    asked = (call.root.prefix, query.get("fields"), query.get("exclude_fields"), call.services.version)
    return f"{_lasting(stand)}.{_hash((stand.passing, asked))}"


def _lasting(stand: Stand) -> str:
    return f"{stand.state}.{_hash(stand.lasting)}"


def _hash(value: object) -> str:
    return hashlib.blake2b(repr(value).encode("utf-8", "backslashreplace"), digest_size=_HASH_BYTES).hexdigest()
