"""Slows down whoever guesses passwords: each failure costs longer, for a user and for an address. Asked at a login, and where somebody changes his own password.

Nobody is locked out for good: the wait ends after a minute at most, what is tried meanwhile does not make it longer, and where a user
has logged in before, failures elsewhere or under other names do not count. Kept in memory: a start forgets it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from stepswitch.domain.errors import TooManyAttemptsError
from stepswitch.engine.ports import Clock

FREE_OF_USER: Final = 5
FREE_OF_ADDRESS: Final = 20
"""So many failures cost nothing: people mistype."""
LONGEST_WAIT: Final = 60.0
FORGOTTEN_SECONDS: Final = 900.0
KEPT: Final = 10_000
_Key = tuple[str, str]


@dataclass(slots=True)
class _Failures:
    free: int
    count: int = 0
    last: float = 0.0
    until: float = 0.0


class Attempts:
    """Counts failures, by user and by address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()
        self._known: OrderedDict[_Key, None] = OrderedDict()

    def begin(self, user: str, address: str) -> None:
        """Raise TooManyAttemptsError where it is not time yet; else keep others from trying at the same moment what has failed often."""
        now = self._clock.monotonic()
        found = [failures for key, _ in self._keys(user, address) if (failures := self._recent(key, now)) is not None]
        wait = max((failures.until - now for failures in found), default=0.0)
        if wait > 0:
            raise TooManyAttemptsError("too many wrong passwords", retry_after=int(wait) + 1)
        for failures in found:
            if failures.count >= failures.free:
                failures.until = now + _wait_after(failures)

    def failed(self, user: str, address: str) -> None:
        """Count a failure."""
        now = self._clock.monotonic()
        for key, free in self._keys(user, address):
            failures = self._recent(key, now) or _Failures(free)
            self._failures[key] = failures
            self._failures.move_to_end(key)
            failures.count += 1
            failures.last = now
            if failures.count >= free:
                failures.until = now + _wait_after(failures)
        while len(self._failures) > KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """Forget the failures of a user, and remember where he is at home."""
        for key, _ in self._keys(user, address):
            if key[0] or (user, address) in self._known:
                self._failures.pop(key, None)
        self._known[user, address] = None
        self._known.move_to_end((user, address))
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _keys(self, user: str, address: str) -> list[tuple[_Key, int]]:
        """Return what an attempt counts for, with the failures that are free."""
        if (user, address) in self._known:
            return [((user, address), FREE_OF_USER)]
        return [((user, ""), FREE_OF_USER), (("", address), FREE_OF_ADDRESS)]

    def _recent(self, key: _Key, now: float) -> _Failures | None:
        failures = self._failures.get(key)
        if failures is not None and now - failures.last > FORGOTTEN_SECONDS:
            del self._failures[key]
            return None
        return failures


def _wait_after(failures: _Failures) -> float:
    """Return how long to wait, in seconds: 1, 2, 4 and so on."""
    return float(min(LONGEST_WAIT, 2.0 ** min(failures.count - failures.free, 10)))
