"""Risk: a stop under load loses a step that could have ended, doubles one that was given back, or does not come to an end."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from tests.chaos.crowd import CrowdedService, Target
from tests.chaos.mortal import PASSWORD
from tests.chaos.stage import ROOT

AT_ONCE, GREETED, QUEUED = 500, 300, 100
WORDS = [f"w{number}" for number in range(AT_ONCE + QUEUED)]
WORKFLOW = {
    "name": "tell",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "tell",
    "inputs": {"word": {"type": "string", "required": True}},
    "steps": {"tell": {"type": "TELL", "inBindings": {"word": {"type": "string", "exportName": "word"}}}},
}


@pytest_asyncio.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    async with Target(tmp_path / "target") as made:
        yield made


def client_of(service: CrowdedService) -> httpx.AsyncClient:
    answer = service.client.post("/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD})
    headers = {"x-hm-authorization": answer.headers["x-hm-authorization"]}
    return httpx.AsyncClient(base_url=str(service.client.base_url), headers=headers, timeout=60)


async def queue_all(client: httpx.AsyncClient) -> None:
    workflow_id = (await client.put(f"{ROOT}/workflow", json=WORKFLOW)).json()["id"]

    async def queue(words: list[str]) -> None:
        for word in words:
            request = {"workflowId": workflow_id, "contextType": "NONE", "assignments": {"word": word}, "pauseAtFailure": True}
            assert (await client.put(f"{ROOT}/workflowExecution", json=request)).status_code == 200

    await asyncio.gather(*(queue(WORDS[start::8]) for start in range(8)))


async def executions(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Return every execution by its word, once none is under way."""
    params = {"nextpage_opaque_marker": "page_number=1,page_size=1000", "fields": "id,status,assignments,stepExecutions"}
    while True:
        found = (await client.get(f"{ROOT}/workflowExecution", params=params)).json()
        if not any(each["status"] in ("QUEUED", "RUNNING") for each in found):
            return {each["assignments"]["word"]: each for each in found}


async def test_five_hundred_steps_end_or_are_given_back_and_none_is_lost_or_doubled(tmp_path: Path, target: Target) -> None:
    settings = {"steps_at_once": AT_ONCE, "grace_seconds": 2.0}
    service = CrowdedService(tmp_path / "data", target.path, **settings)
    await asyncio.to_thread(service.start)
    async with client_of(service) as client:
        target.greets = GREETED
        await queue_all(client)
        await target.until_told(GREETED, came=AT_ONCE)
        service.signal(signal.SIGTERM)
        await asyncio.to_thread(service.wait_for_log, "stopping")
        begun = list(target.told)
        in_time, too_late = begun[::2], begun[1::2]
        target.let_go(*in_time)
        assert await asyncio.to_thread(service.stopped) == 0
    assert len(target.told) == target.told.total() == GREETED
    target.answers_at_once, target.greets = True, len(WORDS)
    await asyncio.to_thread(service.start)
    async with client_of(service) as client:
        found = await executions(client)
    await asyncio.to_thread(service.end)
    assert target.told == Counter(WORDS), "a word was lost, or told twice"
    assert {word for word, each in found.items() if each["status"] == "PAUSED"} == set(too_late)
    assert Counter(each["status"] for each in found.values()) == Counter(COMPLETED=len(WORDS) - len(too_late), PAUSED=len(too_late))
    for word in too_late:
        (step,) = found[word]["stepExecutions"]
        assert (step["result"], step["error"]["code"]) == ("UNKNOWN", "LOST")
