"""The host keys that the service trusts, for administrators. Listed in `operations`."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from stepswitch.api.services import Call, HostKeyTools, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.requests import TrustOrder, scan_order, server_of_query, trust_order
from stepswitch.api.wire.times import format_time
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError, TargetError
from stepswitch.engine.records import TrustedKey
from stepswitch.engine.trust import thing_of_server

SCAN_SECONDS: Final = 10.0


async def list_host_keys(call: Call) -> Response:
    """Answer with every key that is trusted."""
    tools = call.services.host_key_tools
    return json_response(encode([_written(key, tools) for key in await call.services.host_keys.all()]))


async def scan_host_keys(call: Call) -> Response:
    """Ask a server for its keys; nothing is trusted by that."""
    host, port = scan_order(await read_json(call.request))
    tools = call.services.host_key_tools
    return json_response(encode([{"publicKey": key, "fingerprint": tools.fingerprint(key)} for key in await _scan(call, host, port)]))


async def trust_host_key(call: Call) -> Response:
    """Trust a key that was given, or the one among the server's keys that has the fingerprint that was given."""
    order = trust_order(await read_json(call.request))
    public_key = await _ordered_key(call, order)
    key = TrustedKey(order.host, order.port, public_key, call.caller.user, call.services.clock.now())
    shown = {"fingerprint": call.services.host_key_tools.fingerprint(public_key)}
    await call.services.host_keys.trust(key, call.caller.entry(thing_of_server(order.host, order.port), after=shown))
    return json_response(encode(_written(key, call.services.host_key_tools)))


async def forget_host_keys(call: Call) -> Response:
    """Forget every key of a server."""
    host, port = server_of_query(call.request.query_params)
    if not await call.services.host_keys.forget(host, port, call.caller.entry(thing_of_server(host, port))):
        raise NotFoundError(f"no key of {host}:{port} is trusted")
    return Response(None, 204)


async def _ordered_key(call: Call, order: TrustOrder) -> str:
    tools = call.services.host_key_tools
    if order.public_key is not None:
        try:
            return tools.parse(order.public_key)
        except ValueError as error:
            raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, "publicKey", str(error))]) from None
    shown = {tools.fingerprint(key): key for key in await _scan(call, order.host, order.port)}
    wanted = (order.fingerprint or "").strip().rstrip("=")
    if wanted not in shown:
        text = f"the server shows no such key; it shows {', '.join(shown)}"
        raise InvalidRequestError([Fault(ErrorCode.WRONG_HOST_KEY, "fingerprint", text)])
    return shown[wanted]


async def _scan(call: Call, host: str, port: int) -> Sequence[str]:
    try:
        return await call.services.host_key_tools.scan(host, port, SCAN_SECONDS)
    except TargetError as error:
        raise InvalidRequestError([Fault(ErrorCode.UNREACHABLE, "host", str(error))]) from error


def _written(key: TrustedKey, tools: HostKeyTools) -> dict[str, str | int]:
    return {
        "host": key.host,
        "port": key.port,
        "publicKey": key.public_key,
        "fingerprint": tools.fingerprint(key.public_key),
        "addedBy": key.added_by,
        "addedAt": format_time(key.added_at),
    }
