"""The operations of roles, for administrators. Listed in `user_operations`."""

from typing import Any

import structlog
from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.user_requests import new_role
from stepswitch.engine.privileges import Privilege, Role

_log = structlog.get_logger("stepswitch.api")


async def list_roles(call: Call) -> Response:
    """Answer with every role that users of the tenant can have."""
    return json_response(encode([_written(role) for role in await call.services.roles.all(call.caller)]))


async def create_role(call: Call) -> Response:
    """Make a role."""
    order = new_role(await read_json(call.request))
    role = await call.services.roles.add(call.caller, order.name, order.privileges, order.workflow_names)
    _log.info("a role was made", by=call.caller.user, role=role.name, tenant=call.caller.tenant)
    return json_response(encode(_written(role)))


async def remove_role(call: Call) -> Response:
    """Remove a role that nobody has."""
    name = str(call.request.path_params["role"])
    await call.services.roles.remove(call.caller, name)
    _log.info("a role was removed", by=call.caller.user, role=name, tenant=call.caller.tenant)
    return Response(None, 204)


def _written(role: Role) -> dict[str, Any]:
    privileges = [each.value for each in Privilege if each in role.privileges]
    return {"name": role.name, "privileges": privileges, "workflowNames": role.workflow_names}
