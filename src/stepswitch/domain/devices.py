"""Where a step acts, and the patterns that say where a credential may be sent: names, addresses, networks. Called by `engine.credential_rules` and `inventory`.

A pattern is compared with the host as the step was given it, never with what a name resolves to: whoever runs the name service would decide
otherwise where a password goes. So a network covers addresses only, and a host name needs a pattern of its own.
"""

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

ANYWHERE: Final = "*"
LONGEST: Final = 255
MOST_STARS: Final = 4
_HIGHEST_PORT: Final = 65_535
_NAME: Final = re.compile(r"[a-z0-9_*-]+(\.[a-z0-9_*-]+)*", re.ASCII)
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?")
_WITH_PORT: Final = re.compile(r"([^:]*):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Device:
    """A host as a step was given it, and the port there; None where the step type has no ports, or the port is no number."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class DeviceLane:
    """What a step stands in line for that acts on a device. `name` is what people call that: the inventory's entry, or the host.

    `address` is what its sessions are counted by, the first one of the entry, so that two entries, and two tenants, mean one device where they
    begin alike. `sessions` is how many it may have at once; None leaves it to the settings.
    """

    name: str
    address: str
    sessions: int | None = None
    is_known: bool = False
    """Whether the inventory has it."""

    @property
    def lane(self) -> str:
        """What stands for it in the queue and among locks. It does not show the device, whose name may come from a secret."""
        return f"device {hashlib.blake2b(self.address.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def unfit_pattern(pattern: str) -> str | None:
    """Return why `pattern` cannot say which devices are meant; None where it can."""
    if pattern == ANYWHERE:
        return None
    if len(pattern) > LONGEST or pattern.count("*") > MOST_STARS:
        return f"has at most {LONGEST} characters, and at most {MOST_STARS} times a '*'"
    host, port = _split(pattern)
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        return f"its port is to be from 1 to {_HIGHEST_PORT}"
    return None if _network(host) is not None else _unfit_name(host)


def _unfit_name(host: str) -> str | None:
    name = host.lower().removesuffix(".")
    last = name.rpartition(".")[2]
    if "/" in host:
        return "is no network: it is to be written as 192.0.2.0/24 or 2001:db8::/32, without bits behind the mask"
    if not _NAME.fullmatch(name):
        return "is to be a host name, an address or a network, with a port behind it or not: core-7.example.net, 192.0.2.0/24, [2001:db8::1]:22"
    if "." in name and "*" in last:
        return "ends in a part with a '*', which anybody's domain could fit: write the end out, or give a network such as 192.0.2.0/24"
    return "ends like an address and is none: write an address, or a network such as 192.0.2.0/24" if last.isdecimal() else None


def covers(pattern: str, device: Device) -> bool:
    """Return whether `device` is one of those that `pattern`, a fit one, means. A '*' stands for any characters but a dot."""
    if pattern == ANYWHERE:
        return True
    host, port = _split(pattern)
    if port is not None and port != device.port:
        return False
    network, address = _network(host), _address(device.host)
    if network is not None:
        return address is not None and address in network
    if address is not None:
        return False
    name, wanted = (each.lower().removesuffix(".") for each in (device.host, host))
    return re.fullmatch("[^.]*".join(map(re.escape, wanted.split("*"))), name) is not None


def unfit_address(text: str) -> str | None:
    """Return why `text` is not the address of one device, with a port behind it or not; None where it is."""
    if text and "*" not in text and "/" not in text and unfit_pattern(text) is None:
        return None
    return "is to be a host name or an address, with a port from 1 to 65535 or without: core-7.example.net, 192.0.2.7:830, [2001:db8::1]:22"


def device_at(address: str) -> Device:
    """Return the device at a fit address, its host written as `written_alike` does."""
    host, port = _split(address)
    return Device(written_alike(host), port)


def written_alike(host: str) -> str:
    """Return a host as everybody else's spelling of it is written: in small letters, an address in its shortest form."""
    address = _address(host)
    if address is None:
        return host.lower().removesuffix(".")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _split(pattern: str) -> tuple[str, int | None]:
    found = _BRACKETED.fullmatch(pattern) or _WITH_PORT.fullmatch(pattern)
    if found is None:
        return pattern, None
    return found[1], None if found[2] is None else int(found[2])


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
