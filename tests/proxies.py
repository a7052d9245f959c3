"""A TCP proxy between a client and a real server that can lose, hold up and count connections. Used by tests of step types."""

import asyncio
from types import TracebackType
from typing import Final, Self

TURNS_TO_BE_SERVED: Final = 10
"""So many turns of the loop a connection takes at most, from being accepted until it is served, or cut where the proxy is over."""


class Proxy:
    """Forwards to one server. `connections` counts those that were ever made, `to_target` and `from_target` the bytes."""

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int) -> None:
        self.port = 0
        self.connections = 0
        self.to_target = 0
        self.from_target = 0
        self._target = (target_host, target_port)
        self._flows = asyncio.Event()
        self._flows.set()
        self._answers = asyncio.Event()
        self._answers.set()
        self._changed = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await asyncio.sleep(
            0
        )  # whom it has accepted just now it has to make a connection of: closed, it could not, and would leave the socket open
        self._server.close()
        self._is_over = True
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        for _ in range(TURNS_TO_BE_SERVED):
            await asyncio.sleep(0)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset every connection, without a word to either side."""
        for writer in self._writers:
            writer.transport.abort()

    def close(self) -> None:
        """Listen no more, and reset every connection."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def stall(self) -> None:
        """Hold back everything, in both directions, while the connections stay open."""
        self._flows.clear()

    def hold_answers(self) -> None:
        """Hold back what the server says, while it goes on to hear everything."""
        self._answers.clear()

    def resume(self) -> None:
        """Forward again, beginning with what was held back."""
        self._flows.set()
        self._answers.set()

    async def wait_until(self, *, connections: int = 0, open_connections: int | None = None, from_target: int = 0) -> None:
        """Return when so many connections were made, are open, and so many bytes came from the server; raises TimeoutError."""

        def reached() -> bool:
            open_as_wanted = open_connections is None or self.open_connections == open_connections
            return self.connections >= connections and open_as_wanted and self.from_target >= from_target

        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(reached)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._is_over:
            writer.transport.abort()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        writers = [writer]
        try:
            await self._note(connections=1)
            target_reader, target_writer = await asyncio.open_connection(*self._target)
            writers.append(target_writer)
            self._writers |= {*writers}
            await asyncio.gather(
                self._forward(reader, target_writer, to_target=True), self._forward(target_reader, writer, to_target=False)
            )
        except OSError:
            pass  # nobody listens there
        finally:
            self._writers -= {*writers}
            for closed in writers:
                closed.transport.abort()
            await self._note()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_target: bool) -> None:
        try:
            while data := await reader.read(65536):
                await self._flows.wait()
                if not to_target:
                    await self._answers.wait()
                writer.write(data)
                await writer.drain()
                await self._note(to_target=len(data) if to_target else 0, from_target=0 if to_target else len(data))
        except OSError:
            pass
        writer.transport.abort()

    async def _note(self, *, connections: int = 0, to_target: int = 0, from_target: int = 0) -> None:
        async with self._changed:
            self.connections += connections
            self.to_target += to_target
            self.from_target += from_target
            self._changed.notify_all()
