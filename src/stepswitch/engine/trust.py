"""Which host keys a step may trust. Implements `engine.ports.HostKeys` over the store; called by step types through their context."""

from collections.abc import Sequence
from typing import Final

from stepswitch.engine.audit import Actor, Entry, Thing
from stepswitch.engine.ports import Clock, HostKeyStore
from stepswitch.engine.records import TrustedKey

TRUST: Final = "trustHostKey"
"""What the audit trail calls it, whoever does it."""


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
        now = self._clock.now()
        entry = Entry(TRUST, now, "", "", Actor.SYSTEM, thing=thing_of_server(host, port), after={"publicKey": public_key})
        await self._store.trust(TrustedKey(host, port, public_key, "accept-new", now), entry)
        return True


def thing_of_server(host: str, port: int) -> Thing:
    """Return what the audit trail calls a server whose host keys are trusted."""
    return Thing("host key", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
