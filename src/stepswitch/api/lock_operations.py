"""What the reference says of the operations on locks. Taken in by `operations`."""

from typing import Final

from stepswitch.api import locks, needs
from stepswitch.api.operation import OWN_ROOT, Audit, Operation
from stepswitch.api.steering_operations import EXECUTION_ID, IF_SEEN, REASON
from stepswitch.api.wire import lock_models, models

LOCK_OPERATIONS: Final = (
    Operation(
        "listLocks", "GET", f"{OWN_ROOT}/locks", locks.list_locks, "Locks", "List the locks that are held",
        "Those that are held the longest first, 1,000 at most, and only those of executions that the caller sees. What an execution waits for it says itself, in "
        "`waitingFor`, with who has that.",
        list[lock_models.HeldLock], refusals=(401, 500, 503), needs=needs.LIST_EXECUTIONS, audit=Audit.READ,
    ),
    Operation(
        "breakExecutionLock", "POST", f"{OWN_ROOT}/executions/{{workflowExecutionId}}/locks/break", locks.break_lock, "Locks",
        "Take a lock away from an execution",
        "Whoever waits for it the longest has it then. The execution that had it goes on as it was: it is told in its log, and a step that wants the lock "
        "and has not begun asks again. 400 with the code STATE_CONFLICT where the execution does not have this lock, or has it no more.",
        models.WorkflowExecution, request=lock_models.LockBreak, parameters=(EXECUTION_ID, REASON, IF_SEEN),
        refusals=(400, 401, 403, 404, 412, 413, 500, 503), example={"lockId": "17"},
        answer_headers={"ETag": "The state that is shown, for the `If-Match` of what follows."},
        needs=needs.STEER_EXECUTION, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
