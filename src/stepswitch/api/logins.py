"""The operations of sessions and API tokens: one's own, and for administrators those of a user. Listed in `login_operations`."""

from typing import Any

import structlog
from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.times import format_time
from stepswitch.api.wire.user_requests import new_token
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import Session

_log = structlog.get_logger("stepswitch.api")


async def list_sessions(call: Call) -> Response:
    """Answer with the sessions that go on, the newest first."""
    found = await call.services.logins.of(call.caller, _whose(call))
    return json_response(encode([_written(each, call.caller.session_id) for each in found]))


async def end_session(call: Call) -> Response:
    """End one of them at once."""
    session_id = str(call.request.path_params["sessionId"])
    await call.services.logins.end(call.caller, session_id, _whose(call))
    _log.info("a session was ended", by=call.caller.user, user=_whose(call) or call.caller.user, session=session_id)
    return Response(None, 204)


async def create_token(call: Call) -> Response:
    """Make an API token, which is in this answer and nowhere else."""
    order = new_token(await read_json(call.request))
    token, session = await call.services.logins.make_token(call.caller, order, _whose(call))
    _log.info("an API token was made", by=call.caller.user, user=session.user, session=session.id, name=session.token_name)
    return json_response(encode(_written(session, "") | {"token": token}), {"Cache-Control": "no-store"})


def _whose(call: Call) -> str | None:
    return call.request.path_params.get("username")


def _written(session: Session, own: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": session.id,
        "kind": "TOKEN" if session.is_token else "LOGIN",
        "username": session.user,
        "createdAt": format_time(session.created_at),
        "expiresAt": format_time(session.expires_at),
        "isThisOne": session.id == own,
    }
    if session.is_token:
        shown["name"] = session.token_name
    if session.privileges is not None:
        shown["privileges"] = [each.value for each in Privilege if each in session.privileges]
    if session.address:
        shown["address"] = session.address
    return shown
