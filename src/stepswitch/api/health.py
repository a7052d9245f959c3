"""How the service is, for whoever watches over it. Listed in `operations`."""

from starlette.responses import Response

from stepswitch.api.services import Call
from stepswitch.api.wire.documents import encode


async def read_health(call: Call) -> Response:
    """Answer with the state of the service: 200 when it is `ok`, else 503."""
    state = {"version": call.services.version, **await call.services.health()}
    return Response(encode(state), 200 if state.get("status") == "ok" else 503, {"Cache-Control": "no-store"}, "application/json")
