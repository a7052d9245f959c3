"""How many connections are let in, all together and from one address. Asked by `protocol` when one is made, told when it is gone.

One address gets a share, so that no single machine keeps everybody else out. This machine and the proxies that are trusted have no share: many
people come through them.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Final

from stepswitch.access.places import place_of

SHARE: Final = 4
"""One address gets one connection out of so many."""
SURPLUS: Final = 100
"""So many connections over the limit are told so; any more are cut without a word."""


class Entry(Enum):
    """What becomes of a connection."""

    LET_IN = "let in"
    TOO_MANY = "told that there are too many"
    TOO_MANY_OF_ADDRESS = "told that there are too many from its address"
    CUT = "cut"


class Crowd:
    """The connections of one service. `has_no_share` says of an address that it may have all of them."""

    def __init__(self, most: int, has_no_share: Callable[[str], bool]) -> None:
        self.most = most
        self.most_of_address = max(1, most // SHARE)
        self.has_no_share = has_no_share
        self._let_in: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def enter(self, address: str) -> Entry:
        """Count a connection from an address, and say what is to become of it."""
        place = place_of(address)
        has_share = not self.has_no_share(address)
        if has_share and self._let_in[place] >= self.most_of_address:
            entry = Entry.TOO_MANY_OF_ADDRESS
        elif self._let_in.total() >= self.most:
            entry = Entry.TOO_MANY
        else:
            self._let_in[place] += 1
            return Entry.LET_IN
        if self._told.total() >= SURPLUS or (has_share and self._told[place] >= SURPLUS // SHARE):
            return Entry.CUT
        self._told[place] += 1
        return entry

    def leave(self, address: str, entry: Entry) -> None:
        """Take note that a connection is gone."""
        place = place_of(address)
        if entry is not Entry.CUT:
            counted = self._let_in if entry is Entry.LET_IN else self._told
            counted[place] -= 1
            if not counted[place]:
                del counted[place]


def without_share(trusted_proxies: str = "") -> Callable[[str], bool]:
    """Return what says of an address that it has no share: this machine, and the networks that are named."""
    networks = [ipaddress.ip_network(each.strip()) for each in trusted_proxies.split(",") if each.strip()]

    def has_no_share(address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return True  # it has no address, and so came from here
        own = (isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped) or found
        return own.is_loopback or any(own in each for each in networks)

    return has_no_share
