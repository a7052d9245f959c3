"""What can be known of a server's host keys: read a line, name it by its fingerprint, ask a server for its keys.

Called by `ssh_login` and, for `stepswitch host-key scan|trust` and its twin in the API, by `cli` and `api`.
"""

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import ErrorCode, TargetError

if TYPE_CHECKING:
    from stepswitch.steps.ssh_login import Session

FAMILIES: Final = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
    ("ssh-dss",),
)
"""The signature algorithms of host keys by kind of key: what a scan asks for. Whoever logs in takes those that an `Offer` has."""
KEY_TYPES: Final = frozenset({"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa", "ssh-dss"})
FINGERPRINT: Final = "SHA256:"
"""What a fingerprint begins with."""
_FINGERPRINT_BYTES: Final = 32


def parse_public_key(text: str) -> str:
    """Return a host key as the line that we store, `type base64`, without host and comment.

    Takes what people have at hand: the line of a `.pub` file, of `ssh-keyscan`, or of a known_hosts file. Raises ValueError
    with a sentence where it is none of these.
    """
    words = text.split()
    place = next((place for place, word in enumerate(words[:3]) if word in KEY_TYPES), None)
    if place is None:
        raise ValueError(f"a host key is a line such as 'ssh-ed25519 AAAA…', of one of the types {', '.join(sorted(KEY_TYPES))}")
    if len(text.strip().splitlines()) > 1:
        raise ValueError("a host key is one line; give one key at a time")
    if place + 1 >= len(words):
        raise ValueError(f"the host key ends after its type {words[place]}; the key itself is missing")
    _check_key(words[place], words[place + 1])
    return f"{words[place]} {words[place + 1]}"


def parse_fingerprint(text: str) -> str:
    """Return a `SHA256:…` fingerprint in the form that `fingerprint` gives; raises ValueError with a sentence where it is none."""
    stripped = text.strip().rstrip("=")
    kind, colon, digest = stripped.partition(":")
    try:
        size = len(base64.b64decode(digest + "=", validate=True))
    except binascii.Error:
        size = 0
    if f"{kind}:" != FINGERPRINT or not colon or size != _FINGERPRINT_BYTES:
        raise ValueError("a fingerprint is written 'SHA256:' and 43 characters of base64, as ssh-keygen -l shows it")
    return stripped


def fingerprint(public_key: str) -> str:
    """Return the fingerprint of an OpenSSH line as OpenSSH shows it, `SHA256:…`; raises ValueError where it is no such line."""
    blob = base64.b64decode(parse_public_key(public_key).split()[1])
    return FINGERPRINT + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


async def scan(host: str, port: int, timeout_seconds: float, behind: "Session | None" = None) -> list[str]:
    """Return the host keys that a server shows, one of each kind that it has, as lines; raises TargetError where it shows none.

    Nothing is proven by them: whoever answers at that address shows what he likes. A person has to compare the fingerprints. So
    old algorithms do no harm here. `behind` is the session with a jump host through which the server is asked.
    """
    from stepswitch.steps.ssh_login import explained, shown_host_key  # noqa: PLC0415 - asyncssh takes most of a second to import

    found: list[str] = []
    refusal = ""
    for family in FAMILIES:
        try:
            found.append(await shown_host_key(host, port, family, timeout_seconds, behind))
        except Exception as error:
            code, refusal = explained(error, host, port, timeout_seconds)
            # A server without a key of this kind says so, or just hangs up.
            if code not in (ErrorCode.NO_COMMON_ALGORITHM, ErrorCode.CONNECTION_CUT):
                raise TargetError(refusal) from error
    if not found:
        raise TargetError(refusal)
    return found


def line_of(exported: bytes) -> str:
    """Return the driver's form of a public key as the line that we store."""
    return " ".join(exported.decode("ascii").split()[:2])


def _check_key(kind: str, encoded: str) -> None:
    """Raise ValueError unless the key is whole and of the type that its line says: a cut one would match nothing, and puzzle people."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {kind} in the host key is no base64") from None
    fields, rest = [], blob
    while len(rest) >= 4:
        size = int.from_bytes(rest[:4], "big")
        fields.append(rest[4 : 4 + size])
        if len(fields[-1]) != size:
            break
        rest = rest[4 + size :]
    if rest or len(fields) < 2:
        raise ValueError(f"the host key of type {kind} is not complete")
    if fields[0] != kind.encode("ascii"):
        raise ValueError(f"the host key says that it is of type {kind}, but it is not")
