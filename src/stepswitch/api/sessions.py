"""Login and logout. Listed in `operations`; `token_of` is asked with every request, `provider_logins` uses the rest."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepswitch.api.recording import address_of
from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.requests import credentials
from stepswitch.api.wire.times import format_time
from stepswitch.domain.errors import NotAuthenticatedError
from stepswitch.engine.audit import Thing
from stepswitch.engine.records import Session

TOKEN_HEADER: Final = "x-hm-authorization"


def token_of(request: Request) -> str:
    """Return the token that a request carries; raises NotAuthenticatedError where it carries none."""
    bearer = None
    for name, value in request.scope["headers"]:
        if name == b"x-hm-authorization":
            return str(value, "latin-1").strip()
        if name == b"authorization":
            bearer = str(value, "latin-1")
    scheme, _, token = (bearer or "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticatedError("no token; log in first")
    return token.strip()


async def login(call: Call) -> Response:
    """Open a session; the token is in the header only."""
    username, password = credentials(await read_json(call.request))
    return opened(*await call.services.accounts.login(username, password, address_of(call.request.scope), call.caller.act))


def opened(token: str, session: Session) -> Response:
    """Return the answer to whoever has just logged in."""
    body = {"username": session.user, "tenantId": session.tenant, "roles": session.roles, "expiresAt": format_time(session.expires_at)}
    return json_response(encode(body), {TOKEN_HEADER: token, "Cache-Control": "no-store"})


async def logout(call: Call) -> Response:
    """End the session of the token that was sent."""
    await end_session(call)
    return Response(None, 204)


async def end_session(call: Call) -> None:
    """End the session of the token that was sent, on record."""
    entry = call.caller.entry(Thing("session", call.caller.session_id))
    await call.services.accounts.logout(token_of(call.request), entry)
