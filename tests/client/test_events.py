"""Risk: somebody who follows an execution is told something twice, misses something, or waits for news that nobody sends any more."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from stepswitch.client import (
    Event,
    ExecutionNews,
    LogNews,
    News,
    NotAuthenticatedError,
    NotFoundError,
    Reset,
    StepNews,
    StepswitchClient,
    StrangeAnswerError,
    UnreachableError,
)
from stepswitch.client import events as events_module
from tests.client.office import Impostor, Naps, Slow, answer
from tests.client.test_transport import EXECUTION

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
TIME = "2027-01-15T08:00:0{}.000Z"


def event(name: str, last_id: str, **data: Any) -> bytes:
    return f"event: {name}\nid: {last_id}\ndata: {json.dumps({'executionId': 'e1', **data})}\n\n".encode()


def standing(last_id: str, status: str) -> bytes:
    return event("execution", last_id, status=status)


def line(last_id: str, msg: str, second: int = 1, number: int | None = None) -> bytes:
    owner = {} if number is None else {"number": number}
    return event("log", last_id, msg=msg, time=TIME.format(second), level="INFO", **owner)


def step(last_id: str, state: str, **more: Any) -> bytes:
    return event("step", last_id, number=0, stepId="a", state=state, attempt=1, startTime=TIME.format(0), **more)


def stream(*events: bytes) -> Slow:
    """Return a stream that breaks off after these events."""
    return Slow(HEAD + b"retry: 2000\nid: 0\n\n" + b"".join(events), ends=True)


OVER = answer(204)


def execution(status: str, *lines: str, steps: list[dict[str, Any]] | None = None) -> bytes:
    logs = [{"msg": msg, "time": TIME.format(1), "level": "INFO"} for msg in lines]
    return answer(200, {**EXECUTION, "id": "e1", "status": status, "logs": logs, "stepExecutions": steps or []})


def told(news: News | Reset) -> str:
    match news:
        case ExecutionNews():
            return "gone" if news.is_deleted else news.status
        case StepNews():
            return f"{news.step_id} {news.state}"
        case LogNews():
            return news.msg if news.number is None else f"{news.number}: {news.msg}"
    return "reset"


async def all_told(impostor: Impostor, naps: Naps) -> list[str]:
    async with StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client, asyncio.timeout(60):
        return [told(news) async for news in client.executions.follow("e1")]


def asked_after(impostor: Impostor) -> list[str | None]:
    """Return the id from which each stream was asked for."""
    heads = [request.lower().split("\r\n") for request in impostor.requests if "/events " in request.split("\r\n")[0]]
    return [next((each.partition(": ")[2] for each in head if each.startswith("last-event-id:")), None) for head in heads]


async def test_a_stream_that_breaks_goes_on_where_it_broke(naps: Naps) -> None:
    first, second = stream(line("1", "one"), line("2", "two")), stream(line("3", "three"), standing("4", "COMPLETED"))
    async with Impostor(first, second, OVER) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        events: list[Event] = [each async for each in client.executions.events("e1")]
    assert [(each.id, told(each.news)) for each in events] == [("1", "one"), ("2", "two"), ("3", "three"), ("4", "COMPLETED")]
    assert asked_after(impostor) == [None, "2", "4"]
    assert naps.seconds == [0.25, 0.25]


async def test_a_stream_without_news_is_asked_for_more_and_more_seldom(naps: Naps) -> None:
    answers = [None, answer(503, {"errors": []}), None, None, stream(line("1", "one")), OVER]
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        assert [told(each.news) async for each in client.events(after="x")] == ["one"]
    assert naps.seconds == [0.25, 0.5, 1.0, 2.0, 0.25]
    assert impostor.requests[0].startswith("GET /stepswitch/api/v1/events HTTP")


async def test_a_service_that_stays_away_is_told(naps: Naps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "AWAY_SECONDS", 0.0)
    async with StepswitchClient("http://127.0.0.1:1", token="t", pacing=naps.pacing) as client:
        with pytest.raises(UnreachableError):
            await anext(client.executions.events("e1"))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer(401, x_error_code="SESSION_EXPIRED"), NotAuthenticatedError),
        (answer(404, x_error_code="NOT_FOUND"), NotFoundError),
        (answer(200, {}), StrangeAnswerError),
        (stream(b"event: log\ndata: {\n\n"), StrangeAnswerError),
        (stream(b"event: log\ndata: {}\n\n"), StrangeAnswerError),
    ],
    ids=["logged out", "not there", "no stream", "no JSON", "no line"],
)
async def test_what_is_no_stream_is_told(naps: Naps, said: bytes | Slow, error: type[Exception]) -> None:
    async with Impostor(said) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(error):
            await anext(client.executions.events("e1"))


async def test_an_event_of_a_newer_service_is_left_out(naps: Naps) -> None:
    answers = stream(event("weather", "1", rain=True), line("2", "one")), OVER
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        assert [told(each.news) async for each in client.executions.events("e1")] == ["one"]


async def test_somebody_who_leaves_closes_the_connection(naps: Naps) -> None:
    async with Impostor(Slow(HEAD + line("1", "one"))) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        async with aclosing(client.executions.events("e1")) as events, asyncio.timeout(30):
            async for _ in events:
                break
        await impostor.until_left()


RUN = [
    {
        "stepSnapshot": {"id": "a", "type": "ACT"},
        "state": "finished",
        "result": "SUCCEEDED",
        "aborted": False,
        "startTime": TIME.format(0),
        "claimedTime": TIME.format(0),
        "endTime": TIME.format(2),
        "logs": [{"msg": "said", "time": TIME.format(1), "level": "INFO"}],
    }
]


async def test_an_execution_that_is_over_is_told_from_its_beginning(naps: Naps) -> None:
    async with Impostor(stream(standing("9", "COMPLETED")), execution("COMPLETED", "it goes on", steps=RUN)) as impostor:
        assert await all_told(impostor, naps) == ["a executing", "0: said", "it goes on", "a finished", "COMPLETED"]


async def test_what_is_read_and_comes_in_the_stream_is_told_once(naps: Naps) -> None:
    running = stream(
        standing("1", "RUNNING"), line("2", "one"), line("3", "one"), line("4", "two"), line("5", "one"), standing("6", "FAILED")
    )
    async with Impostor(running, execution("RUNNING", "zero", "one"), OVER) as impostor:
        assert await all_told(impostor, naps) == ["zero", "one", "RUNNING", "one", "two", "one", "FAILED"]


async def test_after_a_reset_only_what_is_new_is_told(naps: Naps) -> None:
    first = stream(standing("1", "RUNNING"), line("2", "two"))
    second = stream(event("reset", "8"), line("9", "four"), line("10", "five"), standing("11", "COMPLETED"))
    later = execution("RUNNING", "one", "two", "three", "four")
    async with Impostor(first, execution("RUNNING", "one"), second, later, OVER) as impostor:
        assert await all_told(impostor, naps) == ["one", "RUNNING", "two", "three", "four", "RUNNING", "five", "COMPLETED"]


async def test_a_step_is_told_when_it_stands_elsewhere(naps: Naps) -> None:
    events = stream(
        standing("1", "RUNNING"),
        step("2", "executing"),
        step("3", "executing"),
        step("4", "finished", result="FAILED"),
        standing("5", "FAILED"),
    )
    executing = [{"stepSnapshot": {"id": "a"}, "state": "executing", "aborted": False, "startTime": TIME.format(0)}]
    async with Impostor(events, execution("RUNNING", steps=executing), OVER) as impostor:
        assert await all_told(impostor, naps) == ["a executing", "RUNNING", "a finished", "FAILED"]


async def test_an_execution_that_is_removed_is_the_end(naps: Naps) -> None:
    events = stream(standing("1", "RUNNING"), event("execution", "2", deleted=True))
    async with Impostor(events, execution("RUNNING")) as impostor:
        assert await all_told(impostor, naps) == ["RUNNING", "gone"]


async def test_what_was_read_is_ahead_of_the_stream_and_a_step_does_not_go_back(naps: Naps) -> None:
    events = stream(
        standing("1", "RUNNING"), step("2", "executing"), step("3", "waitingAfterExecution"), step("4", "retry"), standing("5", "FAILED")
    )
    waiting = [{"stepSnapshot": {"id": "a"}, "state": "waitingAfterExecution", "aborted": False, "startTime": TIME.format(0)}]
    async with Impostor(events, execution("RUNNING", steps=waiting), OVER) as impostor:
        assert await all_told(impostor, naps) == ["a waitingAfterExecution", "RUNNING", "a retry", "FAILED"]


@pytest.mark.parametrize(("status", "end"), [("RUNNING", ["gone"]), ("ABORTED", [])])
async def test_an_execution_that_is_removed_while_nobody_listens_is_the_end_too(naps: Naps, status: str, end: list[str]) -> None:
    gone = answer(404, x_error_code="NOT_FOUND")
    async with Impostor(stream(standing("1", "RUNNING"), standing("2", status)), execution("RUNNING"), gone) as impostor:
        assert await all_told(impostor, naps) == ["RUNNING", status, *end]


async def test_a_stream_that_is_not_closed_at_the_end_is_left(naps: Naps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.client.following.END_SECONDS", 0.1)
    events = Slow(HEAD + standing("1", "RUNNING") + standing("2", "COMPLETED"), b": nothing new\n\n")
    async with Impostor(events, execution("RUNNING")) as impostor:
        assert await all_told(impostor, naps) == ["RUNNING", "COMPLETED"]
