"""Messages of RFC 5424, and the ways in which they go to a syslog server. Called by `audit_forwarder`.

Over TCP and TLS each message has its length before it (octet counting: RFC 6587, 3.4.1, and RFC 5425); over UDP one is one datagram (RFC 5426).
"""

import asyncio
import contextlib
import fcntl
import json
import ssl
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from stepswitch.domain.errors import SettingsError
from stepswitch.engine.audit import Judgement, Record

FACILITY: Final = 13
"""Log audit."""
WARNING: Final = 4
INFORMATIONAL: Final = 6
SD_ID: Final = "stepswitch@32473"
"""32473 is the number for examples (RFC 5612): nobody has given this project one of its own."""
SEND_SECONDS: Final = 10.0
ACKNOWLEDGED_PAUSE_SECONDS: Final = 0.01
_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
_LONGEST_MSGID: Final = 32
_ESCAPED: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where messages come from."""

    host: str
    process: int


@dataclass(frozen=True, slots=True)
class Destination:
    """A syslog server. `ca_file` has the certificates that are trusted, those of the system unless set."""

    scheme: str
    host: str
    port: int
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def trusted(self) -> ssl.SSLContext:
        """Return what its certificate is checked with; raises OSError where the file of the authorities cannot be read."""
        return ssl.create_default_context(cafile=self.ca_file)


class Line(Protocol):
    """A way to a server that is open."""

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send messages; raises OSError or TimeoutError where nobody can say that all of them arrived."""

    async def check(self) -> None:
        """Raise OSError where the server has closed the connection."""

    async def close(self) -> None:
        """Let go of it."""


def destination_of(setting: str, ca_file: Path | None = None) -> Destination:
    """Return the server that a setting names; raises SettingsError."""
    try:
        parts = urlsplit(setting)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as whoever connects does, each time anew
    except ValueError:
        parts, port = urlsplit(""), None
    is_bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in _PORTS or not parts.hostname or not is_bare or port == 0:
        raise SettingsError(
            f"audit_syslog: {setting!r} names no syslog server; it is to be as in udp://host:514, tcp://host:601 or tls://host:6514"
        )
    return Destination(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], ca_file)


def message(record: Record, origin: Origin) -> bytes:
    """Return a record as a message: its fields as structured data, and the whole line of the export as text."""
    said = json.loads(record.text)
    severity = WARNING if said["outcome"] == Judgement.REFUSED else INFORMATIONAL
    named = {
        "number": record.number,
        "hash": record.hash,
        "tenant": said["tenant"],
        "user": said["actor"]["user"],
        "actor": said["actor"]["kind"],
        "session": said["actor"]["session"],
        "from": said["from"],
        "objectKind": said["object"]["kind"],
        "objectId": said["object"]["id"],
        "outcome": said["outcome"],
        "status": said["status"],
        "count": said["count"],
    }
    data = " ".join(f'{name}="{_value(value)}"' for name, value in named.items())
    head = f"<{FACILITY * 8 + severity}>1 {said['time']} {_word(origin.host, 255)} stepswitch {origin.process}"
    return f"{head} {_word(said['operation'], _LONGEST_MSGID)} [{SD_ID} {data}] {record.line}".encode()


def _word(text: str, longest: int) -> str:
    """Return a text as a field of the header can hold it: printable ASCII without blanks."""
    return "".join(each for each in text if "!" <= each <= "~")[:longest] or "-"


def _value(value: Any) -> str:
    """Return a value as structured data can hold it, in one line."""
    return "".join(each if each.isprintable() else "?" for each in str(value)).translate(_ESCAPED)


def framed(text: bytes) -> bytes:
    """Return a message with its length before it."""
    return b"%d %b" % (len(text), text)


async def open_line(destination: Destination) -> Line:
    """Return an open way to a server; raises OSError or TimeoutError."""
    async with asyncio.timeout(SEND_SECONDS):
        if destination.scheme == "udp":
            return await Datagrams.to(destination)
        context = destination.trusted() if destination.scheme == "tls" else None
        return Stream(*await asyncio.open_connection(destination.host, destination.port, ssl=context))


class Stream:
    """TCP or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        writer.transport.set_write_buffer_limits(high=0)

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Line`. Returns when the other machine has acknowledged every byte: what only lies here is lost with the connection."""
        await self.check()
        async with asyncio.timeout(SEND_SECONDS):
            self._writer.write(b"".join(map(framed, messages)))
            await self._writer.drain()
            while _unacknowledged(self._writer):
                await asyncio.sleep(ACKNOWLEDGED_PAUSE_SECONDS)
                await self.check()
        await self.check()

    async def check(self) -> None:
        """See `Line`."""
        if self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing():
            raise ConnectionError("the server has closed the connection")

    async def close(self) -> None:
        """See `Line`."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.wait_closed()


def _unacknowledged(writer: asyncio.StreamWriter) -> int:
    """Return how many bytes the kernel still keeps since the other side has not acknowledged them."""
    found: int = struct.unpack("i", fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return found


class Datagrams(asyncio.DatagramProtocol):
    """UDP: nobody says whether anything arrives, unless the machine says that nobody listens."""

    def __init__(self) -> None:
        self._error: OSError | None = None
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def to(cls, destination: Destination) -> "Datagrams":
        """Return datagrams to a server."""
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(cls, remote_addr=(destination.host, destination.port))
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to send."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is one without saying so

    def error_received(self, exc: Exception) -> None:
        """Note what was said of an earlier datagram."""
        self._error = exc if isinstance(exc, OSError) else OSError(str(exc))

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Line`."""
        for each in messages:
            if self._transport is not None:
                self._transport.sendto(each)
            await asyncio.sleep(0)
        await asyncio.sleep(ACKNOWLEDGED_PAUSE_SECONDS)
        await self.check()

    async def check(self) -> None:
        """See `Line`."""
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """See `Line`."""
        if self._transport is not None:
            self._transport.close()
