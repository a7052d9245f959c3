"""Those who act on a device without being a step: clean-ups. They stand in the device's line with the steps. Used by `local`, which counts the places.

Whoever has waited longest goes first, steps and visits alike. But a visit may hang, at a device that is dead, for as long as it is allowed: so at one device there
is one visit at a time, and after it a step that waits goes first. However many clean-ups want a device, a step there is held up by one of them, and each of them has its turn.
"""

import asyncio
from dataclasses import dataclass

from stepswitch.domain.devices import DeviceLane


@dataclass(eq=False, slots=True)
class Visit:
    """A wish to act on a device. `turn` is set once there is a place, which is the visit's from then on."""

    execution_id: str
    device: DeviceLane
    since: int
    turn: "asyncio.Future[None]"


class Visits:
    """Who waits for which device and who is there, by its lane."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Visit, None]] = {}
        """The oldest first."""
        self._there: dict[str, Visit] = {}
        self._lets_step_pass: set[str] = set()
        """Lanes in which a visit was the last to begin."""

    def ask(self, visit: Visit) -> None:
        """Let a visit stand in line."""
        self._waiting.setdefault(visit.device.lane, {})[visit] = None

    def next(self, lane: str, step_since: int | None) -> Visit | None:
        """Return the visit that is to have a place that is free, None where a step is to have it; `step_since` is that of the oldest one that waits."""
        first = next((each for each in self._waiting.get(lane, ()) if not each.turn.cancelled()), None)
        if first is None or lane in self._there:
            return None
        if step_since is not None and (lane in self._lets_step_pass or step_since < first.since):
            return None
        return first

    def begin(self, visit: Visit) -> None:
        """Give a visit its place."""
        lane = visit.device.lane
        self._stand_up(visit)
        self._there[lane] = visit
        self._lets_step_pass.add(lane)
        visit.turn.set_result(None)

    def step_begins(self, lane: str) -> None:
        """Take note that a step has begun at a device."""
        self._lets_step_pass.discard(lane)

    def end(self, visit: Visit) -> bool:
        """Let a visit go, wherever it stands; return whether it had a place."""
        lane = visit.device.lane
        if self._there.get(lane) is visit:
            del self._there[lane]
            if lane not in self._waiting:
                self._lets_step_pass.discard(lane)  # whoever asks next stands behind the steps that wait now
            return True
        self._stand_up(visit)
        return False

    def of(self, execution_id: str) -> Visit | None:
        """Return a visit for an execution that waits, the one that has waited longest."""
        waiting = (each for lane in self._waiting.values() for each in lane if each.execution_id == execution_id)
        return min(waiting, key=lambda each: each.since, default=None)

    def _stand_up(self, visit: Visit) -> None:
        lane = visit.device.lane
        waiting = self._waiting.get(lane, {})
        waiting.pop(visit, None)
        if not waiting:
            self._waiting.pop(lane, None)
