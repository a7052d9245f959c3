"""The body of an answer: unpacked as it comes, kept up to the limit, read as a text. Called by `http_exchange`.

Memory and time depend on what is kept, never on what a body says that it unpacks to.
"""

import json
import zlib
from typing import Final

_PIECE_BYTES: Final = 64 * 1024
_PACKINGS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS}
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16", "utf-16le", "utf-16be"})
"""What is read as what it says; some other encodings take Python quadratic time."""


class Body:
    """Feed it with what comes, then read it. `packing` is the answer's Content-Encoding, `kind` its Content-Type."""

    def __init__(self, limit_bytes: int, packing: str = "", kind: str = "") -> None:
        self._kept = bytearray()
        self._limit = limit_bytes
        self.kind, _, parameters = kind.lower().partition(";")
        self._charset = _charset(parameters)
        name = packing.strip().lower()
        self._inflate = zlib.decompressobj(_PACKINGS[name]) if name in _PACKINGS else None
        self.is_readable = name in _PACKINGS or name in {"", "identity"}
        """Whether it is packed in no way or in one that is understood."""
        self.is_cut = False
        """Whether there was more than is kept, or what came does not unpack."""
        self.size = 0
        """How many bytes came, packed as they were."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; what is over the limit is dropped."""
        self.size += len(data)
        if self.is_over:
            return
        if self._inflate is None:
            self._keep(data)
            return
        try:
            while data and not self._inflate.eof and not self.is_cut:
                self._keep(self._inflate.decompress(data, _PIECE_BYTES))
                data = self._inflate.unconsumed_tail
        except zlib.error:
            self.is_cut = True

    def finish(self) -> None:
        """Take note that nothing follows: what is packed has to have come to its end."""
        if self._inflate is not None and self.size and not self._inflate.eof:
            self.is_cut = True

    def _keep(self, data: bytes) -> None:
        room = self._limit - len(self._kept)
        self.is_cut = len(data) > room
        self._kept += data[:room]

    @property
    def is_over(self) -> bool:
        """Whether nothing that may follow is kept."""
        return self.is_cut or not self.is_readable

    @property
    def text(self) -> str:
        """What is kept, as a text; what its encoding does not have is replaced."""
        return bytes(self._kept).decode(self._charset, "replace")

    @property
    def says_json(self) -> bool:
        """Whether the answer says that this is JSON."""
        kind = self.kind.strip()
        return kind == "application/json" or kind.endswith("+json")

    @property
    def is_json(self) -> bool:
        """Whether it is JSON as the standard has it: without NaN and Infinity."""
        try:
            json.loads(self.text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return False
        return True


def _refuse(name: str) -> object:
    raise ValueError(name)


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and (charset := value.strip().strip("\"'")) in _CHARSETS:
            return charset
    return "utf-8"
