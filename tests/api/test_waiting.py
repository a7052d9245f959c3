"""Risk: who waits for news misses some, is told of none, waits for ever, or costs while nothing happens. Over the real service."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from stepswitch.api.wire.preferences import preferred_wait
from stepswitch.engine.records import Committed
from stepswitch.engine.views import Stand
from stepswitch.plugin import Result
from stepswitch.storage.database import Query, Row
from tests.api.real import real_service
from tests.api.steered import Desk, open_desk
from tests.domain.documents import document
from tests.domain.lives import steps

WAIT = {"Prefer": "wait=10"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def read(desk: Desk, execution: str, known: str | None = None, prefer: str | None = None, **query: str) -> httpx.Response:
    headers = {name: value for name, value in (("If-None-Match", known), ("Prefer", prefer)) if value is not None}
    return await desk.client.get(desk.place(execution), headers=headers, params=query)


def tag(answer: httpx.Response) -> str:
    assert answer.headers["cache-control"] == "private, no-cache"
    found: str = answer.headers["etag"]
    assert found.startswith('W/"')
    return found


@asynccontextmanager
async def waiting(
    desk: Desk, execution: str, known: str | None = None, prefer: str = "wait=10"
) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """Give a request that waits for news of an execution by now."""
    before = desk.house.clock.sleeping
    asked = asyncio.ensure_future(read(desk, execution, known, prefer))
    await until(lambda: desk.house.clock.sleeping > before or asked.done())
    try:
        yield asked
    finally:
        asked.cancel()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 # nothing there has an event
            await asyncio.sleep(0)


# --- tags ---


async def test_whatever_changes_in_what_is_shown_changes_its_tag(desk: Desk) -> None:
    """Of many moments in the life of two executions: the same tag is the same answer, and another tag is another one."""
    bodies: dict[str, bytes] = {}

    async def look() -> None:
        for query in (
            {},
            {"fields": "status"},
            {"fields": "logs"},
            {"exclude_fields": "logs"},
            {"fields": "status", "exclude_fields": "logs"},
        ):
            for each in (one, other):
                answer = await read(desk, each, **query)
                assert bodies.setdefault(tag(answer) + each, answer.content) == answer.content
                assert (await read(desk, each, tag(answer), **query)).status_code == 304

    bound = {"inBindings": {"host": {"type": "string", "defaultValue": "192.0.2.1"}}}
    source = document(startStepId="a", steps=steps("a", "b", a=bound, b=bound))
    one = await desk.queue(source=source, pauseAtFailure=True)
    call = await desk.act.next()
    other = await desk.queue(source=source)
    await look()
    await call.context.log("the first line")
    await call.context.log("the second line")
    await desk.house.clock.advance(1)
    while len((await read(desk, one)).json()["stepExecutions"][0]["logs"]) < 2:  # noqa: ASYNC110 # it is written in the background
        await asyncio.sleep(0)
    await look()
    call.end(Result.FAILED)
    await desk.until(one, "PAUSED")
    call = await desk.act.next()
    await look()
    await desk.patch(one, debugStepIds=["b"], pauseAtFailure=False)
    await look()
    await desk.ask(one, "retry")
    await look()
    for _ in range(2):
        call.end()
        call = await desk.act.next()
        await look()
    assert len(bodies) > 40
    assert len({(body, each[-36:]) for each, body in bodies.items()}) > 30


async def test_the_reason_to_wait_is_part_of_the_tag(tmp_path: Path) -> None:
    async with open_desk(tmp_path, steps_at_once=1) as desk:
        first, second, third = [await desk.queue("a") for _ in range(3)]
        running = await desk.act.next()
        before = await read(desk, third)
        assert before.json()["queuePosition"] == 2
        assert (await read(desk, third, tag(before))).status_code == 304
        running.end()
        await desk.until(first, "COMPLETED")
        after = await read(desk, third, tag(before))
        assert (after.status_code, after.json()["queuePosition"]) == (200, 1)
        assert tag(after) != tag(before)
        async with waiting(desk, third, tag(before)) as asked:  # it is still the same execution: only its place has changed
            assert not asked.done()
            (await desk.act.next()).end()
            await desk.until(second, "COMPLETED")
            await desk.act.next()
            assert (await asked).json()["status"] == "RUNNING"


async def test_what_the_caller_has_is_not_sent_again(desk: Desk, root: str) -> None:
    desk.root = root
    execution = await desk.queue("a")
    await desk.act.next()
    first = await read(desk, execution)
    for known in (tag(first), tag(first).removeprefix("W/"), f'"x", {tag(first)}', "*"):
        for method in ("GET", "HEAD"):
            again = await desk.client.request(method, desk.place(execution), headers={"If-None-Match": known})
            assert (again.status_code, again.content, tag(again)) == (304, b"", tag(first))
            assert "content-type" not in again.headers
    assert (await read(desk, execution, '"x"')).json() == first.json()
    assert (await read(desk, execution, tag(first), fields="status")).status_code == 200
    assert (await read(desk, execution, "x")).status_code == 400
    assert (await read(desk, "nowhere", "*")).status_code == 404


# --- waiting ---


async def test_a_change_is_answered_at_once(desk: Desk, root: str) -> None:
    desk.root = root
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    async with waiting(desk, execution) as plain, waiting(desk, execution, tag(await read(desk, execution))) as conditional:
        assert not plain.done()
        assert not conditional.done()
        call.end()
        for asked in (plain, conditional):
            answer = await asked
            assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=10")
            assert answer.json()["stepExecutions"][0]["result"] == "SUCCEEDED"


async def test_a_line_of_log_is_a_change(desk: Desk) -> None:
    execution = await desk.queue("a")
    call = await desk.act.next()
    async with waiting(desk, execution) as asked:
        await call.context.log("hello")
        assert [line["msg"] for line in (await asked).json()["stepExecutions"][0]["logs"]] == ["hello"]


@pytest.mark.parametrize(
    ("prefer", "seconds", "applied"), [("wait=5", 5, "wait=5"), ("wait=61", 60, "wait=60"), ("wait=" + "9" * 40, 60, "wait=60")]
)
async def test_after_the_time_that_was_asked_the_answer_comes_without_a_change(desk: Desk, prefer: str, seconds: int, applied: str) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    first = await read(desk, execution)
    async with waiting(desk, execution, None, prefer) as plain, waiting(desk, execution, tag(first), prefer) as conditional:
        await desk.house.clock.advance(seconds - 0.5)
        assert not plain.done()
        assert not conditional.done()
        await desk.house.clock.advance(0.5)
        assert (await plain).json() == first.json()
        answers = [await plain, await conditional]
    assert [each.status_code for each in answers] == [200, 304]
    assert {each.headers["preference-applied"] for each in answers} == {applied}


async def test_one_that_has_ended_answers_at_once(desk: Desk) -> None:
    execution = await desk.queue("a")
    await desk.does()
    await desk.until(execution, "COMPLETED")
    first = await read(desk, execution, None, "wait=60")
    assert (first.status_code, first.json()["status"]) == (200, "COMPLETED")
    assert (await read(desk, execution, tag(first), "wait=60")).status_code == 304
    assert (await desk.client.head(desk.place(execution), headers=WAIT)).status_code == 200


async def test_what_has_changed_since_the_tag_is_answered_at_once(desk: Desk) -> None:
    execution = await desk.queue("a", "b")
    before = tag(await read(desk, execution))
    await desk.does()
    await desk.act.next()
    answer = await read(desk, execution, before, "wait=60")
    assert (answer.status_code, answer.json()["stepExecutions"][0]["result"]) == (200, "SUCCEEDED")


async def test_a_change_between_looking_and_waiting_is_not_missed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    views = desk.house.service.views
    look = views.stand

    async def look_and_let_it_happen(caller: Any, execution_id: str) -> Stand:
        monkeypatch.setattr(views, "stand", look)
        stand = await look(caller, execution_id)
        call.end()
        await desk.act.next()
        return stand

    monkeypatch.setattr(views, "stand", look_and_let_it_happen)
    answer = await asyncio.wait_for(read(desk, execution, None, "wait=60"), 30)
    assert len(answer.json()["stepExecutions"]) == 2


async def test_a_commit_that_was_seen_already_wakes_nobody(desk: Desk) -> None:
    execution = await desk.queue("a")
    await desk.act.next()
    known = tag(await read(desk, execution))
    async with waiting(desk, execution, known) as asked:
        for changed in desk.house.service.watchers._of_execution[execution]:
            changed.set()  # as when the observers are told of what a read has shown already
        await desk.house.clock.settle()
        assert not asked.done()


async def test_who_waits_is_told_that_it_is_gone(desk: Desk) -> None:
    execution = await desk.queue("a")
    await desk.act.next()
    conductor = desk.house.service.conductor
    async with waiting(desk, execution) as asked:
        await conductor._store.delete(execution)  # as when it has ended and was deleted in the same moment
        conductor.forget(execution)
        conductor._tell(Committed(execution, is_gone=True))
        assert (await asked).status_code == 404


async def test_who_has_logged_out_meanwhile_is_told_nothing(desk: Desk) -> None:
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    async with waiting(desk, execution) as asked:
        assert (await desk.client.delete("/hybridity/api/sessions")).status_code == 204
        call.end()
        assert (await asked).status_code == 401


async def test_what_another_tenant_has_is_not_waited_for(desk: Desk) -> None:
    execution = await desk.queue("a")
    path = f"/telco/api/workflows/workflowExecution/{execution}"
    answer = await desk.client.get(path, headers=WAIT | await desk.elsewhere())
    assert answer.status_code == 404


async def test_a_thousand_who_wait_cost_no_thread_and_no_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    known = tag(await read(desk, execution))
    asked = [asyncio.ensure_future(read(desk, execution, known, "wait=60")) for _ in range(1_000)]
    await until(lambda: desk.house.clock.sleeping >= 1_000)
    database = desk.house.service._database
    threads, reads, plainly = threading.active_count(), 0, database.read

    async def count(queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        nonlocal reads
        reads += 1
        return await plainly(queries)

    monkeypatch.setattr(database, "read", count)
    await desk.house.watch.until(desk.house.service, execution, lambda _: True)
    own = reads
    await desk.house.clock.settle()
    assert (threading.active_count(), reads - own, sum(each.done() for each in asked)) == (threads, 0, 0)
    call.end()
    answers = await asyncio.wait_for(asyncio.gather(*asked), 60)
    assert {len(each.json()["stepExecutions"]) for each in answers} == {2}
    assert desk.house.service.watchers._of_execution == {}


# --- on the network ---


async def test_a_client_that_went_away_is_not_waited_for_and_a_stop_does_not_wait_either(tmp_path: Path) -> None:
    held = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": "NOOP"}}}
    async with real_service(tmp_path, grace_seconds=600) as real:
        workflow = await real.create(held)
        order = {"workflowId": workflow["id"], "contextType": "NONE", "debugStepIds": ["a"]}
        place = (await real.client.put("/telco/api/workflows/workflowExecution", json=order)).json()["links"]["self"]
        watchers = real.service.watchers
        impatient = asyncio.ensure_future(real.client.get(place, headers={"Prefer": "wait=60"}))
        await until(lambda: len(watchers._of_execution) == 1)
        impatient.cancel()
        await until(lambda: watchers._of_execution == {})
        patient = asyncio.ensure_future(real.client.get(place, headers={"Prefer": "wait=60"}))
        await until(lambda: len(watchers._of_execution) == 1)
        leaving = asyncio.get_running_loop().time()
        await real.server.stop()
        assert asyncio.get_running_loop().time() - leaving < 30  # and not 60, or 600
        answer = await patient
    assert (answer.status_code, answer.json()["status"]) == (200, "PAUSED")


# --- the header ---


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["wait=7"], 7),
        (["WAIT = 7"], 7),
        (['wait="7"'], 7),
        (["wait=7; strictly; x=y"], 7),
        (["respond-async, wait=7"], 7),
        (['handling="a, wait=9 \\" ", wait=7'], 7),
        (["respond-async", "wait=7"], 7),
        (["wait=7, wait=9"], 7),
        (["wait=0"], 0),
        (["wait=60"], 60),
        (["wait=61"], 60),
        (["wait=" + "9" * 5_000], 60),
        (["wait=x, wait=7"], None),
        (["wait"], None),
        (["wait="], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=٣"], None),
        (['wait="7'], None),
        (["waiting=7"], None),
        (["await=7"], None),
        ([""], None),
        ([", ,,"], None),
        (['"' * 60_000], None),
        ([], None),
    ],
    ids=str,
)
def test_what_is_preferred_is_understood_and_what_is_not_is_ignored(lines: list[str], seconds: int | None) -> None:
    headers = [(b"prefer", line.encode("utf-8")) for line in lines]
    assert preferred_wait(Request({"type": "http", "headers": headers})) == seconds
