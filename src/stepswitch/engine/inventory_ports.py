"""The seams of the inventory, beside those of `ports`: what is known of a network, for who uses it and for who looks after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.engine.audit import Entry


@dataclass(frozen=True, slots=True)
class StoredInventory:
    """The inventory of a tenant as its document; revision 0 is that of a tenant which never had one. Times in milliseconds."""

    tenant: str
    document: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0
    changed_at: int = 0
    changed_by: str = ""
    file_digest: str = ""
    """Of the file that was loaded last, so that it is loaded once more when it says something else."""

    @property
    def tag(self) -> str:
        """What changes whenever it does."""
        return f"{self.changed_at:x}-{self.revision}"


class InventoryFinder(Protocol):
    """What is known of a network. Only ever that of the tenant that is named."""

    async def of(self, tenant: str) -> Inventory:
        """Return the inventory of a tenant as it is now, whoever changed it last; look up there what is wanted."""
        ...


class InventoryStore(Protocol):
    """Inventories, each as one document. `entry` is the record of a change, written with it or not at all."""

    async def revision(self, tenant: str) -> int:
        """Return the revision of a tenant's inventory."""
        ...

    async def load(self, tenant: str) -> StoredInventory:
        """Return the inventory of a tenant."""
        ...

    async def put(self, inventory: StoredInventory, entry: Entry | None = None) -> None:
        """Store an inventory over the revision before its own; raises VersionConflictError where that is not the stored one."""


class _Nothing:
    async def of(self, tenant: str) -> Inventory:  # noqa: ARG002 # the signature is the port's
        """See `InventoryFinder`."""
        return NOTHING_KNOWN


NO_INVENTORY: Final[InventoryFinder] = _Nothing()
"""For who has none."""
