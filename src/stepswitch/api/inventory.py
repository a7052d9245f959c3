"""The operations of the inventory. Listed in `inventory_operations`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import structlog
from starlette.responses import Response

from stepswitch.api.services import Call, Handler, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import UNSHARED, etag, known_tags, unchanged, wanted_tags
from stepswitch.api.wire.times import format_time
from stepswitch.api.wire.together import both
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.domain.inventory import Section
from stepswitch.engine.inventories import Place, Tags
from stepswitch.engine.inventory_ports import StoredInventory
from stepswitch.engine.inventory_records import entry_tag
from stepswitch.engine.inventory_sources import ShownSource

WITH_SOURCES: Final = "withSources"
_log = structlog.get_logger("stepswitch.api")


async def read_inventory(call: Call) -> Response:
    """Answer with the whole inventory, with what sources brought where that is wanted, unless the caller has it already."""
    with_sources, _ = both(partial(_wants_sources, call), partial(known_tags, call.request))
    inventories = call.services.inventories
    found = await (inventories.get_all if with_sources else inventories.get)(call.caller)
    tag = found.tag_with_findings if with_sources else found.tag
    return unchanged(call.request, tag) or _whole(found, tag, {"Cache-Control": UNSHARED})


async def replace_inventory(call: Call) -> Response:
    """Put another inventory in its place."""
    document = await read_json(call.request)
    tags, faults = _tags(call)
    made = await call.services.inventories.replace(call.caller, document, tags, faults)
    _log.info("the inventory was replaced", by=call.caller.user, tenant=call.caller.tenant, revision=made.revision)
    return _whole(made, made.tag)


def reading(section: Section, parameter: str) -> Handler:
    """Return the operation that answers with an entry of a section, unless the caller has it already."""

    async def read(call: Call) -> Response:
        found = await call.services.inventories.entry(call.caller, _place(call, section, parameter))
        return unchanged(call.request, entry_tag(found)) or _entry(found, {"Cache-Control": UNSHARED})

    return read


def putting(section: Section, parameter: str) -> Handler:
    """Return the operation that stores an entry of a section."""

    async def put(call: Call) -> Response:
        entry, place = await read_json(call.request), _place(call, section, parameter)
        tags, faults = _tags(call)
        made = await call.services.inventories.put_entry(call.caller, place, entry, tags, faults)
        _log.info("an entry of the inventory was stored", by=call.caller.user, section=section.value, entry=place.entry_id)
        return _entry(made)

    return put


def removing(section: Section, parameter: str) -> Handler:
    """Return the operation that removes an entry of a section."""

    async def remove(call: Call) -> Response:
        place = _place(call, section, parameter)
        await call.services.inventories.remove_entry(call.caller, place, wanted_tags(call.request))
        _log.info("an entry of the inventory was removed", by=call.caller.user, section=section.value, entry=place.entry_id)
        return Response(None, 204)

    return remove


async def list_source_states(call: Call) -> Response:
    """Answer with how every source stands."""
    found = await call.services.inventory_sources.states(call.caller)
    return json_response(encode([_written(each) for each in found]), {"Cache-Control": UNSHARED})


async def refresh_source(call: Call) -> Response:
    """Read a source now, and answer with how it stands then."""
    name = str(call.request.path_params["source"])
    found = await call.services.inventory_sources.refresh(call.caller, name)
    _log.info("a source of the inventory was read on demand", by=call.caller.user, source=name, state=found.state.value)
    return json_response(encode(_written(found)), {"Cache-Control": UNSHARED})


def _written(shown: ShownSource) -> dict[str, Any]:
    reading = shown.reading
    times = {"readAt": reading.read_at, "askedAt": reading.asked_at, "failingSince": reading.failing_since}
    return {
        "source": shown.source,
        "state": shown.state.value,
        "isBeingRead": shown.is_being_read,
        **{name: format_time(time) for name, time in times.items() if time is not None},
        **({} if reading.failure is None else {"error": {"code": reading.failure.code, "message": reading.failure.message}}),
        "networkFunctions": shown.functions,
        "networkServices": shown.services,
        "virtualMachines": shown.machines,
        "problems": list(shown.problems),
    }


def _wants_sources(call: Call) -> bool:
    given = call.request.query_params.getlist(WITH_SOURCES)
    if any(each not in ("true", "false") for each in given) or len(given) > 1:
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, WITH_SOURCES, "is to be true or false, once")])
    return given == ["true"]


def _tags(call: Call) -> tuple[Tags, tuple[Fault, ...]]:
    """Return what `If-Match` wants, and what is wrong with it, so that everything is said in one answer."""
    try:
        return wanted_tags(call.request), ()
    except InvalidRequestError as error:
        return None, tuple(error.faults)


def _place(call: Call, section: Section, parameter: str) -> Place:
    return Place(section, str(call.request.path_params[parameter]))


def _whole(inventory: StoredInventory, tag: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(encode(inventory.document), {"ETag": etag(tag), **(headers or {})})


def _entry(entry: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return json_response(encode(entry), {"ETag": etag(entry_tag(entry)), **(headers or {})})
