"""A checksum behind every body: what comes back from the disk is what went there, or is refused. Used by `sqlite`.

SQLite notices a page that is out of order, and no bit that fell over inside of a value (docs/decisions/0012).
"""

import zlib
from collections.abc import Sequence
from typing import Final

from stepswitch.domain.errors import DamagedError
from stepswitch.storage.database import Compiled, Params, Row
from stepswitch.storage.sqlite_faults import DAMAGED

SEAL_BYTES: Final = 4


def sealed(statement: Compiled, given: Params) -> tuple[str, Params]:
    """Return a statement that writes, and its parameters with a CRC-32 behind each that is bytes."""
    params = {**statement.constants, **given}
    for name in statement.binary:
        value = params.get(name)
        if value is not None:
            params[name] = value + zlib.crc32(value).to_bytes(SEAL_BYTES)
    return statement.text, params


def opened(rows: Sequence[Row]) -> Sequence[Row]:
    """Return rows with the checksums taken off; raises DamagedError where one does not fit."""
    return [tuple([_opened(value) if type(value) is bytes else value for value in row]) if bytes in map(type, row) else row for row in rows]


def _opened(value: bytes) -> bytes:
    content = value[:-SEAL_BYTES]
    if zlib.crc32(content).to_bytes(SEAL_BYTES) != value[-SEAL_BYTES:]:
        raise DamagedError(f"{DAMAGED} (a checksum does not fit)")
    return content
