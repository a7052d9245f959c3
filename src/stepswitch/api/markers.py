"""Where the next page begins: the opaque marker that a `Link` gives, and the one that a client may begin with. Called by `list_requests`.

A marker says no more than a place in a sorted list, and the tenant never comes from it; so it carries a checksum against
slips and not a signature, and stays good over a restart. It belongs to one filter: with another, its place means nothing.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from stepswitch.engine.selection import CONTEXT, Kind, Order, Place

FORMAT: Final = 1
_CHECK_BYTES: Final = 9


@dataclass(frozen=True, slots=True)
class Marker:
    """What the next page has to know. `any_match` is part of it, because a `Link` cannot carry a header."""

    order: Order
    size: int
    after: Place
    any_match: bool
    filter_text: str


def write_marker(of: str, marker: Marker) -> str:
    """Return a marker as text; `of` names the list."""
    order, after = marker.order, marker.after
    fields = [FORMAT, order.attribute, order.entry, order.descending, marker.size, after.part, after.keys, marker.any_match]
    body = orjson.dumps([*fields, _digest(marker.filter_text.encode("utf-8", "surrogatepass"))])
    return urlsafe_b64encode(_check(of, body) + body).decode().rstrip("=")


def read_marker(of: str, text: str, filter_text: str, kinds: Mapping[str, Kind], created: str) -> Marker:
    """Return what a marker says; raises ValueError with a sentence where it is none of this list and filter."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        found = orjson.loads(data[_CHECK_BYTES:])
    except (ValueError, Base64Error):
        raise ValueError(_UNKNOWN) from None
    body = data[_CHECK_BYTES:]
    if (
        data[:_CHECK_BYTES] != _check(of, body)
        or urlsafe_b64encode(data).decode().rstrip("=") != text
        or not _is_ours(found, kinds, created)
    ):
        raise ValueError(_UNKNOWN)
    _, attribute, entry, descending, size, part, keys, any_match, digest = found
    if digest != _digest(filter_text.encode("utf-8", "surrogatepass")):
        raise ValueError("was given for another filter; send it with the filter of the page before")
    return Marker(Order(attribute, entry, descending), size, Place(part, tuple(keys)), any_match, filter_text)


_UNKNOWN: Final = "is no marker that this list gave; take it from the Link of the page before, or begin with page_number=1,page_size=100"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _check(of: str, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=of.encode()[:16]).digest()


def _is_ours(found: Any, kinds: Mapping[str, Kind], created: str) -> bool:
    """Return whether the fields are such as a store can be asked with: somebody may have made the checksum himself."""
    match found:
        case [int(form), str(attribute), str(entry), bool(), int(size), int(part), [*keys], bool(), str()]:
            is_known = attribute in kinds and bool(entry) == (attribute == CONTEXT) and form == FORMAT and 0 < size <= 1000
            return is_known and part in (0, 1) and _are_keys(keys, kinds[attribute], attribute, part, created)
        case _:
            return False


def _are_keys(keys: list[Any], kind: Kind, attribute: str, part: int, created: str) -> bool:
    if attribute == "id":
        return part == 0 and len(keys) == 1 and isinstance(keys[0], str)
    wanted = 2 if part == 1 or attribute in (created, "aborted") else 3
    if len(keys) != wanted or not isinstance(keys[-1], str) or not _is_whole(keys[-2]):
        return False
    if wanted == 2:
        return True
    if kind is Kind.ANY:
        return isinstance(keys[0], str | int | float)
    return _is_whole(keys[0]) if kind in (Kind.TIME, Kind.FLAG) else isinstance(keys[0], str)


def _is_whole(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63
