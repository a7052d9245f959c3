"""Risk: what somebody does with the client arrives as something else, or what the service says is lost on the way."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stepswitch.client import (
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    Selection,
    StateConflictError,
    StepswitchClient,
    compare,
)
from stepswitch.client.transport import Content
from stepswitch.domain.execution import Status
from stepswitch.domain.states import StepState
from stepswitch.plugin import Result
from tests.client.office import Naps, Office
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.rig import PATIENCE
from tests.engine.scripted import Clinging
from tests.proxies import Proxy


async def test_an_execution_is_queued_read_and_ended(office: Office) -> None:
    queued = await office.queue("a", "b")
    assert (queued.status, queued.context_type, queued.creation_user) == (Status.QUEUED, "NONE", "admin")
    assert [(step.number, step.step_id, step.type, step.state) for step in queued.step_executions] == [
        (0, "a", "ACT", StepState.EXECUTABLE)
    ]
    await office.does()
    await office.does()
    ended = await office.until(queued.id, "COMPLETED")
    assert (ended.has_ended, ended.is_paused) == (True, False)
    assert [(step.step_id, step.state, step.result) for step in ended.step_executions] == [
        ("a", StepState.FINISHED, "SUCCEEDED"),
        ("b", StepState.FINISHED, "SUCCEEDED"),
    ]
    assert ended.start_time is not None
    assert ended.start_time.tzinfo is not None
    assert ended.logs[0].msg == "queued by admin"
    assert ended.workflow["id"] == ended.workflow_id
    assert ended.raw["links"]["self"].endswith(ended.id)


async def test_what_the_client_does_not_know_is_in_raw(office: Office) -> None:
    execution = await office.queue("a")
    assert execution.raw["stepExecutions"][0] == execution.step_executions[0].raw
    assert set(execution.raw) > {"id", "links", "workflow"}


async def test_everything_of_an_order_arrives(office: Office) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=900)
    workflow_id = await office.store("a", "b", inputs={"who": {"type": "string"}})
    execution = await office.client.executions.start(
        workflow_id,
        {"who": "Żółw"},
        context_type="VNF",
        context={"vnfId": "v1"},
        pause_at_failure=True,
        debug_step_ids=["a"],
        retained_til=until,
    )
    assert (execution.assignments, execution.context, execution.context_type) == ({"who": "Żółw"}, {"vnfId": "v1"}, "VNF")
    assert (execution.pause_at_failure, execution.debug_step_ids, execution.retained_til) == (True, ("a",), until)
    assert execution.is_paused
    assert [each.kind for each in execution.waiting_for] == ["person"]


async def test_every_fault_of_an_order_is_told(office: Office) -> None:
    workflow_id = await office.store("a", inputs={"who": {"type": "number", "required": True}})
    with pytest.raises(InvalidRequestError) as refused:
        await office.client.executions.start(workflow_id, {"how": 1}, debug_step_ids=["z"])
    assert [fault.message.split(":")[0] for fault in refused.value.faults] == ["assignments.how", "assignments.who", "debugStepIds[0]"]
    assert refused.value.status == 400
    assert all(f"[{fault.code}]" in str(refused.value) for fault in refused.value.faults)


async def test_an_act_counts_for_the_state_that_was_read_and_no_other(office: Office) -> None:
    steer = office.client.executions
    paused = await office.queue("a", debug_step_ids=["a"])
    read = await steer.get(paused.id)
    changed = await steer.change(paused.id, debug_step_ids=[], if_match=read.etag)
    acts = (
        steer.change(paused.id, pause_at_failure=True, if_match=read.etag),
        steer.pause(paused.id, if_match=read.etag),
        steer.resume(paused.id, if_match=read.etag),
        steer.retry(paused.id, if_match=read.etag),
        steer.abort(paused.id, if_match=read.etag),
        steer.set_values(paused.id, {}, if_match=read.etag),
        steer.update_workflow(paused.id, if_match=read.etag),
        steer.delete(paused.id, if_match=read.etag),
        steer.attach(paused.id, "f", b"x", if_match=read.etag),
        steer.detach(paused.id, "f", if_match=read.etag),
    )
    for act in acts:
        with pytest.raises(PreconditionFailedError):
            await act
    assert (await steer.resume(paused.id, if_match=changed.etag)).status != Status.PAUSED


async def test_an_execution_is_steered_with_reasons(office: Office) -> None:
    steer, act = office.client.executions, office.does
    execution = await office.queue("a", "b", "c")
    await steer.pause(execution.id, reason="Wartung – gleich weiter")
    await act()
    await office.until(execution.id, "PAUSED")
    changed = await steer.change(execution.id, steps={"c": None, "b": {"type": "ACT"}}, start_step_id="b", reason="c is gone")
    assert set(changed.workflow["steps"]) == {"a", "b"}
    assert (await steer.resume(execution.id)).status == Status.RUNNING
    assert (await steer.abort(execution.id, reason="two\nlines")).status == Status.ABORTED
    said = [entry.msg for entry in (await steer.get(execution.id)).logs]
    for reason in ("Wartung – gleich weiter", "c is gone", "two lines"):
        assert any(reason in line for line in said), said


async def test_what_does_not_fit_the_state_is_told_apart(office: Office) -> None:
    execution = await office.queue("a")
    await office.house.act.next()  # it runs, and does not go on while it is asked
    with pytest.raises(StateConflictError) as refused:
        await office.client.executions.resume(execution.id)
    assert refused.value.code == "STATE_CONFLICT"


async def test_a_failure_is_corrected_and_retried(office: Office) -> None:
    workflow_id = await office.store("a", inputs={"host": {"type": "string"}})
    execution = await office.client.executions.start(workflow_id, {"host": "192.0.2.1"}, pause_at_failure=True)
    await office.does(Result.FAILED)
    await office.until(execution.id, "PAUSED")
    await office.client.executions.set_values(execution.id, {"host": "192.0.2.7"}, reason="moved")
    await office.client.executions.change(execution.id, pause_at_failure=False, debug_step_ids=[])
    await office.client.executions.retry(execution.id)
    await office.does()
    ended = await office.until(execution.id, "COMPLETED")
    assert [step.result for step in ended.step_executions] == ["FAILED", "SUCCEEDED"]
    assert ended.pause_at_failure is False


async def test_edited_steps_are_written_back(office: Office) -> None:
    execution = await office.failed("a", "b")
    await office.client.executions.change(execution.id, steps={"b": None, "a": {"type": "ACT"}})
    stored = await office.client.executions.update_workflow(execution.id)
    assert set((await office.client.workflows.get(stored.id)).document["steps"]) == {"a"}


async def test_a_log_comes_line_by_line(office: Office) -> None:
    execution = await office.failed("a")
    lines = [line async for line in office.client.executions.logs(execution.id)]
    read = await office.client.executions.get(execution.id)
    assert len(lines) == len(read.logs) + sum(len(step.logs) for step in read.step_executions)
    assert lines[0].endswith(" INFO  - queued by admin")
    assert not any("\n" in line for line in lines)


async def test_an_ended_execution_is_deleted(office: Office) -> None:
    execution = await office.failed("a")
    await office.client.executions.delete(execution.id)
    with pytest.raises(NotFoundError) as refused:
        await office.client.executions.get(execution.id)
    assert str(refused.value) == f"there is no execution {execution.id}, or you may not see it [NOT_FOUND]"


async def test_files_go_up_and_come_down(office: Office, tmp_path: Path) -> None:
    code, data = tmp_path / "say.js", bytes(range(256)) * 1000
    code.write_bytes(b"return {}")
    workflow = await office.client.workflows.create(document(steps=steps("a")), files={"say.js": code})
    execution = await office.client.executions.start(workflow.id, files={"data.bin": data})
    assert set(execution.attachments) == {"say.js", "data.bin"}
    async with office.client.executions.download(execution.id, "data.bin") as file:
        assert b"".join([chunk async for chunk in file.chunks()]) == data
        assert file.name == "data.bin"
    with pytest.raises(NotFoundError, match=r"there is no file other.bin of execution"):
        async with office.client.executions.download(execution.id, "other.bin"):
            pass


async def test_lists_are_selected_sorted_and_paged(office: Office) -> None:
    executions = office.client.executions
    ids = [(await office.queue("a", context={"site": f"it's, {number}"})).id for number in range(5)]
    seen = [each.id async for each in executions.iterate(Selection(sort="creationTime", page_size=2))]
    assert seen == ids
    page = await executions.list(Selection(page_size=2), count=True)
    assert (len(page.items), page.total, page.next_marker is not None) == (2, 5, True)
    odd = Selection(where=[compare(("context", "site"), "eq", "it's, 3"), compare("aborted", "eq", True)], any_of=True, page_size=1)
    assert [each.id async for each in executions.iterate(odd)] == [ids[3]]
    slim = await executions.list(Selection(fields=["status"], where=[compare("id", "in", *ids[:2])]))
    assert [each.step_executions for each in slim.items] == [(), ()]
    with pytest.raises(InvalidRequestError, match="filter"):
        await executions.list(Selection(where=["(eq,nonsense,1)"]))


async def test_a_token_is_enough(office: Office) -> None:
    async with StepswitchClient(office.url, token=f"{office.client.token}\n") as other:
        assert (await other.executions.list()).items == []
    assert (await office.client.executions.list()).items == []  # who was given a token leaves the session alone


class Losing(Proxy):
    """Loses the first answers of the service, together with the connection."""

    losses = 2

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_target: bool) -> None:
        if not to_target and self.losses:
            await reader.readuntil(b"\r\n\r\n")  # so it was done
            self.losses -= 1
            writer.transport.abort()
            return
        await super()._forward(reader, writer, to_target=to_target)


@pytest.mark.parametrize("files", [None, {"data.bin": b"\x00" * 100_000}], ids=["alone", "with a file"])
async def test_what_was_started_is_started_once_though_its_answer_was_lost(
    office: Office, naps: Naps, files: dict[str, Content] | None
) -> None:
    workflow_id = await office.store("a")
    async with Losing("127.0.0.1", office.port) as proxy:
        async with StepswitchClient(f"http://127.0.0.1:{proxy.port}", token=office.client.token, pacing=naps.pacing) as client:
            started = await client.executions.start(workflow_id, files=files)
        assert (proxy.losses, proxy.connections) == (0, 3)
    assert [each.id for each in (await office.client.executions.list()).items] == [started.id]


async def test_a_key_is_for_one_order(office: Office) -> None:
    workflow_id = await office.store("a", inputs={"x": {"type": "string"}})
    first = await office.client.executions.start(workflow_id, idempotency_key="order-1")
    assert (await office.client.executions.start(workflow_id, idempotency_key="order-1")).id == first.id
    with pytest.raises(InvalidRequestError) as refused:
        await office.client.executions.start(workflow_id, {"x": "other"}, idempotency_key="order-1")
    assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"


async def test_files_are_given_to_an_execution_and_taken_away(office: Office) -> None:
    execution = await office.queue("a", debug_step_ids=["a"])
    added = await office.client.executions.attach(execution.id, "data.bin", b"\x00\xff", reason="needed")
    assert (added.key, added.size) == ("data.bin", 2)
    async with office.client.executions.download(execution.id, added.id) as file:
        assert b"".join([chunk async for chunk in file.chunks()]) == b"\x00\xff"
    await office.client.executions.detach(execution.id, "data.bin", reason="not any more")
    read = await office.client.executions.get(execution.id)
    assert read.attachments == {}
    assert all(any(reason in entry.msg for entry in read.logs) for reason in ("needed", "not any more"))


async def test_what_is_left_at_a_target_that_is_gone_is_given_up_and_the_execution_deleted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, steer = Clinging(), office.client.executions
    monkeypatch.setattr(office.house.act, "run", device.run)
    execution = (await office.queue("a")).id
    await asyncio.wait_for(device.begun.wait(), PATIENCE)
    with pytest.raises(StateConflictError, match="nothing is left behind"):
        await steer.abandon_cleanup(execution)
    assert (await steer.abort(execution)).step_executions[0].cleanup_pending
    with pytest.raises(StateConflictError, match="by step execution 4"):
        await steer.abandon_cleanup(execution, [0, 4])
    told = await steer.abandon_cleanup(execution, [0], reason="Standort geschlossen – für immer")
    assert not told.step_executions[0].cleanup_pending
    assert told.logs[-1].msg.endswith("is taken for gone by admin: Standort geschlossen – für immer")
    await steer.delete(execution, if_match=told.etag)
    with pytest.raises(NotFoundError):
        await steer.abandon_cleanup(execution)
    device.may_close.set()
