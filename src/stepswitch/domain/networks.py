"""Which addresses a step may connect to. Called by `config` for what is denied by default, and by step types through `stepswitch.plugin`.

It is addresses that are judged, never names: who connects asks for those of a name once, judges each, and connects to one that was judged.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DENIED: Final = (
    "0.0.0.0/8,127.0.0.0/8,169.254.0.0/16,224.0.0.0/4,240.0.0.0/4,100.100.100.200,168.63.129.16,192.0.0.192,"
    "::,::1,fe80::/10,ff00::/8,fd00:ec2::254"
)
"""This machine, what is on its link, everybody at once, and where clouds tell their machines what they are and which keys they have."""
_LOOPBACK: Final[tuple[Address, ...]] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_LOWEST_32: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Networks:
    """What is denied, and what of that is allowed all the same."""

    denied: tuple[_Network, ...]
    allowed: tuple[_Network, ...] = ()

    @classmethod
    def read(cls, denied: str = DENIED, allowed: str = "") -> Self:
        """Return networks that are written with commas between them; raises ValueError where one is none."""
        return cls(_networks(denied), _networks(allowed))

    def permits(self, address: Address) -> bool:
        """Return whether an address is open, and so is every address that it stands for."""
        return all(self._is_open(each) for each in (address, *meant_by(address)))

    def permits_as_own(self, address: Address) -> bool:
        """Return whether an address is open although it is one of this machine's: where the loopback is open, or just this one is allowed."""
        return all(map(self.permits, _LOOPBACK)) or any(address in each for each in self.allowed)

    def _is_open(self, address: Address) -> bool:
        return any(address in each for each in self.allowed) or not any(address in each for each in self.denied)


def meant_by(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield each IPv4 address that somebody on the way may take an IPv6 address for: mapped, compatible, NAT64, 6to4, Teredo, ISATAP."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    lowest = ipaddress.IPv4Address(int(address) & _LOWEST_32)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    is_compatible = address in _COMPATIBLE and int(address) > 1
    is_isatap = (int(address) >> 32) & _LOWEST_32 in _ISATAP
    if is_compatible or is_isatap or any(address in each for each in _NAT64):
        yield lowest


def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",")) if text.strip() else ()
