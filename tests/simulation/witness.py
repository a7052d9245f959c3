"""Who hears of every commit, and sees that it may be: that it is on disk, that nobody says what is not so, that nobody has what somebody else has."""

from collections import Counter
from collections.abc import Callable

from stepswitch.domain.execution import Head, Leftover
from stepswitch.domain.locks import OF_DEVICE, named
from stepswitch.domain.states import StepState
from stepswitch.engine.records import Committed
from stepswitch.storage.places import head_place, steps_place
from stepswitch.storage.seals import opened
from tests.simulation.devices import City, Told
from tests.simulation.disk import Disk
from tests.simulation.service import Life


class Witness:
    """Remembers of each execution what was committed last, as far as somebody was told of it."""

    def __init__(self, disk: Disk, city: City, life: Callable[[], Life | None]) -> None:
        self._disk = disk
        self._city = city
        self._life = life
        self._left: dict[str, tuple[Leftover, ...]] = {}
        self._claims: dict[str, set[str]] = {}
        self._claims_of_deleted: set[str] = set()
        self._heads: dict[str, Head] = {}
        self._excused: set[str] = set()
        """Claims of steps whose lock was broken while they were carried out, or may have been."""
        city.is_claimed, city.hear, city.lacks_lock = self.is_claimed, self.hear, self.lacks_lock

    def forget(self) -> None:
        """Know nothing any more of how executions stand: a backup was restored."""
        self._heads.clear()
        self._left.clear()

    def is_claimed(self, told: Told) -> bool:
        """Return whether a claim is on disk, or went from there with an execution that somebody has deleted since it was aborted."""
        if told.nonce in self._claims_of_deleted:
            return True
        found = {"id": told.execution_id}
        heads = self._disk.rows("SELECT body, tenant FROM executions WHERE id = :id", found)
        steps = self._disk.rows("SELECT body FROM step_executions WHERE execution_id = :id", found)
        bodies = [
            *opened(heads, lambda row: head_place(row[1], told.execution_id), self._disk.sealer),
            *opened(steps, lambda _: steps_place(told.execution_id), self._disk.sealer),
        ]
        return any(told.nonce.encode() in body for body, *_ in bodies)

    def hear(self, change: Committed) -> None:
        """See that what others are told of is on disk; remember the claims that were, for as long as their executions."""
        if change.is_gone:
            self._claims_of_deleted |= self._claims.pop(change.execution_id, set())
            self._heads.pop(change.execution_id, None)
        if change.head is not None:
            self._watch_sessions(change.head)
            self._watch_locks(change, change.head)
            claims = {step.claim.nonce for step in (change.head.current, *change.steps) if step is not None and step.claim is not None}
            self._claims.setdefault(change.execution_id, set()).update(claims)
            found = self._disk.rows("SELECT version FROM executions WHERE id = :id", {"id": change.execution_id})
            if not found or found[0][0] < change.head.version:
                self._city.breaches.append(
                    f"others were told of version {change.head.version} of {change.execution_id}, which is not on disk"
                )

    def _watch_sessions(self, head: Head) -> None:
        """See that no session is said to be closed which is open; note what was left behind, and by whom it was confirmed to be gone."""
        before, now = self._left.get(head.id, ()), head.left_behind
        if before == now:
            return
        self._left[head.id] = now
        self._city.met["something may be left at a target"] += len(set(now) - set(before))
        self._city.met["something was left at a target by a step that is behind"] += any(
            head.current is not None and each.number < head.current.number for each in now
        )
        for each in set(before) - set(now):
            session = self._city.sessions.get(each.nonce)
            if session is not None and not session.node.is_dead:
                self._city.breaches.append(f"a session is said to be closed that is open: {each} of {head.id}")
            if each.nonce in self._city.things:
                self._city.breaches.append(f"something is said to be gone that stands: {each} of {head.id}")
            is_dead = (life := self._life()) is not None and each.instance != life.instance
            self._city.met[
                "something that a dead process left was confirmed to be gone"
                if is_dead
                else "whoever left something there said that it is gone"
            ] += 1

    # --- locks ---

    def _watch_locks(self, change: Committed, head: Head) -> None:
        """See that who has locks is what their lines say, and that nobody is at a step that still waits for one."""
        before = self._heads.get(head.id)
        self._heads[head.id] = head
        work = None if head.current is None else head.current.work
        is_unheard = before is None or head.version > before.version + 1
        if work is not None and work.claim is not None and (is_unheard or any("was broken by" in entry.message for entry in change.logs)):
            self._excused.add(work.claim.nonce)
        if work is not None and work.state is StepState.EXECUTING and head.awaited_lock is not None:
            self._city.breaches.append(f"{head.id} is at a step that waits for its lock")
        if change.locks is not None or (before is not None and before.locks != head.locks):
            self.check_locks()

    def check_locks(self) -> None:
        """See that the lines are what those executions say who stand in them, and that no two have the same."""
        versions = {row[0]: row[1] for row in self._disk.rows("SELECT id, version FROM executions")}
        lines = self._disk.lines()
        known = [head for head in self._heads.values() if versions.get(head.id) == head.version]
        holders = Counter((head.tenant, lock.key) for head in known for lock in head.locks)
        if doubled := [lock for lock, count in holders.items() if count > 1]:
            self._city.breaches.append(f"several have the same lock: {doubled}")
        for head in known:
            has = sorted(key for _, key, execution_id, is_held in lines if execution_id == head.id and is_held)
            awaits = [key for _, key, execution_id, is_held in lines if execution_id == head.id and not is_held]
            awaited = [] if head.awaited_lock is None else [head.awaited_lock.key]
            if (has, awaits) != (sorted(lock.key for lock in head.locks), awaited):
                self._city.breaches.append(
                    f"{head.id}, {head.status}, has {head.locks} and waits for {awaited}; it stands in line as {has} and {awaits}"
                )

    def lacks_lock(self, told: Told, lock: str, lane: str | None) -> bool:
        """Return whether somebody who is at a step has not the lock that it wants, although nobody has broken it."""
        head = self._heads.get(told.execution_id)
        step = None if head is None else head.current
        if head is None or step is None or step.claim is None or step.state is not StepState.EXECUTING:
            return False
        if step.claim.nonce != told.nonce or told.nonce in self._excused:
            return False
        return (lane if lock == OF_DEVICE else named(lock).key) not in {each.key for each in head.locks}
