"""Locks over the API, with two executions. Risks: nobody sees who holds up whom, a lock is broken by the wrong people, or the next holder loses his."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from stepswitch.api.wire import lock_models
from tests.api.steered import Body, Desk, open_desk, refused, said, shown
from tests.api.streams import Event, reading
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import ANN

BEGINNING = "0-0"
"""The id of an event before all."""
LOCKS = "/stepswitch/api/v1/locks"
Locks = list[dict[str, Any]]


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


def locked(*ids: str, lock: str = "core ring", **more: Any) -> Body:
    first: Body = {"policy": {"lock": lock}, **more}
    return document(startStepId=ids[0], steps={**steps(*ids), ids[0]: {**steps(*ids)[ids[0]], **first}})


async def until_held(desk: Desk, execution_id: str) -> None:
    await desk.house.watch.until(desk.house.service, execution_id, lambda view: bool(view.head.locks))


async def until_waits(desk: Desk, execution_id: str) -> Body:
    """Return the execution once somebody else is known to have the lock that it waits for."""
    await desk.house.watch.until(desk.house.service, execution_id, lambda view: [each.kind for each in view.waiting_for] == ["lock"])
    return await desk.read(execution_id)


async def listed(desk: Desk, **headers: str) -> Locks:
    answer = await desk.client.get(LOCKS, headers=headers)
    assert answer.status_code == 200, answer.text
    for each in answer.json():
        lock_models.HeldLock.model_validate(each)
    found: Locks = answer.json()
    return found


async def break_lock(desk: Desk, execution_id: str, lock_id: object, **headers: str) -> Any:
    path = f"/stepswitch/api/v1/executions/{execution_id}/locks/break"
    return await desk.client.post(path, json={"lockId": lock_id}, headers={"x-stepswitch-reason": "the shift is over", **headers})


async def test_whoever_waits_says_for_what_and_who_has_it_and_goes_on_when_it_is_free(desk: Desk) -> None:
    first = await desk.queue(source=locked("a", "b"), debugStepIds=["b"])
    await desk.does()
    await desk.until(first, "PAUSED")
    second = await desk.queue(source=locked("a"))
    (waiting,) = (await until_waits(desk, second))["waitingFor"]
    assert (waiting["kind"], waiting["name"], waiting["holder"]) == ("lock", "core ring", {"executionId": first, "status": "PAUSED"})
    (in_list,) = [each for each in (await desk.client.get(f"{desk.root}/workflowExecution")).json() if each["id"] == second]
    assert in_list["waitingFor"] == [waiting]
    (held,) = await listed(desk)
    assert (held["name"], held["ofDevice"], held["executionId"], held["status"], held["waiting"]) == (
        "core ring",
        False,
        first,
        "PAUSED",
        1,
    )
    shown(await desk.ask(first, "resume"))
    await desk.does()
    await desk.does()
    assert said(await desk.until(second, "COMPLETED"), "has the lock 'core ring'")
    assert await listed(desk) == []


async def test_a_lock_that_is_broken_goes_to_the_next_and_both_are_told(desk: Desk) -> None:
    first = await desk.queue(source=locked("a", "b"), debugStepIds=["b"])
    await desk.does()
    await desk.until(first, "PAUSED")
    second = await desk.queue(source=locked("a", "b"), debugStepIds=["b"])
    await until_waits(desk, second)
    (held,) = await listed(desk)
    told = shown(await break_lock(desk, first, held["id"]))
    assert said(told, "the lock 'core ring' was broken by admin: the shift is over")
    await until_held(desk, second)
    assert refused(await break_lock(desk, first, held["id"])) == ["STATE_CONFLICT"]
    (now,) = await listed(desk)
    assert (now["executionId"], now["id"] != held["id"]) == (second, True)
    assert refused(await break_lock(desk, second, held["id"])) == ["STATE_CONFLICT"], "who has it now has it by another id"
    trail = (await desk.client.get("/stepswitch/api/v1/audit")).text
    assert trail.count('"brokenLock":"core ring"') == 1
    assert "breakExecutionLock" in trail
    await desk.does()


async def test_what_is_no_lock_of_the_execution_is_refused_and_changes_nothing(desk: Desk) -> None:
    first = await desk.queue(source=locked("a"))
    await until_held(desk, first)
    for wrong in ("0", "999999", "x", "9" * 30, "²", ""):
        answer = await break_lock(desk, first, wrong)
        assert answer.status_code == 400, (wrong, answer.text)
    bodies: list[Any] = [{}, {"lockId": 7}, {"lockId": "1", "more": 1}, []]
    for body in bodies:
        answer = await desk.client.post(f"/stepswitch/api/v1/executions/{first}/locks/break", json=body)
        assert answer.status_code == 400, (body, answer.text)
    assert len(await listed(desk)) == 1
    await desk.does()


async def test_nobody_of_another_tenant_sees_or_waits_for_it(desk: Desk) -> None:
    first = await desk.queue(source=locked("a"))
    await until_held(desk, first)
    (held,) = await listed(desk)
    elsewhere = await desk.elsewhere()
    assert await listed(desk, **elsewhere) == []
    assert (await break_lock(desk, first, held["id"], **elsewhere)).status_code == 404
    await desk.does()


async def holder_told(desk: Desk, execution_id: str, **headers: str) -> list[Any]:
    """Return whom somebody is told to hold up an execution, in everything that tells it: an answer, lists, and streams, from their beginning too."""
    paths = (desk.place(execution_id), f"{desk.place(execution_id)}?fields=waitingFor")
    lists = (
        f"{desk.root}/workflowExecution",
        f"{desk.root}/workflowExecution?fields=id,waitingFor",
        f"{desk.root}/workflowExecution?fields=id,logs,waitingFor",
    )
    told = [(await desk.client.get(path, headers=headers)).json() for path in paths]
    for path in lists:
        told += [each for each in (await desk.client.get(path, headers=headers)).json() if each["id"] == execution_id]
    given = {"x-hm-authorization": desk.client.headers["x-hm-authorization"], **headers}
    for execution, last in ((execution_id, None), (execution_id, BEGINNING), (None, BEGINNING)):
        async with reading(desk.app, given, execution, last) as reader:
            await reader.until(lambda reader: any(waits(each, execution_id) for each in reader.events))
            told.append(next(each.data for each in reader.events if waits(each, execution_id)))
    (waiting,) = {json.dumps({name: value for name, value in each["waitingFor"][0].items() if name != "holder"}) for each in told}
    assert json.loads(waiting).keys() == {"kind", "name", "since"}
    return [each["waitingFor"][0].get("holder") for each in told]


def waits(event: Event, execution_id: str) -> bool:
    return event.data["executionId"] == execution_id and [each["kind"] for each in event.data.get("waitingFor", ())] == ["lock"]


async def test_who_may_not_see_the_holder_is_told_that_there_is_one_and_not_which(desk: Desk) -> None:
    workflow = await desk.store(locked("a", "b"))
    first = await desk.order(workflow, debugStepIds=["b"])
    await desk.does()
    await desk.until(first, "PAUSED")
    bob = await desk.person("bob", "Workflow Executor")
    order = {"workflowId": workflow, "contextType": "NONE"}
    second = str((await desk.client.put(f"{desk.root}/workflowExecution", json=order, headers=bob)).json()["id"])
    await until_waits(desk, second)
    assert (await desk.client.get(desk.place(first), headers=bob)).status_code == 404
    assert await holder_told(desk, second, **bob) == [None] * 8
    seen = {"executionId": first, "status": "PAUSED"}
    assert await holder_told(desk, second) == [seen] * 8, "nobody else is told less"
    assert await holder_told(desk, second, **bob) == [None] * 8, "nor he more, after somebody else was told"
    over = await desk.person("carl", "Operations")
    assert await holder_told(desk, second, **over) == [seen] * 8
    assert first not in (await desk.client.get(desk.place(second), headers=bob)).text
    steered = await desk.client.post(f"/stepswitch/api/v1/executions/{second}/pause", headers=bob)
    assert first not in steered.text


async def test_who_created_the_holder_sees_it_also_where_somebody_else_waits(desk: Desk) -> None:
    workflow = await desk.store(locked("a", "b"))
    bob = await desk.person("bob", "Workflow Executor")
    order = {"workflowId": workflow, "contextType": "NONE", "debugStepIds": ["b"]}
    first = str((await desk.client.put(f"{desk.root}/workflowExecution", json=order, headers=bob)).json()["id"])
    await desk.does()
    await desk.until(first, "PAUSED")
    second = str((await desk.client.put(f"{desk.root}/workflowExecution", json=order, headers=bob)).json()["id"])
    await until_waits(desk, second)
    assert await holder_told(desk, second, **bob) == [{"executionId": first, "status": "PAUSED"}] * 8


async def test_locks_and_places_in_line_outlive_a_restart(desk: Desk) -> None:
    first = await desk.queue(source=locked("a", "b"), debugStepIds=["b"])
    await desk.does()
    await desk.until(first, "PAUSED")
    second = await desk.queue(source=locked("a"))
    await until_waits(desk, second)
    house = desk.house
    await house.die()
    await house.open()
    view = await house.view(second)
    assert [(each.kind, each.holder and each.holder.execution_id) for each in view.waiting_for] == [("lock", first)]
    await house.service.steering.abort(ANN, first)
    call = await house.act.next()
    assert call.context.execution_id == second
    call.end()


async def test_a_slip_in_a_policy_is_told_with_all_others(desk: Desk) -> None:
    source = document(
        startStepId="a", steps={"a": {"type": "NOOP", "policy": {"lock": "device", "unlock": "cor ring", "timeoutSeconds": -1}}}
    )
    answer = await desk.client.put(f"{desk.root}/workflow", json={name: value for name, value in source.items() if value is not None})
    assert sorted(refused(answer)) == ["INVALID_VALUE", "INVALID_VALUE", "UNDECLARED_NAME"]
