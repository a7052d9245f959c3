"""Executions that wait for others: both are stored or neither, and those that have to be told of something are found."""

from dataclasses import replace

import pytest

from stepswitch.domain.errors import VersionConflictError
from stepswitch.domain.execution import Child, Head, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.records import Creation
from stepswitch.storage.executions import SqlExecutionStore
from tests.storage.values import NOW, SNAPSHOT, head, next_of, save_of, step


def waiting(execution_id: str, child_id: str, *, until: int = NOW + 1_000, is_overdue: bool = False) -> Head:
    child = Child(child_id, "w2", "child", until, is_overdue=is_overdue)
    return head(execution_id, current=step(state=StepState.EXECUTING, child=child))


async def test_what_a_step_waits_for_is_stored_with_it(executions: SqlExecutionStore) -> None:
    before = head("above")
    await executions.create(save_of(before), SNAPSHOT)
    later = next_of(before, current=waiting("above", "below").current)
    await executions.save(save_of(later), creation=Creation(save_of(head("below")), SNAPSHOT))
    assert (await executions.load("above"), await executions.load("below")) == (later, head("below"))


async def test_where_somebody_saved_first_neither_is_stored(executions: SqlExecutionStore) -> None:
    before = head("above")
    await executions.create(save_of(before), SNAPSHOT)
    await executions.save(save_of(next_of(before)))
    late = next_of(before, current=waiting("above", "below").current)
    with pytest.raises(VersionConflictError):
        await executions.save(save_of(late), creation=Creation(save_of(head("below")), SNAPSHOT))
    assert await executions.load("below") is None


async def test_those_are_found_that_have_to_hear_of_something(executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head("runs")), SNAPSHOT)
    await executions.create(save_of(head("over", status=Status.FAILED, end_time=NOW)), SNAPSHOT)
    for each in (
        waiting("waits", "runs"),
        waiting("of an ended one", "over"),
        waiting("of one that is gone", "nobody"),
        waiting("too long", "runs", until=NOW - 1),
        waiting("stopped already", "runs", until=NOW - 1, is_overdue=True),
    ):
        await executions.create(save_of(each), SNAPSHOT)
    assert set(await executions.unheard(NOW)) == {"of an ended one", "of one that is gone", "too long"}
    first = await executions.awaiting("", 3)
    assert sorted((*first, *await executions.awaiting(first[-1], 3))) == [
        "of an ended one", "of one that is gone", "stopped already", "too long", "waits",
    ]  # fmt: skip


async def test_who_waits_no_longer_is_not_found(executions: SqlExecutionStore) -> None:
    made = waiting("above", "nobody")
    await executions.create(save_of(made), SNAPSHOT)
    assert made.current is not None
    await executions.save(save_of(next_of(made, current=replace(made.current, state=StepState.FINISHED))))
    assert (await executions.unheard(NOW), await executions.awaiting("", 9)) == ([], [])
