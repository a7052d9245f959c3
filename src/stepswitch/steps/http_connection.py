"""A connection to a URL's host at an address that may be connected to. Called by `http_exchange`.

The name is looked up once; each address is judged, and the connection goes to one that was judged: an answer of the name service that is another
one the next time leads nowhere else. Variables of the environment that name proxies mean nothing here.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import Address, ErrorCode, Networks, Url, exhausted

LookUp = Callable[[str, int], Awaitable[Sequence[Address]]]
_BUFFER_BYTES: Final = 64 * 1024
_SHOWN_ADDRESSES: Final = 3
_ABOUT_US: Final = (
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
)
"""How a server says by TLS that the client's certificate is not one of its own."""


class NotConnectedError(Exception):
    """There is no connection, so nothing was sent."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection with TLS where the URL wants it. `address` is where it really leads."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: Address

    def close(self) -> None:
        """Cut it, at once."""
        self.writer.transport.abort()


async def look_up(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of a host as this machine knows them; raises OSError and UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found))


async def connect(url: Url, trusted: ssl.SSLContext | None, networks: Networks, look_up: LookUp, timeout_seconds: float) -> Connection:
    """Return a connection to a URL's host, with TLS as `trusted` says; raises NotConnectedError."""
    try:
        async with asyncio.timeout(timeout_seconds):
            addresses = await _open_addresses(url, networks, look_up)
            for address in addresses[:-1]:
                # Where several are there, one that says nothing may take its part of the time only.
                try:
                    async with asyncio.timeout(timeout_seconds / len(addresses)):
                        return await _connect(url, address, trusted)
                except (OSError, TimeoutError) as error:
                    if isinstance(error, ssl.SSLError):
                        raise
            return await _connect(url, addresses[-1], trusted)
    except TimeoutError:
        raise NotConnectedError(ErrorCode.TIMEOUT, f"{url.authority} did not let us in within {timeout_seconds:g} seconds") from None
    except OSError as error:
        raise explained(error, url.authority) from None


async def _connect(url: Url, address: Address, trusted: ssl.SSLContext | None) -> Connection:
    name = None if trusted is None else url.host
    reader, writer = await asyncio.open_connection(
        str(address), url.port, ssl=trusted, server_hostname=name, limit=_BUFFER_BYTES, flags=socket.AI_NUMERICHOST
    )
    return Connection(reader, writer, address)


async def _open_addresses(url: Url, networks: Networks, look_up: LookUp) -> Sequence[Address]:
    """Return the addresses of a host that are open, which are some."""
    try:
        addresses = await _addresses(url.host, url.port, look_up)
    except (socket.gaierror, UnicodeError):
        raise NotConnectedError(ErrorCode.UNREACHABLE, f"the name {url.host!r} leads to no address") from None
    found = [address for address in addresses if networks.permits(address) and (networks.permits_as_own(address) or not is_own(address))]
    if not found:
        shown = ", ".join(map(str, addresses[:_SHOWN_ADDRESSES])) or "nowhere"
        leads = "" if shown == url.host else f" ({shown})"
        message = f"{url.authority}{leads} is where steps may not connect to: the settings deny it"
        raise NotConnectedError(ErrorCode.NETWORK_DENIED, message)
    return found


async def _addresses(host: str, port: int, look_up: LookUp) -> Sequence[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        return await look_up(host, port)


def is_own(address: Address) -> bool:
    """Return whether an address is one of this machine's: to such a one it would speak from the address itself. Nothing is sent to find out."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as asked:
        try:
            asked.connect((str(address), 9))
            return ipaddress.ip_address(asked.getsockname()[0].partition("%")[0]) == address
        except OSError:
            return False


def explained(error: OSError, server: str) -> NotConnectedError:
    """Return what `error` says of a server to which there is no connection, as people read it."""
    ran_out = exhausted(error)
    match error:
        case _ if ran_out is not None:
            code, why = ran_out.code, ran_out.message
        case ssl.SSLCertVerificationError():
            code, why = ErrorCode.WRONG_CERTIFICATE, f"the certificate that {server} shows is not trusted: {error.verify_message}"
        case ssl.SSLError() if (error.reason or "").endswith(_ABOUT_US):
            code, why = ErrorCode.LOGIN_REFUSED, f"{server} does not accept who we are by TLS: {error.reason}"
        case ssl.SSLError():
            code, why = ErrorCode.NO_COMMON_ALGORITHM, f"{server} and this service do not come to TLS: {error.reason or 'no reason'}"
        case ConnectionRefusedError():
            code, why = ErrorCode.CONNECTION_REFUSED, f"{server} refused the connection: nothing listens there, or a firewall says no"
        case ConnectionError():
            code, why = ErrorCode.CONNECTION_CUT, f"{server} closed the connection before anything was sent"
        case _:
            code, why = ErrorCode.UNREACHABLE, f"{server} cannot be reached: {error.strerror or 'the network says no'}"
    return NotConnectedError(code, why)
