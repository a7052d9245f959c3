"""How much is carried out at once in this process, and how much is held in memory for it. Given to `local` by `bootstrap`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Task, TaskKind, lane_of_tenant

FOR_EVER: Final = 2**62
TENANT: Final = "tenant"
"""What somebody waits for whose tenant has as many steps carried out as it may."""


def _no_limit(_tenant: str) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Places:
    """How much may go on at once: steps in this process, sessions to one device unless its lane says otherwise, steps of a type that has few places of its own, and steps of a tenant."""

    steps: int = 100
    per_device: int = 1
    by_type: Mapping[str, int] = field(default_factory=dict)
    of_tenant: Callable[[str], int | None] = _no_limit

    def of(self, task: Task) -> dict[str, int]:
        """Return the lanes in which a step stands that have few places, and how many each has; of the others only the places among all count."""
        few: dict[str, int] = {}
        places = self.at(task.device) if task.device is not None else self.by_type.get(task.step_type)
        if places is not None:
            few[task.lane] = places
        of_tenant = self.of_tenant(task.tenant)
        if of_tenant is not None:
            few[lane_of_tenant(task.tenant)] = of_tenant
        return few

    def at(self, device: DeviceLane) -> int:
        """Return how many sessions a device may have at once."""
        return device.sessions or self.per_device

    def lanes(self, task: Task) -> tuple[str, ...]:
        """Return every lane in which a task stands: its own, and that of its tenant where steps of it are limited."""
        if task.kind is TaskKind.TURN or self.of_tenant(task.tenant) is None:
            return (task.lane,)
        return (task.lane, lane_of_tenant(task.tenant))


@dataclass(frozen=True, slots=True)
class Room:
    """How many tasks are held in memory: turns, steps of all lanes together, steps of one lane, and of a tenant for each step that it may have at once.

    What is held for a tenant whose steps are limited does not count among all: however much of it waits, it takes no room from others.
    """

    turns: int
    steps: int
    device: int
    type: int
    tenant: int

    def of_lane(self, lane: str, places: Places) -> int:
        """Return how many steps of a lane are held."""
        if lane.startswith("tenant "):
            return self.tenant * (places.of_tenant(lane.removeprefix("tenant ")) or 0) + self.tenant
        return self.device if lane.startswith("device ") else self.type

    @classmethod
    def for_places(cls, places: Places) -> "Room":
        """Return room for what `places` can use soon, also while every place has a device that hangs."""
        device, of_type = 4 * places.per_device + 16, 4 * places.steps + 16
        blocked = device * places.steps + of_type * len(places.by_type)
        return cls(turns=2_000, steps=1_000 + blocked, device=device, type=of_type, tenant=device)


NO_BOUND: Final = Room(FOR_EVER, FOR_EVER, FOR_EVER, FOR_EVER, FOR_EVER)
