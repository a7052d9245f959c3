"""The seams of the inventory, beside those of `ports`: what is known of a network, for who uses it and for who looks after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.findings import Findings
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory, Section
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
    editors: Mapping[str, str] = field(default_factory=dict)
    """Who has changed each source last, in whose name its credentials are used; `THE_MACHINE` where that was on the machine of the service."""
    findings: int = 0
    """Grows with whatever is found at its sources."""

    @property
    def tag(self) -> str:
        """What changes whenever it does."""
        return f"{self.changed_at:x}-{self.revision}"

    @property
    def tag_with_findings(self) -> str:
        """What changes whenever it does, or what its sources bring."""
        return f"{self.tag}-{self.findings}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a source could not be read; the message is a sentence without secrets."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known from a source, and how that stands. Times in milliseconds; `place` is that of the source when it was read."""

    source: str
    place: str
    findings: Findings = field(default_factory=Findings)
    read_at: int | None = None
    """When it was read to its end last."""
    asked_at: int | None = None
    failing_since: int | None = None
    failure: Failure | None = None
    """Why the last try failed; None where it did not."""


class InventoryFinder(Protocol):
    """What is known of a network. Only ever that of the tenant that is named."""

    async def of(self, tenant: str) -> Inventory:
        """Return the inventory of a tenant as it is now, whoever changed it last; look up there what is wanted."""
        ...


class InventoryStore(Protocol):
    """Inventories, each as one document. `entry` is the record of a change, written with it or not at all."""

    async def moment(self, tenant: str) -> tuple[int, int]:
        """Return the revision of a tenant's inventory, and what grows with whatever is found at its sources."""
        ...

    async def load(self, tenant: str) -> StoredInventory:
        """Return the inventory of a tenant."""
        ...

    async def put(self, inventory: StoredInventory, entry: Entry | None = None, gone: Sequence[str] = ()) -> None:
        """Store an inventory over the revision before its own; raises VersionConflictError where that is not the stored one.

        What was read from the sources that are `gone` with it is forgotten.
        """

    async def with_sources(self) -> Sequence[str]:
        """Return the tenants whose inventories name sources."""
        ...

    async def readings(self, tenant: str) -> Sequence[Reading]:
        """Return what was read from every source of a tenant."""
        ...

    async def reading(self, tenant: str, source: str) -> Reading | None:
        """Return what was read from one source."""
        ...

    async def note(self, tenant: str, reading: Reading, *, with_findings: bool) -> None:
        """Store how a source stands, and `with_findings` also what was found there. Raises VersionConflictError where the tenant has no inventory."""


class LooksAgain(Protocol):
    """Whoever asks sources for what the inventory does not know."""

    async def look_for(self, tenant: str, section: Section, entry_id: str) -> bool:
        """Return whether a source knows an entry that nobody knew, and it is found in the inventory now. Asks each once, and not for long."""
        ...


class _NoSources:
    async def look_for(self, tenant: str, section: Section, entry_id: str) -> bool:  # noqa: ARG002 # the signature is the port's
        """See `LooksAgain`."""
        return False


NO_SOURCES: Final[LooksAgain] = _NoSources()
"""For who has none."""
THE_MACHINE: Final = ""
"""Who changes an inventory without a user of its own: whoever may write the files of the service is let into everything anyway."""


class _Nothing:
    async def of(self, tenant: str) -> Inventory:  # noqa: ARG002 # the signature is the port's
        """See `InventoryFinder`."""
        return NOTHING_KNOWN


NO_INVENTORY: Final[InventoryFinder] = _Nothing()
"""For who has none."""
