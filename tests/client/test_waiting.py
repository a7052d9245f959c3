"""Risk: a wait that never ends, that ends too early, or that asks the service without a pause."""

import asyncio

import pytest

from stepswitch.client import ConnectionBrokenError, NotFoundError, StepswitchClient, StrangeAnswerError, WaitTimeoutError
from stepswitch.plugin import Result
from tests.client.office import Impostor, Naps, Office, answer
from tests.client.test_transport import BUSY, EXECUTION


def seen(status: str, etag: str = "", **more: object) -> bytes:
    return answer(200, {**EXECUTION, "status": status, **more}, etag=f'W/"{etag}"', preference_applied="wait=50")


def lines(request: str) -> dict[str, str]:
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in request.split("\r\n")[1:])}


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "ABORTED", "PAUSED"])
async def test_a_wait_ends_when_nothing_happens_any_more(office: Office, end: str) -> None:
    debug = ["b"] if end == "PAUSED" else []
    execution = await office.queue("a", "b", debug_step_ids=debug)
    waiting = asyncio.create_task(office.client.executions.wait(execution.id, timeout=60))
    call = await office.house.act.next()
    if end == "ABORTED":
        await office.client.executions.abort(execution.id)
    elif end == "FAILED":
        call.end(Result.FAILED)
    else:
        call.end()
    if end == "COMPLETED":
        await office.does()
    ended = await waiting
    assert ended.status == end
    assert ended.step_executions
    assert ended.logs


async def test_what_is_started_may_be_waited_for_in_the_same_request(office: Office) -> None:
    workflow_id = await office.store("a")
    starting = asyncio.create_task(office.client.executions.start(workflow_id, wait=20))
    await office.does()
    ended = await starting
    assert (ended.status, ended.step_executions[0].result) == ("COMPLETED", "SUCCEEDED")
    assert (await office.client.executions.start(workflow_id)).status == "QUEUED"


@pytest.mark.parametrize(
    ("wait", "prefer"), [(0, None), (-1, None), (0.2, "wait=1"), (20, "wait=20"), (3_600, "wait=50"), (float("inf"), "wait=50")]
)
async def test_a_start_asks_for_no_longer_than_a_proxy_keeps_still(naps: Naps, wait: float, prefer: str | None) -> None:
    async with Impostor(seen("RUNNING")) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        assert (await client.executions.start("w1", wait=wait)).status == "RUNNING"
        (request,) = impostor.requests
    assert lines(request).get("prefer") == prefer


async def test_the_service_is_asked_to_answer_at_the_next_change(naps: Naps) -> None:
    answers = [
        seen("QUEUED", "1"),
        seen("RUNNING", "2"),
        answer(304, preference_applied="wait=50"),
        seen("COMPLETED", "3"),
        seen("COMPLETED"),
    ]
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        assert (await client.executions.wait("e1")).status == "COMPLETED"
    first, *held, last = [lines(request) for request in impostor.requests]
    assert "prefer" not in first
    assert [(each["prefer"], each["if-none-match"]) for each in held] == [("wait=50", 'W/"1"'), ("wait=50", 'W/"2"'), ("wait=50", 'W/"2"')]
    assert "prefer" not in last
    assert all("exclude_fields=logs%2CstepExecutions" in request.split()[1] for request in impostor.requests[:-1])


async def test_what_is_answered_at_once_is_not_asked_without_a_pause(naps: Naps) -> None:
    running = answer(200, {**EXECUTION, "status": "RUNNING"})
    answers = [*[running] * 6, seen("FAILED"), seen("FAILED")]
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        await client.executions.wait("e1")
    assert naps.seconds == [0.25, 0.5, 1.0, 1.0, 1.0]


async def test_a_wait_has_an_end(office: Office) -> None:
    execution = await office.queue("a")
    # The clock of this service stands still: it never answers in time.
    with pytest.raises(WaitTimeoutError, match=rf"execution {execution.id} is (QUEUED|RUNNING), and the time is up") as given_up:
        async with asyncio.timeout(20):  # an answer that does not come is given up soon after, not as late as others
            await office.client.executions.wait(execution.id, timeout=0.2)
    assert given_up.value.execution is not None
    assert given_up.value.execution.id == execution.id


async def test_somebody_may_wait_for_something_else(naps: Naps) -> None:
    answers = [seen("RUNNING", "1", queuePosition=3), seen("RUNNING", "2", queuePosition=1), seen("RUNNING")]
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        await client.executions.wait("e1", until=lambda execution: execution.queue_position == 1)
    assert len(impostor.requests) == 3


async def test_a_service_that_is_away_for_a_while_is_waited_for(naps: Naps) -> None:
    away = [None, None, BUSY, BUSY]
    answers = [seen("RUNNING", "1"), *away, seen("COMPLETED"), seen("COMPLETED")]
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        assert (await client.executions.wait("e1")).status == "COMPLETED"
    assert len(naps.seconds) == 4


async def test_a_service_that_stays_away_is_told(naps: Naps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.client.waiting.SILENCE_SECONDS", 0.0)
    async with Impostor(seen("RUNNING", "1")) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(ConnectionBrokenError):
            await client.executions.wait("e1")
    assert len(impostor.requests) == 2


async def test_what_does_not_exist_is_not_waited_for(office: Office, naps: Naps) -> None:
    with pytest.raises(NotFoundError):
        await office.client.executions.wait("nonsense")
    async with Impostor(answer(200, {})) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(StrangeAnswerError):
            await client.executions.wait("e1")
