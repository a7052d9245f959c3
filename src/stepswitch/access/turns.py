"""Turns of those who try the password of one user from places where he is not known. Used by `attempts`.

All of them together get one turn in so many seconds, or guesses from many machines would be many guesses. A turn is an appointment: whoever asks is
told when, keeps it for a while, and has no second one. So nobody takes the turns of others by asking more often. There are two lines: whoever asks for
the first time does not stand behind those who have tried already.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from stepswitch.access.places import region_of

TURN_SECONDS: Final = 20.0
"""From one turn to the next, in each of the two lines."""
KEPT_SECONDS: Final = 600.0
"""So long a turn waits for whom it belongs to. It keeps nobody else waiting."""
LONGEST_LINE_SECONDS: Final = 3600.0
MOST_REGIONS: Final = 1_000
"""So many regions are known to have asked already."""


@dataclass(slots=True)
class Line:
    """Appointments, each for one party, in their order."""

    free_at: float
    turns: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def wait(self, party: str, now: float) -> float:
        """Return how long a party has to wait for its turn, and take the turn where that is no time at all."""
        while self.turns and next(iter(self.turns.values())) + KEPT_SECONDS < now:
            self.turns.popitem(last=False)
        at = self.turns.get(party)
        if at is None:
            at = max(now, self.free_at)
            if at - now > LONGEST_LINE_SECONDS:
                return TURN_SECONDS  # no place in the line; there is one in that time
            self.turns[party] = at
            self.free_at = at + TURN_SECONDS
        if at > now:
            return at - now
        del self.turns[party]
        return 0.0


class Turns:
    """The two lines before one user."""

    def __init__(self) -> None:
        self._newcomers: Line | None = None
        self._others: Line | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()

    def saw(self, place: str) -> None:
        """Note that somebody there has tried."""
        self._see(region_of(place))

    def wait(self, place: str, since: float, now: float) -> float:
        """Return how long somebody at a place has to wait, and take his turn where that is no time at all. Turns are given from `since` on."""
        if self._newcomers is None or self._others is None:
            self._newcomers, self._others = Line(since + TURN_SECONDS), Line(since + TURN_SECONDS)
        region = region_of(place)
        is_new = region not in self._seen or region in self._newcomers.turns
        self._see(region)
        return self._newcomers.wait(region, now) if is_new else self._others.wait(place, now)

    def _see(self, region: str) -> None:
        self._seen[region] = None
        self._seen.move_to_end(region)
        if len(self._seen) > MOST_REGIONS:
            self._seen.popitem(last=False)
