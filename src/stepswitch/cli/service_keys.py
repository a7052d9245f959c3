"""The host keys that a service trusts, as the store that `host_key` works with. Called by `host_key`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepswitch.engine.records import TrustedKey

if TYPE_CHECKING:
    from stepswitch.client.host_keys import HostKeys
    from stepswitch.engine.audit import Entry


class ServiceKeys:
    """Implements `HostKeyStore` through the API; who trusted a key, and when, is written down by the service."""

    def __init__(self, keys: "HostKeys") -> None:
        self._keys = keys

    async def scan(self, host: str, port: int) -> Sequence[str]:
        """Return the keys that a server shows to the service."""
        return [shown.public_key for shown in await self._keys.scan(host, port)]

    async def trusted(self, host: str, port: int) -> Sequence[TrustedKey]:
        """See `HostKeyStore`."""
        return [key for key in await self.all() if (key.host, key.port) == (host, port)]

    async def all(self) -> Sequence[TrustedKey]:
        """See `HostKeyStore`."""
        return [
            TrustedKey(key.host, key.port, key.public_key, key.added_by, round(key.added_at.timestamp() * 1000))
            for key in await self._keys.list()
        ]

    async def trust(self, key: TrustedKey, entry: "Entry | None" = None) -> None:  # noqa: ARG002 - the service records it
        """See `HostKeyStore`."""
        await self._keys.trust(key.host, key.port, public_key=key.public_key)

    async def forget(self, host: str, port: int, entry: "Entry | None" = None) -> int:  # noqa: ARG002 - the service records it
        """See `HostKeyStore`."""
        number = len(await self.trusted(host, port))
        if number:
            await self._keys.forget(host, port)
        return number
