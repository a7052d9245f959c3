"""An HTTP server on a real socket that answers as a test wants it, well or badly. It knows HTTP/1.1, one request for each connection, and nothing else."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h11

from tests.listening import closed


@dataclass
class Asked:
    """A request as it came."""

    method: str = ""
    target: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header by its name in small letters."""
        return next((value for each, value in self.headers if each == name), None)


Handler = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(status: int, body: bytes = b"", reason: str = "x", **headers: str) -> Handler:
    """Return a handler that answers so; `_` in the name of a header stands for `-`."""

    async def answer(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = {"content_length": str(len(body)), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
        writer.write(f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n".encode() + (b"" if asked.method == "HEAD" else body))
        await writer.drain()

    return answer


def says(data: bytes) -> Handler:
    """Return a handler that writes just these bytes."""

    async def answer(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


class HttpServer:
    """Answers paths by handlers; what it has none for is 404. `asked` are all requests, `left` is set when a client went before it was answered."""

    host = "127.0.0.1"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.handlers: dict[str, Handler] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.left = asyncio.Event()
        self.on_asked: Callable[[Asked], None] = lambda _: None
        """Is told of each request when it has come, before anything is done about it."""
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        self._is_over = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await closed(self._server)

    def url(self, path: str = "/", host: str | None = None) -> str:
        """Return the URL of a path here."""
        return f"{'http' if self._tls is None else 'https'}://{host or self.host}:{self.port}{path}"

    def on(self, path: str, handler: Handler) -> str:
        """Have a path answered so; return its URL."""
        self.handlers[path] = handler
        return self.url(path)

    def stays(self, path: str, first: bytes = b"") -> str:
        """Have a path say no more than `first`, and the connection stay open until the client goes."""

        async def stay(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(first)
            await writer.drain()
            try:
                await reader.read()
            finally:
                self.left.set()

        return self.on(path, stay)

    def handler_of(self, asked: Asked) -> Handler:
        """Return what answers a request."""
        return self.handlers.get(asked.target.partition("?")[0], reply(404))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            asked = await _request(reader)
            self.asked.append(asked)
            self.on_asked(asked)
            await self.handler_of(asked)(asked, reader, writer)
        except (OSError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        finally:
            writer.close()
            if self._is_over:
                writer.transport.abort()  # its client may stay, and take no leave


async def _request(reader: asyncio.StreamReader) -> Asked:
    talk, asked = h11.Connection(h11.SERVER), Asked()
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(65536))
            case h11.Request(method=method, target=target, headers=headers):
                asked.method, asked.target = method.decode(), target.decode()
                asked.headers = [(name.decode(), value.decode()) for name, value in headers]
            case h11.Data(data=data):
                asked.body += bytes(data)
            case h11.EndOfMessage():
                return asked
            case _:
                raise h11.RemoteProtocolError("the client went")
