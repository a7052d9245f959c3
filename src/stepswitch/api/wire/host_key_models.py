"""The structures of the operations on host keys, for the description of the API. Read by `operations`."""

from typing import Any, Final

from stepswitch.api.wire.models import Time
from stepswitch.api.wire.structures import Structure, maybe, must

HOST: Final[dict[str, Any]] = {"minLength": 1, "maxLength": 253, "pattern": r"^\S+$"}


class ServerOrder(Structure):
    """A server."""

    host: str = must("Name or address.", examples=["192.0.2.1"], json_schema_extra=HOST)
    port: int = maybe("Port; 22 unless said.", ge=1, le=65_535)


class TrustRequest(ServerOrder):
    """Which key to trust: give one of the two."""

    public_key: str = maybe("The key as an OpenSSH line.", examples=["ssh-ed25519 AAAA…"])
    fingerprint: str = maybe("The server is asked for its keys, and the one with this fingerprint is trusted.", examples=["SHA256:…"])


class ShownKey(Structure):
    """A key that a server shows."""

    public_key: str = must("The key as an OpenSSH line.")
    fingerprint: str = must("Its fingerprint, to be compared by a person.")


class TrustedHostKey(ShownKey):
    """A key that is trusted."""

    host: str = must("Name or address.", examples=["192.0.2.1"])
    port: int = must("Port.", examples=[22])
    added_by: str = must("Who trusted it.", examples=["admin"])
    added_at: Time = must("When.")
