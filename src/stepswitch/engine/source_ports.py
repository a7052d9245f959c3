"""The seam of the sources of an inventory: whoever asks a VNFM or an NFVO what there is. Implemented in the room `inventory`."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from stepswitch.domain.devices import Device
from stepswitch.domain.findings import Findings
from stepswitch.domain.inventory import Source
from stepswitch.domain.references import Reference

Opens = Callable[[Reference, Device, str], Awaitable[str]]
"""Returns the value of a credential that a source names, for a place and the field that names it; raises CredentialError."""


class AsksSources(Protocol):
    """Whoever speaks with a VNFM or an NFVO."""

    async def read(self, source: Source, opens: Opens) -> Findings:
        """Return all that it knows, to the end; raises SourceError and CredentialError, and then nothing is known of the rest."""
        ...

    async def find(self, source: Source, entry_id: str, opens: Opens) -> Findings:
        """Return what it knows of one network function or one network service, nothing where it has none of that id; raises as `read` does."""
        ...
