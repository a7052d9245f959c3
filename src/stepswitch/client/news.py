"""What a stream tells, as values: where an execution stands, what a step came to, a line of log. Made by `events` and `following`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepswitch.client.answers import StepError, WaitingFor
from stepswitch.client.reading import Reader
from stepswitch.domain.execution import ENDED, Status

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExecutionNews:
    """Where an execution stands. `is_deleted`: it is no longer there, and nothing else is said of it."""

    execution_id: str
    status: str
    workflow_id: str
    workflow_name: str
    queue_position: int | None
    waiting_for: tuple[WaitingFor, ...]
    end_time: datetime | None
    is_deleted: bool
    raw: JsonObject = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "ExecutionNews":
        """Return the data of an event as a value."""
        of = Reader(value, "execution in a stream")
        workflow = Reader(of.mapping("workflow"), "workflow in a stream")
        return cls(
            execution_id=of.text("executionId"),
            status=of.maybe_text("status") or "",
            workflow_id=workflow.maybe_text("id") or "",
            workflow_name=workflow.maybe_text("name") or "",
            queue_position=of.number("queuePosition", 0) or None,
            waiting_for=tuple(map(WaitingFor.read, of.items("waitingFor"))),
            end_time=of.maybe_time("endTime"),
            is_deleted=of.flag("deleted"),
            raw=of.raw,
        )

    @property
    def has_ended(self) -> bool:
        """Whether it is COMPLETED, FAILED or ABORTED, or was removed."""
        return self.is_deleted or self.status in ENDED

    @property
    def is_paused(self) -> bool:
        """Whether it waits for somebody."""
        return self.status == Status.PAUSED


@dataclass(frozen=True, slots=True)
class StepNews:
    """How one attempt at one step stands. What it was given and what it gave is in the execution itself."""

    execution_id: str
    number: int
    step_id: str
    state: str
    attempt: int
    aborted: bool
    start_time: datetime
    claimed_time: datetime | None
    end_time: datetime | None
    result: str | None
    error: StepError | None
    raw: JsonObject = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "StepNews":
        """Return the data of an event as a value."""
        of = Reader(value, "step in a stream")
        return cls(
            execution_id=of.text("executionId"),
            number=of.number("number", 0),
            step_id=of.text("stepId"),
            state=of.text("state"),
            attempt=of.number("attempt", 1),
            aborted=of.flag("aborted"),
            start_time=of.time("startTime"),
            claimed_time=of.maybe_time("claimedTime"),
            end_time=of.maybe_time("endTime"),
            result=of.maybe_text("result"),
            error=StepError.read(of.raw["error"]) if of.has("error") else None,
            raw=of.raw,
        )


@dataclass(frozen=True, slots=True)
class LogNews:
    """A line of log; `number` is that of the step execution, None where the execution itself says it."""

    execution_id: str
    number: int | None
    msg: str
    time: datetime
    level: str
    raw: JsonObject = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "LogNews":
        """Return the data of an event as a value."""
        of = Reader(value, "log entry in a stream")
        number = of.number("number", -1)
        return cls(of.text("executionId"), None if number < 0 else number, of.text("msg"), of.time("time"), of.text("level"), of.raw)


@dataclass(frozen=True, slots=True)
class Reset:
    """Something that happened cannot be told any more: whoever follows reads again how things stand. None: of any execution."""

    execution_id: str | None


News = ExecutionNews | StepNews | LogNews
