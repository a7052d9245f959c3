"""Taking from the store what was left there. Made by `local`, for the backlog."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from stepswitch.dispatch.delays import Delays
from stepswitch.dispatch.window import Refilling, Window
from stepswitch.domain.events import Task

FOR_EVER: Final = 2**62


class LocalRefill:
    """Implements `engine.dispatching.Refill`."""

    def __init__(
        self, window: Window, take: Callable[[Task], bool], submit: Callable[[Task], bool], delays: Delays, held: Counter[str]
    ) -> None:
        self._held = held
        self._window = window
        self._take = take
        self._submit = submit
        self._delays = delays
        self._refilling: Refilling = window.refill()

    def crowded(self) -> frozenset[str]:
        """See `Refill`."""
        return self._refilling.skipped | self._refilling.left

    def due_before(self, now: int) -> int:
        """See `Refill`."""
        return now if self._delays.is_full else FOR_EVER

    def take(self, task: Task) -> bool:
        """See `Refill`."""
        return self._take(task) or not self._window.is_full

    def end(self, *, is_all: bool, waiting: Mapping[str, int]) -> None:
        """See `Refill`."""
        meanwhile = self._refilling.meanwhile
        self._window.refilled(self._refilling, is_all=is_all)
        self._window.left = Counter() if self._window.holds_all else Counter(waiting) - self._held
        for task in meanwhile.values():
            self._submit(task)
