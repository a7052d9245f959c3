"""The host keys that the service trusts, for administrators. `StepswitchClient.host_keys` is one of these."""

from collections.abc import Sequence
from typing import Final

from stepswitch.client.catalogue_answers import ShownKey, TrustedHostKey
from stepswitch.client.reading import items_of
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT

_PLACE: Final = f"{OWN_ROOT}/host-keys"
_SSH_PORT: Final = 22
SCAN_SECONDS: Final = 45.0
"""The service gives a server some time to answer; this is longer."""


class HostKeys:
    """Host keys of servers, each by host and port. Every method raises NotPermittedError where the caller is no administrator."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> Sequence[TrustedHostKey]:
        """Return every key that is trusted."""
        answer, _ = await self._transport.json(Call("GET", _PLACE, "host keys", safe=True))
        return [TrustedHostKey.read(each) for each in items_of(answer)]

    async def scan(self, host: str, port: int = _SSH_PORT) -> Sequence[ShownKey]:
        """Return the keys that a server shows to the service; trusts none, and proves nothing: compare the fingerprints."""
        body = {"host": host, "port": port}
        answer, _ = await self._transport.json(Call("POST", f"{_PLACE}/scan", f"server {host}", body=body, safe=True, seconds=SCAN_SECONDS))
        return [ShownKey.read(each) for each in items_of(answer)]

    async def trust(
        self, host: str, port: int = _SSH_PORT, *, public_key: str | None = None, fingerprint: str | None = None
    ) -> TrustedHostKey:
        """Trust a key, given as an OpenSSH line or by its fingerprint, and return it; for the latter the service asks the server."""
        given = {"host": host, "port": port, "publicKey": public_key, "fingerprint": fingerprint}
        body = {name: value for name, value in given.items() if value is not None}
        answer, _ = await self._transport.json(Call("POST", _PLACE, f"server {host}", body=body, seconds=SCAN_SECONDS))
        return TrustedHostKey.read(answer)

    async def forget(self, host: str, port: int = _SSH_PORT) -> None:
        """Trust no key of a server any longer; raises NotFoundError where none was trusted."""
        query = {"host": host, "port": str(port)}
        await self._transport.json(Call("DELETE", _PLACE, f"trusted host key of {host} port {port}", query))
