"""Slows down whoever guesses passwords: each failure costs longer, for a user and for an address. Asked at a login, and where somebody changes his own password.

Nobody is locked out for good, however long others guess. From a place where a user has logged in before, only what fails there for him counts.
Elsewhere, each place waits for what failed there, and all of them take turns (`turns`). What is tried before its time makes no wait longer.
Failures are kept in memory: a start forgets them. The places where users are known are stored.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from stepswitch.access.places import KnownPlaces, place_of
from stepswitch.access.turns import Turns
from stepswitch.domain.errors import TooManyAttemptsError
from stepswitch.engine.ports import Clock

FREE_OF_PLACE: Final = 5
FREE_OF_USER: Final = 10
FREE_OF_ADDRESS: Final = 20
"""So many failures cost nothing: people mistype. For a user from one place, for a user from anywhere, for an address with any users."""
LONGEST_WAIT: Final = 60.0
FORGOTTEN_SECONDS: Final = 900.0
MOST_AT_ONCE: Final = 20
"""So many attempts for a user, or from an address, are looked at together: what is not known to be wrong yet counts for nothing else."""
KEPT: Final = 10_000
KEPT_USERS: Final = 2_000
_Key = tuple[str | None, str]
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(slots=True)
class _Failures:
    free: int
    count: int = 0
    last: float = 0.0
    until: float = 0.0
    under_way: int = 0

    def wait(self, now: float) -> float:
        """Return how long an attempt has to wait."""
        return max(self.until - now, 1.0 if self.under_way >= MOST_AT_ONCE else 0.0)

    def begin(self, now: float) -> None:
        """Take an attempt; it keeps others from trying at the same moment what has failed often."""
        self.under_way += 1
        if self.count >= self.free:
            self.until = now + _wait_after(self)

    def fail(self, now: float) -> None:
        """Count a failure."""
        self.count += 1
        self.last = now
        if self.count >= self.free:
            self.until = now + _wait_after(self)

    def forget(self) -> None:
        """Begin anew."""
        self.count, self.until = 0, 0.0


@dataclass(slots=True)
class _User:
    """What all places together have tried where a user is not known."""

    failures: _Failures = field(default_factory=lambda: _Failures(FREE_OF_USER))
    turns: Turns = field(default_factory=Turns)

    def wait(self, place: str, now: float) -> float:
        """Return how long an attempt has to wait, and take its turn where that is no time at all."""
        if self.failures.under_way >= MOST_AT_ONCE:
            return 1.0
        if self.failures.count < FREE_OF_USER:
            return 0.0
        return self.turns.wait(place, self.failures.last, now)


@dataclass(slots=True)
class Attempt:
    """One password that is tried; implements `engine.account_ports.Guess`. What is neither right nor wrong counts for nothing."""

    was_right: bool | None = None

    def failed(self) -> None:
        """See `Guess`."""
        self.was_right = False

    def succeeded(self) -> None:
        """See `Guess`."""
        self.was_right = True


class Attempts:
    """Counts failures, by user and by place. Implements `engine.account_ports.Guesses`."""

    def __init__(self, clock: Clock, places: KnownPlaces) -> None:
        self._clock = clock
        self._places = places
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()
        self._users: OrderedDict[str, _User] = OrderedDict()

    @contextmanager
    def attempt(self, user: str, address: str) -> Iterator[Attempt]:
        """See `Guesses`."""
        now, place = self._clock.monotonic(), place_of(address)
        found: dict[_Key, _Failures] = {(user, place): self._of((user, place), FREE_OF_PLACE, now)}
        everywhere = None
        if not self._places.knows(user, place):
            found[None, place] = self._of((None, place), FREE_OF_ADDRESS, now)
            everywhere = self._user(user, now)
        _refuse(max(each.wait(now) for each in found.values()))
        if everywhere is not None:
            _refuse(everywhere.wait(place, now))
            _keep(self._users, user, everywhere, KEPT_USERS)
        for key, each in found.items():  # only now: whoever is refused makes no room of what is kept
            _keep(self._failures, key, each, KEPT)
        counted = [*found.values(), *([] if everywhere is None else [everywhere.failures])]
        for each in counted:
            each.begin(now)
        attempt = Attempt()
        try:
            yield attempt
        finally:
            self._end(attempt, counted)
            if everywhere is not None and attempt.was_right is False:
                everywhere.turns.saw(place)

    def _end(self, attempt: Attempt, counted: Sequence[_Failures]) -> None:
        now = self._clock.monotonic()
        for each in counted:
            each.under_way -= 1
            if attempt.was_right is False:
                each.fail(now)
        if attempt.was_right:
            counted[0].forget()  # those of the user at this place

    def _of(self, key: _Key, free: int, now: float) -> _Failures:
        failures = self._failures.get(key)
        if failures is None:
            return _Failures(free)
        if now - failures.last > FORGOTTEN_SECONDS:
            failures.forget()
        return failures

    def _user(self, user: str, now: float) -> _User:
        found = self._users.get(user)
        if found is None:
            return _User()
        if now - found.failures.last > FORGOTTEN_SECONDS:
            found.failures.forget()
            found.turns = Turns()
        return found


def _keep(kept: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    """Keep what was used last."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


def _refuse(wait: float) -> None:
    if wait > 0:
        raise TooManyAttemptsError("too many wrong passwords", retry_after=math.floor(wait) + 1)


def _wait_after(failures: _Failures) -> float:
    """Return how long to wait, in seconds: 1, 2, 4 and so on."""
    return float(min(LONGEST_WAIT, 2.0 ** min(failures.count - failures.free, 10)))
