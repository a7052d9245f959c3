"""Risk: who queues an execution and waits for its end is answered before it, never, or as if nothing had been stored. Over the real service."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.domain.errors import StoreError
from stepswitch.engine.records import Committed
from stepswitch.plugin import Result
from tests.api.real import real_service
from tests.api.steered import Body, Desk, open_desk, refused, said, shown, story
from tests.domain.documents import document
from tests.domain.lives import steps

LOOP = {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "while (true) {}"}}}
NOTHING = {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP"}}
ORDER: Mapping[str, Any] = {"contextType": "NONE"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def put(
    desk: Desk, workflow_id: str, prefer: str | None = "wait=10", headers: Mapping[str, str] = ORDER, **fields: Any
) -> httpx.Response:
    sent = {name: value for name, value in headers.items() if name != "contextType"} | ({} if prefer is None else {"Prefer": prefer})
    return await desk.client.put(f"{desk.root}/workflowExecution", json={**ORDER, "workflowId": workflow_id, **fields}, headers=sent)


@asynccontextmanager
async def awaiting(desk: Desk, *ids: str, prefer: str = "wait=10", **more: Any) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """Give a request for an execution of steps of type ACT that waits for its end by now."""
    workflow_id = await desk.store(document(startStepId=ids[0], steps=steps(*ids)))
    before = desk.house.clock.sleeping
    asked = asyncio.ensure_future(put(desk, workflow_id, prefer, **more))
    await until(lambda: (desk.house.clock.sleeping > before and watched(desk) != []) or asked.done())
    assert not asked.done()
    try:
        yield asked
    finally:
        asked.cancel()


def watched(desk: Desk) -> list[str]:
    """Return the executions that somebody waits for."""
    return list(desk.house.service.watchers._of_execution)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 # nothing there has an event
            await asyncio.sleep(0)


def awaited(answer: httpx.Response, seconds: int = 10) -> Body:
    assert answer.headers["preference-applied"] == f"wait={seconds}"
    return shown(answer)


# --- what has ended, or waits for somebody, as soon as it is stored ---


async def test_what_has_ended_with_its_save_is_answered_as_it_ended(desk: Desk, root: str) -> None:
    desk.root = root
    secret = {"type": "password", "defaultValue": "hunter2-hunter2"}
    workflow_id = await desk.store(document(startStepId="a", inputs={"word": secret}, steps=NOTHING))
    body = awaited(await put(desk, workflow_id, assignments={"word": "swordfish-swordfish"}))
    assert body["status"] == "COMPLETED"
    assert [each[0] for each in story(body)] == ["a", "b"]
    assert body == await desk.read(body["id"])
    assert "swordfish" not in json.dumps(body)


async def test_what_pauses_with_its_save_is_answered_as_it_waits(desk: Desk) -> None:
    workflow_id = await desk.store(document(startStepId="a", steps=NOTHING))
    body = awaited(await put(desk, workflow_id, debugStepIds=["b"]))
    assert (body["status"], len(body["stepExecutions"])) == ("PAUSED", 2)
    assert body == await desk.read(body["id"])


# --- what takes its time ---


@pytest.mark.parametrize(("result", "status"), [(Result.SUCCEEDED, "COMPLETED"), (Result.FAILED, "FAILED")])
async def test_the_answer_comes_with_the_end_and_with_nothing_before_it(desk: Desk, result: Result, status: str) -> None:
    async with awaiting(desk, "a", "b") as asked:
        call = await desk.act.next()
        await call.context.log("hello")
        call.end()
        call = await desk.act.next()
        assert not asked.done()
        call.end(result)
        body = awaited(await asked)
    assert (body["status"], len(body["stepExecutions"])) == (status, 2)
    assert body == await desk.read(body["id"])


async def test_a_pause_is_answered_for_somebody_is_waited_for(desk: Desk) -> None:
    async with awaiting(desk, "a", pauseAtFailure=True) as asked:
        await desk.does(Result.FAILED)
        assert awaited(await asked)["status"] == "PAUSED"


async def test_after_the_time_that_was_asked_it_is_answered_as_it_is(desk: Desk) -> None:
    async with awaiting(desk, "a", prefer="wait=5") as asked:
        await desk.act.next()
        await desk.house.clock.advance(4.5)
        assert not asked.done()
        await desk.house.clock.advance(0.5)
        body = awaited(await asked, 5)
    assert body["status"] == "RUNNING"
    assert watched(desk) == []


@pytest.mark.parametrize(("prefer", "applied"), [("wait=0", "wait=0"), ("wait=x", None), ("respond-async", None), (None, None)])
async def test_who_does_not_wait_is_answered_as_it_was_queued(desk: Desk, prefer: str | None, applied: str | None) -> None:
    workflow_id = await desk.store(document(startStepId="a", steps=NOTHING))
    answer = await put(desk, workflow_id, prefer)
    assert answer.headers.get("preference-applied") == applied
    assert (shown(answer)["status"], story(answer.json())) == ("QUEUED", [("a", "executable", None)])


async def test_what_is_refused_is_refused_at_once(desk: Desk) -> None:
    workflow_id = await desk.store(document(startStepId="a", steps=NOTHING))
    answer = await put(desk, workflow_id, debugStepIds=["nowhere"])
    assert refused(answer) == ["UNKNOWN_STEP"]
    assert "preference-applied" not in answer.headers
    assert (await put(desk, "nowhere")).status_code == 404


# --- sent again ---


async def test_a_repeat_waits_for_what_the_first_made(desk: Desk) -> None:
    key = {"Idempotency-Key": "k"}
    async with awaiting(desk, "a", headers=key) as first:
        (execution,) = watched(desk)
        workflow_id = (await desk.read(execution))["workflow"]["id"]
        repeated = asyncio.ensure_future(put(desk, workflow_id, headers=key))
        await until(lambda: desk.house.clock.sleeping > 2 or repeated.done())
        assert not repeated.done()
        await desk.does()
        bodies = [awaited(await each) for each in (first, repeated)]
    assert repeated.result().headers["x-stepswitch-repeated"] == "true"
    assert [(body["id"], body["status"]) for body in bodies] == [(execution, "COMPLETED")] * 2
    assert awaited(await put(desk, workflow_id, headers=key)) == bodies[0]


async def test_who_leaves_and_asks_again_gets_the_same_execution(tmp_path: Path) -> None:
    """Through a real socket: the answer was not written, so the same bytes are the same wish."""
    async with real_service(tmp_path) as real:
        order = {**ORDER, "workflowId": (await real.create(document(startStepId="a", steps={"a": LOOP})))["id"]}
        url, watching = "/telco/api/workflows/workflowExecution", real.service.watchers._of_execution
        impatient = asyncio.ensure_future(real.client.put(url, json=order, headers={"Prefer": "wait=60"}))
        await until(lambda: len(watching) == 1)
        (execution,) = watching
        impatient.cancel()
        await until(lambda: not watching)
        again = asyncio.ensure_future(real.client.put(url, json=order, headers={"Prefer": "wait=60"}))
        await until(lambda: len(watching) == 1)
        assert list(watching) == [execution]
        assert (await real.client.post(f"{url}/{execution}/abort")).status_code == 200
        answer = await again
        assert (answer.json()["id"], answer.json()["status"]) == (execution, "ABORTED")
        assert answer.headers["x-stepswitch-repeated"] == "true"
        assert len((await real.client.get(url)).json()) == 1


async def test_a_stop_of_the_service_answers_who_waits(tmp_path: Path) -> None:
    async with real_service(tmp_path, grace_seconds=0) as real:
        order = {**ORDER, "workflowId": (await real.create(document(startStepId="a", steps={"a": LOOP})))["id"]}
        url = "/telco/api/workflows/workflowExecution"
        patient = asyncio.ensure_future(real.client.put(url, json=order, headers={"Prefer": "wait=60"}))
        await until(lambda: len(real.service.watchers._of_execution) == 1)
        await real.server.stop()
        answer = await patient
    assert answer.status_code == 200
    assert answer.json()["id"]


# --- what goes wrong after it was stored ---


async def log_out(desk: Desk, _: str) -> None:
    assert (await desk.client.delete("/hybridity/api/sessions")).status_code == 204


async def remove(desk: Desk, execution: str) -> None:
    conductor = desk.house.service.conductor
    await conductor._store.delete(execution)  # as when it has ended and was removed in the same moment
    conductor.forget(execution)
    conductor._tell(Committed(execution, is_gone=True))


async def break_store(desk: Desk, _: str) -> None:
    async def broken(*_: object) -> None:
        raise StoreError("the disk is gone")

    desk.house.service.views.shown = broken  # type: ignore[assignment]


@pytest.mark.parametrize("happens", [log_out, remove, break_store])
async def test_whatever_comes_afterwards_the_answer_says_that_it_was_stored(
    desk: Desk, happens: Callable[[Desk, str], Awaitable[None]]
) -> None:
    async with awaiting(desk, "a") as asked:
        (execution,) = watched(desk)
        call = await desk.act.next()
        await happens(desk, execution)
        call.end()
        body = awaited(await asked)
    assert (body["id"], body["status"]) == (execution, "QUEUED")
    assert said(body, "queued by admin")


# --- with files ---


async def test_an_execution_with_files_is_waited_for_as_well(desk: Desk) -> None:
    workflow_id = await desk.store(document(startStepId="a", steps=NOTHING))
    order = json.dumps({**ORDER, "workflowId": workflow_id})
    answer = await desk.client.post(
        f"{desk.root}/workflowExecution",
        files={"workflowExecution": (None, order, "application/json"), "files": ("notes.txt", b"hello", "text/plain")},
        headers={"Prefer": "wait=10"},
    )
    body = awaited(answer)
    assert (body["status"], list(body["attachments"])) == ("COMPLETED", ["notes.txt"])
    assert body == await desk.read(body["id"])
    content = await desk.client.get(f"{desk.place(body['id'])}/attachments", params={"attachmentId": "notes.txt"})
    assert content.content == b"hello"
