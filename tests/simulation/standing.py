"""How all executions that have not ended stand to each other at one moment: who waits for whom, in line for a lock or for the end of another one."""

from collections import Counter
from collections.abc import Sequence

from stepswitch.domain.execution import Head, Status
from tests.simulation.disk import Line


class Standing:
    """What is on disk at one moment."""

    def __init__(self, heads: Sequence[Head], lines: Sequence[Line]) -> None:
        self._heads = {head.id: head for head in heads}
        self._first: dict[tuple[str, str], str] = {}
        for tenant, key, execution_id, _ in lines:
            self._first.setdefault((tenant, key), execution_id)

    def going(self) -> list[Head]:
        """Return those that go on by themselves: they are at a step, or wait for somebody who is."""
        return [head for head in self._heads.values() if self._last(head).status is not Status.PAUSED]

    def roots(self, heads: Sequence[Head]) -> list[Head]:
        """Return those for whom these executions were begun in the end, or who stand for themselves."""
        found = {}
        for each in heads:
            head = each
            while head.parent is not None and head.parent.execution_id in self._heads:
                head = self._heads[head.parent.execution_id]
            found[head.id] = head
        return list(found.values())

    def lost(self, met: Counter[str]) -> dict[str, str]:
        """Return which executions wait for what will never be, or were not told of a pause, and why; note what was met."""
        found = {}
        for head in self._heads.values():
            met["somebody waited for a lock, in the end"] += head.awaited_lock is not None
            why = self._why_never(head) or self._why_untold(head)
            if why is not None:
                found[head.id] = why
        return found

    def astray(self) -> list[str]:
        """Return the executions that were begun for others of which none waits for them any more."""
        return [head.id for head in self._heads.values() if head.parent is not None and self._parent(head) is None]

    def _parent(self, head: Head) -> Head | None:
        """Return the execution that waits for one."""
        parent = None if head.parent is None else self._heads.get(head.parent.execution_id)
        child = None if parent is None or parent.current is None else parent.current.awaits
        return parent if child is not None and child.execution_id == head.id else None

    def _awaited(self, head: Head) -> str | None:
        """Return the execution that one waits for."""
        if head.status is Status.PAUSED or head.current is None:
            return None
        if head.current.awaits is not None:
            return head.current.awaits.execution_id
        return None if head.awaited_lock is None else self._first.get((head.tenant, head.awaited_lock.key), "nobody")

    def _chain(self, head: Head) -> list[str]:
        """Return those who wait for each other, from one on, until somebody waits for nobody, for somebody who is not there, or for one of them."""
        chain = [head.id]
        while (at := self._heads.get(chain[-1])) is not None and (awaited := self._awaited(at)) is not None:
            chain.append(awaited)
            if awaited in chain[:-1]:
                break
        return chain

    def _last(self, head: Head) -> Head:
        """Return whom an execution waits for in the end: itself, where it waits for nobody."""
        return next(self._heads[each] for each in reversed(self._chain(head)) if each in self._heads)

    def _why_never(self, head: Head) -> str | None:
        chain = self._chain(head)
        if chain[-1] in chain[:-1]:
            return f"it waits for ever: {chain}" if len(chain) > 2 else "it waits for a lock that is its own, as soon as it is given"
        return None if chain[-1] in self._heads else f"it waits for one that has ended: {chain}"

    def _why_untold(self, head: Head) -> str | None:
        parent = self._parent(head)
        if parent is None or head.parent is None or head.parent.holds is parent.pause_requested:
            return None
        return f"its parent wants a pause: {parent.pause_requested}, and it was not told"
