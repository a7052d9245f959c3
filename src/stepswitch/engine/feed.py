"""What is committed, handed on to everybody who follows it, in the order of commits. An observer; followed by `api.stream`.

One loop reads the commits behind the last one that it has seen, makes news of those that somebody follows, and gives them to the
followers at once. It only runs while there are any. A follower keeps few of them; what was more is read again from the store, where
he was. So nothing is told before it is on disk, nobody's memory grows, and a follower that stands still holds nobody else up.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from stepswitch.domain.errors import OverloadedError, StoreError
from stepswitch.domain.execution import Head
from stepswitch.engine.budget import portions
from stepswitch.engine.commits import KEPT_MILLISECONDS, CommitRow, Position
from stepswitch.engine.news import Happened, Newsroom, Standing
from stepswitch.engine.ports import Clock, CommitLog
from stepswitch.engine.records import Committed

PENDING: Final = 256
PENDING_BYTES: Final = 256 * 1024
"""What a follower keeps until he has time for it, at most; the same news are there once for all."""
PORTION_BYTES: Final = 256 * 1024
"""Of commits that are read at once; a larger one alone."""
RETRY_SECONDS: Final = 1.0
BEGINNING: Final = Position(0, 0)
END: Final = 2**62
"""A place behind all others."""
_log = structlog.get_logger("stepswitch.feed")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a follower takes at once. `is_reset`: something before it is no longer known."""

    happened: Sequence[Happened] = ()
    is_reset: bool = False


class Follower:
    """Follows the executions of a tenant, or one of them, from a position on. Made by `Feed.follow`; to be closed."""

    def __init__(self, feed: "Feed", tenant: str, execution_id: str | None) -> None:
        self.tenant = tenant
        self.execution_id = execution_id
        self.changed = asyncio.Event()
        """Set when there is something to take, and when the feed is closed."""
        self._feed = feed
        self._pending: deque[Happened] = deque()
        self._pending_bytes = 0
        self._is_lost = False
        self._joined = feed.seen
        """What is committed later is handed to it; what was before has to be read."""
        self._read = feed.seen
        self._reset_due = False

    def start(self, after: Position) -> None:
        """Follow from an earlier position on."""
        self._read = after

    def reset(self) -> None:
        """Begin anew with what follows: what was before cannot be told any more."""
        self._reset_due = True

    @property
    def position(self) -> Position:
        """Up to where everything was taken, or is not for this follower."""
        if self._pending or self.is_behind:
            return self._read
        return _later(self._read, self._feed.handed_on)

    @property
    def is_behind(self) -> bool:
        """Whether there is something that has to be read from the store."""
        return self._is_lost or self._reset_due or self._read.place < self._joined.place

    def give(self, happened: Happened) -> None:
        """Keep news until they are taken; too many are dropped, to be read again."""
        if happened.position.place <= self._joined.place or self._is_lost:
            return
        if len(self._pending) >= PENDING or (self._pending and self._pending_bytes + happened.size > PENDING_BYTES):
            self.lose()
            return
        self._pending.append(happened)
        self._pending_bytes += happened.size
        self.changed.set()

    def lose(self) -> None:
        """Drop what is kept: it is to be read again."""
        self._is_lost = True
        self._pending.clear()
        self._pending_bytes = 0
        self.changed.set()

    async def take(self) -> Taken:
        """Return what there is by now, without waiting for more; raises StoreError. Nothing, where `changed` is to be waited for."""
        self.changed.clear()
        if self._is_lost:
            self._is_lost, self._joined = False, self._feed.seen
        if self._reset_due:
            return self._begin_anew()
        if self._read.place < self._joined.place:
            return await self._read_on()
        happened = tuple(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._read = _later(happened[-1].position if happened else self._read, self._feed.handed_on)
        return Taken(happened)

    def _begin_anew(self) -> Taken:
        self._reset_due, self._read = False, self._joined
        return Taken(is_reset=True)

    async def _read_on(self) -> Taken:
        """Return what stands in the store behind what was taken last; a part of it, where it is much."""
        portion = await self._feed.read(self._read.place, self._joined, self)
        if portion is None:
            return self._begin_anew()
        happened, self._read = portion
        if self._read.place < self._joined.place or self._pending:
            self.changed.set()
        return Taken(happened)

    def close(self) -> None:
        """Follow no more."""
        self._feed.leave(self)


class Feed:
    """Hands on what is committed. `most` followers at once."""

    def __init__(self, commits: CommitLog, newsroom: Newsroom, clock: Clock, most: int) -> None:
        self._commits = commits
        self._newsroom = newsroom
        self._clock = clock
        self._most = most
        self._followers: dict[tuple[str, str | None], set[Follower]] = {}
        """By tenant, and by the execution where it is one."""
        self._count = 0
        self._news = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self.seen = BEGINNING
        """Up to where the loop has read; who comes later is given nothing of it."""
        self.handed_on = BEGINNING
        """Up to where everybody was given what is his."""
        self.is_closed = False

    def committed(self, change: Committed) -> None:
        """See `Observer`."""
        if self._count:
            self._newsroom.note(change)
            self._news.set()

    async def follow(self, tenant: str, execution_id: str | None = None, after: Position | None = None, *, again: bool = False) -> Follower:
        """Return who follows from now on, or from `after` on where that is still known; raises OverloadedError, StoreError.

        `again`: the commit there is wanted once more.
        """
        if self.is_closed or self._count >= self._most:
            raise OverloadedError(
                "the service is stopping" if self.is_closed else f"{self._most} streams are open; no more are served at once"
            )
        async with self._opening:
            if self._loop is None:
                self.seen = self.handed_on = await self._commits.newest()
                self._loop = asyncio.get_running_loop().create_task(self._hand_on_forever(), name="feed")
            follower = Follower(self, tenant, execution_id)
            self._followers.setdefault((tenant, execution_id), set()).add(follower)
            self._count += 1
        self._news.set()  # what was committed since the loop has looked last
        try:
            if after is not None:
                await self._start(follower, after, again=again)
        except BaseException:
            self.leave(follower)
            raise
        return follower

    async def _start(self, follower: Follower, after: Position, *, again: bool) -> None:
        newest = await self._commits.newest()
        is_known = after == BEGINNING or await self._commits.time_at(after.place) == after.time
        is_young = after.time >= self._clock.now() - KEPT_MILLISECONDS or after.place in (0, newest.place)
        if is_known and is_young:
            follower.start(Position(after.place - 1, 0) if again and after.place else after)
        else:
            follower.reset()

    def leave(self, follower: Follower) -> None:
        """Give a follower nothing any more; when the last one leaves, nothing is read any more."""
        key = (follower.tenant, follower.execution_id)
        of_key = self._followers.get(key, set())
        if follower not in of_key:
            return
        of_key.remove(follower)
        if not of_key:
            del self._followers[key]
        self._count -= 1
        if not self._count:
            self._rest()

    def _rest(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            self._loop = None
        self._newsroom.clear()

    def close(self) -> None:
        """Tell every follower that nothing follows: the service stops."""
        self.is_closed = True
        self._rest()
        for follower in self._everybody():
            follower.changed.set()

    async def newest(self, execution_id: str) -> Position:
        """Return the position of what was committed last of an execution."""
        return await self._commits.newest(execution_id)

    async def standing(self, head: Head) -> Standing:
        """Return how an execution stands now, as those who follow it are told."""
        return await self._newsroom.standing(head)

    # --- the loop ---

    async def _hand_on_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                while await self._hand_on():
                    pass
            except StoreError as error:
                _log.error("commits cannot be read; trying again", error=str(error), followers=self._count)
                self._lose_everybody()
                await self._clock.sleep(RETRY_SECONDS)
                self._news.set()
            except Exception:  # noqa: BLE001 # whatever it was: followers read it again by themselves, and are told then
                _log.exception("what was committed could not be handed on", followers=self._count)
                self._lose_everybody()

    async def _hand_on(self) -> bool:
        """Hand on the next page of commits; return whether there was one."""
        page = await self._commits.page(self.seen.place, END)
        if not page.is_whole:
            self._lose_everybody()
        if not page.rows:
            return False
        last = page.rows[-1]
        wanted = [row for row in page.rows if self._is_followed(row)]
        self.seen = Position(last.place, last.time)  # at the same moment: who comes now reads these rows himself
        for portion in portions(wanted, _size_of, PORTION_BYTES):
            for happened in await self._happened(portion):
                for follower in (*self._of(happened, None), *self._of(happened, happened.execution_id)):
                    follower.give(happened)
        self.handed_on = self.seen
        return True

    def _is_followed(self, row: CommitRow) -> bool:
        return (row.tenant, None) in self._followers or (row.tenant, row.execution_id) in self._followers

    def _of(self, happened: Happened, execution_id: str | None) -> Sequence[Follower]:
        return tuple(self._followers.get((happened.tenant, execution_id), ()))

    def _everybody(self) -> Iterator[Follower]:
        return (follower for followers in tuple(self._followers.values()) for follower in tuple(followers))

    def _lose_everybody(self) -> None:
        for follower in self._everybody():
            follower.lose()

    # --- from the store ---

    async def read(self, after: int, until: Position, follower: Follower) -> tuple[Sequence[Happened], Position] | None:
        """Return what stands behind a place for one follower, and up to where that is; None where something was forgotten."""
        of = {"execution_id": follower.execution_id} if follower.execution_id is not None else {"tenant": follower.tenant}
        page = await self._commits.page(after, until.place, **of)
        if not page.is_whole:
            return None
        rows = [row for row in page.rows if row.tenant == follower.tenant]
        portion = next(portions(rows, _size_of, PORTION_BYTES), [])
        happened = await self._happened(portion)
        if len(portion) < len(rows):
            return happened, Position(portion[-1].place, portion[-1].time)
        return happened, until if page.reached >= until.place else Position(page.reached, 0)

    async def _happened(self, rows: Sequence[CommitRow]) -> Sequence[Happened]:
        sizes = {row.place: row.size for row in rows}
        made = [await self._newsroom.happened(commit, sizes[commit.place]) for commit in await self._commits.read(rows)]
        return [each for each in made if each is not None]


def _size_of(row: CommitRow) -> int:
    return row.size


def _later(one: Position, other: Position) -> Position:
    return one if one.place >= other.place else other
