"""Requests for an execution that carry an `Idempotency-Key`: sent again, they are answered with what the first one made. Called by the API.

The key is stored in the transaction that stores the execution, so neither a crash nor two requests at once can make two of them.
Source: `rest-api`, section 4, end.
"""

from dataclasses import dataclass
from typing import Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, VersionConflictError
from stepswitch.engine.body_digests import BodyDigests, may_be_same
from stepswitch.engine.callers import Caller
from stepswitch.engine.executions import ExecutionRequest, Executions
from stepswitch.engine.ports import Clock, Ids, RequestStore
from stepswitch.engine.records import RequestKind, RequestMark
from stepswitch.engine.views import ExecutionView, Views

KEY_HEADER: Final = "Idempotency-Key"
_ANOTHER: Final = "was sent before with another request; give each request a key of its own"


@dataclass(frozen=True, slots=True)
class Queued:
    """An execution that somebody asked for; `is_repeat` where an earlier request has made it."""

    view: ExecutionView
    is_repeat: bool = False


class KeyedRequests:
    """Makes one execution for each key of a caller."""

    def __init__(self, *, executions: Executions, views: Views, store: RequestStore, digests: BodyDigests, clock: Clock, ids: Ids) -> None:
        self._executions = executions
        self._views = views
        self._store = store
        self._digests = digests
        self._clock = clock
        self._ids = ids

    async def create(self, caller: Caller, request: ExecutionRequest, key: str, *content: bytes) -> Queued:
        """Queue an execution, or return the one that the key has made, as it is now. `content` is what makes the request this one.

        Raises as `Executions.create` does, NotFoundError where what the key has made is gone, InvalidRequestError where another request had it.
        """
        digest = await self._digests.of_any(caller, *content)
        made = await self._store.keyed(caller.tenant, caller.user, key)
        if made is None:
            execution_id = self._ids.new()
            mark = RequestMark(caller.tenant, caller.user, RequestKind.KEYED, key, digest, execution_id, self._clock.now())
            try:
                return Queued(await self._executions.create(caller, request, execution_id, mark))
            except VersionConflictError:  # another request with the key was faster
                made = await self._store.keyed(caller.tenant, caller.user, key)
                if made is None:
                    raise
        if not may_be_same(made.digest, digest):
            raise InvalidRequestError([Fault(ErrorCode.IDEMPOTENCY_KEY_REUSED, KEY_HEADER, _ANOTHER)])
        return Queued(await self._views.shown(caller, made.execution_id), is_repeat=True)
