"""The operations on locks: who has which, and taking one away. Listed in `lock_operations`."""

from typing import Any

from starlette.responses import Response

from stepswitch.api.services import Call, json_response
from stepswitch.api.steering import ordered_lock, steered
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.times import format_time
from stepswitch.engine.held_locks import HeldLock


async def list_locks(call: Call) -> Response:
    """Answer with the locks that are held by executions that the caller sees."""
    return json_response(encode([_written(each) for each in await call.services.held_locks.list(call.caller)]))


async def break_lock(call: Call) -> Response:
    """Take a lock away from an execution."""
    return await steered(call, await call.services.steering.break_lock(call.caller, *await ordered_lock(call)))


def _written(lock: HeldLock) -> dict[str, Any]:
    return {
        "id": lock.id,
        "name": lock.name,
        "ofDevice": lock.is_of_device,
        "executionId": lock.execution_id,
        "workflowName": lock.workflow_name,
        "status": lock.status,
        "heldSince": format_time(lock.held_since),
        "waiting": lock.waiting,
    }
