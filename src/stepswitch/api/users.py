"""The operations of users, for administrators, and the change of one's own password. Listed in `user_operations`."""

from typing import Any

import structlog
from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.bodies import read_json
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.user_requests import new_user, own_password, user_change
from stepswitch.engine.records import Account

_log = structlog.get_logger("stepswitch.api")


async def list_users(call: Call) -> Response:
    """Answer with the users whom the caller looks after."""
    return json_response(encode([_written(account) for account in await call.services.users.all(call.caller)]))


async def create_user(call: Call) -> Response:
    """Make a user."""
    order = new_user(await read_json(call.request))
    account = await call.services.users.add(call.caller, order.name, order.password, order.roles, order.tenant)
    _log.info("a user was made", by=call.caller.user, user=account.name, tenant=account.tenant, roles=account.roles)
    return json_response(encode(_written(account)))


async def read_user(call: Call) -> Response:
    """Answer with a user."""
    return json_response(encode(_written(await call.services.users.get(call.caller, _name(call)))))


async def change_user(call: Call) -> Response:
    """Change a user."""
    order = user_change(await read_json(call.request))
    account = await call.services.users.change(call.caller, _name(call), order)
    has_new_password = order.password is not None
    _log.info(
        "a user was changed", by=call.caller.user, user=account.name, roles=account.roles, is_disabled=account.is_disabled,
        has_new_password=has_new_password,
    )  # fmt: skip
    return json_response(encode(_written(account)))


async def end_sessions(call: Call) -> Response:
    """Log a user out everywhere."""
    await call.services.users.end_sessions(call.caller, _name(call))
    _log.info("the sessions of a user were ended", by=call.caller.user, user=_name(call))
    return Response(None, 204)


async def change_own_password(call: Call) -> Response:
    """Give the caller another password."""
    old, new = own_password(await read_json(call.request))
    await call.services.users.change_own_password(call.caller, old, new)
    _log.info("a user changed his password", user=call.caller.user)
    return Response(None, 204)


def _name(call: Call) -> str:
    return str(call.request.path_params["username"])


def _written(account: Account) -> dict[str, Any]:
    return {"username": account.name, "tenantId": account.tenant, "roles": account.roles, "isDisabled": account.is_disabled}
