"""Risk: a body that a statement names twice is stored whole in one place, and without its checksum, or in clear, in the other."""

import zlib

from sqlalchemy import Integer, LargeBinary, bindparam, select

from stepswitch.storage.database import Op, Statement
from stepswitch.storage.seals import SEAL_BYTES, sealed
from stepswitch.storage.sqlite_connections import DIALECT

_BODY = bindparam("body", type_=LargeBinary)
_TWICE = Statement(select(_BODY, bindparam("sealed_with", type_=Integer), _BODY))


class _Reversing:
    """Implements `Sealer` without hiding anything."""

    def seal(self, content: bytes, place: bytes) -> tuple[bytes, int]:
        return content[::-1] + place, 7

    def opened(self, sealed: bytes, place: bytes) -> bytes:
        return sealed.removesuffix(place)[::-1]

    def digest(self, content: bytes) -> str:
        return content.hex()


def _values(place: bytes | None) -> list[object]:
    _, values = sealed(_TWICE.compiled(DIALECT), Op(_TWICE, {"body": b"abc"}, place=place), _Reversing())
    return list(values)


def test_a_body_in_clear_has_its_checksum_wherever_it_stands() -> None:
    stored = b"abc" + zlib.crc32(b"abc").to_bytes(SEAL_BYTES)
    assert _values(None) == [stored, None, stored]


def test_a_body_with_a_place_is_encrypted_wherever_it_stands() -> None:
    first, key, second = _values(b"here")
    assert isinstance(first, bytes)
    assert first[:-SEAL_BYTES] == b"\x01cbahere"
    assert (second, key) == (first, 7)
