"""Whether two leaves say the same, and which leaves are not to be shown. Called by `netconf_proof`, imported when first used."""

import ipaddress
import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Final

from stepswitch.steps.netconf_xml import Element, local_name, namespace

_PREFIX: Final = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.-]*):(?=[A-Za-z_])")
_HEX_PAIRS: Final = re.compile(r"(?:[0-9A-Fa-f]{2}:)+[0-9A-Fa-f]{2}")
_HASH: Final = re.compile(r"\$[0-9A-Za-z]{1,10}\$.+")
_SECRET_NAME: Final = re.compile(
    r"passw|secret|passphrase|(?:^|[-_])psk|community|(?:^|[-_])key(?:-?string|-?data|chain)?$|private-?key|shared-?key|auth-?key|token"
)


def text_of(leaf: Element) -> str:
    """Return what stands in a leaf, without blanks around it."""
    return (leaf.text or "").strip()


def keeps_a_secret(leaf: Element) -> bool:
    """Whether the name of a leaf says that nobody should read it."""
    return _SECRET_NAME.search(local_name(leaf).lower()) is not None


def is_kept_otherwise(sent: Element, found: Element) -> bool:
    """Whether a device keeps what was sent in a form of its own, hashed or encrypted, so that nothing can be said but that it is there."""
    return bool(text_of(found)) and (keeps_a_secret(sent) or _HASH.fullmatch(text_of(found)) is not None)


def are_the_same(sent: Element, found: Element) -> bool:
    """Whether two leaves have the same value: as text, as what their prefixes stand for, or as what a model would make of both."""
    ours, theirs = text_of(sent), text_of(found)
    if ours == theirs:
        return _resolved(sent, ours) == _resolved(found, theirs) or not _are_bound(sent, found, ours)
    if len(found) or not ours or not theirs:
        return False
    return _resolved(sent, ours) == _resolved(found, theirs) or _means(ours, theirs)


def _are_bound(sent: Element, found: Element, text: str) -> bool:
    """Whether both sides say what every prefix in a text stands for."""
    prefixes = _PREFIX.findall(text)
    return bool(prefixes) and all(prefix in sent.nsmap and prefix in found.nsmap for prefix in prefixes)


def _resolved(leaf: Element, text: str) -> str:
    """Return a value with namespaces in the place of prefixes. A name without one is of the leaf's own namespace."""
    named = _PREFIX.sub(lambda each: f"{{{leaf.nsmap[each[1]]}}}" if each[1] in leaf.nsmap else each[0], text)
    if named == text and re.fullmatch(r"[A-Za-z_][\w.-]*", text):
        return f"{{{namespace(leaf)}}}{text}"
    return named


def _means(ours: str, theirs: str) -> bool:
    """Whether two texts are one value in two forms: a number, an address, a hardware address."""
    if _HEX_PAIRS.fullmatch(ours) and _HEX_PAIRS.fullmatch(theirs):
        return ours.lower() == theirs.lower()
    with suppress(InvalidOperation):
        return Decimal(ours) == Decimal(theirs)
    with suppress(ValueError):
        sent, found = ipaddress.ip_interface(ours), ipaddress.ip_interface(theirs)
        is_network = found.ip == found.network.network_address
        return ("/" in ours) == ("/" in theirs) and (sent == found or (is_network and sent.network == found.network))
    return False
