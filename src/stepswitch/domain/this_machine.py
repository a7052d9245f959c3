"""Whether a host is this machine itself. Asked wherever plain text may go that others must not read, and before a proxy is used."""

import ipaddress


def is_this_machine(host: str) -> bool:
    """Return whether a name or an address can be nowhere else, whatever a name server says: `127.example.net` can."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
