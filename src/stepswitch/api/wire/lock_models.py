"""The structures of locks, for the description of the API. Read by `lock_operations`."""

from stepswitch.api.wire.models import Time
from stepswitch.api.wire.structures import Structure, must
from stepswitch.domain.execution import Status


class HeldLock(Structure):
    """A lock that an execution has."""

    id: str = must("Names this very holding: whoever has the lock next has it by another one.", examples=["17"])
    name: str = must("The lock; of a device, what the inventory calls that, else its host.", examples=["core maintenance"])
    of_device: bool = must("Whether it is the lock on a device.")
    execution_id: str = must("The execution that has it.")
    workflow_name: str = must("What its workflow is called.", examples=["Upgrade gNB"])
    status: Status = must("Where that execution stands.")
    held_since: Time = must("Since when.")
    waiting: int = must("How many executions wait for it.", examples=[2])


class LockBreak(Structure):
    """Which lock to take away."""

    lock_id: str = must("The `id` that the list of locks shows.", examples=["17"])
