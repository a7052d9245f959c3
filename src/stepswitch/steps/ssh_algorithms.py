"""Which algorithms SSH offers a server: those that are good today, old ones beside them, or those of a list. Read by `login_inputs`, `host_keys` and `ssh_login`.

Nothing that rests on SHA-1, MD5, CBC or DSA is offered to anybody unless the inventory's entry of the device says so.
"""

from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import Algorithms, AlgorithmSet


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered to one server, the preferred one first. `signatures` are those that a private key of ours may make."""

    key_exchange: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    signatures: tuple[str, ...]

    def host_keys_for(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Return the algorithms of host keys, those of the keys in `lines` first, so that a server with several shows one that is known."""
        kinds = {line.split()[0] for line in lines}
        return tuple(sorted(self.host_keys, key=lambda name: key_type(name) not in kinds))


_GOOD_HOST_KEYS: Final = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip
MODERN: Final = Offer(
    key_exchange=(
        "mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
        "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256",
    ),
    host_keys=_GOOD_HOST_KEYS,
    ciphers=(
        "chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr",
    ),
    macs=(
        "umac-128-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
        "umac-128@openssh.com", "hmac-sha2-256", "hmac-sha2-512",
    ),
    signatures=_GOOD_HOST_KEYS,
)  # fmt: skip
LEGACY: Final = Offer(
    key_exchange=(
        *MODERN.key_exchange, "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1",
    ),
    host_keys=(*MODERN.host_keys, "ssh-rsa", "ssh-dss"),
    ciphers=(*MODERN.ciphers, "aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc"),
    macs=(*MODERN.macs, "hmac-sha1-etm@openssh.com", "hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"),
    signatures=(*MODERN.signatures, "ssh-rsa"),
)  # fmt: skip


def offer_of(algorithms: AlgorithmSet | Algorithms) -> Offer:
    """Return what is offered to a device whose entry says `algorithms`."""
    if not isinstance(algorithms, Algorithms):
        return LEGACY if algorithms is AlgorithmSet.LEGACY else MODERN
    host_keys = algorithms.host_keys or MODERN.host_keys
    return Offer(
        key_exchange=algorithms.key_exchange or MODERN.key_exchange,
        host_keys=host_keys,
        ciphers=algorithms.ciphers or MODERN.ciphers,
        macs=algorithms.macs or MODERN.macs,
        signatures=(*MODERN.signatures, *(("ssh-rsa",) if "ssh-rsa" in host_keys else ())),
    )


def key_type(algorithm: str) -> str:
    """Return the type of the keys that an algorithm of host keys signs with."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm
