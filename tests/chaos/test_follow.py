"""Risk: whoever follows executions misses something, or gets it twice, because the service died in between."""

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx

from tests.api.streams import OWN, Event, Parser
from tests.chaos.service import ROOT, ServiceProcess

CHAIN: dict[str, Any] = {
    "name": "chain",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "a",
    "steps": {
        "a": {"type": "NOOP", "nextStepId": "b"},
        "b": {
            "type": "JS",
            "nextStepId": "c",
            "inBindings": {"script": {"type": "string", "defaultValue": "console.log('here'); return {}"}},
        },
        "c": {"type": "NOOP"},
    },
}


async def follow(service: ServiceProcess, headers: dict[str, str], parser: Parser) -> None:
    """Read all events from where the parser is, until the service is gone."""
    resume = headers | ({"Last-Event-ID": parser.last_id} if parser.last_id else {})
    try:
        async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", f"{service.url}{OWN}/events", headers=resume) as answer:
            assert answer.status_code == 200, (answer.status_code, answer.headers)
            async for piece in answer.aiter_raw():
                parser.feed(piece)
    except httpx.TransportError:
        parser.cut()


async def until(parser: Parser, following: "asyncio.Task[None]", holds: Any) -> None:
    async with asyncio.timeout(90):
        while not holds(parser.events):
            assert not following.done(), following
            await asyncio.wait([following], timeout=0.02)


def completed(events: list[Event]) -> set[str]:
    return {event.data["executionId"] for event in events if event.data.get("status") == "COMPLETED"}


async def test_a_follower_notices_nothing_of_a_service_that_is_killed(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data")
    service.start()
    try:
        await follow_through_kills(service, random.Random(7))
    finally:
        service.end()


async def follow_through_kills(service: ServiceProcess, chance: random.Random) -> None:
    headers = service.login()
    workflow = service.store(CHAIN, headers)
    order = {"workflowId": workflow, "contextType": "NONE"}
    parser, start, queued = Parser(), "", set[str]()
    for kills in range(4):
        following = asyncio.create_task(follow(service, headers, parser))
        if not start:
            await until(parser, following, lambda _: parser.last_id)
            start = parser.last_id
        wanted = len(parser.events) + chance.randrange(20, 150)
        async with httpx.AsyncClient(timeout=60) as client:
            for _ in range(15):
                answer = await client.put(f"{service.url}{ROOT}/workflowExecution", json=order, headers=headers)
                queued.add(answer.json()["id"])
        if kills == 3:
            await until(parser, following, lambda events: completed(events) >= queued)
        else:
            await until(parser, following, lambda events, wanted=wanted: len(events) >= wanted)
            service.end()
            await following
            service.start()
    anew = Parser()
    anew.last_id = start
    following.cancel()
    again = asyncio.create_task(follow(service, headers, anew))
    await until(anew, again, lambda events: len(events) >= len(parser.events))
    again.cancel()
    assert [event.id for event in parser.events] == [event.id for event in anew.events]
    assert [str(event) for event in parser.events] == [str(event) for event in anew.events]
    assert not [event for event in parser.events if event.kind == "reset"]
    assert completed(parser.events) == queued
