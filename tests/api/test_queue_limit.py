"""Risk: the queue grows without end, or what is refused is stored in part, or what is there already cannot go on because it is full."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.api.wire import models
from tests.api.house import PLAIN, codes, messages
from tests.api.real import Real, real_service
from tests.api.test_attachments import SCRIPT, json_part
from tests.domain.documents import document

LATER = {"a": {"type": "NOOP", "policy": {"delaySeconds": 3_600}}}
FAILS = {"a": {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "throw Error('no')"}}}}


@pytest.fixture
async def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Real]:
    """A service that takes two executions, and looks each time whether some have ended."""
    monkeypatch.setattr("stepswitch.engine.intake.COUNT_SECONDS", 0.0)
    async with real_service(tmp_path, max_queued_executions=2) as running:
        yield running


async def order(real: Real, steps: dict[str, Any] = LATER, **more: Any) -> dict[str, Any]:
    return {"workflowId": (await real.create(document(steps=steps)))["id"], "contextType": "NONE", **more}


async def put(real: Real, body: Any, root: str = PLAIN, **headers: str) -> httpx.Response:
    return await real.client.put(f"{root}/workflowExecution", json=body, headers=headers)


async def executions(real: Real) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await real.client.get(f"{PLAIN}/workflowExecution")).json()
    return found


async def fill(real: Real) -> list[str]:
    """Queue as many as there may be; return the paths of the executions."""
    body = await order(real)
    return [str((await put(real, body)).json()["links"]["self"]) for _ in range(2)]


def refused(answer: httpx.Response) -> bool:
    models.ErrorResponse.model_validate(answer.json())
    assert answer.headers["x-error-code"] == "OVERLOADED"
    assert int(answer.headers["Retry-After"]) > 0
    assert codes(answer) == ["OVERLOADED"]
    assert messages(answer) == ["as many executions wait or run as may (2); nothing was stored: try again later"]
    return answer.status_code == 503


async def test_one_more_than_there_may_be_is_told_to_come_back_and_is_not_there(real: Real, root: str) -> None:
    await fill(real)
    assert refused(await put(real, await order(real), root))
    assert len(await executions(real)) == 2


async def test_one_that_brings_files_leaves_none_of_them_behind(real: Real) -> None:
    await fill(real)
    parts: Any = [("workflowExecution", json_part(await order(real))), ("files", ("say.js", SCRIPT))]
    answer = await real.client.post(f"{PLAIN}/workflowExecution", files=parts)
    assert refused(answer)
    assert (len(await executions(real)), real.on_disk()) == (2, [])


async def test_a_request_that_is_wrong_is_told_so_also_when_there_is_no_room(real: Real) -> None:
    await fill(real)
    answer = await put(real, await order(real, assignments={"unknown": 1}))
    assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_INPUT"])


async def test_there_is_room_when_one_has_ended(real: Real) -> None:
    first, _ = await fill(real)
    body = await order(real)
    assert refused(await put(real, body))
    assert (await real.client.post(f"{first}/abort")).status_code == 200
    assert (await put(real, body)).status_code == 200
    assert refused(await put(real, body))


async def test_a_repeat_is_answered_with_what_is_there_and_a_refused_key_is_as_good_as_new(real: Real) -> None:
    body, another = await order(real), await order(real)
    first = await put(real, body, **{"Idempotency-Key": "k1"})
    second = await put(real, body, **{"Idempotency-Key": "k2"})
    assert (first.status_code, second.status_code) == (200, 200)
    assert refused(await put(real, another, **{"Idempotency-Key": "k3"}))
    again = await put(real, body, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    await real.client.post(f"{first.json()['links']['self']}/abort")
    later = await put(real, body, **{"Idempotency-Key": "k3"})
    assert (later.status_code, "x-stepswitch-repeated" in later.headers) == (200, False)


async def test_what_is_there_goes_on_although_there_is_no_room(real: Real) -> None:
    held = (await put(real, await order(real, debugStepIds=["a"]))).json()["links"]["self"]
    failed = await real.execute((await order(real, FAILS))["workflowId"])
    await fill(real)
    resumed = await real.client.post(f"{held}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "QUEUED")
    retried = await real.client.post(f"{failed['links']['self']}/retry")
    assert retried.status_code == 200
    assert refused(await put(real, await order(real)))


async def test_paused_executions_take_no_room(real: Real) -> None:
    body = await order(real, debugStepIds=["a"])
    for _ in range(5):
        assert (await put(real, body)).json()["status"] == "PAUSED"
    await fill(real)


async def test_what_waited_before_a_start_counts_after_it(tmp_path: Path) -> None:
    async with real_service(tmp_path, max_queued_executions=2) as real:
        await fill(real)
    async with real_service(tmp_path, max_queued_executions=2) as real:
        assert refused(await put(real, await order(real)))
        assert [each["status"] for each in await executions(real)] == ["QUEUED", "QUEUED"]
