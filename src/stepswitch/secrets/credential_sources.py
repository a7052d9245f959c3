"""The places where the values of credentials are, by kind. Implements `engine.credential_ports.SecretReader`; built by `bootstrap`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stepswitch.domain.errors import CredentialError, ErrorCode
from stepswitch.engine.credential_records import EnvironmentValue, FileValue, KubernetesValue, Source, StoredValue, VaultValue
from stepswitch.engine.credential_use import unfit_value
from stepswitch.secrets.kubernetes import Cluster
from stepswitch.secrets.local_values import Folder, Variables
from stepswitch.secrets.vault import Vault
from stepswitch.secrets.vault_values import vault_faults, vault_value

LIMIT_SECONDS: Final = 15.0
"""How long one place may take: a network that swallows packets, a file system that hangs."""


@dataclass(frozen=True, slots=True)
class CredentialSources:
    """Reads values where they are, each time anew."""

    variables: Variables
    folder: Folder
    cluster: Cluster
    vault: Vault | None = None

    def faults(self, source: Source) -> Sequence[tuple[str, str]]:
        """See `SecretReader`."""
        match source:
            case StoredValue():
                return [("value", why)] if (why := unfit_value(source.value)) is not None else []
            case EnvironmentValue():
                return [("variable", why)] if (why := self.variables.fault(source.variable)) is not None else []
            case FileValue():
                return [("path", why)] if (why := self.folder.fault(source.path)) is not None else []
            case VaultValue():
                return vault_faults(self.vault, source)
            case KubernetesValue():
                return self.cluster.faults(source)

    async def read(self, source: Source) -> str:
        """See `SecretReader`."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await self._read(source)
        except TimeoutError:
            message = f"no answer came within {LIMIT_SECONDS:g} s"
            raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message) from None

    async def _read(self, source: Source) -> str:
        match source:
            case StoredValue():
                return source.value
            case EnvironmentValue():
                return self.variables.read(source.variable)
            case FileValue():
                return await self.folder.read(source.path)
            case VaultValue():
                return await vault_value(self.vault, source)
            case KubernetesValue():
                return await self.cluster.value(source)
