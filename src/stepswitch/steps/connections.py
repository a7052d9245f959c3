"""Sessions with devices, kept between the steps of one execution. Called by the step types that log in somewhere.

A session belongs to one execution and to one running step at a time. Between two steps it is kept for a short while, and only
the same execution, with the same credential and a host key that is still trusted, gets it back. Nothing is counted here: how many may
be at a device is one count over all step types, and whoever keeps it has what is kept here closed by `release` where others want the place.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
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

    def __init__(self, *, idle_seconds: float = 30.0) -> None:
        self._idle_seconds = idle_seconds
        self._kept: dict[Device, list[_Kept[S]]] = {}
        self._in_use = 0
        self._closed = False

    @asynccontextmanager
    async def lease(
        self, holder: Holder, connect: Callable[[], Awaitable[S]], *, accepts: Callable[[S], bool], fresh: bool = False
    ) -> AsyncIterator[Lease[S]]:
        """Give a session to `holder` until the block ends.

        A kept session of an equal holder is taken where it lives, `accepts` says yes and no `fresh` one is asked for; otherwise
        what the same execution has kept at the device is closed, and `connect` makes one; what it raises comes through.
        """
        self._in_use += 1
        try:
            lease = await self._take(holder, connect, accepts if not fresh else _never)
            async with self._held(holder, lease):
                yield lease
        finally:
            self._in_use -= 1

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
        return self._in_use + sum(map(len, self._kept.values()))

    async def _take(self, holder: Holder, connect: Callable[[], Awaitable[S]], accepts: Callable[[S], bool]) -> Lease[S]:
        kept = self._kept.get(holder.device, ())
        equal = [each for each in kept if each.holder == holder]
        usable = next((each for each in reversed(equal) if not each.session.is_closed() and accepts(each.session)), None)
        if usable is not None:
            self._forget(usable)
            return Lease(usable.session, reused=True)
        await self._drop([each for each in kept if each.holder.execution_id == holder.execution_id or each.session.is_closed()])
        return Lease(await connect(), reused=False)

    @asynccontextmanager
    async def _held(self, holder: Holder, lease: Lease[S]) -> AsyncIterator[None]:
        """Keep the session of a block that ended well and said so; drop every other."""
        try:
            yield
        except BaseException:
            lease.session.abort()
            await _gone(lease.session)
            raise
        if lease.kept and not self._closed and not lease.session.is_closed():
            self._keep(holder, lease.session)
        else:
            lease.session.close()
            await _gone(lease.session)

    def _keep(self, holder: Holder, session: S) -> None:
        def expire() -> None:
            self._forget(kept)
            session.close()

        kept = _Kept(holder, session, asyncio.get_running_loop().call_later(self._idle_seconds, expire))
        self._kept.setdefault(holder.device, []).append(kept)

    def _forget(self, kept: _Kept[S]) -> None:
        kept.expiry.cancel()
        at_device = self._kept[kept.holder.device]
        at_device.remove(kept)
        if not at_device:
            del self._kept[kept.holder.device]

    async def _drop(self, dropped: list[_Kept[S]]) -> None:
        for kept in dropped:
            self._forget(kept)
            kept.session.close()
        for kept in dropped:
            await _gone(kept.session)

    def _all_kept(self) -> list[_Kept[S]]:
        return [kept for at_device in self._kept.values() for kept in at_device]


def _never(_session: object) -> bool:
    return False


async def _gone(session: Closable) -> None:
    try:
        await asyncio.wait_for(session.wait_closed(), CLOSING_SECONDS)  # not `timeout`: see `ssh_command.Run.stop`
    except TimeoutError:
        session.abort()
