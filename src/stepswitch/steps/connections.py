"""Sessions with devices, kept between the steps of one execution. Called by the step types that log in somewhere.

A session belongs to one execution and to one running step at a time. Between two steps it is kept for a short while, and only
the same execution, with the same credential and a host key that is still trusted, gets it back. Each device (host and port) has
a number of places; who finds them taken by kept sessions has the oldest of these closed, who finds them taken by running steps
waits for its turn.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

CLOSING_SECONDS: Final = 2.0
"""How long a closing session is waited for before it is left to itself."""
_PEPPER: Final = secrets.token_bytes(32)
Device = tuple[str, int]


class Closable(Protocol):
    """What is kept: a logged-in connection."""

    def is_closed(self) -> bool:
        """Return whether it is known to be dead."""
        ...

    def close(self) -> None:
        """Take leave of the peer and drop the connection; never waits."""
        ...

    def abort(self) -> None:
        """Drop the connection; never waits."""
        ...

    async def wait_closed(self) -> None:
        """Return when nothing is left of it."""
        ...


S = TypeVar("S", bound=Closable)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wants a session, and of what kind: only a session left behind by an equal holder is given again."""

    execution_id: str
    device: Device
    credential: bytes


def digest(*parts: str | None) -> bytes:
    """Return what stands for a credential where two are compared. It is keyed for this process, so it cannot be guessed at elsewhere."""
    mixed = hashlib.blake2b(key=_PEPPER, digest_size=32)
    for part in parts:
        encoded = b"-" if part is None else b"+" + part.encode("utf-8", "surrogatepass")
        mixed.update(len(encoded).to_bytes(8, "big") + encoded)
    return mixed.digest()


@dataclass(slots=True, eq=False)
class _Kept(Generic[S]):
    holder: Holder
    session: S
    expiry: asyncio.TimerHandle


@dataclass(slots=True, eq=False)
class _Places(Generic[S]):
    free: asyncio.Semaphore
    taken: int = 0
    interested: int = 0
    kept: list[_Kept[S]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Lease(Generic[S]):
    """A session in the hands of one running step. It is dropped at the end unless the step calls `keep`."""

    session: S
    reused: bool
    kept: bool = False

    def keep(self) -> None:
        """Say that the session is clean: the next step of the same execution may have it."""
        self.kept = True


class Connections(Generic[S]):
    """The sessions of one step type in this process."""

    def __init__(self, *, sessions_per_device: int = 1, idle_seconds: float = 30.0) -> None:
        self._limit = sessions_per_device
        self._idle_seconds = idle_seconds
        self._devices: dict[Device, _Places[S]] = {}
        self._closed = False

    @asynccontextmanager
    async def lease(
        self, holder: Holder, connect: Callable[[], Awaitable[S]], *, accepts: Callable[[S], bool], fresh: bool = False
    ) -> AsyncIterator[Lease[S]]:
        """Give a session to `holder` until the block ends, waiting for a place at its device.

        A kept session of an equal holder is taken where it lives, `accepts` says yes and no `fresh` one is asked for; otherwise
        `connect` makes one, and what it raises comes through.
        """
        places = self._devices.setdefault(holder.device, _Places(asyncio.Semaphore(self._limit)))
        places.interested += 1
        try:
            async with places.free:
                places.taken += 1
                try:
                    lease = await self._take(places, holder, connect, accepts if not fresh else _never)
                    async with self._held(places, holder, lease):
                        yield lease
                finally:
                    places.taken -= 1
        finally:
            places.interested -= 1
            self._forget_unused(holder.device)

    async def release(self, execution_id: str) -> None:
        """Close what is kept for an execution."""
        await self._drop([kept for kept in self._all_kept() if kept.holder.execution_id == execution_id])

    async def close(self) -> None:
        """Close everything that is kept; what is still out is closed when it comes back."""
        self._closed = True
        await self._drop(self._all_kept())

    @property
    def count(self) -> int:
        """How many sessions are kept or in use."""
        return sum(places.taken + len(places.kept) for places in self._devices.values())

    async def _take(
        self, places: _Places[S], holder: Holder, connect: Callable[[], Awaitable[S]], accepts: Callable[[S], bool]
    ) -> Lease[S]:
        own = [kept for kept in places.kept if kept.holder == holder]
        usable = next((kept for kept in reversed(own) if not kept.session.is_closed() and accepts(kept.session)), None)
        if usable is not None:
            usable.expiry.cancel()
            places.kept.remove(usable)
            return Lease(usable.session, reused=True)
        await self._make_room(places, holder)
        return Lease(await connect(), reused=False)

    async def _make_room(self, places: _Places[S], holder: Holder) -> None:
        """Close kept sessions until the one that is coming has room: all dead ones, then those of other executions, the oldest first."""
        await self._drop([kept for kept in places.kept if kept.session.is_closed()])
        excess = places.taken + len(places.kept) - self._limit
        if excess > 0:
            by_use = sorted(places.kept, key=lambda kept: kept.holder.execution_id == holder.execution_id)
            await self._drop(by_use[:excess])

    @asynccontextmanager
    async def _held(self, places: _Places[S], holder: Holder, lease: Lease[S]) -> AsyncIterator[None]:
        """Keep the session of a block that ended well and said so; drop every other."""
        try:
            yield
        except BaseException:
            lease.session.abort()
            await _gone(lease.session)
            raise
        if lease.kept and not self._closed and not lease.session.is_closed():
            self._keep(places, holder, lease.session)
        else:
            lease.session.close()
            await _gone(lease.session)

    def _keep(self, places: _Places[S], holder: Holder, session: S) -> None:
        def expire() -> None:
            places.kept.remove(kept)
            session.close()
            self._forget_unused(holder.device)

        kept = _Kept(holder, session, asyncio.get_running_loop().call_later(self._idle_seconds, expire))
        places.kept.append(kept)

    async def _drop(self, dropped: list[_Kept[S]]) -> None:
        for kept in dropped:
            kept.expiry.cancel()
            places = self._devices[kept.holder.device]
            places.kept.remove(kept)
            kept.session.close()
            self._forget_unused(kept.holder.device)
        for kept in dropped:
            await _gone(kept.session)

    def _all_kept(self) -> list[_Kept[S]]:
        return [kept for places in self._devices.values() for kept in places.kept]

    def _forget_unused(self, device: Device) -> None:
        places = self._devices.get(device)
        if places is not None and not places.interested and not places.kept:
            del self._devices[device]


def _never(_session: object) -> bool:
    return False


async def _gone(session: Closable) -> None:
    try:
        await asyncio.wait_for(session.wait_closed(), CLOSING_SECONDS)  # not `timeout`: see `ssh_command.Run.stop`
    except TimeoutError:
        session.abort()
