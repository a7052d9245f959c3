"""Risk: streams on the network hold a stop up, or one that does not read holds a connection, memory or anybody else. Over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.bootstrap.protocol import BoundedProtocol, Bounds
from stepswitch.domain.execution import LogEntry, LogLevel
from tests.api.real import PLAIN, Real, real_service
from tests.api.streams import OWN, Parser

HELLO: dict[str, Any] = {
    "name": "hello",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "a",
    "steps": {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP"}},
}
STUCK_SECONDS = 0.5


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    """A service with a grace period that no test waits for."""
    async with real_service(tmp_path, grace_seconds=600) as real:
        real.server._config.bounds = Bounds(1_000, unread_seconds=STUCK_SECONDS, unread_seconds_at_stop=STUCK_SECONDS)
        yield real


@asynccontextmanager
async def following(real: Real, path: str, **headers: str) -> AsyncIterator[tuple[httpx.Response, Parser, AsyncIterator[bytes]]]:
    async with asyncio.timeout(60), real.client.stream("GET", f"{OWN}{path}", headers=headers) as answer:
        yield answer, Parser(), answer.aiter_raw()


async def held(real: Real) -> str:
    """Return an execution that waits for somebody."""
    workflow = await real.create(HELLO)
    order = {"workflowId": workflow["id"], "contextType": "NONE", "debugStepIds": ["a"]}
    return str((await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"])


async def until(parser: Parser, pieces: AsyncIterator[bytes], status: str) -> None:
    while not any(event.data.get("status") == status for event in parser.events):
        parser.feed(await anext(pieces))


async def test_an_execution_is_followed_to_its_end_and_a_browser_is_told_to_stay_away_then(real: Real) -> None:
    execution = await held(real)
    async with following(real, f"/executions/{execution}/events") as (answer, parser, pieces):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        assert "content-encoding" not in answer.headers  # though the client takes packed answers
        await until(parser, pieces, "PAUSED")
        await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume")
        async for piece in pieces:
            parser.feed(piece)
    assert [event.data["status"] for event in parser.events if event.kind == "execution"] == ["PAUSED", "QUEUED", "COMPLETED"]
    async with following(real, f"/executions/{execution}/events", **{"Last-Event-ID": parser.last_id}) as (answer, _, _):
        assert answer.status_code == 204


async def test_a_reader_who_went_away_is_followed_no_longer(real: Real) -> None:
    feed = real.service.feed
    for path in ("/events", f"/executions/{await held(real)}/events"):
        async with following(real, path) as (_, parser, pieces):
            parser.feed(await anext(pieces))
            assert feed._count == 1
        await gone(lambda: feed._count)


async def gone(left: Any) -> None:
    async with asyncio.timeout(30):
        while left():  # noqa: ASYNC110 # the server notices it at some time
            await asyncio.sleep(0)


@asynccontextmanager
async def who_does_not_read(real: Real) -> AsyncIterator[BoundedProtocol]:
    """Give the connection of a reader who has asked for all events, and takes nothing of what he is sent from then on."""
    known = set(real.server._server.server_state.connections)
    port = int(real.server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
    token = real.client.headers["x-hm-authorization"]
    writer.write(f"GET {OWN}/events HTTP/1.1\r\nHost: house\r\nx-hm-authorization: {token}\r\n\r\n".encode())
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of sockets can
    (connection,) = set(real.server._server.server_state.connections) - known
    assert isinstance(connection, BoundedProtocol)
    try:
        yield connection
    finally:
        writer.transport.abort()


async def fill(real: Real, execution: str, connection: BoundedProtocol) -> None:
    """Log until the connection takes no more."""
    line = LogEntry(1, LogLevel.INFO, "x" * 100_000)
    async with asyncio.timeout(60):
        while not connection.flow.write_paused:
            await real.service._claims.log(execution, [line])


async def test_a_reader_who_does_not_read_is_cut_off_and_holds_nobody_up(real: Real) -> None:
    execution = await held(real)
    async with who_does_not_read(real) as stuck, following(real, f"/executions/{execution}/events") as (_, parser, pieces):
        stuck._bounds = real.server._config.bounds
        await fill(real, execution, stuck)
        before = stuck.transport.get_write_buffer_size()
        for _ in range(30):
            await real.service._claims.log(execution, [LogEntry(1, LogLevel.INFO, "y" * 100_000)])
        assert stuck.transport.get_write_buffer_size() <= before
        await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume")
        await until(parser, pieces, "COMPLETED")
        await gone(lambda: real.service.feed._count)
        assert stuck not in real.server._server.server_state.connections


async def test_a_stop_waits_neither_for_streams_nor_for_who_does_not_read(real: Real) -> None:
    execution, other = await held(real), await held(real)
    async with who_does_not_read(real) as stuck, following(real, f"/executions/{execution}/events") as (_, parser, pieces):
        stuck._bounds = Bounds(1_000, unread_seconds_at_stop=STUCK_SECONDS)
        await fill(real, other, stuck)
        await until(parser, pieces, "PAUSED")
        begun = asyncio.get_running_loop().time()
        await real.server.stop()
        assert asyncio.get_running_loop().time() - begun < 30  # and not 600
        assert not b"".join([piece async for piece in pieces]).strip(b"\n")  # it ended, and was not cut


async def test_who_takes_little_at_a_time_is_not_stuck(real: Real) -> None:
    execution = await held(real)
    async with who_does_not_read(real) as slow:
        await fill(real, execution, slow)
        now = float(round(asyncio.get_running_loop().time()))  # so that sixty seconds later are sixty seconds later
        unread = slow.transport.get_write_buffer_size()
        assert unread > 0
        slow._unread, slow._taken_at = unread + 1, now - 1_000  # one byte was taken since the last look
        assert not slow._is_stuck(now, 60)
        assert not slow._is_stuck(now + 60, 60)
        assert slow._is_stuck(now + 60.1, 60)


async def test_many_followers_cost_one_reading(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = real.service.feed
    pages, page = 0, feed._commits.page

    async def count(after: int, until: int, **of: Any) -> Any:
        nonlocal pages
        pages += 1
        return await page(after, until, **of)

    execution = await held(real)
    followers = [await feed.follow("default", execution if number % 2 else None) for number in range(400)]
    monkeypatch.setattr(feed._commits, "page", count)
    await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume")
    await real.ended.wait_for(execution)
    async with asyncio.timeout(30):
        for each in followers:
            while not each._pending or not each._pending[-1].has_ended:
                await each.changed.wait()
                each.changed.clear()
    assert pages < 20
    assert len({id(each._pending[-1]) for each in followers}) == 1
    for each in followers:
        each.close()
    assert feed._loop is None
