"""How long the inventory gives one attempt at the device of a step. Asked by `claims` right before a claim, so that its deadline is stored with it."""

from stepswitch.domain.execution import Head
from stepswitch.domain.inventory import Inventory
from stepswitch.domain.step_types import StepTypes
from stepswitch.engine.inventory_ports import InventoryFinder


class DeviceLimits:
    """Looks devices up as steps do: by their inputs, as they are bound."""

    def __init__(self, inventory: InventoryFinder, types: StepTypes) -> None:
        self._inventory = inventory
        self._types = types

    async def attempt_seconds(self, head: Head | None, step_type: str) -> float | None:
        """Return how many seconds an attempt at the current step of an execution may take by the entry of its device; None where none says so. Raises StoreError."""
        signature = self._types.find(step_type)
        if head is None or head.current is None or signature is None:
            return None
        device = signature.target(head.current.work.inputs)
        if device is None:
            return None
        inventory: Inventory = await self._inventory.of(head.tenant)
        entry = inventory.device_at(device.host, device.port)
        return None if entry is None else entry.time_limits.attempt_seconds
