"""The operations of credentials, for administrators. Listed in `credential_operations`. No answer has a value in it."""

import base64
import binascii
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import structlog
from starlette.responses import Response

from stepswitch.api.operation import OWN_ROOT
from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.credential_requests import credential_change, new_credential
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import UNSHARED, etag, unchanged, wanted_tags
from stepswitch.api.wire.times import format_time
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.engine.credential_records import Credential, kind_of
from stepswitch.engine.credentials import PAGE, shown

MARKER: Final = "nextpage_opaque_marker"
_ROOT: Final = f"{OWN_ROOT}/credentials"
_log = structlog.get_logger("stepswitch.api")


async def list_credentials(call: Call) -> Response:
    """Answer with a page of credentials."""
    found = await call.services.credentials.page(call.caller, _after(call))
    last = found[-1].name if len(found) == PAGE else None
    headers = {} if last is None else {"Link": f'<{_ROOT}?{MARKER}={_marker(last)}>; rel="next"'}
    return json_response(encode([_written(each) for each in found]), headers)


async def create_credential(call: Call) -> Response:
    """Make a credential."""
    name, order = new_credential(await read_json(call.request))
    made = await call.services.credentials.add(call.caller, name, order)
    _log.info("a credential was made", by=call.caller.user, credential=made.name, source=kind_of(made.source))
    return _response(made)


async def read_credential(call: Call) -> Response:
    """Answer with a credential, unless the caller has it already."""
    found = await call.services.credentials.get(call.caller, _name(call))
    return unchanged(call.request, found.tag) or _response(found, {"Cache-Control": UNSHARED})


async def change_credential(call: Call) -> Response:
    """Change a credential."""
    order, tags = credential_change(await read_json(call.request)), None
    try:
        tags = wanted_tags(call.request)
    except InvalidRequestError as fault:
        order = replace(order, faults=(*order.faults, *fault.faults))  # so that everything is said in one answer
    changed = await call.services.credentials.change(call.caller, _name(call), order, tags)
    has_new_source = order.source is not None
    _log.info("a credential was changed", by=call.caller.user, credential=changed.name, has_new_source=has_new_source)
    return _response(changed)


async def remove_credential(call: Call) -> Response:
    """Remove a credential."""
    await call.services.credentials.remove(call.caller, _name(call), wanted_tags(call.request))
    _log.info("a credential was removed", by=call.caller.user, credential=_name(call))
    return Response(None, 204)


async def check_credential(call: Call) -> Response:
    """Say whether a credential can be opened now."""
    finding = await call.services.credentials.check(call.caller, _name(call))
    _log.info("a credential was checked", by=call.caller.user, credential=_name(call), can_be_opened=finding.problem is None)
    answer = {"canBeOpened": finding.problem is None, "checkedAt": format_time(finding.at)}
    return json_response(encode(answer | ({} if finding.problem is None else {"problem": finding.problem})))


def _name(call: Call) -> str:
    return str(call.request.path_params["credential"])


def _response(credential: Credential, headers: dict[str, str] | None = None) -> Response:
    return json_response(encode(_written(credential)), {"ETag": etag(credential.tag), **(headers or {})})


def _written(credential: Credential) -> dict[str, Any]:
    place = f"{_ROOT}/{quote(credential.name, safe='')}"
    return {
        "name": credential.name,
        **shown(credential),
        "createdAt": format_time(credential.created_at),
        "createdBy": credential.created_by,
        "changedAt": format_time(credential.changed_at),
        "changedBy": credential.changed_by,
        "links": {"self": place, "check": f"{place}/check"},
    }


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _after(call: Call) -> str:
    """Return behind which name the page begins; raises InvalidRequestError where the marker is none of this list."""
    text = call.request.query_params.get(MARKER, "")
    try:
        name = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (ValueError, binascii.Error):
        name = ""
    if _marker(name) != text:
        message = "is no marker that this list gave; take it from the Link of the page before"
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, MARKER, message)])
    return name
