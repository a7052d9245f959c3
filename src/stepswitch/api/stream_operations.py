"""The streams of events, as rows of the table of operations. Taken into `operations`."""

from typing import Final

from stepswitch.api import needs, stream
from stepswitch.api.operation import OWN_ROOT, Audit, Operation, Parameter
from stepswitch.api.steering_operations import EXECUTION_ID
from stepswitch.api.wire import event_models
from stepswitch.api.wire.events import MEDIA_TYPE

_RESUME: Final = (
    Parameter(
        stream.LAST_EVENT_ID, "The `id` of the last event that was read: what was committed since is sent first, for 24 hours.", "header",
        is_required=False,
    ),
    Parameter(stream.QUERY_LAST_EVENT_ID, "The same, for browsers; the header counts where both are given.", "query", is_required=False),
)  # fmt: skip
_HEADERS: Final = {"X-Accel-Buffering": "`no`: a proxy is not to collect events."}
_REFUSALS: Final = (400, 401, 404, 500, 503)
STREAM_OPERATIONS: Final = (
    Operation(
        "followExecution", "GET", f"{OWN_ROOT}/executions/{{workflowExecutionId}}/events", stream.follow_execution, "Executions",
        "Follow an execution",
        "Server-sent events: `execution`, `step`, `log` and `reset`, each with an `id` in the order of commits and JSON as `data`. Begins with how "
        "it stands now, and ends when it has ended and everything was sent; a reader who comes back then gets 204.",
        event_models.Events, parameters=(EXECUTION_ID, *_RESUME), refusals=_REFUSALS,
        media_type=MEDIA_TYPE, answer_headers=_HEADERS, may_be_empty=True, needs=needs.READ_EXECUTION, audit=Audit.READ,
    ),
    Operation(
        "followExecutions", "GET", f"{OWN_ROOT}/events", stream.follow_all, "Executions", "Follow all executions",
        "The same for every execution that the caller may see, from now on. It ends with the session of its reader, or when the service stops.",
        event_models.Events, parameters=_RESUME, refusals=(401, 500, 503), media_type=MEDIA_TYPE, answer_headers=_HEADERS,
        needs=needs.LIST_EXECUTIONS, audit=Audit.READ,
    ),
)  # fmt: skip
