"""The locks of a tenant, for people: who has which, and taking one away. Called by `api.locks`; breaking is an act of steering."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stepswitch.engine.callers import Caller
from stepswitch.engine.confidential import Mask
from stepswitch.engine.lock_ports import LockStore
from stepswitch.engine.ports import ListStore, Secrets
from stepswitch.engine.snapshots import Snapshots

MOST: Final = 1_000
"""So many are listed, those that are held the longest."""


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that somebody has. `id` is of this very holding: whoever has the lock next has it by another one. Time in milliseconds."""

    id: str
    name: str
    is_of_device: bool
    execution_id: str
    workflow_name: str
    status: str
    held_since: int
    waiting: int
    """How many executions wait for it."""


class HeldLocks:
    """What is locked in a tenant."""

    def __init__(self, store: LockStore, lists: ListStore, snapshots: Snapshots, secrets: Secrets) -> None:
        self._store = store
        self._lists = lists
        self._snapshots = snapshots
        self._secrets = secrets

    async def list(self, caller: Caller) -> Sequence[HeldLock]:
        """Return the locks that are held by executions that the caller sees."""
        places = await self._store.held(caller.tenant, MOST)
        heads = {head.id: head for head in await self._lists.heads([each.execution_id for each, _ in places]) if caller.sees(head)}
        found = []
        for place, waiting in places:
            head = heads.get(place.execution_id)
            lock = None if head is None else next((each for each in head.locks if each.key == place.key), None)
            if head is None or lock is None:
                continue
            mask = Mask(self._secrets, head, [await self._snapshots.get(head.snapshot_id)])
            name, since = mask.text(lock.name), place.held_since or 0
            id_, of_device = str(place.place), lock.is_of_device
            found.append(HeldLock(id_, name, of_device, head.id, head.workflow_name, head.status.value, since, waiting))
        return found
