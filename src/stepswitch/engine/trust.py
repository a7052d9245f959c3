"""Which host keys a step may trust. Implements `engine.ports.HostKeys` over the store; called by step types through their context."""

from collections.abc import Sequence

from stepswitch.engine.ports import Clock, HostKeyStore
from stepswitch.engine.records import TrustedKey


class TrustedHosts:
    """The keys in the store, asked for anew each time: what was trusted a moment ago counts at once."""

    def __init__(self, store: HostKeyStore, clock: Clock, *, accept_new: bool) -> None:
        self._store = store
        self._clock = clock
        self._accept_new = accept_new

    async def trusted(self, host: str, port: int) -> Sequence[str]:
        """See `HostKeys`."""
        return [key.public_key for key in await self._store.trusted(host, port)]

    async def accept_new(self, host: str, port: int, public_key: str) -> bool:
        """See `HostKeys`."""
        if not self._accept_new:
            return False
        known = await self.trusted(host, port)
        if known:
            return public_key in known
        await self._store.trust(TrustedKey(host, port, public_key, "accept-new", self._clock.now()))
        return True
