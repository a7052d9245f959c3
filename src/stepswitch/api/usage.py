"""The operation that tells administrators how much of its limits a tenant uses. Listed in `usage_operations`."""

from typing import Any, Final

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.documents import encode
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.engine.usage import Usage

TENANT_PARAMETER: Final = "tenantId"


async def list_usage(call: Call) -> Response:
    """Answer with what each tenant uses that the caller looks after, or the one that he names."""
    named = call.request.query_params.getlist(TENANT_PARAMETER)
    if len(named) > 1:
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, TENANT_PARAMETER, "is given twice")])
    found = await call.services.usages.of(call.caller, named[0] if named else None)
    return json_response(encode([_written(each) for each in found]))


def _written(usage: Usage) -> dict[str, Any]:
    stored, limits = usage.stored, usage.limits
    return {
        "tenantId": usage.tenant,
        "executionsAtOnce": _amount(usage.executions_at_once, limits.executions_at_once),
        "queuedExecutions": _amount(stored.queued_executions, limits.queued_executions),
        "storedExecutions": _amount(stored.stored_executions, limits.stored_executions),
        "fileBytes": _amount(stored.file_bytes, limits.file_bytes),
    }


def _amount(used: int, limit: int | None) -> dict[str, int]:
    return {"used": used} if limit is None else {"used": used, "limit": limit}
