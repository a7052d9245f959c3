"""A lean HTTP client: keep-alive connections that send one request again and again. Used by the measurements only."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson


@dataclass(frozen=True)
class Load:
    """What came of it: seconds in all, milliseconds of each request, the bodies of the answers."""

    seconds: float
    latencies_ms: list[float] = field(repr=False)
    bodies: list[bytes] = field(repr=False)

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency in milliseconds that `share` of the requests stayed under."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def request(
    method: str, path: str, body: object | None = None, token: str = "", headers: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Return the bytes of one HTTP/1.1 request."""
    content = b"" if body is None else orjson.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n"
    if content:
        head += "Content-Type: application/json\r\n"
    if token:
        head += f"x-hm-authorization: {token}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + content


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to a server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=16 * 1024 * 1024))

    async def send(self, message: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body of the answer."""
        self._writer.write(message)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join([chunk async for chunk in self._chunks()])
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split(" ", 2)[1]), headers, body

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self._reader.readline(), 16):
            yield await self._reader.readexactly(size)
            await self._reader.readline()
        await self._reader.readline()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


async def run(port: int, messages: Iterator[bytes], connections: int) -> Load:
    """Send every message over that many connections; raises RuntimeError at the first answer that is not 200."""
    latencies: list[float] = []
    bodies: list[bytes] = []

    async def one() -> None:
        connection = await Connection.open(port)
        for message in messages:
            begun = time.perf_counter()
            status, _, body = await connection.send(message)
            latencies.append((time.perf_counter() - begun) * 1000)
            bodies.append(body)
            if status != 200:
                raise RuntimeError(f"answered {status}: {body[:300]!r}")
        await connection.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(time.perf_counter() - begun, latencies, bodies)
