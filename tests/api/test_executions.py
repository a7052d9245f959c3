"""Risk: the seed's operation answers otherwise than its page says, stores what it refused, or names only the first fault."""

from dataclasses import replace
from typing import Any

import pytest

from stepswitch.api.wire import models
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import LogEntry, LogLevel, Result, Status, StepError
from stepswitch.domain.states import StepState
from stepswitch.engine.records import Waiting
from tests.api.house import NOW, NOW_TEXT, STRANGER_TOKEN, House, codes, messages
from tests.domain.documents import example

SEED_FIELDS = {
    "pauseAtFailure", "retainedTil", "debugStepIds", "contextType", "workflow", "id", "creationTime", "aborted", "creationUser",
    "stepExecutions", "logs",
}  # fmt: skip
GIVEN = {"host": "192.0.2.1", "pw": "hunter22"}


async def test_an_execution_is_answered_as_the_page_says(house: House, root: str) -> None:
    workflow_id = await house.put_workflow(example(), root)
    answer = await house.put_execution(
        root,
        workflowId=workflow_id,
        contextType="VNF",
        context={"vnfId": "vnf-1"},
        assignments=GIVEN,
        attachments={"check.js": {"id": "file-1", "reference": "check.js"}},
        pauseAtFailure=True,
        debugStepIds=["shape"],
        retainedTil="2031-01-31T09:15:00.5+01:00",
    )
    assert answer.status_code == 200
    body = answer.json()
    models.WorkflowExecution.model_validate(body)
    assert set(body) >= SEED_FIELDS
    assert "endTime" not in body
    asked = {name: body[name] for name in ("pauseAtFailure", "retainedTil", "debugStepIds", "contextType", "context", "assignments")}
    assert asked == {
        "pauseAtFailure": True,
        "retainedTil": "2031-01-31T08:15:00.500Z",
        "debugStepIds": ["shape"],
        "contextType": "VNF",
        "context": {"vnfId": "vnf-1"},
        "assignments": {"host": "192.0.2.1", "pw": "********"},
    }
    assert body["attachments"] == {"check.js": {"id": "file-1", "reference": "check.js"}}
    assert (body["creationTime"], body["creationUser"], body["aborted"], body["status"]) == (NOW_TEXT, "admin", False, "QUEUED")
    workflow = body["workflow"]
    assert {name: workflow[name] for name in example()} == example()
    assert (workflow["id"], workflow["createdAt"], workflow["creationUser"]) == (workflow_id, NOW_TEXT, "admin")
    assert workflow.get("creationTenantId") == ("default" if "/orgs/" in root else None)
    (step,) = body["stepExecutions"]
    assert step["stepSnapshot"] == example()["steps"]["pick"] | {"id": "pick"}
    assert (step["state"], step["startTime"], step["aborted"], step["logs"]) == ("executable", NOW_TEXT, False, [])
    assert body["logs"][0].keys() == {"msg", "time", "level"}
    assert body["links"]["self"] == f"{root}/workflowExecution/{body['id']}"
    read = await house.client.get(body["links"]["self"])
    assert (read.status_code, read.json()) == (200, body)


async def test_the_smallest_request_gets_the_defaults(house: House, root: str) -> None:
    document = example() | {"inputs": {}, "steps": {"pick": {"type": "NOOP"}}, "variables": {}, "outputs": {}}
    answer = await house.put_execution(root, workflowId=await house.put_workflow(document), contextType="NONE")
    body = answer.json()
    assert (body["pauseAtFailure"], body["debugStepIds"], body["context"], body["attachments"]) == (False, [], {}, {})
    assert body["retainedTil"] == "2030-04-16T17:46:40.250Z"


async def test_a_null_is_a_field_that_is_not_there(house: House, root: str) -> None:
    answer = await house.put_execution(
        root,
        workflowId=await house.put_workflow(example()),
        contextType="NONE",
        context=None,
        assignments=GIVEN | {"mode": None},
        debugStepIds=None,
        retainedTil=None,
        pauseAtFailure=None,
        attachments=None,
    )
    assert answer.status_code == 200
    models.WorkflowExecution.model_validate(answer.json())


async def test_an_execution_on_its_way_shows_all_that_happened(house: House, root: str) -> None:
    workflow_id = await house.put_workflow(example(), root)
    begun = await house.put_execution(root, workflowId=workflow_id, contextType="NONE", assignments=GIVEN)
    head = house.store.heads[begun.json()["id"]]
    first = head.current
    assert first is not None
    done = replace(first, state=StepState.FINISHED, claimed_time=NOW + 5, end_time=NOW + 10, result=Result.SUCCEEDED)
    failed = replace(
        first,
        number=1,
        step_id="ask",
        state=StepState.WAITING_AFTER,
        result=Result.UNKNOWN,
        error=StepError(ErrorCode.CONNECTION_CUT, "the line to hunter22 was cut"),
        inputs={"password": "hunter22", "cmd": "login hunter22", "port": 22},
        outputs={"outputText": "half \ud83d", "exitCode": 12345678901234567890123},
    )
    house.store.rows[head.id] = [done]
    house.store.heads[head.id] = replace(
        head, current=failed, steps_begun=2, status=Status.PAUSED, start_time=NOW + 5, accepted_failures=1, last_time=NOW + 20
    )
    house.conductor.forget(head.id)
    house.store.lines[head.id] += [
        LogEntry(NOW + 6, LogLevel.INFO, "first says", 0),
        LogEntry(NOW + 7, LogLevel.WARN, "aHVudGVyMjI=", 1),
        LogEntry(NOW + 8, LogLevel.ERROR, "of the whole"),
    ]
    answer = await house.client.get(f"{root}/workflowExecution/{head.id}")
    assert answer.status_code == 200
    assert "hunter22" not in answer.text
    body = answer.json()
    models.WorkflowExecution.model_validate(body)
    assert (body["status"], body["startTime"], body["acceptedFailures"]) == ("PAUSED", "2030-03-17T17:46:40.255Z", 1)
    assert body["waitingFor"] == [{"kind": "person", "name": "waitingAfterExecution", "since": "2030-03-17T17:46:40.270Z"}]
    one, two = body["stepExecutions"]
    assert (one["result"], one["claimedTime"], one["endTime"]) == ("SUCCEEDED", "2030-03-17T17:46:40.255Z", "2030-03-17T17:46:40.260Z")
    assert one["logs"] == [{"msg": "first says", "time": "2030-03-17T17:46:40.256Z", "level": "INFO"}]
    assert two["stepSnapshot"] == example()["steps"]["ask"] | {"id": "ask"}
    assert two["error"] == {"code": "CONNECTION_CUT", "message": "the line to ******** was cut"}
    assert two["inputs"] == {"password": "********", "cmd": "login ********", "port": 22}
    assert two["outputs"] == {"outputText": "half \ud83d", "exitCode": 12345678901234567890123}
    assert [line["msg"] for line in two["logs"]] == ["********"]
    assert body["logs"][-1]["msg"] == "of the whole"


async def test_a_queued_execution_says_what_it_waits_for(house: House, root: str) -> None:
    house.dispatcher.wait, house.dispatcher.line = Waiting("device", "192.0.2.1:22", NOW, NOW + 1_000), 3
    answer = await house.put_execution(root, workflowId=await house.put_workflow(example()), contextType="NONE", assignments=GIVEN)
    body = answer.json()
    models.WorkflowExecution.model_validate(body)
    assert body["queuePosition"] == 3
    assert body["waitingFor"] == [{"kind": "device", "name": "192.0.2.1:22", "since": NOW_TEXT, "until": "2030-03-17T17:46:41.250Z"}]
    for before, place in ((0, 1), (9_999, 10_000), (10_000, 10_001), (10_001, 10_001)):
        house.queue.first = before
        assert (await house.client.get(body["links"]["self"])).json()["queuePosition"] == place


async def test_every_fault_of_a_request_is_listed_with_its_place(house: House, root: str) -> None:
    workflow_id = await house.put_workflow(example(), root)
    answer = await house.put_execution(
        root,
        workflowId=workflow_id,
        contextType="VNF",
        assignments={"pw": 5, "hosts": "x"},
        attachments={"a": {"id": "nowhere"}},
        debugStepIds=["pick", "nosuch"],
        retainedTil="2020-01-01T00:00:00Z",
    )
    assert answer.status_code == 400
    found = {message.partition(":")[0] for message in messages(answer)}
    assert found == {
        "assignments.pw", "assignments.hosts", "assignments.host", "context.vnfId", "attachments.a.id", "debugStepIds[1]", "retainedTil",
    }  # fmt: skip
    assert not house.store.heads
    assert not house.dispatcher.tasks


async def test_every_fault_of_the_shape_is_listed_with_its_place(house: House, root: str) -> None:
    answer = await house.put_execution(
        root,
        contextType="Vnf",
        context=[],
        assignments="x",
        attachments={"a": 1, "b": {"name": "x"}, "c": {"id": 5}},
        pauseAtFailure="yes",
        debugStepIds=["pick", 5, None],
        retainedTil="tomorrow",
        retainedTill="2031-01-01T00:00:00Z",
    )
    assert answer.status_code == 400
    found = {message.partition(":")[0] for message in messages(answer)}
    assert found == {
        "workflowId", "contextType", "context", "assignments", "attachments.a", "attachments.b.name", "attachments.b.id", "attachments.c.id",
        "pauseAtFailure", "debugStepIds[1]", "debugStepIds[2]", "retainedTil", "retainedTill",
    }  # fmt: skip
    assert "did you mean 'retainedTil'" in answer.text


@pytest.mark.parametrize(
    ("fields", "place", "code"),
    [
        ({"workflowId": None}, "workflowId", "MISSING_FIELD"),
        ({"workflowId": 5}, "workflowId", "WRONG_TYPE"),
        ({"contextType": None}, "contextType", "MISSING_FIELD"),
        ({"contextType": "none"}, "contextType", "INVALID_VALUE"),
        ({"contextType": 1}, "contextType", "WRONG_TYPE"),
        ({"contextType": "NS"}, "context.nsId", "MISSING_FIELD"),
        ({"context": {"deep": {"er": 1}}}, "context.deep", "WRONG_TYPE"),
        ({"assignments": {"host": ["x"], "pw": "x"}}, "assignments.host", "WRONG_TYPE"),
        ({"assignments": {"pw": "x"}}, "assignments.host", "MISSING_INPUT"),
        ({"assignments": GIVEN | {"answer": "x"}}, "assignments.answer", "UNKNOWN_INPUT"),
        ({"assignments": GIVEN | {"a\x00b": "x"}}, "assignments.'a\\x00b'", "UNKNOWN_INPUT"),
        ({"debugStepIds": "pick"}, "debugStepIds", "WRONG_TYPE"),
        ({"debugStepIds": ["\x00"]}, "debugStepIds[0]", "UNKNOWN_STEP"),
        ({"pauseAtFailure": 1}, "pauseAtFailure", "WRONG_TYPE"),
        ({"retainedTil": 1_900_000_000}, "retainedTil", "WRONG_TYPE"),
        ({"retainedTil": "2031-01-31"}, "retainedTil", "INVALID_VALUE"),
        ({"retainedTil": "2031-01-31T00:00:00"}, "retainedTil", "INVALID_VALUE"),
        ({"retainedTil": "2031-02-31T00:00:00Z"}, "retainedTil", "INVALID_VALUE"),
        ({"retainedTil": "9999-12-31T23:59:59-01:00"}, "retainedTil", "INVALID_VALUE"),
        ({"retainedTil": "2030-03-17T17:46:40.250Z"}, "retainedTil", "INVALID_VALUE"),
        ({"a\x00b": 1}, "'a\\x00b'", "UNKNOWN_FIELD"),
    ],
)  # fmt: skip
async def test_a_fault_says_where_it_is(house: House, root: str, fields: dict[str, Any], place: str, code: str) -> None:
    request = {"workflowId": await house.put_workflow(example()), "contextType": "NONE", "assignments": GIVEN} | fields
    answer = await house.put_execution(root, **request)
    assert answer.status_code == 400
    assert (messages(answer)[0].rpartition(": ")[0][: len(place)], codes(answer)) == (place, [code])
    assert not house.store.heads


@pytest.mark.parametrize("workflow_id", ["nosuch", "", "\x00", "a" * 100_000, "../workflow", "%00"])
async def test_an_unknown_workflow_is_404_without_a_body(house: House, root: str, workflow_id: str) -> None:
    answer = await house.put_execution(root, workflowId=workflow_id, contextType="NONE")
    assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (404, b"", "NOT_FOUND")


@pytest.mark.parametrize("execution_id", ["nosuch", "%00", "%ff", "a" * 10_000, "%F0%9F%98%80"])
async def test_an_unknown_execution_is_404_without_a_body(house: House, root: str, execution_id: str) -> None:
    answer = await house.client.get(f"{root}/workflowExecution/{execution_id}")
    assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (404, b"", "NOT_FOUND")


async def test_the_workflow_of_another_tenant_is_not_there(house: House, root: str) -> None:
    workflow_id = await house.put_workflow(example())
    begun = await house.put_execution(root, workflowId=workflow_id, contextType="NONE", assignments=GIVEN)
    others = {"x-hm-authorization": STRANGER_TOKEN}
    own = root.replace("/orgs/default", "/orgs/elsewhere")
    order = {"workflowId": workflow_id, "contextType": "NONE"}
    answers = [
        await house.client.put(f"{own}/workflowExecution", json=order, headers=others),
        await house.client.get(f"{own}/workflowExecution/{begun.json()['id']}", headers=others),
        await house.client.put("/tca/workflows/api/v1/orgs/elsewhere/workflowExecution", json=order),
        await house.client.get(f"/tca/workflows/api/v1/orgs/elsewhere/workflowExecution/{begun.json()['id']}"),
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(404, b"")] * 4
    assert len(house.store.heads) == 1
