"""The seam of the locks: the lines in which executions stand for them. Implemented in `storage`; they are written with the saves of executions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class LockPlace:
    """An execution's place in the line for a lock, from the moment at which it asks until it lets go. Times in milliseconds.

    `place` grows, and is never given again; the first in a line has the lock, from `held_since` on.
    """

    place: int
    tenant: str
    key: str
    execution_id: str
    asked_at: int
    held_since: int | None


class LockStore(Protocol):
    """The lines, in the order of commits."""

    async def first(self, tenant: str, key: str) -> LockPlace | None:
        """Return the first place in the line for a lock."""

    async def awaited_by(self, execution_id: str) -> LockPlace | None:
        """Return the place at which an execution waits; there is one at most."""

    async def place(self, tenant: str, place: int) -> LockPlace | None:
        """Return a place."""

    async def held(self, tenant: str, count: int) -> Sequence[tuple[LockPlace, int]]:
        """Return the places of those who have a lock, the longest first, each with how many wait for it."""

    async def due(self, count: int) -> Sequence[LockPlace]:
        """Return the places of those who are the first in their line and do not have the lock yet."""

    async def waiting(self, after: int, count: int) -> Sequence[LockPlace]:
        """Return the places behind `after` at which somebody waits, in their order."""


class _Nobody:
    async def first(self, tenant: str, key: str) -> LockPlace | None:
        """See `LockStore`."""

    async def awaited_by(self, execution_id: str) -> LockPlace | None:
        """See `LockStore`."""

    async def place(self, tenant: str, place: int) -> LockPlace | None:
        """See `LockStore`."""

    async def held(self, tenant: str, count: int) -> Sequence[tuple[LockPlace, int]]:  # noqa: ARG002 # the signature is the port's
        """See `LockStore`."""
        return ()

    async def due(self, count: int) -> Sequence[LockPlace]:  # noqa: ARG002 # the signature is the port's
        """See `LockStore`."""
        return ()

    async def waiting(self, after: int, count: int) -> Sequence[LockPlace]:  # noqa: ARG002 # the signature is the port's
        """See `LockStore`."""
        return ()


NO_LOCKS: Final[LockStore] = _Nobody()
"""For who has none."""
