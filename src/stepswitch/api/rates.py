"""How often one user may ask, whatever he is logged in with. Asked by `app` with every request that has a login."""

from collections import OrderedDict
from typing import Final

from stepswitch.domain.errors import TooManyRequestsError
from stepswitch.engine.ports import Clock

KEPT: Final = 10_000
SECONDS_AT_ONCE: Final = 2.0
"""Who has kept still for a while may send what these seconds allow at once."""


class Rates:
    """A bucket for each user, which fills with `per_second` (None: nobody is limited) and from which each request takes one."""

    def __init__(self, clock: Clock, per_second: float | None) -> None:
        self._clock = clock
        self._per_second = per_second
        self._most = max(1.0, (per_second or 0.0) * SECONDS_AT_ONCE)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left when it was looked last, by user."""

    def take(self, user: str) -> None:
        """Count one request; raises TooManyRequestsError where the user has had all that he may."""
        if self._per_second is None:
            return
        now = self._clock.monotonic()
        left, then = self._left.pop(user, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        is_over = left < 1.0
        self._left[user] = (left if is_over else left - 1.0, now)
        if len(self._left) > KEPT:
            self._left.popitem(last=False)
        if is_over:
            raise TooManyRequestsError(
                f"more than {self._per_second:g} requests a second", retry_after=int((1.0 - left) / self._per_second) + 1
            )
