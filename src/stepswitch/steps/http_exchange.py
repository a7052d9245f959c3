"""One request and its answer on one connection, by HTTP/1.1. Called by `http`.

The driver (h11) only reads and writes bytes; it opens nothing and asks nobody. An answer that comes while the request is still on its way counts.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import h11

from stepswitch.steps.http_body import Body
from stepswitch.steps.http_connection import Connection

_PIECE_BYTES: Final = 64 * 1024
_LARGEST_HEAD: Final = 64 * 1024


class End(Enum):
    """How an exchange ended after the request had begun to leave."""

    ANSWERED = auto()
    CUT = auto()
    SILENT = auto()
    MALFORMED = auto()
    REFUSED = auto()
    """The server did not accept who we are, by TLS: it has read nothing."""


@dataclass(slots=True)
class Answer:
    """What came back: the head, and as much of the body as is kept."""

    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    body: Body

    def header(self, name: str) -> str:
        """Return the value of a header; an empty one where there is none."""
        return next((value for each, value in self.headers if each == name), "")


@dataclass(frozen=True, slots=True)
class Ending:
    """`answer` is there as soon as its head has come, whatever became of the rest."""

    end: End
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it is sent. The headers are all of them but those of the body."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes | None = field(repr=False)


class Exchange:
    """Carries out one request. Times are in seconds; `silence_seconds` is how long nothing may move in either direction."""

    def __init__(self, connection: Connection, *, silence_seconds: float, limit_bytes: int) -> None:
        self._connection = connection
        self._silence_seconds = silence_seconds
        self._limit_bytes = limit_bytes
        self._talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._limit: asyncio.Timeout | None = None
        self._answer: Answer | None = None
        self._is_over = False
        """Whether the server has closed its side: what is wrong then is that something is missing."""

    async def carry_out(self, message: Message, mark_sent: Callable[[], None], tell: Callable[[], Awaitable[None]]) -> Ending:
        """Send a request, `tell` that it is on its way, and return how that ended; raises what `mark_sent` raises. The connection is of no use then."""
        sending: asyncio.Task[None] | None = None
        try:
            head = self._head(message)
            mark_sent()
            self._connection.writer.write(head)
            sending = asyncio.create_task(self._send(message.body or b""))
            await tell()
            return Ending(await self._read(), self._answer)
        finally:
            self._connection.close()
            if sending is not None:
                sending.cancel()
                await asyncio.wait([sending])

    def _head(self, message: Message) -> bytes:
        own = [] if message.body is None else [("Content-Length", str(len(message.body)))]
        request = h11.Request(method=message.method, target=message.target, headers=[*message.headers, *own])
        return self._talk.send(request) or b""

    async def _send(self, body: bytes) -> None:
        """Send all of it. Where that cannot be, what is read says how it ended."""
        writer = self._connection.writer
        with suppress(OSError, h11.ProtocolError):
            for start in range(0, len(body), _PIECE_BYTES):
                writer.write(self._talk.send(h11.Data(body[start : start + _PIECE_BYTES])) or b"")
                await writer.drain()
                self._something_moved()
            self._talk.send(h11.EndOfMessage())
            await writer.drain()

    async def _read(self) -> End:
        try:
            async with asyncio.timeout(self._silence_seconds) as self._limit:
                return await self._read_answer()
        except TimeoutError:
            return End.SILENT
        except ssl.SSLError as error:
            return End.REFUSED if self._answer is None and "ALERT" in (error.reason or "") else End.CUT
        except OSError:
            return End.CUT
        except h11.RemoteProtocolError as error:
            error.with_traceback(None)  # its trace leads to itself, and would keep all on the way until the collector comes
            return End.CUT if self._is_over else End.MALFORMED
        finally:
            self._limit = None  # it holds the task that waits here, and with it what that comes to

    async def _read_answer(self) -> End:
        while True:
            match self._talk.next_event():
                case h11.NEED_DATA:
                    data = await self._connection.reader.read(_PIECE_BYTES)
                    self._is_over = not data
                    self._talk.receive_data(data)
                    self._something_moved()
                case h11.Response() as head:
                    self._answer = _answer(head, self._limit_bytes)
                case h11.Data(data=data) if self._answer is not None:
                    self._answer.body.feed(bytes(data))
                    if self._answer.body.is_over:
                        return End.ANSWERED
                    await asyncio.sleep(0)  # much may have come at once, and others want their turn
                case h11.EndOfMessage() if self._answer is not None:
                    self._answer.body.finish()
                    return End.ANSWERED
                case h11.InformationalResponse():
                    pass
                case _:
                    return End.CUT

    def _something_moved(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._silence_seconds)


def _answer(head: h11.Response, limit_bytes: int) -> Answer:
    headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers]
    first = dict(reversed(headers))
    body = Body(limit_bytes, first.get("content-encoding", ""), first.get("content-type", ""))
    return Answer(head.status_code, head.reason.decode("latin-1"), headers, body)
