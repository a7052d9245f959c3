"""The last thing that happens to a body before the disk, and the first behind it: encryption where it has a place, and a checksum. Used by `sqlite`.

SQLite notices a page that is out of order, and no bit that fell over inside of a value (docs/decisions/0012): what comes back is
what went there, or is refused. An encrypted body begins with a byte that no other one begins with.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from stepswitch.domain.errors import DamagedError, StoreError
from stepswitch.engine.encryption import Sealer
from stepswitch.storage.database import Compiled, Op, Row
from stepswitch.storage.sqlite_faults import DAMAGED

SEAL_BYTES: Final = 4
ENCRYPTED: Final = b"\x01"
"""The first byte of an encrypted body; those in clear are JSON."""
_CRC_OF_ENCRYPTED: Final = zlib.crc32(ENCRYPTED)


def sealed(statement: Compiled, op: Op, sealer: Sealer) -> tuple[str, Sequence[Any]]:
    """Return a statement that writes, and the values of its parameters: what is bytes is encrypted where it has a place, with a CRC-32 behind it."""
    values = statement.values(op.params)
    for places in statement.binary:
        value = values[places[0]]
        if value is None:
            continue
        if op.place is None:
            stored = value + zlib.crc32(value).to_bytes(SEAL_BYTES)
        else:
            value, key = sealer.seal(value, op.place)
            stored = b"".join((ENCRYPTED, value, zlib.crc32(value, _CRC_OF_ENCRYPTED).to_bytes(SEAL_BYTES)))
            for place in statement.key:
                values[place] = key
        for place in places:
            values[place] = stored
    return statement.text, values


def opened(rows: Sequence[Row], place: Callable[[Row], bytes] | None, sealer: Sealer) -> Sequence[Row]:
    """Return rows in clear and with the checksums taken off; raises DamagedError where one does not fit, StoreError where one cannot be opened."""
    return [_opened(row, place, sealer) if bytes in map(type, row) else row for row in rows]


def _opened(row: Row, place: Callable[[Row], bytes] | None, sealer: Sealer) -> Row:
    values = list(row)
    for number, value in enumerate(row):
        if type(value) is bytes:
            if zlib.crc32(memoryview(value)[:-SEAL_BYTES]).to_bytes(SEAL_BYTES) != value[-SEAL_BYTES:]:
                raise DamagedError(f"{DAMAGED} (a checksum does not fit)")
            is_encrypted = value[:1] == ENCRYPTED
            values[number] = _decrypted(value[1:-SEAL_BYTES], row, place, sealer) if is_encrypted else value[:-SEAL_BYTES]
    return tuple(values)


def _decrypted(content: bytes, row: Row, place: Callable[[Row], bytes] | None, sealer: Sealer) -> bytes:
    if place is None:
        raise StoreError("a value is encrypted where none should be")
    return sealer.opened(content, place(row))


class _NoKeys:
    """Implements `Sealer` for who has no business with secrets: nothing is written in clear that should be encrypted."""

    def seal(self, content: bytes, place: bytes) -> tuple[bytes, int]:  # noqa: ARG002 # the signature is the port's
        """Refuse."""
        raise StoreError("what is to be encrypted cannot be written: there is no key")

    def opened(self, sealed: bytes, place: bytes) -> bytes:  # noqa: ARG002
        """Refuse."""
        raise StoreError("what is encrypted cannot be read: there is no key")

    def digest(self, content: bytes) -> str:  # noqa: ARG002
        """Refuse."""
        raise StoreError("what is to be encrypted cannot be named: there is no key")


NO_KEYS: Final = _NoKeys()
