"""Where somebody comes from, as far as it counts for guesses and for connections; and the places from which each user has logged in. Asked by `attempts`.

Whoever has one address of IPv6 has the /64 around it, and often the /48: the first is one place, the second one region.
"""

import ipaddress
from collections import OrderedDict
from functools import lru_cache
from typing import Final

from stepswitch.engine.account_ports import PlaceStore
from stepswitch.engine.ports import Clock

MOST_PLACES: Final = 20
"""So many places are kept of each user, those of his latest logins."""
DAY: Final = 86_400_000
KEPT_DAYS: Final = 90
_PLACE_BITS: Final = 64
_REGION_BITS: Final = 48
_REMEMBERED: Final = 4_096


@lru_cache(_REMEMBERED)
def place_of(address: str) -> str:
    """Return what counts as one place: an address of IPv4, a /64 of IPv6. What is no address is a place of its own."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((found.packed, _PLACE_BITS), strict=False))


@lru_cache(_REMEMBERED)
def region_of(place: str) -> str:
    """Return what may belong to one party altogether: a /48 of IPv6, and otherwise the place itself."""
    try:
        return str(ipaddress.IPv6Network(place).supernet(new_prefix=_REGION_BITS))
    except ValueError:
        return place


class KnownPlaces:
    """Knows from where each user has logged in lately. What is stored is read once."""

    def __init__(self, store: PlaceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._places: dict[str, OrderedDict[str, int]] = {}
        """When each was noted, by user; the latest last."""
        self._is_recalled = False

    async def recall(self) -> None:
        """Read what was noted before this start, the first time; raises StoreError."""
        if self._is_recalled:
            return
        for user, place, noted_at in await self._store.known_places(self._clock.now() - KEPT_DAYS * DAY):
            self._keep(user, place, noted_at)
        self._is_recalled = True

    def knows(self, user: str, place: str) -> bool:
        """Return whether a user has logged in from there."""
        noted_at = self._noted_at(user, place)
        return noted_at is not None and self._clock.now() - noted_at <= KEPT_DAYS * DAY

    async def note(self, user: str, place: str) -> None:
        """Remember that a user has logged in from there; raises StoreError. Written once a day."""
        now = self._clock.now()
        noted_at = self._noted_at(user, place)
        if noted_at is None or now - noted_at >= DAY:
            await self._store.put_known_place(user, place, now, most=MOST_PLACES, oldest=now - KEPT_DAYS * DAY)
            noted_at = now
        self._keep(user, place, noted_at)

    def _noted_at(self, user: str, place: str) -> int | None:
        places = self._places.get(user)
        return None if places is None else places.get(place)

    def _keep(self, user: str, place: str, noted_at: int) -> None:
        places = self._places.setdefault(user, OrderedDict())
        places[place] = noted_at
        places.move_to_end(place)
        if len(places) > MOST_PLACES:
            places.popitem(last=False)
