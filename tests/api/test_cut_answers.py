"""Risk: a PUT whose answer never left makes a second execution when it is repeated, or one whose answer did leave makes none.

Through real sockets, on the loop of the service and on that of the standard library: they find out about a broken connection in
different ways.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import pytest
import uvloop
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.server import ServerState

from stepswitch.api.connections import when_cut
from stepswitch.bootstrap.protocol import BoundedConfig, BoundedProtocol, Bounds
from stepswitch.domain.errors import StoreError
from stepswitch.engine import cut_answers
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.records import RequestMark, Save, Snapshot
from stepswitch.engine.views import Views
from stepswitch.system import TimeOrderedIds
from tests.api.house import PLAIN, TENANT
from tests.api.real import Real, real_service
from tests.domain.documents import document

Scene = Callable[["Line"], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]
RUNNERS: Final[dict[str, Run]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
PATIENCE: Final = 30.0
NONE: Final[Mapping[str, str]] = {}
HELD = document(steps={"a": {"type": "NOOP"}})
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: a close resets the connection."""


@pytest.fixture(params=sorted(RUNNERS))
def run(request: pytest.FixtureRequest) -> Run:
    return RUNNERS[request.param]


class GatedStore:
    """Stands before the real store: a create waits until the test lets it go on, and fails where the test says so."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.arrived = asyncio.Condition()
        self.failure: StoreError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create(self, save: Save, snapshot: Snapshot, mark: RequestMark | None = None) -> None:
        async with self.arrived:
            self.waiting += 1
            self.arrived.notify_all()
        await self.gate.wait()
        self.waiting -= 1
        if self.failure is not None:
            error, self.failure = self.failure, None
            raise error
        await self._store.create(save, snapshot, mark)

    async def until_waiting(self, count: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.waiting == count)


class Client:
    """One connection; nothing of it is read unless the test says so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        return int(head[0].split()[1]), headers, json.loads(await self.reader.readexactly(int(headers["content-length"])))

    async def executed(self) -> tuple[str, bool]:
        """Return the execution that the answer shows, and whether it is said to be one that was there."""
        status, headers, body = await self.answer()
        assert status == 200, body
        return body["id"], headers.get("x-stepswitch-repeated") == "true"

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.close()

    def half_close(self) -> None:
        self.writer.write_eof()


class Line:
    """A service, and clients that come and go."""

    def __init__(self, real: Real, store: GatedStore, server: Any, body: bytes) -> None:
        self.real = real
        self.store = store
        self._server = server
        self.body = body
        self._clients: list[Client] = []

    async def ask(
        self, body: bytes | None = None, *, root: str = PLAIN, over: Client | None = None, headers: Mapping[str, str] = NONE
    ) -> Client:
        """Send the PUT over a new connection, or one that is there."""
        client = over or await self._connect()
        content = self.body if body is None else body
        sent = {
            "Host": "h",
            "x-hm-authorization": self.real.client.headers["x-hm-authorization"],
            "Content-Length": len(content),
            **headers,
        }
        lines = [f"PUT {root}/workflowExecution HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        client.writer.write("\r\n".join(lines).encode() + content)
        await client.writer.drain()
        return client

    async def _connect(self) -> Client:
        url = self.real.client.base_url
        client = Client(*await asyncio.open_connection(url.host, url.port))
        self._clients.append(client)
        return client

    async def cut(self, how: Callable[[Client], None] = Client.close, *, over: Client | None = None, body: bytes | None = None) -> None:
        """Ask, and let the connection break while the execution is being made."""
        before = self.store.waiting
        self.store.gate.clear()
        client = await self.ask(body, over=over)
        await self.store.until_waiting(before + 1)
        how(client)
        await self.until_gone(client)

    async def until_gone(self, client: Client) -> None:
        """Return when the service knows that the connection is over."""
        name = client.writer.get_extra_info("sockname")
        while any(each.client == name for each in self._server.server_state.connections):  # noqa: ASYNC110 # nobody tells
            await asyncio.sleep(0)

    async def made(self) -> list[str]:
        answer = await self.real.client.get(f"{PLAIN}/workflowExecution?nextpage_opaque_marker=sort=creationTime,asc")
        return [each["id"] for each in answer.json()]

    async def until_made(self, count: int) -> list[str]:
        """Return the executions, once there are so many."""
        while len(found := await self.made()) < count:
            pass
        return found

    def hang_up(self) -> None:
        for each in self._clients:
            each.writer.transport.abort()


@asynccontextmanager
async def open_line(directory: Path, source: dict[str, Any] = HELD, **settings: Any) -> AsyncIterator[Line]:
    async with asyncio.timeout(PATIENCE), real_service(directory, **settings) as real:
        store = GatedStore(real.service.conductor._store)
        real.service.conductor._store = store
        workflow_id = (await real.create(source))["id"]
        body = json.dumps({"workflowId": workflow_id, "contextType": "NONE", "debugStepIds": ["a"]}).encode()
        line = Line(real, store, real.server._server, body)
        try:
            yield line
        finally:
            line.hang_up()


def play(run: Run, directory: Path, scene: Scene, **more: Any) -> None:
    async def whole() -> None:
        async with open_line(directory, **more) as line:
            await scene(line)

    run(whole())


@pytest.mark.parametrize("how", [Client.close, Client.reset, Client.half_close])
def test_a_put_whose_connection_broke_is_answered_with_what_it_made(run: Run, tmp_path: Path, how: Callable[[Client], None]) -> None:
    async def scene(line: Line) -> None:
        await line.cut(how)
        line.store.gate.set()
        (first,) = await line.until_made(1)
        assert await (await line.ask()).executed() == (first, True)
        other, is_repeat = await (await line.ask()).executed()  # its sender has got an answer: this is another wish
        assert (other == first, is_repeat) == (False, False)
        assert await line.made() == [first, other]

    play(run, tmp_path, scene)


def test_a_repeat_waits_for_the_first_which_is_still_under_way(run: Run, tmp_path: Path) -> None:
    async def scene(line: Line) -> None:
        await line.cut()
        again = await line.ask(root=TENANT)
        other = await line.ask(line.body + b" ")
        await line.store.until_waiting(2)  # the first, and the other one
        line.store.gate.set()
        repeated, is_repeat = await again.executed()
        assert (is_repeat, (await other.executed())[1]) == (True, False)
        assert len(await line.made()) == 2
        assert repeated in await line.made()

    play(run, tmp_path, scene)


def test_who_got_his_answer_gets_another_execution(run: Run, tmp_path: Path) -> None:
    async def scene(line: Line) -> None:
        kept = await line.ask()
        ids = [(await kept.executed())[0]]
        for leave in (None, Client.close, Client.reset, Client.half_close):
            client = await line.ask(over=kept if leave is None else None)
            execution, is_repeat = await client.executed()
            assert not is_repeat
            ids.append(execution)
            if leave is not None:
                leave(client)
                await line.until_gone(client)
        closing = await line.ask(headers={"Connection": "close"})
        ids.append((await closing.executed())[0])
        assert await closing.reader.read() == b""
        assert await line.made() == ids
        assert len(set(ids)) == 6

    play(run, tmp_path, scene)


def test_an_answer_that_only_left_in_part_counts_as_not_written(run: Run, tmp_path: Path) -> None:
    async def scene(line: Line) -> None:
        client = await line.ask()
        await client.reader.readexactly(100_000)
        cast("asyncio.Transport", client.writer.transport).pause_reading()
        (first,) = await line.until_made(1)
        client.reset()
        await line.until_gone(client)
        again = await line.ask()
        assert await again.executed() == (first, True)
        again.close()
        await line.until_gone(again)
        assert (await (await line.ask()).executed())[1] is False

    large = {**HELD, "description": "x" * 9_000_000}
    play(run, tmp_path, scene, source=large)


def test_requests_that_wait_on_one_connection_are_told_apart(run: Run, tmp_path: Path) -> None:
    async def scene(line: Line) -> None:
        client = await line.ask()
        await line.ask(over=client)
        ids = [await client.executed() for _ in range(2)]
        assert [is_repeat for _, is_repeat in ids] == [False, False]
        await line.cut(over=client)
        line.store.gate.set()
        third = (await line.until_made(3))[2]
        assert await (await line.ask()).executed() == (third, True)

    play(run, tmp_path, scene)


# --- what does not depend on how a connection breaks ---


async def test_an_answer_that_is_cut_again_is_given_to_the_next_repeat(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        await line.cut()
        for cuts in (2, 3):
            (await line.ask()).close()
            await until_cut(line, cuts)
        line.store.gate.set()
        (first,) = await line.until_made(1)
        assert await (await line.ask()).executed() == (first, True)
        assert (await (await line.ask()).executed())[1] is False


async def until_cut(line: Line, count: int) -> None:
    """Return when so many answers have been cut."""
    while len(line.real.service.cut_answers._by_age) != count:  # noqa: ASYNC110 # nobody tells
        await asyncio.sleep(0)


async def test_of_two_that_were_cut_each_is_given_to_one_repeat(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        line.store.gate.clear()
        clients = [await line.ask() for _ in range(2)]
        await line.store.until_waiting(2)
        for each in clients:
            each.close()
        await until_cut(line, 2)
        line.store.gate.set()
        both = await line.until_made(2)
        repeats = [await (await line.ask()).executed() for _ in range(3)]
        assert [is_repeat for _, is_repeat in repeats] == [True, True, False]
        assert {execution for execution, _ in repeats[:2]} == set(both)


async def test_only_the_same_bytes_of_the_same_caller_are_a_repeat(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        await line.cut()
        line.store.gate.set()
        (first,) = await line.until_made(1)
        bob = await line.real.add_user("bob", "System Administrator")
        others = [
            await line.ask(line.body.replace(b": ", b":")),
            await line.ask(headers=bob),
            await line.ask(headers={"Idempotency-Key": "k"}),
        ]
        assert [(await each.executed())[1] for each in others] == [False] * 3
        assert await (await line.ask()).executed() == (first, True)


async def test_a_first_request_that_failed_leaves_the_repeat_to_make_it(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        line.store.failure = StoreError("the disk is full")
        await line.cut()
        again = await line.ask()
        line.store.gate.set()
        execution, is_repeat = await again.executed()
        assert (is_repeat, await line.made()) == (False, [execution])


async def test_a_repeat_that_cannot_be_answered_leaves_it_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_line(tmp_path) as line:
        await line.cut()
        monkeypatch.setattr(cut_answers, "PATIENCE_SECONDS", 0.0)
        status, headers, _ = await (await line.ask()).answer()  # the first is still under way
        assert (status, headers["x-error-code"], headers["retry-after"]) == (503, "OVERLOADED", "1")
        monkeypatch.undo()
        line.store.gate.set()
        (first,) = await line.until_made(1)
        with monkeypatch.context() as broken:
            broken.setattr(Views, "shown", _fails)
            assert (await (await line.ask()).answer())[0] == 503
        assert await (await line.ask()).executed() == (first, True)


async def _fails(*_: object) -> None:
    raise StoreError("the database cannot be read")


async def test_a_request_is_no_repeat_after_a_minute_or_after_what_it_made_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_line(tmp_path) as line:
        await line.cut()
        line.store.gate.set()
        (first,) = await line.until_made(1)
        place = f"{PLAIN}/workflowExecution/{first}"
        await line.real.client.post(f"{place}/abort")
        assert (await line.real.client.delete(place)).status_code == 204
        assert (await (await line.ask()).executed())[1] is False
        monkeypatch.setattr(cut_answers, "KEPT_SECONDS", 0.0)
        await line.cut()
        line.store.gate.set()
        await line.until_made(2)
        assert (await (await line.ask()).executed())[1] is False
        assert not line.real.service.cut_answers._kept
        assert not line.real.service.cut_answers._by_age


async def test_what_was_cut_is_known_after_a_new_start(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        await line.cut()
        await line.cut(body=line.body + b" ")
        line.store.gate.set()
        both = await line.until_made(2)
        taken = await (await line.ask()).executed()
        body, token = line.body, line.real.client.headers["x-hm-authorization"]
    async with open_line(tmp_path) as line:
        line.body, line.real.client.headers["x-hm-authorization"] = body, token
        assert (await (await line.ask()).executed())[1] is False  # its answer was given before
        (left,) = set(both) - {taken[0]}
        assert await (await line.ask(body + b" ")).executed() == (left, True)


async def test_a_stop_that_gives_a_request_up_remembers_it(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        line.store.gate.clear()
        client = await line.ask()
        await line.store.until_waiting(1)
        body = line.body
        for task in list(line.real.server._server.server_state.tasks):
            task.cancel()
        await until_cut(line, 1)
        status, headers, answer = await client.answer()
        assert (status, answer["errors"][0]["code"], headers["retry-after"]) == (503, "OVERLOADED", "1")
        assert headers["x-request-id"]
        line.store.gate.set()
        (first,) = await line.until_made(1)
    async with open_line(tmp_path) as line:
        assert await (await line.ask(body)).executed() == (first, True)


# --- the protocol itself, for moments that no client can bring about at will ---


class Pipe(asyncio.Transport):
    """A transport whose buffer, and end, are in the hands of the test."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.buffered = 0
        self.is_over = False

    def write(self, data: object) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def close(self) -> None:
        self.is_over = True

    def is_closing(self) -> bool:
        return self.is_over


class Moment:
    """A connection with a request that waits to be answered, and how often it was told that its answer was cut."""

    def __init__(self) -> None:
        self.pipe, self.answer, self.answered, self.told = Pipe(), asyncio.Event(), asyncio.Event(), 0
        config = BoundedConfig(self._app, Bounds(10), TimeOrderedIds(), log_config=None, proxy_headers=False, interface="asgi3")
        config.load()
        self.protocol = BoundedProtocol(config, ServerState(), {})
        self.protocol.connection_made(self.pipe)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        when_cut(Request(scope), self._tell)
        await self.answer.wait()
        await Response(b"answer")(scope, receive, send)
        self.answered.set()

    def _tell(self) -> None:
        self.told += 1

    async def ask(self) -> None:
        self.protocol.data_received(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        await asyncio.sleep(0)

    async def settle(self) -> None:
        self.answer.set()
        await self.answered.wait()
        await asyncio.sleep(0)


async def test_an_answer_to_a_connection_that_is_about_to_be_lost_is_none() -> None:
    moment = Moment()
    await moment.ask()
    moment.protocol.eof_received()
    moment.pipe.close()
    await moment.settle()
    moment.protocol.connection_lost(None)
    assert moment.told == 1


async def test_a_request_whose_connection_is_over_before_it_is_carried_out_is_told_so() -> None:
    moment = Moment()
    moment.protocol.data_received(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
    moment.pipe.close()
    await moment.settle()
    moment.protocol.connection_lost(None)
    assert moment.told == 1


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
@pytest.mark.parametrize("looks", [True, False])
async def test_an_answer_leaves_when_the_last_of_it_does(*, looks: bool, error: Exception | None) -> None:
    moment = Moment()
    await moment.ask()
    moment.pipe.buffered = 10
    await moment.settle()
    if looks:
        moment.pipe.buffered = 0
        moment.protocol.check(asyncio.get_running_loop().time())
    moment.protocol.connection_lost(error)
    assert moment.told == (1 if error is not None and not looks else 0)
