"""The seams of encryption, beside those of `ports`: what a database asks of who has the keys, and what that one asks of the store of the keys."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from stepswitch.engine.audit import Entry
from stepswitch.engine.records import DataKey


class Sealer(Protocol):
    """Encrypts what must not be read on a disk. Keys are at hand: nothing here waits."""

    def seal(self, content: bytes, place: bytes) -> tuple[bytes, int]:
        """Return `content` encrypted for `place`, and the generation of the key; raises StoreError where there is no key."""

    def opened(self, sealed: bytes, place: bytes) -> bytes:
        """Return what was encrypted; raises StoreError where it is not for this place, was changed, or its key is not at hand."""

    def digest(self, content: bytes) -> str:
        """Return a name for `content` that tells nothing of it to whoever does not have the keys."""


class DataKeyStore(Protocol):
    """The keys that values are encrypted with, each encrypted itself."""

    async def keys(self) -> Sequence[DataKey]:
        """Return every key, by generation."""

    async def begin(self, keys: Sequence[DataKey]) -> None:
        """Store the first keys; those that are there go, for nothing is encrypted with them."""

    async def add(self, key: DataKey, entry: Entry | None = None) -> None:
        """Store a new key, and the record of it; raises VersionConflictError where its generation is there."""

    async def rewrap(self, keys: Sequence[DataKey], entry: Entry | None = None) -> None:
        """Store keys that were encrypted anew, and the record of it, all or none; raises VersionConflictError where one of them is gone."""

    async def retire(self, generation: int) -> bool:
        """Remove a key that nothing is encrypted with; return whether that was so."""

    async def uses(self) -> Mapping[int, int]:
        """Return how many values are encrypted with the key of each generation."""

    async def reseal(self, generation: int, count: int) -> int:
        """Encrypt up to `count` values anew that are encrypted with an older key than that of `generation`; return how many were looked at."""
