"""Logins through the provider, in a browser and on a device that shows a code. Listed in `provider_operations`.

A browser keeps two cookies while it logs in, each for its purpose alone: no operation but these reads one, so no other page can act with them.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.responses import Response

from stepswitch.api.recording import address_of
from stepswitch.api.services import Call, json_response
from stepswitch.api.sessions import end_session, opened
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.requests import device_code
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError
from stepswitch.domain.urls import check_local_path
from stepswitch.engine.account_ports import ProviderLogins

RETURN: Final = "/docs"
"""Where a browser goes that did not say."""


@dataclass(frozen=True, slots=True)
class _Cookie:
    """What a browser keeps, for how many seconds, and whether it comes along from pages of others."""

    name: str
    seconds: int
    same_site: Literal["lax", "strict"]

    def name_for(self, call: Call) -> str:
        """Return what it is called: over TLS so that nobody else can set it, not even a neighbour in the same domain (RFC 6265bis, `__Host-`)."""
        return f"__Host-{self.name}" if _is_secure(call) else self.name

    def of(self, call: Call) -> str:
        """Return what the browser has kept; empty where that is nothing."""
        return call.request.cookies.get(self.name_for(call), "")

    def put(self, call: Call, answer: Response, value: str) -> None:
        """Let the browser keep a value with an answer, or, where it is empty, none any more."""
        seconds = self.seconds if value else 0
        secure = _is_secure(call)
        answer.set_cookie(self.name_for(call), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite=self.same_site)


_LOGIN: Final = _Cookie("stepswitch-login", 600, "lax")
"""It has to come along from the provider's page."""
_TICKET: Final = _Cookie("stepswitch-ticket", 60, "strict")


async def begin(call: Call) -> Response:
    """Send a browser to the provider."""
    begun = await _logins(call).begin(call.request.query_params.get("returnTo", RETURN))
    answer = _redirect(begun.address)
    _LOGIN.put(call, answer, begun.secret)
    return answer


async def finish(call: Call) -> Response:
    """Take a browser that comes back from the provider, and send it where it wanted to go."""
    said = call.request.query_params
    names = [name for name, _ in said.multi_items()]
    if len(names) != len(set(names)):
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, "", "a parameter is there twice")])
    ticket, return_to = await _logins(call).finish(_LOGIN.of(call), dict(said))
    answer = _redirect(return_to)
    _LOGIN.put(call, answer, "")
    _TICKET.put(call, answer, ticket)
    return answer


async def open_session(call: Call) -> Response:
    """Open the session of a browser that has just come back; the token is in the header only."""
    token, session = await _logins(call).session_of(_TICKET.of(call), address_of(call.request.scope), call.caller.act)
    answer = opened(token, session)
    _TICKET.put(call, answer, "")
    return answer


async def log_out(call: Call) -> Response:
    """End the session of the token that was sent, and say where its browser can log out at the provider."""
    logins, return_to = call.services.provider_logins, call.request.query_params.get("returnTo", RETURN)
    check_local_path("returnTo", return_to)
    address = None if logins is None else await logins.logout_address(call.caller.user, return_to)
    await end_session(call)
    return json_response(encode({} if address is None else {"address": address}), {"Cache-Control": "no-store"})


async def come_back(call: Call) -> Response:
    """Send a browser that comes back from a logout at the provider where it wanted to go."""
    return _redirect(_logins(call).logged_out(call.request.query_params.get("state", "")) or RETURN)


async def begin_on_device(call: Call) -> Response:
    """Answer with the code that somebody confirms at the provider."""
    begun = await _logins(call).begin_on_device()
    body: dict[str, Any] = {
        "userCode": begun.user_code,
        "verificationUri": begun.verification_uri,
        "deviceCode": begun.device_code,
        "expiresIn": begun.expires_in,
        "interval": begun.interval,
    }
    if begun.verification_uri_complete is not None:
        body["verificationUriComplete"] = begun.verification_uri_complete
    return json_response(encode(body), {"Cache-Control": "no-store"})


async def open_device_session(call: Call) -> Response:
    """Open the session of somebody who has confirmed his code; the token is in the header only."""
    code = device_code(await read_json(call.request))
    return opened(*await _logins(call).finish_on_device(code, address_of(call.request.scope), call.caller.act))


def _logins(call: Call) -> ProviderLogins:
    if call.services.provider_logins is None:
        raise NotFoundError("nobody logs in through a provider here: oidc_client_id is not set")
    return call.services.provider_logins


def _redirect(address: str) -> Response:
    return Response(None, 302, {"Location": address, "Cache-Control": "no-store"})


def _is_secure(call: Call) -> bool:
    return bool(call.request.scope["scheme"] == "https")
