"""A workflow that calls another one, over the API: what belongs together is named on both sides, and in the fields that are documented."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.api.wire import models
from stepswitch.domain.execution import Status
from stepswitch.plugin import Result
from tests.api.steered import Desk, open_desk
from tests.domain.documents import JsonObject, document
from tests.domain.lives import steps

CHILD = document(name="child", startStepId="a", steps=steps("a"), outputs={"answer": {"type": "string"}})
CHILD["steps"]["a"]["outBindings"] = {"answer": {"name": "said", "type": "string"}}


def parent(**sub: Any) -> JsonObject:
    name = {"workflowName": {"type": "string", "defaultValue": "child"}}
    return document(name="parent", startStepId="sub", steps={"sub": {"type": "WORKFLOW", "inBindings": name, **sub}})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def read(desk: Desk, execution_id: str) -> JsonObject:
    answer = await desk.client.get(desk.place(execution_id))
    assert answer.status_code == 200, answer.text
    models.WorkflowExecution.model_validate(answer.json())
    return dict(answer.json())


async def test_both_executions_name_each_other_and_say_what_they_wait_for(desk: Desk) -> None:
    await desk.store(CHILD)
    above = await desk.queue(source=parent(), pauseAtFailure=True)
    call = await desk.act.next()
    waiting = await read(desk, above)
    child = waiting["stepExecutions"][0]["child"]
    assert {"executionId", "workflowId", "workflowName"} == child.keys()
    assert [(each["kind"], each["name"]) for each in waiting["waitingFor"]] == [("execution", child["executionId"])]
    below = await read(desk, child["executionId"])
    assert below["parent"] == {"executionId": above, "stepNumber": 0}
    assert (below["pauseAtFailure"], below["creationUser"]) == (True, waiting["creationUser"])
    call.end(Result.FAILED)
    await desk.house.watch.until(desk.house.service, above, lambda view: len(view.waiting_for) == 2)
    waits = (await read(desk, above))["stepExecutions"][0]["child"]["waits"]
    assert waits == f"waitingAfterExecution in the execution {child['executionId']}"
    answer = await desk.client.post(f"{desk.place(child['executionId'])}/retry")
    assert answer.status_code == 200, answer.text
    (await desk.act.next()).end(outputs={"said": "hello"})
    await desk.house.until(above, Status.COMPLETED)
    ended = (await read(desk, above))["stepExecutions"][0]
    assert ended["outputs"] == {"answer": "hello", "executionId": child["executionId"], "status": "COMPLETED"}
    assert ended["child"]["status"] == "COMPLETED"


async def test_an_abort_ends_both_and_says_so_until_it_has(desk: Desk) -> None:
    await desk.store(CHILD)
    above = await desk.queue(source=parent())
    await desk.act.next()
    below = (await read(desk, above))["stepExecutions"][0]["child"]["executionId"]
    answer = await desk.client.post(f"{desk.place(above)}/abort")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ABORTED"
    assert answer.json()["stepExecutions"][0]["cleanupPending"]
    await desk.house.until(below, Status.ABORTED)
    await desk.house.watch.until(desk.house.service, above, lambda view: not view.head.left_behind)
    assert "cleanupPending" not in (await read(desk, above))["stepExecutions"][0]
    assert (await desk.client.delete(desk.place(above))).status_code == 204


async def test_what_is_called_is_recorded_as_begun_in_the_name_of_who_created_the_first(desk: Desk) -> None:
    await desk.store(CHILD)
    above = await desk.queue(source=parent())
    (await desk.act.next()).end()
    await desk.house.until(above, Status.COMPLETED)
    answer = await desk.client.get("/stepswitch/api/v1/audit", params={"operation": "beginSubWorkflow"})
    (record,) = answer.json() if isinstance(answer.json(), list) else answer.json()["records"]
    entry = record.get("record", record)
    assert (entry["actor"]["kind"], entry["after"]["parent"], entry["after"]["stepNumber"]) == ("system", above, 0)
    assert entry["actor"]["user"] == (await read(desk, above))["creationUser"]
