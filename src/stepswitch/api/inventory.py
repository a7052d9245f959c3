"""The operations of the inventory. Listed in `inventory_operations`."""

from collections.abc import Mapping
from typing import Any

import structlog
from starlette.responses import Response

from stepswitch.api.services import Call, Handler, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import UNSHARED, etag, unchanged, wanted_tags
from stepswitch.domain.errors import Fault, InvalidRequestError
from stepswitch.domain.inventory import Section
from stepswitch.engine.inventories import Place, Tags
from stepswitch.engine.inventory_ports import StoredInventory
from stepswitch.engine.inventory_records import entry_tag

_log = structlog.get_logger("stepswitch.api")


async def read_inventory(call: Call) -> Response:
    """Answer with the whole inventory, unless the caller has it already."""
    found = await call.services.inventories.get(call.caller)
    return unchanged(call.request, found.tag) or _whole(found, {"Cache-Control": UNSHARED})


async def replace_inventory(call: Call) -> Response:
    """Put another inventory in its place."""
    document = await read_json(call.request)
    tags, faults = _tags(call)
    made = await call.services.inventories.replace(call.caller, document, tags, faults)
    _log.info("the inventory was replaced", by=call.caller.user, tenant=call.caller.tenant, revision=made.revision)
    return _whole(made)


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


def _tags(call: Call) -> tuple[Tags, tuple[Fault, ...]]:
    """Return what `If-Match` wants, and what is wrong with it, so that everything is said in one answer."""
    try:
        return wanted_tags(call.request), ()
    except InvalidRequestError as error:
        return None, tuple(error.faults)


def _place(call: Call, section: Section, parameter: str) -> Place:
    return Place(section, str(call.request.path_params[parameter]))


def _whole(inventory: StoredInventory, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(encode(inventory.document), {"ETag": etag(inventory.tag), **(headers or {})})


def _entry(entry: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return json_response(encode(entry), {"ETag": etag(entry_tag(entry)), **(headers or {})})
