"""Risk: an edit of a live execution is applied in part, applied where it does not fit, or hands out what must not be read."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.records import StoredWorkflow
from stepswitch.plugin import Result
from tests.api.steered import Desk, open_desk, refused, said, shown, story
from tests.domain.documents import document
from tests.domain.lives import steps

LATER, EARLIER = "2027-03-01T00:00:00.000Z", "2027-02-01T00:00:00.000Z"
HOST = {"host": {"type": "string", "defaultValue": "192.0.2.1"}}
PW = {"pw": {"type": "password", "defaultValue": "hunter22"}}


@pytest.fixture
async def desk(tmp_path: Path, root: str) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, root) as desk:
        yield desk


# --- what may be changed when ---


async def test_a_running_execution_takes_breakpoints_and_retention_and_no_steps(desk: Desk) -> None:
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    body = shown(await desk.patch(execution, debugStepIds=["b"], pauseAtFailure=True, retainedTil=LATER))
    assert (body["debugStepIds"], body["pauseAtFailure"], body["retainedTil"]) == (["b"], True, LATER)
    assert said(body, f"to {LATER} by admin")
    for fields in ({"steps": {"b": {"type": "NOOP"}}}, {"startStepId": "b"}, {"startStepId": "b", "retainedTil": EARLIER}):
        assert refused(await desk.patch(execution, **fields)) == ["STATE_CONFLICT"]
    assert await desk.read(execution) == body
    call.end()


@pytest.mark.parametrize("end", ["finished", "aborted"])
async def test_after_a_good_end_or_an_abort_only_retention_can_be_changed(desk: Desk, end: str) -> None:
    execution = await desk.queue("a", debugStepIds=[] if end == "finished" else ["a"])
    if end == "finished":
        await desk.does()
        await desk.until(execution, "COMPLETED")
    else:
        shown(await desk.ask(execution, "abort"))
    assert shown(await desk.patch(execution, retainedTil=EARLIER))["retainedTil"] == EARLIER
    body = await desk.read(execution)
    changes: list[dict[str, Any]] = [
        {"debugStepIds": ["a"]}, {"pauseAtFailure": True}, {"startStepId": "a"}, {"steps": {"a": {"type": "NOOP"}}},
        {"retainedTil": LATER, "pauseAtFailure": True},
    ]  # fmt: skip
    for fields in changes:
        assert refused(await desk.patch(execution, **fields)) == ["STATE_CONFLICT"]
    assert await desk.read(execution) == body


async def test_the_same_patch_twice_changes_nothing_the_second_time(desk: Desk) -> None:
    execution = await desk.queue("a", "b", debugStepIds=["a"])
    fields: dict[str, Any] = {
        "startStepId": "b", "debugStepIds": ["b"], "pauseAtFailure": True, "retainedTil": LATER,
        "steps": {"b": {"type": "NOOP", "id": "b"}, "c": {"type": "ACT"}, "a": None},
    }  # fmt: skip
    body = shown(await desk.patch(execution, **fields))
    assert sorted(body["workflow"]["steps"]) == ["b", "c"]
    assert shown(await desk.patch(execution, **fields)) == body
    assert shown(await desk.patch(execution)) == body


async def test_retention_shortened_while_paused_removes_nothing_before_the_end(desk: Desk) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    soon = (await desk.read(execution))["creationTime"].replace(".000Z", ".500Z")
    assert shown(await desk.patch(execution, retainedTil=soon))["retainedTil"] == soon
    await desk.house.clock.advance(700)
    assert shown(await desk.patch(execution, retainedTil=soon))["status"] == "PAUSED"
    assert refused(await desk.patch(execution, retainedTil="2001-01-01T00:00:00Z")) == ["INVALID_VALUE"]
    shown(await desk.ask(execution, "abort"))
    async with asyncio.timeout(30):
        while (await desk.client.get(desk.place(execution))).status_code != 404:  # it is removed in the background
            await desk.house.clock.advance(5)


# --- edits of steps ---


async def test_an_edit_that_removes_the_step_under_the_cursor_must_move_away_from_it(desk: Desk) -> None:
    execution = await desk.queue("a", "b", "c", debugStepIds=["a", "b"])
    before = await desk.read(execution)
    without_b: dict[str, Any] = {"a": {"type": "ACT", "nextStepId": "c"}, "b": None}
    assert refused(await desk.patch(execution, startStepId="b", steps=without_b)) == ["UNKNOWN_STEP"]
    assert refused(await desk.patch(execution, steps={"a": None})) == ["UNKNOWN_STEP"]
    assert await desk.read(execution) == before
    body = shown(await desk.patch(execution, steps=without_b))
    assert body["debugStepIds"] == ["a"]
    assert said(body, "steps changed: step b removed by admin")
    body = shown(await desk.patch(execution, startStepId="c", steps={"a": None}))
    assert (sorted(body["workflow"]["steps"]), body["workflow"]["startStepId"]) == (["c"], "a")
    body = shown(await desk.ask(execution, "resume"))
    assert story(body)[0] == ("a", "finished", "SKIPPED")
    assert body["stepExecutions"][0]["stepSnapshot"]["type"] == "ACT"
    await desk.does()
    await desk.until(execution, "COMPLETED")


async def test_a_step_where_it_waits_later_on_cannot_be_removed_without_moving_away(desk: Desk) -> None:
    execution = await desk.queue("a", "b", debugStepIds=["b"])
    await desk.does()
    await desk.until(execution, "PAUSED")
    without_b: dict[str, Any] = {"a": {"type": "ACT"}, "b": None}
    assert refused(await desk.patch(execution, steps=without_b)) == ["STATE_CONFLICT"]
    shown(await desk.patch(execution, steps=without_b, startStepId="a"))


async def test_every_fault_of_a_change_is_listed_and_nothing_is_applied(desk: Desk) -> None:
    execution = await desk.queue("a", "b", debugStepIds=["a"])
    before = await desk.read(execution)
    answer = await desk.patch(
        execution,
        startStepId="nowhere",
        debugStepIds=["a", "gone"],
        retainedTil="2001-01-01T00:00:00Z",
        pauseAtFailure="yes",
        strange=1,
        steps={"a": {"type": "ACT", "nextStepId": "lost"}, "c": {"type": "NOPE"}, "d": 7, "": {"type": "NOOP"}},
    )
    messages = [error["message"] for error in answer.json()["errors"]]
    for place in (
        "strange", "pauseAtFailure", "steps.d", "steps.a.nextStepId", "steps.c.type", "steps.''", "startStepId", "debugStepIds[1]",
        "retainedTil",
    ):  # fmt: skip
        assert [message for message in messages if message.startswith(f"{place}: ")], (place, messages)
    assert answer.status_code == 400
    assert await desk.read(execution) == before


@pytest.mark.parametrize("bindings", [5, [1], {"pw": 5}, {"pw": {"type": "password", "defaultValue": "********"}, "x": 7}, None])
async def test_a_step_of_another_shape_is_a_fault_and_no_accident(desk: Desk, bindings: Any) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    for field in ("inBindings", "conditions", "policy"):
        answer = await desk.patch(execution, steps={"a": {"type": "ACT", field: bindings}, "b": {"type": [bindings]}})
        assert answer.status_code == 400, answer.text


async def test_a_body_that_is_no_change_is_refused(desk: Desk) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    for sent, code in (
        ("[]", "WRONG_TYPE"),
        ("{", "MALFORMED_JSON"),
        ('{"steps": []}', "WRONG_TYPE"),
        ('{"debugStepIds": [1]}', "WRONG_TYPE"),
    ):
        answer = await desk.client.patch(desk.place(execution), content=sent, headers={"content-type": "application/json"})
        assert refused(answer) == [code]


async def test_two_who_edit_at_once_do_not_overwrite_each_other(desk: Desk) -> None:
    execution = await desk.queue("a", "b", "c", debugStepIds=["a"])
    answers = await asyncio.gather(
        desk.patch(execution, steps={"b": {"type": "NOOP", "nextStepId": "c"}}),
        desk.patch(execution, steps={"c": {"type": "NOOP"}}),
    )
    kinds = {name: step["type"] for name, step in (await desk.read(execution))["workflow"]["steps"].items()}
    for answer, step_id in zip(answers, "bc", strict=True):
        if answer.status_code == 200:
            assert kinds[step_id] == "NOOP"
        else:
            assert refused(answer) == ["MOVED_ON"]
            assert kinds[step_id] == "ACT"
    assert "NOOP" in kinds.values()


# --- passwords ---


def secret_step(**bindings: Any) -> dict[str, Any]:
    return {"type": "ACT", "nextStepId": "b", "inBindings": {**HOST, **PW, **bindings}}


async def test_a_masked_password_stays_as_it_is_where_the_step_goes_on_acting_on_the_same_target(desk: Desk) -> None:
    source = document(steps={"a": secret_step(), "b": {"type": "ACT"}})
    execution = await desk.queue(source=source, debugStepIds=["a"])
    step = (await desk.read(execution))["workflow"]["steps"]["a"]
    assert step["inBindings"]["pw"]["defaultValue"] == "********"
    answer = await desk.patch(execution, steps={"a": {**step, "description": "the same target"}})
    assert "hunter22" not in answer.text
    shown(await desk.ask(execution, "resume"))
    call = await desk.act.next()
    assert call.inputs["pw"] == "hunter22"
    call.end()


@pytest.mark.parametrize(
    "edited",
    [
        {**secret_step(host={"type": "string", "defaultValue": "198.51.100.66"})},
        {**secret_step(host={"type": "string", "exportName": "elsewhere"})},
        {**secret_step(port={"type": "number", "defaultValue": 2222})},
        {**secret_step(hostKey={"type": "string", "defaultValue": "SHA256:x"})},
        {**secret_step(virtualMachine={"type": "virtualMachine", "defaultValue": "vm-1"})},
        {**secret_step(), "type": "LOOK"},
        {**secret_step(), "inBindings": {**HOST, "other": PW["pw"]}},
        {**secret_step(), "inBindings": {**HOST, "pw": {"type": "string", "defaultValue": "********"}}},
        {**secret_step(), "conditions": [{"name": "elsewhere", "comparator": "equals", "value": "********"}]},
    ],
    ids=["host", "host by name", "port", "host key", "machine", "type", "another place", "no password", "condition"],
)
async def test_a_masked_password_is_never_sent_where_it_was_not_meant_for(desk: Desk, edited: dict[str, Any]) -> None:
    source = document(variables={"elsewhere": {"type": "string"}}, steps={"a": secret_step(), "b": {"type": "ACT"}})
    execution = await desk.queue(source=source, debugStepIds=["a"])
    before = await desk.read(execution)
    answer = await desk.patch(execution, steps={"a": _masked(edited)})
    assert set(refused(answer)) == {"INVALID_VALUE"}
    assert "give the" in answer.json()["errors"][0]["message"]
    assert await desk.read(execution) == before


def _masked(step: dict[str, Any]) -> dict[str, Any]:
    bindings = {
        name: {**each, "defaultValue": "********"} if each["type"] == "password" else each for name, each in step["inBindings"].items()
    }
    return {**step, "inBindings": bindings}


async def test_what_an_edit_changed_is_told_without_the_passwords(desk: Desk) -> None:
    execution = await desk.queue(source=document(steps={"a": secret_step(), "b": {"type": "ACT"}}), debugStepIds=["a"])
    edited = secret_step(pw={"type": "password", "defaultValue": "hunter33"}, host={"type": "string", "defaultValue": "192.0.2.2"})
    answer = await desk.patch(execution, steps={"a": edited, "c": {"type": "NOOP"}})
    body = shown(answer)
    assert said(body, "step a, inBindings.host.defaultValue: from 192.0.2.1 to 192.0.2.2 by admin")
    assert said(body, "step a, inBindings.pw.defaultValue: from ******** to ******** by admin")
    assert said(body, "step c added (NOOP) by admin")
    assert int(answer.headers["x-stepswitch-warnings"]) >= 1
    assert "hunter" not in answer.text
    assert "hunter" not in (await desk.client.get(f"{desk.place(execution)}/logs")).text


# --- the workflow in the catalogue ---


async def test_edited_steps_are_written_back_as_the_next_revision(desk: Desk) -> None:
    workflow = await desk.store(document(startStepId="a", steps=steps("a", "b", a=secret_step())))
    execution = await desk.order(workflow, debugStepIds=["a"])
    shown(await desk.patch(execution, steps={"b": {"type": "NOOP"}}))
    for kind in ("NOOP", "LOOK"):
        answer = await desk.ask(execution, "updateWorkflow", reason="proven tonight")
        assert (answer.status_code, answer.json()["steps"]["b"]["type"]) == (200, kind)
        assert "hunter22" not in answer.text
        read = await desk.client.get(f"{desk.root}/workflow/{workflow}")
        assert (read.json(), read.headers["etag"]) == (answer.json(), answer.headers["etag"])
        again = await desk.ask(execution, "updateWorkflow")
        assert again.json() == answer.json()
        shown(await desk.patch(execution, steps={"b": {"type": "LOOK"}}))
    body = await desk.read(execution)
    assert sum("was given the steps of this execution" in line["msg"] for line in body["logs"]) == 2
    assert said(body, "as revision 2, by admin: proven tonight")
    fresh = await desk.order(workflow)
    call = await desk.act.next()
    assert call.inputs["pw"] == "hunter22"
    assert (await desk.read(fresh))["workflow"]["steps"]["b"]["type"] == "LOOK"
    call.end()


async def test_steps_are_not_written_over_what_somebody_else_changed(desk: Desk) -> None:
    workflow = await desk.store(document(startStepId="a", steps=steps("a", "b")))
    execution = await desk.order(workflow, debugStepIds=["a"])
    shown(await desk.patch(execution, steps={"b": {"type": "NOOP"}}))
    await desk.house.service.catalogue.replace(administrator("bob"), workflow, document(name="other"))
    assert refused(await desk.ask(execution, "updateWorkflow")) == ["STATE_CONFLICT"]
    assert (await desk.client.get(f"{desk.root}/workflow/{workflow}")).json()["name"] == "other"
    assert not said(await desk.read(execution), "was given the steps")


async def test_steps_that_somebody_changes_meanwhile_are_not_written_back_as_those_of_the_execution(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = await desk.store(document(startStepId="a", steps=steps("a", "b")))
    execution = await desk.order(workflow, debugStepIds=["a"])
    shown(await desk.patch(execution, steps={"b": {"type": "NOOP"}}))
    catalogue = desk.house.service.catalogue
    found = catalogue.get

    async def get(caller: Caller, workflow_id: str) -> StoredWorkflow:
        shown(await desk.patch(execution, steps={"b": {"type": "LOOK"}}))
        return await found(caller, workflow_id)

    monkeypatch.setattr(catalogue, "get", get)
    assert refused(await desk.ask(execution, "updateWorkflow")) == ["MOVED_ON"]
    monkeypatch.undo()
    assert (await desk.client.get(f"{desk.root}/workflow/{workflow}")).json()["steps"]["b"]["type"] == "ACT"
    assert not said(await desk.read(execution), "was given the steps")
    assert (await desk.ask(execution, "updateWorkflow")).json()["steps"]["b"]["type"] == "LOOK"


async def test_steps_of_a_workflow_that_is_gone_or_read_only_are_not_written_back(desk: Desk) -> None:
    for fields, status in (({"readOnly": True}, 403), ({}, 404)):
        workflow = await desk.store(document(startStepId="a", steps=steps("a", "b"), **fields))
        execution = await desk.order(workflow, debugStepIds=["a"])
        shown(await desk.patch(execution, steps={"b": {"type": "NOOP"}}))
        if status == 404:
            await desk.house.service.catalogue.delete(administrator("bob"), workflow)
        answer = await desk.ask(execution, "updateWorkflow")
        assert (answer.status_code, answer.content) == (status, b"")


async def test_a_definition_replaced_or_deleted_between_create_and_start_changes_nothing(tmp_path: Path) -> None:
    async with open_desk(tmp_path, start=False) as desk:
        source = document(startStepId="a", steps=steps("a", "b"))
        workflows = [await desk.store(source) for _ in range(2)]
        executions = [await desk.order(workflow) for workflow in workflows]
        catalogue = desk.house.service.catalogue
        await catalogue.replace(administrator("bob"), workflows[0], document(steps={"a": {"type": "NOOP"}}))
        await catalogue.delete(administrator("bob"), workflows[1])
        await desk.house.service.start()
        for _ in range(4):
            await desk.does()
        for execution in executions:
            body = await desk.until(execution, "COMPLETED")
            assert story(body) == [("a", "finished", "SUCCEEDED"), ("b", "finished", "SUCCEEDED")]
            assert body["workflow"]["steps"]["a"]["type"] == "ACT"


# --- deleting, logs, the vRO ---


async def test_only_what_has_ended_is_deleted_and_nothing_of_it_is_left(desk: Desk) -> None:
    execution = await desk.queue("a", "b", debugStepIds=["b"])
    call = await desk.act.next()
    assert refused(await desk.client.delete(desk.place(execution))) == ["STATE_CONFLICT"]
    call.end()
    await desk.until(execution, "PAUSED")
    assert refused(await desk.client.delete(desk.place(execution))) == ["STATE_CONFLICT"]
    shown(await desk.ask(execution, "abort"))
    gone = await desk.client.delete(f"{desk.place(execution)}?attachmentId=whatever")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (
        await desk.client.get(desk.place(execution)),
        await desk.client.get(f"{desk.place(execution)}/logs"),
        await desk.client.delete(desk.place(execution)),
        await desk.ask(execution, "abort"),
    ):
        assert (answer.status_code, answer.content) == (404, b"")
    database = desk.house.settings.data_dir / "stepswitch.db"
    assert count_rows(database) == {}


def count_rows(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        tables = ("executions", "step_executions", "logs", "claims", "snapshots", "snapshot_uses", "large_values")
        found = {table: int(connection.execute(f"select count(*) from {table}").fetchone()[0]) for table in tables}
    return {table: count for table, count in found.items() if count}


async def test_the_log_is_a_line_per_entry_without_secrets(desk: Desk) -> None:
    source = document(steps={"a": secret_step(), "b": {"type": "ACT"}})
    execution = await desk.queue(source=source)
    call = await desk.act.next()
    await call.context.log("first\nsecond \\n with hunter22\r\x1b[31m\u2028")
    call.end(Result.FAILED)
    await desk.until(execution, "FAILED")
    answer = await desk.client.get(f"{desk.place(execution)}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    body = await desk.read(execution)
    assert len(lines) == len(body["logs"]) + sum(len(step["logs"]) for step in body["stepExecutions"])
    assert lines[0] == f"{body['creationTime']} INFO  - queued by admin"
    assert any(line.endswith(" INFO  0 first\\nsecond \\\\n with ********\\r\\x1b[31m\\u2028") for line in lines)
    assert "hunter22" not in answer.text


async def test_a_secret_that_was_replaced_since_is_masked_in_the_log_all_the_same(desk: Desk) -> None:
    bound = {"inBindings": {"pw": {"type": "password", "exportName": "pw"}}}
    source = document(inputs={"pw": {"type": "password"}}, steps=steps("a", a=bound))
    execution = await desk.queue(source=source, assignments={"pw": "hunter22"})
    for secret in ("hunter22", "hunter33"):
        call = await desk.act.next()
        await call.context.log(f"got {secret}")
        call.end(Result.FAILED)
        await desk.until(execution, "FAILED")
        shown(await desk.ask(execution, "values", body={"values": {"pw": f"{secret}x"[::-1]}}, reason=f"not {secret}"))
        shown(await desk.ask(execution, "values", body={"values": {"pw": "hunter33"}}))
        shown(await desk.ask(execution, "retry"))
    await desk.does()
    await desk.until(execution, "COMPLETED")
    assert "hunter" not in (await desk.client.get(f"{desk.place(execution)}/logs")).text


async def test_the_login_of_a_vro_is_shown_to_nobody_unless_the_settings_allow_it(tmp_path: Path, root: str) -> None:
    for allowed, status, code in ((False, 403, "NOT_PERMITTED"), (True, 404, "NOT_FOUND")):
        async with open_desk(tmp_path / str(allowed), root, vro_login_details=allowed) as desk:
            execution = await desk.queue("a", debugStepIds=["a"])
            answer = await desk.client.get(f"{desk.place(execution)}/vroLoginDetails")
            assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (status, b"", code)
            desk.client.headers.update(await desk.elsewhere())
            assert (await desk.client.get(f"{desk.place(execution)}/vroLoginDetails")).status_code == 404


async def test_another_tenants_execution_cannot_be_changed_read_or_deleted(desk: Desk) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    own = dict(desk.client.headers)
    desk.client.headers.update(await desk.elsewhere())
    for answer in (
        await desk.patch(execution, pauseAtFailure=True),
        await desk.client.delete(desk.place(execution)),
        await desk.client.get(f"{desk.place(execution)}/logs"),
    ):
        assert (answer.status_code, answer.content) == (404, b"")
    desk.client.headers.update(own)
    assert (await desk.read(execution))["pauseAtFailure"] is False
