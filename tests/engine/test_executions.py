"""Creation: every fault at once and nothing stored, or everything stored; and the snapshot is what runs, whatever happens to the workflow."""

import sqlite3
from pathlib import Path

import pytest

from stepswitch.domain.errors import ErrorCode, InvalidRequestError, NotFoundError
from stepswitch.domain.execution import ContextType, Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import ANN, open_house

INPUTS = {"host": {"type": "string", "required": True}, "count": {"type": "number", "defaultValue": 3}}
HOST = {"inBindings": {"host": {"type": "string", "exportName": "host"}}}
ONE = document(inputs=INPUTS, steps=steps("a", "b", a=HOST))


def rows(directory: Path, table: str) -> int:
    with sqlite3.connect(directory / "stepswitch.db") as connection:
        return int(connection.execute(f"select count(*) from {table}").fetchone()[0])


async def test_every_fault_is_listed_at_once_and_nothing_is_stored(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        with pytest.raises(InvalidRequestError) as caught:
            await house.create(
                ONE,
                assignments={"count": "many", "strange": 1},
                attachments={"file": "no-such-id"},
                debug_step_ids=("a", "nowhere"),
                retained_til=house.clock.now() - 1,
            )
        found = {(fault.code, fault.path) for fault in caught.value.faults}
        assert found == {
            (ErrorCode.MISSING_INPUT, "assignments.host"),
            (ErrorCode.WRONG_TYPE, "assignments.count"),
            (ErrorCode.UNKNOWN_INPUT, "assignments.strange"),
            (ErrorCode.UNKNOWN_ATTACHMENT, "attachments.file.id"),
            (ErrorCode.UNKNOWN_STEP, "debugStepIds[1]"),
            (ErrorCode.INVALID_VALUE, "retainedTil"),
        }
        assert [rows(tmp_path, table) for table in ("executions", "snapshots", "logs")] == [0, 0, 0]


async def test_more_values_than_the_limit_in_bytes_are_refused(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False, max_values_bytes=1_024) as house:
        await house.create(ONE, assignments={"host": "é" * 500})
        with pytest.raises(InvalidRequestError) as caught:
            await house.create(ONE, assignments={"host": "é" * 520})
        assert [fault.code for fault in caught.value.faults] == [ErrorCode.TOO_LARGE]
        assert rows(tmp_path, "executions") == 1


async def test_what_is_created_is_shown_as_it_is_stored(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        fresh = await house.create(ONE, assignments={"host": "h"})
        stored = await house.view(fresh.head.id)
        assert (fresh.head, fresh.steps, fresh.logs, fresh.outputs) == (stored.head, stored.steps, stored.logs, stored.outputs)
        assert fresh.head.status is Status.QUEUED
        assert fresh.head.values == {"host": "h", "count": 3}
        ((step, _),) = fresh.steps
        assert (step.number, step.state, dict(step.inputs)) == (0, StepState.EXECUTABLE, {"host": "h"})
        assert fresh.head.retained_til == house.clock.now() + 30 * 24 * 3600 * 1000


async def test_nobody_reaches_into_another_tenant(tmp_path: Path) -> None:
    stranger = administrator("eve", tenant="other")
    async with open_house(tmp_path, start=False) as house:
        checked = await house.service.catalogue.create(ANN, ONE)
        with pytest.raises(NotFoundError):
            await house.service.executions.create(stranger, ExecutionRequest(checked.workflow.id, ContextType.NONE))
        execution = await house.queue(ONE, assignments={"host": "h"})
        with pytest.raises(NotFoundError):
            await house.service.views.execution(stranger, execution)


async def test_the_workflow_may_go_and_the_execution_stays_whole(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        execution = await house.queue(ONE, assignments={"host": "h"})
        await house.stop()
        with sqlite3.connect(tmp_path / "stepswitch.db") as connection:
            connection.execute("delete from workflows")
        await house.open()
        for _ in range(2):
            (await house.act.next()).end()
        view = await house.until(execution, Status.COMPLETED)
        assert view.compiled.workflow.source["name"] == ONE["name"]
        assert [step.result for step, _ in view.steps] == [Result.SUCCEEDED] * 2


async def test_two_executions_of_one_workflow_share_a_snapshot(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        checked = await house.service.catalogue.create(ANN, ONE)
        request = ExecutionRequest(checked.workflow.id, ContextType.NONE, assignments={"host": "h"})
        one = await house.service.executions.create(ANN, request)
        two = await house.service.executions.create(ANN, request)
        assert one.head.snapshot_id == two.head.snapshot_id
        assert rows(tmp_path, "snapshots") == 1
