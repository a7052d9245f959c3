"""Reading one execution: at once, only where it has changed, or as soon as it does. Listed in `operations`."""

import asyncio
import hashlib
from functools import partial
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stepswitch.api.list_requests import fields_request
from stepswitch.api.lists import execution_lists, wanted_of
from stepswitch.api.services import Call, execution_response
from stepswitch.api.sessions import token_of
from stepswitch.api.wire.etags import UNSHARED, KnownTags, etag, known_tags
from stepswitch.api.wire.preferences import preferred_wait
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
        stand = await _stand_after_change(call, execution_id, known, seconds)
    else:
        stand = await call.services.views.stand(call.caller, execution_id)
    tag = _tag(call, stand)
    headers = {"ETag": etag(tag, is_weak=True), "Cache-Control": UNSHARED}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
    if known.has(tag):
        return Response(None, 304, headers)
    view = await call.services.views.shown(call.caller, execution_id, wanted_of(fields))
    return await execution_response(call, view, fields, headers)


async def _stand_after_change(call: Call, execution_id: str, known: KnownTags, seconds: int) -> Stand:
    """Return how an execution stands at its next change, at its end or after `seconds`; at once where none of the tags names how it stands."""
    views, watchers = call.services.views, call.services.watchers
    with watchers.watch(execution_id) as changed:
        stand = first = await views.stand(call.caller, execution_id)
        if stand.has_ended or (known and not _names(known, stand)):
            return stand
        limit = asyncio.ensure_future(call.services.clock.sleep(seconds))
        gone = asyncio.ensure_future(_disconnected(call.request))
        try:
            while stand.lasting == first.lasting and not limit.done() and not watchers.is_closed:
                await _any_of(limit, gone, changed)
                if gone.done():
                    raise ClientDisconnect
                changed.clear()
                stand = await views.stand(call.caller, execution_id)
        finally:
            limit.cancel()
            gone.cancel()
    await views.head(
        await call.services.accounts.authenticate(token_of(call.request)), execution_id
    )  # who may not any more is told nothing
    return stand


async def _any_of(limit: "asyncio.Future[None]", gone: "asyncio.Future[None]", changed: asyncio.Event) -> None:
    change = asyncio.ensure_future(changed.wait())
    waiting: set[asyncio.Future[Any]] = {limit, gone, change}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()


async def _disconnected(request: Request) -> None:
    """Return when nobody waits for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


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
