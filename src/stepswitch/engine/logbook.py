"""The whole log of an execution, page by page, every secret masked. Called by `api.steering`: it is downloaded, and may be long."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from stepswitch.domain.errors import NotFoundError
from stepswitch.domain.execution import LogEntry
from stepswitch.engine.callers import Caller
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.known_secrets import KnownSecrets
from stepswitch.engine.ports import ExecutionStore, Secrets
from stepswitch.engine.records import LogPage
from stepswitch.engine.snapshots import Snapshots

PAGE_BYTES: Final = 256 * 1024


class Logbook:
    """Reads logs; holds one page of them at a time, and of the steps only their passwords."""

    def __init__(self, store: ExecutionStore, snapshots: Snapshots, conductor: Conductor, secrets: Secrets) -> None:
        self._store = store
        self._snapshots = snapshots
        self._conductor = conductor
        self._secrets = secrets

    async def pages(self, caller: Caller, execution_id: str) -> AsyncIterator[Sequence[LogEntry]]:
        """Return the log of an execution that the caller sees in the order of its commits; raises NotFoundError before the first page."""
        head = await self._conductor.head(execution_id)
        if head is None:
            raise NotFoundError(f"no execution {execution_id}")
        caller.check_sees_execution(head)
        return self._pages(execution_id)

    async def _pages(self, execution_id: str) -> AsyncIterator[Sequence[LogEntry]]:
        following: LogPage | None = LogPage(limit_bytes=PAGE_BYTES)
        known = KnownSecrets(self._store, self._snapshots, self._secrets)
        while following is not None:
            page, following = await self._store.logs(execution_id, following)
            head = await self._conductor.head(execution_id)  # after the page: what it tells of is known by then
            if head is None:
                raise NotFoundError(f"execution {execution_id} was deleted meanwhile")
            mask = await known.mask(head)
            yield [mask.entry(entry) for entry in page]
