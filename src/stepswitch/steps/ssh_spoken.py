"""The algorithms that a login offers, as the driver takes them. Called by `ssh_login`, imported when first used."""

from typing import Final

from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_public_key_algs

from stepswitch.plugin import ErrorCode
from stepswitch.steps.login_inputs import Login, LoginError
from stepswitch.steps.output import harmless
from stepswitch.steps.ssh_algorithms import LEGACY

_KEYS: Final = frozenset(name.decode("ascii") for name in get_public_key_algs())
_KNOWN: Final = {
    "kex_algs": frozenset(name.decode("ascii") for name in get_kex_algs()),
    "server_host_key_algs": _KEYS,
    "encryption_algs": frozenset(name.decode("ascii") for name in get_encryption_algs()),
    "mac_algs": frozenset(name.decode("ascii") for name in get_mac_algs()),
    "signature_algs": _KEYS,
}
"""What the driver speaks on this machine: some of it hangs on libraries that may be missing."""
_OURS: Final = frozenset((*LEGACY.key_exchange, *LEGACY.host_keys, *LEGACY.ciphers, *LEGACY.macs))


def spoken_algorithms(login: Login, lines: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return the driver's options for what is offered, host keys of the kinds of `lines` first; raises LoginError where a list names what nobody here speaks."""
    offer = login.offer
    offered = {
        "kex_algs": offer.key_exchange,
        "server_host_key_algs": offer.host_keys_for(lines),
        "encryption_algs": offer.ciphers,
        "mac_algs": offer.macs,
        "signature_algs": offer.signatures,
    }
    strange = [name for option, names in offered.items() for name in names if name not in _KNOWN[option] and name not in _OURS]
    if strange:
        message = f"the entry {harmless(login.entry)!r} of the inventory lists what this service does not speak: {', '.join(strange)}"
        raise LoginError(ErrorCode.NO_COMMON_ALGORITHM, message)
    spoken = {option: [name for name in names if name in _KNOWN[option]] for option, names in offered.items()}
    if not all(spoken.values()):
        message = f"the machine of this service lacks the libraries for what the entry {harmless(login.entry)!r} of the inventory lists"
        raise LoginError(ErrorCode.NO_COMMON_ALGORITHM, message)
    return spoken
