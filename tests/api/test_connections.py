"""Risk: somebody without a login takes the memory, the connections or the attention of the service, or is refused in a form nobody reads."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from stepswitch.bootstrap.crowd import SHARE, SURPLUS, Crowd, Entry, without_share
from stepswitch.bootstrap.protocol import BoundedProtocol, Bounds
from stepswitch.bootstrap.server import HttpServer
from stepswitch.bootstrap.wiring import open_service
from stepswitch.config.settings import Settings

HEALTH = b"GET /stepswitch/api/v1/health HTTP/1.1\r\nHost: house\r\n"
UPLOAD = b"PUT /telco/api/workflows/workflow HTTP/1.1\r\nHost: house\r\nContent-Type: application/json\r\n"
LOGIN = b"POST /hybridity/api/sessions HTTP/1.1\r\nHost: house\r\n"


class Wire:
    """One connection to the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def refusal(self, request_id: str | None = None) -> tuple[int, str]:
        """Return status and code of an errorResponse that ends the connection."""
        status, headers, body = await self.answer()
        assert request_id in (None, headers["x-request-id"])
        (error,) = json.loads(body)["errors"]
        assert (headers["x-error-code"], headers["connection"], headers["content-type"]) == (error["code"], "close", "application/json")
        assert headers["x-request-id"]
        assert await self.reader.read() == b""
        return status, error["code"]


class Front:
    """The service as the network sees it."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        port = int(self.server.url.rpartition(":")[2])
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                yield Wire(reader, writer)
            finally:
                writer.transport.abort()

    def connections(self) -> Iterable[BoundedProtocol]:
        return [each for each in self.server._server.server_state.connections if isinstance(each, BoundedProtocol)]

    async def until_reading(self, what: str) -> BoundedProtocol:
        """Return the one connection, once it reads what is named."""
        while True:
            for each in self.connections():
                if each._reading.name == what:
                    return each
            await asyncio.sleep(0)


@asynccontextmanager
async def open_front(directory: Path, bounds: Bounds) -> AsyncIterator[Front]:
    service = await open_service(Settings.model_validate({"data_dir": directory, "port": 0, "admin_password": "correct horse"}))
    server = HttpServer(service, bounds=bounds)
    await server.start()
    try:
        yield Front(server)
    finally:
        await server.stop()
        await service.stop()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path, Bounds(100)) as front:
        yield front


async def test_no_part_of_an_answer_waits_until_the_one_before_it_is_confirmed(front: Front) -> None:
    async with front.wire() as wire:
        await wire.send(HEALTH + b"\r\n")
        assert (await wire.answer())[0] == 200
        (connection,) = front.connections()
        accepted: socket.socket = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_header_that_never_ends_is_cut_off(front: Front) -> None:
    async with front.wire() as wire:
        await wire.send(HEALTH + b"x: ")
        for _ in range(300):  # 300 KiB; 64 are read
            await wire.send(b"y" * 1024)
        assert await wire.refusal() == (431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize(
    "head", [HEALTH + b"x: " + b"y" * 2_000_000, HEALTH + b"x: y\r\n" * 20_000, b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\n"]
)
async def test_a_head_over_the_limit_is_431(front: Front, head: bytes) -> None:
    async with front.wire() as wire:
        await wire.send(head + b"\r\n\r\n")
        assert await wire.refusal() == (431, "HEADERS_TOO_LARGE")


async def test_headers_behind_a_body_are_limited_too(front: Front) -> None:
    async with front.wire() as wire:
        await wire.send(LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        await wire.send(b"x: " + b"y" * 600_000)
        assert await wire.refusal() == (431, "HEADERS_TOO_LARGE")


async def test_a_large_body_beside_a_large_head_is_no_head(front: Front) -> None:
    async with front.wire() as wire:
        body = b" " * 60_000 + b"{}"
        await wire.send(LOGIN + b"x: " + b"y" * 60_000 + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        status, headers, _ = await wire.answer()
        assert (status, headers["x-error-code"]) == (400, "MISSING_FIELD")
        await wire.send(HEALTH + b"\r\n")
        assert (await wire.answer())[0] == 200


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", LOGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
async def test_what_is_no_http_is_told_so_like_everything_else(front: Front, sent: bytes) -> None:
    async with front.wire() as wire:
        await wire.send(sent)
        assert await wire.refusal() == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    ("sent", "reading", "seconds"), [(HEALTH, "HEAD", 30.0), (LOGIN + b"Content-Length: 100\r\n\r\n{", "BODY", 20.0)], ids=["head", "body"]
)
async def test_who_sends_too_slowly_is_given_up(front: Front, sent: bytes, reading: str, seconds: float) -> None:
    async with front.wire() as wire:
        await wire.send(sent)
        connection = await front.until_reading(reading)
        connection.check(connection._since + seconds - 0.1)
        assert connection._reading.name == reading
        connection.check(connection._since + seconds + 0.1)
        assert await wire.refusal() == (408, "TOO_SLOW")


@pytest.mark.parametrize(
    ("rest", "refusal"),
    [
        (b"x: " + b"y" * 100_000, (431, "HEADERS_TOO_LARGE")),
        (b"x: " + b"y" * 100_000 + b"\r\n\r\n", (431, "HEADERS_TOO_LARGE")),
        (b"x: y\r\nno colon\r\n\r\n", (400, "MALFORMED_REQUEST")),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", (400, "MALFORMED_REQUEST")),
    ],
)
async def test_a_request_that_is_refused_before_it_is_read_keeps_its_id_too(front: Front, rest: bytes, refusal: tuple[int, str]) -> None:
    async with front.wire() as wire:
        await wire.send(LOGIN + b"x-request-id: mine\r\n" + rest)
        assert await wire.refusal("mine") == refusal


async def test_what_is_no_request_does_not_get_the_id_of_the_one_before(front: Front) -> None:
    async with front.wire() as wire:
        await wire.send(HEALTH + b"x-request-id: mine\r\n\r\n")
        assert (await wire.answer())[1]["x-request-id"] == "mine"
        await wire.send(b"hello\r\n\r\n")
        status, headers, _ = await wire.answer()
        assert (status, headers["x-request-id"] == "mine") == (400, False)


async def test_a_body_that_moves_on_is_waited_for(front: Front) -> None:
    async with front.wire() as wire:
        await wire.send(LOGIN + b"Content-Length: 2\r\n\r\n{")
        connection = await front.until_reading("BODY")
        connection._since -= 19
        await wire.send(b"}")
        assert (await wire.answer())[0] == 400
        connection.check(asyncio.get_running_loop().time() + 2)
        await wire.send(HEALTH + b"\r\n")
        assert (await wire.answer())[0] == 200


async def until(is_so: Callable[[], bool]) -> None:
    while True:
        if is_so():
            return
        await asyncio.sleep(0)


async def logged_in(front: Front) -> bytes:
    """Return the header that says who one is."""
    async with front.wire() as wire:
        body = b'{"username": "admin", "password": "correct horse"}'
        await wire.send(LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return b"x-hm-authorization: " + (await wire.answer())[1]["x-hm-authorization"].encode() + b"\r\n"


@asynccontextmanager
async def sending(front: Front, head: bytes, length: int, part: bytes = b"{") -> AsyncIterator[tuple[Wire, BoundedProtocol]]:
    """Give a request of whose body there is only a part, and its connection on the other side, once that has come."""
    async with front.wire() as wire:
        await wire.send(head + b"Content-Length: %d\r\n\r\n" % length + part)
        connection = await front.until_reading("BODY")
        await until(lambda: connection._body_bytes >= len(part))
        yield wire, connection


@pytest.mark.parametrize("claimed", [b"", b"x-hm-authorization: made-up\r\n"])
async def test_a_body_that_comes_byte_by_byte_without_a_login_is_given_up(front: Front, claimed: bytes) -> None:
    async with sending(front, LOGIN + claimed, 60_000) as (wire, connection):
        now = connection._looked_at
        for second in range(1, 21):
            connection.on_body(b" ")
            connection.check(now + second)
            assert connection._reading.name == "BODY"
        connection.check(now + 20.1)
        assert await wire.refusal() == (408, "TOO_SLOW")


async def test_with_a_login_a_large_body_may_take_its_time_and_not_any_time(front: Front) -> None:
    async with sending(front, UPLOAD + await logged_in(front), 1_000_000) as (wire, connection):
        await until(lambda: connection._is_known)
        now = connection._looked_at
        for second in range(1, 400):
            connection.on_body(b" " * (1024 if second <= 300 else 1))  # and in the end a byte a second
            connection.flow.resume_reading()
            connection._since = now + second
            connection.check(now + second)
            assert connection._reading.name == "BODY" or second > 350
        assert await wire.refusal() == (408, "TOO_SLOW")


async def test_a_body_that_we_do_not_read_is_not_slow(front: Front) -> None:
    async with sending(front, LOGIN, 100) as (_, connection):
        connection.flow.pause_reading()
        connection.check(connection._looked_at + 1_000)
        connection.flow.resume_reading()
        connection.check(connection._looked_at + 1)
        assert connection._reading.name == "BODY"


async def test_a_login_on_a_connection_is_none_for_the_next_request(front: Front) -> None:
    token = await logged_in(front)
    async with front.wire() as wire:
        await wire.send(b"GET /stepswitch/api/v1/users HTTP/1.1\r\nHost: house\r\n" + token + b"\r\n")
        assert (await wire.answer())[0] == 200
        await wire.send(LOGIN + b"Content-Length: 60000\r\n\r\n{")
        assert not (await front.until_reading("BODY"))._is_known


async def test_the_service_looks_after_its_connections_by_itself(tmp_path: Path) -> None:
    async with open_front(tmp_path, Bounds(100, head_seconds=0.0)) as front, front.wire() as silent, front.wire() as half:
        await half.send(HEALTH)
        assert await half.refusal() == (408, "TOO_SLOW")
        assert await silent.reader.read() == b""


async def test_one_connection_too_many_is_503_and_far_too_many_are_cut(tmp_path: Path) -> None:
    async with open_front(tmp_path, Bounds(1)) as front, front.wire() as first:
        await first.send(HEALTH + b"\r\n")
        assert (await first.answer())[0] == 200
        async with front.wire() as second:
            await second.send(LOGIN + b"Content-Length: 0\r\nx-request-id: mine\r\n\r\n")
            assert await second.refusal("mine") == (503, "OVERLOADED")
        await _fill(front)


async def test_one_address_does_not_take_the_connections_of_all(tmp_path: Path) -> None:
    async with open_front(tmp_path, Bounds(2 * SHARE, has_no_share=lambda _: False)) as front, AsyncExitStack() as stack:
        for _ in range(2):
            wire = await stack.enter_async_context(front.wire())
            await wire.send(HEALTH + b"\r\n")
            assert (await wire.answer())[0] == 200
        third = await stack.enter_async_context(front.wire())
        await third.send(LOGIN + b"Content-Length: 0\r\n\r\n")
        assert await third.refusal() == (503, "OVERLOADED")
        wire.writer.close()
        await until(lambda: len(list(front.connections())) == 1)
        again = await stack.enter_async_context(front.wire())
        await again.send(LOGIN + b"Content-Length: 0\r\n\r\n")
        assert (await again.answer())[0] == 400


async def test_how_the_service_is_can_be_asked_when_it_is_full(tmp_path: Path) -> None:
    async with open_front(tmp_path, Bounds(1)) as front, front.wire() as first, front.wire() as second:
        await first.send(HEALTH + b"\r\n")
        assert (await first.answer())[0] == 200
        await second.send(HEALTH + b"\r\n")
        status, headers, body = await second.answer()
        assert (status, headers["connection"], json.loads(body)["status"]) == (200, "close", "ok")
        assert await second.reader.read() == b""


def test_an_address_has_a_share_and_gets_it_back() -> None:
    crowd = Crowd(40, without_share("192.0.2.0/28"))
    entries = [crowd.enter("203.0.113.1") for _ in range(200)]
    told = SURPLUS // SHARE
    assert entries == [Entry.LET_IN] * 10 + [Entry.TOO_MANY_OF_ADDRESS] * told + [Entry.CUT] * (190 - told)
    assert crowd.enter("2001:db8::1") is Entry.LET_IN
    for entry in entries:
        crowd.leave("203.0.113.1", entry)
    assert crowd.enter("203.0.113.1") is Entry.LET_IN
    for number in range(9):
        assert crowd.enter(f"2001:db8::{number}") is Entry.LET_IN
    assert crowd.enter("2001:db8:0:0:1::") is Entry.TOO_MANY_OF_ADDRESS
    assert [crowd.enter("192.0.2.3") for _ in range(29)] == [Entry.LET_IN] * 29
    assert crowd.enter("203.0.113.9") is Entry.TOO_MANY


@pytest.mark.parametrize(
    ("address", "has_none"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("", True), ("192.0.2.3", True), ("192.0.2.16", False), ("2001:db8::1", True),
     ("::ffff:192.0.2.3", True), ("fe80::1%eth0", False)],
)  # fmt: skip
def test_this_machine_and_trusted_proxies_have_no_share(address: str, has_none: bool) -> None:
    assert without_share("192.0.2.0/28, 2001:db8::/32")(address) is has_none


async def _fill(front: Front) -> None:
    wires = [front.wire() for _ in range(SURPLUS + 20)]
    opened = [await each.__aenter__() for each in wires]
    try:
        assert await opened[-1].reader.read() == b""
        assert len(list(front.connections())) <= SURPLUS + 1
    finally:
        for each in wires:
            await each.__aexit__(None, None, None)


async def test_a_client_that_sends_all_of_a_body_over_the_limit_first_is_told_so(front: Front) -> None:
    for head, body in (
        (b"Content-Length: 10485761", b"x" * 10_485_761),
        (b"Transfer-Encoding: chunked", b"A00001\r\n" + b"x" * 10_485_761 + b"\r\n0\r\n\r\n"),
    ):
        async with front.wire() as wire:
            await wire.send(LOGIN + head + b"\r\n\r\n" + body)
            status, headers, _ = await wire.answer()
            assert (status, headers["x-error-code"]) == (413, "BODY_TOO_LARGE")
            assert await wire.reader.read() == b""
