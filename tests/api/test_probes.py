"""Risk: somebody who asks is not told that a step is in doubt, or what its probe does and found; or a password leaves with the edit of a probe."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.client.answers import Execution
from stepswitch.plugin import Result
from tests.api.steered import Body, Desk, open_desk, refused, said, shown, story
from tests.domain.documents import document
from tests.domain.lives import steps


def text(value: str) -> Body:
    return {"type": "string", "defaultValue": value}


def upgrade(**more: Any) -> Body:
    probe = {
        "inBindings": {"deed": text("show version"), "pw": {"type": "password", "defaultValue": "hunter33"}},
        "done": [{"name": "text", "comparator": "equals", "value": "new"}],
        "notDone": [{"name": "text", "comparator": "equals", "value": "old"}],
        **more,
    }
    bindings = {"host": text("192.0.2.1"), "deed": text("upgrade"), "pw": {"type": "password", "defaultValue": "hunter22"}}
    return {"type": "ACT", "nextStepId": "b", "inBindings": bindings, "policy": {"probe": probe}}


WITH_PROBE = document(steps={"a": upgrade(maxAttempts=1), **steps("b")})


@pytest.fixture
async def desk(tmp_path: Path, root: str) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, root) as desk:
        yield desk


async def test_a_step_whose_worker_died_is_told_as_unknown_everywhere(tmp_path: Path, root: str) -> None:
    async with open_desk(tmp_path, root) as desk:
        execution = await desk.queue("a", "b", pauseAtFailure=True)
        await desk.act.next()
    async with open_desk(tmp_path, root) as desk:
        body = await desk.until(execution, "PAUSED")
        assert story(body) == [("a", "waitingAfterExecution", "UNKNOWN")]
        (step,) = body["stepExecutions"]
        assert step["error"]["code"] == "LOST"
        assert "nobody can say whether the target acted" in step["error"]["message"]
        assert "probe" not in step
        assert [line["level"] for line in step["logs"] if line["msg"].startswith("ended UNKNOWN: LOST")] == ["ERROR"]
        assert said(body, "paused after step a (0) ended UNKNOWN")
        log = (await desk.client.get(f"{desk.place(execution)}/logs")).text
        assert "nobody can say whether the target acted" in log
        assert body["waitingFor"][0]["kind"] == "person"


async def test_a_look_is_shown_while_it_goes_on_and_when_it_has_ended(desk: Desk) -> None:
    execution = await desk.queue(source=WITH_PROBE)
    await desk.does(Result.UNKNOWN)
    call = await desk.act.next()
    body = await desk.read(execution)
    (step,) = body["stepExecutions"]
    assert (body["status"], step["state"], step["result"]) == ("RUNNING", "executed", "UNKNOWN")
    assert step["probe"]["inputs"] == {"host": "192.0.2.1", "deed": "show version", "pw": "********"}
    assert {name: step["probe"][name] for name in ("attempt", "state", "outputs")} == {"attempt": 1, "state": "executing", "outputs": {}}
    assert step["probe"].keys() == {"attempt", "state", "startTime", "claimedTime", "inputs", "outputs"}
    call.end(Result.SUCCEEDED, {"text": "new"})
    await desk.does()
    body = await desk.until(execution, "COMPLETED")
    probe = body["stepExecutions"][0]["probe"]
    assert (probe["state"], probe["result"], probe["verdict"], probe["outputs"]) == ("finished", "SUCCEEDED", "DONE", {"text": "new"})
    assert probe["endTime"] >= probe["claimedTime"]
    assert story(body) == [("a", "finished", "SUCCEEDED"), ("b", "finished", "SUCCEEDED")]
    assert said(body, "the probe found that step a (0) was done")
    read = Execution.read(body).step_executions[0]
    assert read.probe is not None
    assert (read.probe.verdict, read.probe.attempt, read.probe.error, read.cleanup_pending) == ("DONE", 1, None, False)


async def test_a_look_that_fails_says_why(desk: Desk) -> None:
    execution = await desk.queue(source=WITH_PROBE, pauseAtFailure=True)
    await desk.does(Result.UNKNOWN)
    await desk.does(Result.FAILED)
    body = await desk.until(execution, "PAUSED")
    probe = body["stepExecutions"][0]["probe"]
    assert (probe["result"], probe["verdict"]) == ("FAILED", "UNKNOWN")
    assert said(body, "the probe could not tell whether step a (0) was done")


async def test_what_may_be_left_behind_is_shown_until_it_is_gone(desk: Desk) -> None:
    execution = await desk.queue(source=WITH_PROBE)
    await desk.does(Result.UNKNOWN)
    await desk.act.next()
    body = shown(await desk.ask(execution, "abort"))
    assert (body["status"], body["stepExecutions"][0]["cleanupPending"]) == ("ABORTED", True)
    await desk.house.watch.until(desk.house.service, execution, lambda view: not view.head.left_behind)
    assert "cleanupPending" not in (await desk.read(execution))["stepExecutions"][0]


async def test_a_probe_is_paused_corrected_and_let_go_on(desk: Desk) -> None:
    execution = await desk.queue(source=document(steps={"a": upgrade(delaySeconds=600), **steps("b")}))
    await desk.does(Result.UNKNOWN)
    await desk.house.watch.until(desk.house.service, execution, lambda view: bool(view.waiting_for))
    assert (await desk.read(execution))["waitingFor"][0]["kind"] == "time"
    assert refused(await desk.patch(execution, steps={"b": {"type": "NOOP"}})) == ["STATE_CONFLICT"]
    body = shown(await desk.ask(execution, "pause", reason="the command has a slip"))
    assert (body["status"], story(body)) == ("PAUSED", [("a", "waitingAfterExecution", "UNKNOWN")])
    assert body["stepExecutions"][0]["probe"]["state"] == "waitingBeforeExecution"
    edited = _masked(upgrade(inBindings={"deed": text("show versions"), "pw": {"type": "password", "defaultValue": "hunter33"}}))
    answer = await desk.patch(execution, steps={"a": edited})
    body = shown(answer)
    assert said(body, "step a, policy.probe.inBindings.deed.defaultValue: from show version to show versions by admin")
    edited["policy"]["probe"]["inBindings"]["pw"]["defaultValue"] = "hunter44"
    body = shown(await desk.patch(execution, steps={"a": edited}))
    assert said(body, "step a, policy.probe.inBindings.pw.defaultValue: from ******** to ******** by admin")
    shown(await desk.ask(execution, "resume"))
    await desk.house.clock.advance(600)
    call = await desk.act.next()
    assert (call.inputs["deed"], call.inputs["pw"]) == ("show versions", "hunter44")
    call.end(outputs={"text": "new"})
    await desk.does()
    body = await desk.until(execution, "COMPLETED")
    assert body["acceptedFailures"] == 0
    assert "hunter" not in str(body)


@pytest.mark.parametrize(
    "more",
    [
        {"host": text("192.0.2.99")},
        {"port": {"type": "number", "defaultValue": 2222}},
        {"hostKey": text("SHA256:mine")},
    ],
    ids=["host", "port", "host key"],
)
async def test_no_stored_password_follows_a_probe_to_another_machine(desk: Desk, more: Body) -> None:
    execution = await desk.queue(source=WITH_PROBE, debugStepIds=["a"])
    before = await desk.read(execution)
    assert before["workflow"]["steps"]["a"]["policy"]["probe"]["inBindings"]["pw"]["defaultValue"] == "********"
    own = {"deed": text("show version"), **more}
    for bindings in (own, {**own, "pw": {"type": "password", "defaultValue": "********"}}):
        assert set(refused(await desk.patch(execution, steps={"a": _masked(upgrade(inBindings=bindings))}))) == {"INVALID_VALUE"}
    assert await desk.read(execution) == before


async def test_a_mask_in_a_condition_of_a_probe_is_refused(desk: Desk) -> None:
    execution = await desk.queue(source=WITH_PROBE, debugStepIds=["a"])
    edited = upgrade(done=[{"name": "text", "comparator": "equals", "value": "********"}])
    answer = await desk.patch(execution, steps={"a": _masked(edited)})
    assert refused(answer) == ["INVALID_VALUE"]
    assert "steps.a.policy.probe.done[0].value" in answer.json()["errors"][0]["message"]


async def test_a_workflow_with_a_probe_is_shown_and_sent_back_as_it_is(desk: Desk) -> None:
    workflow = await desk.store(WITH_PROBE)
    place = f"{desk.root}/workflow/{workflow}"
    shown_once = (await desk.client.get(place)).json()
    assert "hunter" not in str(shown_once)
    back = await desk.client.post(place, json=shown_once)
    assert back.status_code == 200, back.text
    execution = await desk.order(workflow)
    call = await desk.act.next()
    assert call.inputs["pw"] == "hunter22"
    call.end(Result.UNKNOWN)
    call = await desk.act.next()
    assert call.inputs["pw"] == "hunter33"
    call.end(outputs={"text": "new"})
    await desk.does()
    await desk.until(execution, "COMPLETED")


async def test_every_fault_of_a_probe_is_told_when_it_is_stored(desk: Desk) -> None:
    wrong = document(steps={"a": upgrade(done=None, maxAttempts=0), **steps("b")})
    answer = await desk.client.put(f"{desk.root}/workflow", json=wrong)
    messages = str(answer.json())
    assert answer.status_code == 400
    assert "steps.a.policy.probe.done" in messages
    assert "steps.a.policy.probe.maxAttempts" in messages


def _masked(step: Body) -> Body:
    """Return a step as an answer shows it."""
    probe = step["policy"]["probe"]
    hidden = {**probe, "inBindings": _without_passwords(probe["inBindings"])}
    return {**step, "inBindings": _without_passwords(step["inBindings"]), "policy": {"probe": hidden}}


def _without_passwords(bindings: Body) -> Body:
    return {name: {**each, "defaultValue": "********"} if each["type"] == "password" else each for name, each in bindings.items()}
