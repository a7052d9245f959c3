"""The seams of credentials, beside those of `ports`: where they are stored, where their values come from, and who somebody is."""

from collections.abc import Sequence
from typing import Protocol

from stepswitch.engine.audit import Entry
from stepswitch.engine.credential_records import Credential, Source


class CredentialFinder(Protocol):
    """Credentials, for who uses them. Only ever those of the tenant that is named."""

    async def find(self, tenant: str, name: str) -> Credential | None:
        """Return a credential."""


class CredentialStore(CredentialFinder, Protocol):
    """Credentials, encrypted as a whole, for who looks after them. `entry` is the record of a change, written with it or not at all."""

    async def all(self, tenant: str, after: str, count: int) -> Sequence[Credential]:
        """Return up to `count` credentials whose names follow `after`, by name."""

    async def add(self, credential: Credential, entry: Entry | None = None) -> None:
        """Store a new one; raises VersionConflictError where the name is taken."""

    async def replace(self, credential: Credential, entry: Entry | None = None) -> None:
        """Store one over the revision before its own; raises VersionConflictError where that is not the stored one."""

    async def remove(self, credential: Credential, entry: Entry | None = None) -> None:
        """Remove one; raises VersionConflictError where this is no longer the stored one."""


class SecretReader(Protocol):
    """Whoever knows the places where values are."""

    def faults(self, source: Source) -> Sequence[tuple[str, str]]:
        """Return what is wrong with a source, as fields and sentences, before anything is asked."""

    async def read(self, source: Source) -> str:
        """Return the value as it is now; raises CredentialError with a sentence that says what was asked, and nothing of the value."""


class RolesOfPeople(Protocol):
    """What somebody is, at this moment."""

    async def roles_of(self, tenant: str, user: str) -> frozenset[str] | None:
        """Return the names of somebody's roles; None where nobody is called so in the tenant, or he is disabled. Raises ProviderUnavailableError."""
