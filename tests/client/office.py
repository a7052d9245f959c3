"""A service on a real port, its steps scripted by the test, and clients that talk to it; and impostors that answer in its place."""

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stepswitch.bootstrap.server import HttpServer
from stepswitch.client import Execution, Pacing, StepswitchClient
from stepswitch.domain.execution import Status
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account, Session
from stepswitch.plugin import Result
from stepswitch.storage.accounts import SqlAccountStore
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import House, open_house
from tests.listening import closed

PASSWORD = "long enough"


@dataclass
class Naps:
    """Counts the naps of a client that never sleeps."""

    seconds: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)

    @property
    def pacing(self) -> Pacing:
        return Pacing(sleep=self.sleep, chance=lambda: 0.0)


@dataclass
class Office:
    """A running service and an operator with a client."""

    house: House
    server: HttpServer
    url: str
    client: StepswitchClient

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def store(self, *ids: str, **sections: Any) -> str:
        """Store a workflow of steps of type ACT that follow one another; return its id."""
        return (await self.client.workflows.create(document(startStepId=ids[0], steps=steps(*ids), **sections))).id

    async def queue(self, *ids: str, **order: Any) -> Execution:
        return await self.client.executions.start(await self.store(*ids), **order)

    async def does(self, result: Result = Result.SUCCEEDED) -> None:
        """Let the next attempt at a step of type ACT come to `result`."""
        (await self.house.act.next()).end(result)

    async def until(self, execution_id: str, status: str) -> Execution:
        await self.house.until(execution_id, Status(status))
        return await self.client.executions.get(execution_id)

    async def failed(self, *ids: str, **order: Any) -> Execution:
        """Return an execution whose first step has failed."""
        execution = await self.queue(*ids, **order)
        await self.does(Result.FAILED)
        return await self.until(execution.id, "PAUSED" if order.get("pause_at_failure") else "FAILED")


@asynccontextmanager
async def open_office(directory: Path, **settings: Any) -> AsyncIterator[Office]:
    async with open_house(directory, start=False, port=0, grace_seconds=0, **settings) as house:
        server = HttpServer(house.service)
        await server.start()
        try:
            async with StepswitchClient(server.url, token=await token_of(house, "admin", ADMINISTRATOR)) as client:
                yield Office(house, server, server.url, client)
        finally:
            await server.stop()


async def token_of(house: House, user: str, *roles: str, tenant: str = "default", lasts: int = 10**9) -> str:
    """Return the token of a new session, without the second that checking a password takes; it lasts so many milliseconds."""
    token = hashlib.sha256(f"{user} {tenant} {lasts}".encode()).hexdigest()[:43]
    store = SqlAccountStore(house.service._database)
    account = await store.account(user) or Account(user, tenant, "no hash", roles)
    await store.put_account(account)
    token_hash = hashlib.sha256(token.encode()).hexdigest()
    await store.put_session(Session(token_hash, user, tenant, roles, house.clock.now() + lasts, account.credential))
    return token


def answer(status: int, body: Any = None, **headers: str) -> bytes:
    """Return an answer as bytes on the wire."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Said",
        f"content-length: {len(content)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass(frozen=True)
class Slow:
    """An answer that never comes to its end: what comes first, and what drips after it until the client has gone; or that just breaks off."""

    first: bytes
    drop: bytes = b""
    ends: bool = False

    async def say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.first)
        if self.ends:
            writer.write_eof()
            return
        gone = asyncio.ensure_future(reader.read())
        try:
            while not gone.done():
                writer.write(self.drop)
                await asyncio.wait({gone}, timeout=0.01)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


class Impostor:
    """Listens like a service and gives the next of its answers to each request; None cuts the connection, as does the end of the answers."""

    def __init__(self, *answers: bytes | Slow | None, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self._answers = list(answers)
        self._port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self._port, ssl=self._tls)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await closed(self._server)

    def will_answer(self, *answers: bytes | Slow | None) -> None:
        self._answers += answers

    async def until_left(self) -> None:
        """Return when a client has left an answer that goes on for ever."""
        await asyncio.wait_for(self._left.wait(), 30)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _request(reader)) is not None:
                self.requests.append(request)
                said = self._answers.pop(0) if self._answers else None
                if said is None:
                    break
                if isinstance(said, Slow):
                    await said.say(reader, writer)
                    self._left.set()
                    break
                writer.write(said)
                await writer.drain()
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> str | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths: Sequence[str] = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
        return head + (await reader.readexactly(int(lengths[0]) if lengths else 0)).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
