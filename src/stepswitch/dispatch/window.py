"""How much of what can run is held in memory; what there is no room for is left in the store until there is. Used by `local`.

Tasks stand in lanes, those that want the same device in one, and those of a tenant with few places in another one besides. A lane holds
what it can use soon, so that ten thousand tasks of a device that hangs keep nobody from standing in line; all lanes together have a bound
too. Where something is left, whatever comes later is left as well: the order is that of the store.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from typing import Final

from stepswitch.domain.events import Task

MEANWHILE: Final = 1_000
"""So many tasks that come while the store is being read are kept at hand, so that reading it comes to an end."""


class Window:
    """The tasks of one kind. It only counts; where they stand is the dispatcher's. `is_read`: whether nothing is in the store at first."""

    def __init__(self, room: int, lane_room: Callable[[str], int], *, is_read: bool) -> None:
        self._room = room
        self._lane_room = lane_room
        self._lanes: Counter[str] = Counter()
        self._held = 0
        self._left: set[str] = set()
        self._overflows = not is_read
        self._refill: Refilling | None = None
        self.left: Counter[str] = Counter()
        """About how many tasks are left in the store, by tenant; the backlog counts them now and then."""
        self.has_room = asyncio.Event()
        """Set when there is room for what was left."""
        if not is_read:
            self.has_room.set()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for any other task."""
        return self._held >= self._room

    @property
    def holds_all(self) -> bool:
        """Whether nothing is left in the store."""
        return not (self._left or self._overflows)

    @property
    def wants_more(self) -> bool:
        """Whether there is room for what is left in the store, so that it should be read."""
        return (self._overflows and self._is_airy()) or not all(map(self._is_crowded, self._left))

    def admits(self, task: Task, lanes: Collection[str]) -> bool:
        """Return whether a task that is new may stand in line; it is counted then."""
        if not self._overflows and self._left.isdisjoint(lanes) and self.enters(lanes):
            return True
        self.left[task.tenant] += 1
        if self._refill is not None and not self._refill.keeps(task, lanes):
            self._refill.leaves(self._left.intersection(lanes))
        return False

    def enters(self, lanes: Collection[str]) -> bool:
        """Count a task that stands in these lanes in; return False where there is no room for it."""
        counts = len(lanes) == 1
        crowded: set[str] = set()
        if counts and self.is_full:
            self._overflows = True
        else:
            crowded = {lane for lane in lanes if self._lanes[lane] >= self._lane_room(lane)}
            if not crowded:
                self._lanes.update(lanes)
                self._held += counts
                return True
            self._left |= crowded
        if self._refill is not None:
            self._refill.leaves(crowded)
        return False

    def goes(self, lanes: Collection[str]) -> None:
        """Count a task out that is carried out now, or taken back."""
        self._held -= len(lanes) == 1
        self._lanes.subtract(lanes)
        if (self._overflows and self._is_airy()) or any(lane in self._left and not self._is_crowded(lane) for lane in lanes):
            self.has_room.set()
        for lane in lanes:
            if not self._lanes[lane]:
                del self._lanes[lane]

    def refill(self) -> "Refilling":
        """Begin to take in what was left, from its oldest on."""
        self.has_room.clear()
        crowded = set(filter(self._is_crowded, self._left))
        if self._overflows:
            self._left = crowded  # of the others everything is read, as of all lanes
        self._refill = Refilling(crowded)
        return self._refill

    def refilled(self, refill: "Refilling", *, is_all: bool) -> None:
        """Take note that the store was read, up to its end where `is_all`."""
        self._refill = None
        if is_all:
            self._left = refill.left | (self._left & refill.skipped)
            self._overflows = refill.overflows
        if self.wants_more:
            self.has_room.set()

    def _is_airy(self) -> bool:
        return self._held <= self._room * 3 // 4

    def _is_crowded(self, lane: str) -> bool:
        return self._lanes[lane] > self._lane_room(lane) // 2


class Refilling:
    """What happens while the store is being read. `left`: lanes of which something had to be left again."""

    def __init__(self, skipped: Collection[str]) -> None:
        self.skipped = frozenset(skipped)
        """Lanes that hold enough although more of them is left."""
        self.left: set[str] = set()
        self.overflows = False
        self.meanwhile: dict[str, Task] = {}

    def keeps(self, task: Task, lanes: Collection[str]) -> bool:
        """Return whether a task that came meanwhile is kept at hand until the end."""
        if not self.skipped.isdisjoint(lanes) or len(self.meanwhile) >= MEANWHILE:
            return False
        self.meanwhile[task.execution_id] = task
        return True

    def leaves(self, lanes: AbstractSet[str]) -> None:
        """Take note that something was left again: of lanes that are full, or, where that are none, because all are full together."""
        self.left |= lanes
        self.overflows = self.overflows or not lanes
