"""How much is carried out at once in this process, and how much is held in memory for it. Given to `local` by `bootstrap`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.events import Task

FOR_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Places:
    """How much may go on at once: steps in this process, sessions to one device, and steps of a type that has few places of its own."""

    steps: int = 100
    per_device: int = 1
    by_type: Mapping[str, int] = field(default_factory=dict)

    def of(self, task: Task) -> int | None:
        """Return how many tasks of this one's lane may be carried out at once; None where only the places among all count."""
        return self.per_device if task.device is not None else self.by_type.get(task.step_type)


@dataclass(frozen=True, slots=True)
class Room:
    """How many tasks are held in memory: turns, steps of all lanes together, and steps of one lane."""

    turns: int
    steps: int
    device: int
    type: int

    @classmethod
    def for_places(cls, places: Places) -> "Room":
        """Return room for what `places` can use soon, also while every place has a device that hangs."""
        device, of_type = 4 * places.per_device + 16, 4 * places.steps + 16
        blocked = device * places.steps + of_type * len(places.by_type)
        return cls(turns=2_000, steps=1_000 + blocked, device=device, type=of_type)


NO_BOUND: Final = Room(FOR_EVER, FOR_EVER, FOR_EVER, FOR_EVER)
