"""Risk: an execution of ten thousand steps fills the memory, keeps its reader waiting, or looks whole where it is not."""

import asyncio
import json
import signal
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.api.wire import models
from stepswitch.bootstrap.server import application
from stepswitch.domain.errors import StoreError
from stepswitch.domain.events import Abort
from stepswitch.engine import rows, views
from stepswitch.plugin import Result
from tests.api.long_executions import gate, long_execution
from tests.api.real import PLAIN, Real, real_service
from tests.api.steered import Desk, open_desk, shown
from tests.chaos.service import ServiceProcess
from tests.domain.documents import document
from tests.domain.lives import steps

MANY = 10_000


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as real:
        yield real


def place(execution_id: str) -> str:
    return f"{PLAIN}/workflowExecution/{execution_id}"


# --- early, and as it is ---


async def test_the_first_bytes_arrive_while_the_last_rows_are_still_to_be_read(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await long_execution(real, MANY)
    held = gate(real.service, monkeypatch, holds_at=MANY // 2)
    plain = {"accept-encoding": "identity"}
    async with asyncio.timeout(30), real.client.stream("GET", place(execution), headers=plain) as answer:
        assert answer.status_code == 200
        pieces = answer.aiter_bytes()
        begun = await anext(pieces)
        await held.reached.wait()
        assert begun.startswith(b'{"id":"')
        assert held.steps < MANY
        held.opened.set()
        whole = begun + b"".join([piece async for piece in pieces])
    body = json.loads(whole)
    assert len(body["stepExecutions"]) == MANY + 1
    assert len(body["logs"]) > MANY
    assert held.steps == MANY
    models.WorkflowExecution.model_validate({**body, "stepExecutions": body["stepExecutions"][-50:], "logs": body["logs"][-50:]})


LOOPED = document(
    inputs={"pw": {"type": "password"}},
    variables={"token": {"type": "password"}, "x": {"type": "string"}},
    outputs={"o": {"type": "string"}},
    steps=steps(
        "a", "b", "c",
        a={"inBindings": {"pw": {"type": "password", "exportName": "pw"}}, "outBindings": {"o": {"name": "text", "type": "string"}}},
        b={"outBindings": {"token": {"name": "token", "type": "password"}}},
    ),
)  # fmt: skip


async def _troubled(desk: Desk) -> str:
    """Return an execution with retries, edits, logs of every kind, and secrets that are shown before they are known as such."""
    execution = await desk.queue(
        source=LOOPED, assignments={"pw": "hunter22"}, pauseAtFailure=True, context={"site": "north token-1 hunter22"}
    )
    call = await desk.act.next()
    await call.context.log("says hunter22 and token-1")
    call.end(Result.FAILED, {"text": "token-1 and hunter22", "big": "y" * 70_000})
    await desk.until(execution, "PAUSED")
    shown(await desk.ask(execution, "values", body={"values": {"pw": "hunter33"}}, reason="no longer hunter22"))
    shown(await desk.patch(execution, steps={"c": {"type": "NOOP"}}))
    shown(await desk.ask(execution, "retry"))
    call = await desk.act.next()
    await call.context.log("says hunter33")
    await call.context.log("says more")
    call.end(outputs={"text": "token-1"})
    await desk.does(Result.FAILED)
    await desk.until(execution, "PAUSED")
    shown(await desk.ask(execution, "retry"))
    call = await desk.act.next()
    call.end(outputs={"token": "token-1"})
    await desk.until(execution, "COMPLETED")
    return execution


ASKED: tuple[dict[str, str], ...] = (
    {},
    {"fields": "status"},
    {"fields": "stepExecutions/state,logs/msg,outputs"},
    {"fields": "stepExecutions/stepSnapshot/type,stepExecutions/logs"},
    {"fields": "stepExecutions,workflow/name", "exclude_fields": "stepExecutions/variables"},
    {"exclude_fields": "stepExecutions,logs"},
    {"exclude_fields": "stepExecutions/logs,context"},
    {"exclude_fields": "logs"},
)


async def test_a_long_one_is_told_as_a_short_one_would_be(tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_desk(tmp_path, root) as desk:
        execution = await _troubled(desk)
        urls = [(desk.place(execution), each) for each in ASKED] + [(f"{root}/workflowExecution", each) for each in ASKED]
        short = [(await desk.client.get(url, params=asked)).json() for url, asked in urls]
        monkeypatch.setattr(views, "SHORT_STEPS", 0)
        for at_once, in_bytes in ((100, 256 * 1024), (1, 1)):
            monkeypatch.setattr(rows, "STEPS_AT_ONCE", at_once)
            monkeypatch.setattr(rows, "PAGE_BYTES", in_bytes)
            monkeypatch.setattr("stepswitch.engine.lists.STEPS_AT_ONCE", 0)
            for (url, asked), expected in zip(urls, short, strict=True):
                answer = await desk.client.get(url, params=asked)
                assert answer.json() == expected, (url, asked)
                assert "hunter" not in answer.text
                assert "token-1" not in answer.text
        whole = await desk.house.view(execution)
        assert [step.number for step, _ in whole.steps] == list(range(5))
        assert len(whole.logs) == sum(len(part["logs"]) for part in (short[0], *short[0]["stepExecutions"]))


# --- memory, and what is not read ---


async def _drain(app: Any, path: str, headers: dict[str, str]) -> int:
    """Ask for `path` and let every piece go as it comes; return how many bytes there were."""
    total = 0
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal total
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        total += len(message.get("body", b""))

    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "http_version": "1.1",
        "scheme": "http", "server": ("house", 80), "asgi": {"version": "3.0", "spec_version": "2.4"},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    assert statuses == [200]
    return total


async def _peak(app: Any, path: str, headers: dict[str, str]) -> tuple[int, int]:
    """Return how many bytes an answer has, and how many were in memory at most while it was made and sent."""
    await _drain(app, path, headers)
    tracemalloc.start()
    try:
        return await _drain(app, path, headers), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a list"])
async def test_the_memory_that_an_answer_takes_does_not_grow_with_it(real: Real, alone: bool) -> None:
    app, headers = application(real.service), await real.login()
    peaks = {}
    for count in (1_250, 2_500):
        execution = await long_execution(real, count, output="x" * 4_000, line="y" * 4_000)
        path = place(execution) if alone else f"{PLAIN}/workflowExecution"
        total, peaks[count] = await _peak(app, path, headers)
        assert total > count * 4_000
    assert peaks[2_500] < peaks[1_250] + 1_000_000


async def test_large_values_are_not_all_in_memory_at_once(real: Real) -> None:
    app, headers = application(real.service), await real.login()
    peaks = {}
    for count in (5, 40):
        execution = await long_execution(real, count, output="x" * 1_000_000)
        total, peaks[count] = await _peak(app, place(execution), headers)
        assert total > count * 1_000_000
    assert peaks[40] < peaks[5] + 3_000_000


@pytest.mark.parametrize(
    ("asked", "reads_steps", "reads_logs"),
    [
        ("fields=status", False, False),
        ("fields=status,workflow/name,endTime", False, False),
        ("exclude_fields=stepExecutions,logs", False, False),
        ("fields=logs", False, True),
        ("exclude_fields=logs,stepExecutions/logs", True, False),
    ],
)
async def test_what_is_not_asked_for_is_not_read(
    real: Real, monkeypatch: pytest.MonkeyPatch, asked: str, reads_steps: bool, reads_logs: bool
) -> None:
    execution = await long_execution(real, 1_200)
    read = gate(real.service, monkeypatch)
    for url in (place(execution), f"{PLAIN}/workflowExecution"):
        read.steps = read.log_pages = 0
        answer = await real.client.get(f"{url}?{asked}")
        assert answer.status_code == 200
        assert (read.steps > 0, read.log_pages > 0) == (reads_steps, reads_logs)


async def test_a_short_answer_has_its_length_and_a_long_one_comes_in_chunks(real: Real) -> None:
    short, long = await long_execution(real, 3), await long_execution(real, MANY // 5)
    assert int((await real.client.get(place(short))).headers["content-length"]) > 0
    assert (await real.client.get(place(long))).headers["transfer-encoding"] == "chunked"
    assert "content-length" in (await real.client.get(f"{place(long)}?fields=status")).headers


# --- cut, never whole where it is not ---


async def remove(real: Real, execution: str) -> None:
    """Delete an execution without reading it."""
    await real.service.conductor.apply(execution, Abort("abort", "admin", None))
    await real.service.conductor.remove(execution)


@pytest.mark.parametrize("what", ["deleted", "unreadable"])
async def test_what_ends_in_the_middle_cuts_the_connection(real: Real, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    execution = await long_execution(real, MANY)
    held = gate(real.service, monkeypatch, holds_at=MANY // 2)
    got = bytearray()
    async with asyncio.timeout(30):
        async with real.client.stream("GET", place(execution)) as answer:
            pieces = answer.aiter_bytes()
            got += await anext(pieces)
            await held.reached.wait()
            if what == "deleted":
                await remove(real, execution)
            else:
                held.failure = StoreError("the disk is gone")
            held.opened.set()
            with pytest.raises(httpx.RemoteProtocolError):
                await _into(got, pieces)
        assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(got)


async def test_what_is_deleted_while_its_last_log_lines_are_read_does_not_look_whole(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await long_execution(real, MANY // 5)
    checks = rows.Rows.check

    async def delete_first(self: rows.Rows) -> None:
        await remove(real, execution)
        await checks(self)

    monkeypatch.setattr(rows.Rows, "check", delete_first)
    with pytest.raises(httpx.RemoteProtocolError):
        await real.client.get(place(execution))


async def test_what_is_deleted_before_the_first_byte_is_404(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (3, MANY // 5):
        execution = await long_execution(real, count)
        held = gate(real.service, monkeypatch, holds_at=0)
        asked = asyncio.create_task(real.client.get(f"{place(execution)}?fields=stepExecutions"))
        await held.reached.wait()
        await remove(real, execution)
        held.opened.set()
        answer = await asked
        assert (answer.status_code, answer.content) == (404, b"")
        monkeypatch.undo()


async def test_a_service_that_dies_in_the_middle_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    await asyncio.to_thread(service.start)
    try:
        headers = await asyncio.to_thread(service.login)
        looped = {
            "name": "Loop", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
            "variables": {"text": {"type": "string", "defaultValue": "x" * 2_000}}, "steps": {"a": {"type": "NOOP", "nextStepId": "a"}},
        }  # fmt: skip
        workflow = await asyncio.to_thread(service.store, looped, headers)
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
            order = {"workflowId": workflow, "contextType": "NONE"}
            execution = (await client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"]
            while (await client.get(f"{place(execution)}?fields=status")).json()["status"] != "PAUSED":
                pass
            got = bytearray()
            async with client.stream("GET", place(execution)) as answer:
                pieces = answer.aiter_bytes()
                got += await anext(pieces)
                await asyncio.to_thread(service.end, signal.SIGKILL)
                with pytest.raises(httpx.TransportError):
                    await _into(got, pieces)
            with pytest.raises(json.JSONDecodeError):
                json.loads(got)
    finally:
        if service.process.poll() is None:
            await asyncio.to_thread(service.end)


async def _into(got: bytearray, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        got += piece
