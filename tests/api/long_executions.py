"""An execution with as many step executions as a test wants, written straight into the store, and a store that can be held while it is read."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from stepswitch.bootstrap.service import Service
from stepswitch.domain.execution import LogEntry, LogLevel, Result, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.records import WHOLE_LOG, LogPage, Save
from stepswitch.storage.executions import SqlExecutionStore
from tests.api.real import PLAIN, Real

IN_ONE_SAVE = 50
"""As many steps as one decision takes at most."""
NOOP = {"name": "Loop", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": "NOOP", "nextStepId": "a"}}}


async def long_execution(real: Real, count: int, *, output: str = "", line: str = "") -> str:
    """Return a paused execution with `count` finished step executions, each with an output and a line of log where these are given."""
    workflow = await real.create(NOOP)
    order = {"workflowId": workflow["id"], "contextType": "NONE", "debugStepIds": ["a"]}
    queued = await real.client.put(f"{PLAIN}/workflowExecution", json=order)
    execution_id = str(queued.json()["id"])
    store = SqlExecutionStore(real.service._database)
    head = await store.load(execution_id)
    assert head is not None
    current = head.current
    assert current is not None
    outputs = {"outputText": output} if output else {}
    ended = replace(current, state=StepState.FINISHED, result=Result.SUCCEEDED, end_time=head.creation_time, outputs=outputs)
    for first in range(0, count, IN_ONE_SAVE):
        numbers = range(first, min(first + IN_ONE_SAVE, count))
        rows = tuple(replace(ended, number=number) for number in numbers)
        own = [LogEntry(head.creation_time, LogLevel.INFO, f"step a ({number}) → a") for number in numbers]
        of_steps = [LogEntry(head.creation_time, LogLevel.INFO, line, number) for number in numbers] if line else []
        current = replace(current, number=numbers[-1] + 1)
        head = replace(head, version=head.version + 1, steps_begun=numbers[-1] + 2, current=current)
        await store.save(Save(head, rows, (*own, *of_steps)))
    return execution_id


@dataclass
class Gate:
    """Counts what is read of an execution, and holds the reading of steps once it has come to the step `holds_at`."""

    holds_at: int = 10**9
    steps: int = 0
    log_pages: int = 0
    failure: Exception | None = None
    """What the reading that was held ends with."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


def gate(service: Service, monkeypatch: pytest.MonkeyPatch, holds_at: int = 10**9) -> Gate:
    """Return a gate through which the views of `service` read."""
    found = Gate(holds_at)
    store = service.views._store
    read_steps, read_logs = store.steps, store.logs

    async def steps(execution_id: str, first: int = 0, *more: Any) -> Sequence[StepExecution]:
        if first >= found.holds_at:
            found.reached.set()
            await found.opened.wait()
            if found.failure is not None:
                raise found.failure
        page = await read_steps(execution_id, first, *more)
        found.steps += len(page)
        return page

    async def logs(execution_id: str, page: LogPage = WHOLE_LOG) -> tuple[Sequence[LogEntry], LogPage | None]:
        found.log_pages += 1
        return await read_logs(execution_id, page)

    monkeypatch.setattr(store, "steps", steps)
    monkeypatch.setattr(store, "logs", logs)
    return found
