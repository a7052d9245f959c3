"""Texts of LDAP: what somebody typed as a part of a filter (RFC 4515) or of a name (RFC 4514), and names compared. Used by the modules of the directory.

Everything but letters, digits and a few signs is written as its bytes in hex, which both forms know: nothing that is typed can mean anything.
"""

import re
import unicodedata
from typing import Final

from stepswitch.engine.names_of_people import LONGEST_NAME, name_faults
from stepswitch.engine.records import DIRECTORY

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@")
_PART: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9.-]*)\s*=((?:\\[0-9A-Fa-f]{2}|\\[^0-9A-Fa-f]|[^\\,+;\"])*)([,+;]|\Z)")
_ESCAPE: Final = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)
_HEX: Final = "0x"
PREFIX: Final = f"{DIRECTORY}:"
"""How the names begin of those whom the directory knows."""
_NUMBER: Final = 3
"""What stands behind a name that was another one's before."""
Part = tuple[str, str]
Name = tuple[frozenset[Part], ...]
"""A name of an entry, as it is compared: each part of its way to the root, of which most have one attribute."""


def escaped(value: str | bytes) -> str:
    """Return a value as a part of a filter or of a name that means itself and nothing else."""
    data = value.encode() if isinstance(value, str) else value
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:02x}" for byte in data)


def read_name(text: str) -> Name | None:
    """Return the name of an entry as it is compared, whatever its case and blanks; None where the text is none."""
    parts: list[frozenset[Part]] = []
    together: list[Part] = []
    place = 0
    while (found := _PART.match(text, place)) is not None:
        attribute, value, end = found.groups()
        together.append((attribute.lower(), " ".join(_plain(value).split()).casefold()))
        if end != "+":
            parts.append(frozenset(together))
            together = []
        place = found.end()
        if not end:
            return tuple(parts)
    return None


def folded(name: str) -> str:
    """Return a name as directories compare it: in which case it was typed, and with how many blanks, does not matter."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def name_of(value: bytes) -> str | None:
    """Return the value of an attribute as what somebody is called, just as it stands there; None where nobody can be called so here."""
    try:
        name = value.decode()
    except UnicodeDecodeError:
        return None
    return None if ":" in name or name_faults("", name) or len(name) > LONGEST_NAME - len(PREFIX) - _NUMBER else name


def text_of(value: bytes) -> str:
    """Return the value of an attribute as text that can be stored and shown: what is no printable text, in hex."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text and not text.startswith(_HEX) else _HEX + value.hex()


def value_of(text: str) -> bytes:
    """Return the value that `text_of` made a text of."""
    return bytes.fromhex(text.removeprefix(_HEX)) if text.startswith(_HEX) else text.encode()


def _plain(value: str) -> str:
    def unescape(found: re.Match[str]) -> str:
        if (sign := found[1]) is not None:
            return sign
        return bytes.fromhex(found[0].replace("\\", "")).decode("utf-8", "replace")

    return _ESCAPE.sub(unescape, value)
