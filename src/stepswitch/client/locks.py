"""The locks that executions have. `StepswitchClient.locks` is one of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from stepswitch.client.reading import Reader, items_of
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT

_PLACE: Final = f"{OWN_ROOT}/locks"


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that an execution has. `id` is of this very holding: whoever has the lock next has it by another one."""

    id: str
    name: str
    of_device: bool
    execution_id: str
    workflow_name: str
    status: str
    held_since: datetime
    waiting: int
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "HeldLock":
        """Return a lock as a value."""
        of = Reader(value, "lock")
        return cls(
            of.text("id"),
            name=of.text("name"),
            of_device=of.flag("ofDevice"),
            execution_id=of.text("executionId"),
            workflow_name=of.text("workflowName"),
            status=of.text("status"),
            held_since=of.time("heldSince"),
            waiting=of.number("waiting", 0),
            raw=of.raw,
        )


class Locks:
    """Locks, and who has them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> Sequence[HeldLock]:
        """Return the locks that are held by executions that the caller sees, those that are held the longest first."""
        answer, _ = await self._transport.json(Call("GET", _PLACE, "locks", safe=True))
        return [HeldLock.read(each) for each in items_of(answer)]
