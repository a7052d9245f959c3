"""Gives locks to those who are next in line, and finds those who wait for each other. Started by `bootstrap`; asked by the timekeeper now and then.

Who has a lock is decided by the store, with the save that gives it; here is only seen to it that somebody asks for that save. What is missed, by
a stop in between, is found by `look`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from stepswitch.domain.errors import NotFoundError, StepswitchError
from stepswitch.domain.events import Decision, LockGiven, LocksInCircle, Reply
from stepswitch.domain.execution import Head
from stepswitch.domain.locks import Lock
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.lock_ports import LockPlace, LockStore
from stepswitch.engine.records import Committed

PAGE: Final = 200
MOST_LINKS: Final = 1_000
"""A chain of those who wait for each other is followed so far."""
_Work = Callable[[LockPlace], Awaitable[None]]
_log = structlog.get_logger("stepswitch.locks")


@dataclass(frozen=True, slots=True)
class _Touched:
    """A line in which somebody has stood up, or from which somebody has gone."""

    tenant: str
    key: str
    asked_by: str | None = None


class LockLines:
    """Keeps the lines moving. Implements `Observer`."""

    def __init__(self, store: LockStore, conductor: Conductor) -> None:
        self._store = store
        self._conductor = conductor
        self._touched: asyncio.Queue[_Touched] = asyncio.Queue()

    def committed(self, change: Committed) -> None:
        """See `Observer`."""
        if change.locks is None or change.head is None:
            return
        tenant = change.head.tenant
        for lock in change.locks.left:
            self._touched.put_nowait(_Touched(tenant, lock.key))
        if change.locks.asked is not None:
            self._touched.put_nowait(_Touched(tenant, change.locks.asked.key, change.execution_id))

    async def run(self) -> None:
        """See to every line that is touched, until cancelled; a fault of the store is logged and outlived."""
        while True:
            touched = await self._touched.get()
            try:
                await self.see_to(touched.tenant, touched.key, touched.asked_by)
            except (StepswitchError, OSError) as error:
                _log.error("a lock could not be given; it is tried again", error=str(error))

    async def see_to(self, tenant: str, key: str, asked_by: str | None = None) -> None:
        """Give a lock to whoever is next; where somebody has just asked for it who has to wait, see whether that can ever end."""
        first = await self._store.first(tenant, key)
        if first is not None and first.held_since is None:
            await self._give(first)
        elif asked_by is not None and (place := await self._store.awaited_by(asked_by)) is not None:
            await self._break_circle(place)

    async def look(self) -> None:
        """Give what was forgotten, and break every circle. All who stand in one line lead to the same ones: one of them is followed."""
        for first in await self._store.due(PAGE):
            await self._outlive(first, self._give)
        after, seen = 0, set[tuple[str, str]]()
        while page := await self._store.waiting(after, PAGE):
            for place in page:
                if (place.tenant, place.key) not in seen:
                    seen.add((place.tenant, place.key))
                    await self._outlive(place, self._break_circle)
            after = page[-1].place

    async def _outlive(self, place: LockPlace, work: _Work) -> None:
        """Let one execution that cannot be read keep no other from its lock."""
        try:
            await work(place)
        except StepswitchError as error:
            _log.error("an execution that wants a lock cannot go on", execution=place.execution_id, error=str(error))

    async def _give(self, first: LockPlace) -> None:
        head = await self._conductor.head(first.execution_id)
        if head is not None and head.current is not None:
            event = LockGiven(f"lock:{first.place}", head.current.number, head.current.attempt, first.key)
            await self._apply(first, event)

    async def _apply(self, place: LockPlace, event: LockGiven | LocksInCircle) -> Decision | None:
        try:
            return await self._conductor.apply(place.execution_id, event)
        except NotFoundError:
            return None  # it was deleted meanwhile, and its places with it

    # --- those who wait for each other ---

    async def _break_circle(self, place: LockPlace) -> None:
        """Where somebody waits for somebody who waits for him, let the one fail who asked last."""
        circle = await self._circle(place)
        if not circle:
            return
        last = max(circle, key=lambda each: each.place)
        heads = [head for head in [await self._conductor.head(each.execution_id) for each in circle] if head is not None]
        victim = next((head for head in heads if head.id == last.execution_id), None)
        if victim is None or victim.current is None:
            return
        others = [head for head in heads if head.id != victim.id]
        event = LocksInCircle(f"circle:{last.place}", victim.current.number, victim.current.attempt, last.key, _told(victim, others))
        decision = await self._apply(last, event)
        if decision is not None and decision.reply is Reply.DONE:
            _log.warning(
                "executions waited for each other's locks; the one that asked last fails there",
                execution=victim.id,
                others=[head.id for head in others],
            )

    async def _circle(self, place: LockPlace) -> Sequence[LockPlace]:
        """Return the places of those who wait for each other, where the one at `place` leads to such; nothing where the last one of the chain waits for nobody."""
        chain = [place]
        while len(chain) < MOST_LINKS:
            first = await self._store.first(chain[-1].tenant, chain[-1].key)
            if first is None or first.execution_id == chain[-1].execution_id:
                return ()
            following = await self._waits_at(first.execution_id)
            if following is None:
                return ()
            begins = next((number for number, each in enumerate(chain) if each.execution_id == following.execution_id), None)
            if begins is not None:
                return chain[begins:]
            chain.append(following)
        return ()

    async def _waits_at(self, execution_id: str) -> LockPlace | None:
        """Return where an execution stands in line, or the one that its step waits for; None where neither does."""
        for _ in range(MOST_LINKS):
            place = await self._store.awaited_by(execution_id)
            head = None if place is not None else await self._conductor.head(execution_id)
            child = None if head is None or head.current is None else head.current.child
            if child is None:
                return place
            execution_id = child.execution_id
        return None


def _told(victim: Head, others: Sequence[Head]) -> str:
    """Return why a step fails, for whoever may read it: of others, who may be none of his business, neither their ids nor what else they wait for."""
    wanted = _name(victim.awaited_lock)
    if not others:
        return (
            f"nothing was sent: the lock {wanted} would never be free, for an execution has it that waits for this one; "
            "let only one of the two workflows ask for it"
        )
    waited_for = {head.awaited_lock for head in others}
    has = ", ".join(sorted(_name(lock) for lock in victim.locks if lock in waited_for))
    who_has = f"this execution has {has}" if has else "an execution that waits for this one has a lock"
    return (
        f"nothing was sent: the lock {wanted} would never be free, for {who_has}, and whoever has {wanted} waits for that, himself or by way "
        "of others; let all workflows ask for their locks in the same order"
    )


def _name(lock: Lock | None) -> str:
    return "" if lock is None else f"on {lock.name}" if lock.is_of_device else repr(lock.name)
