"""What the service answers, as values: named as in the API, times with their zone, and `raw` with all that came, unknown fields too.

Made by the parts of the client. Words such as a status are texts, equal to those of `Status`, `StepState` and so on: a service that
is newer than this client may know more of them. What an answer leaves out is None, or empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from stepswitch.client.reading import Reader
from stepswitch.domain.execution import ENDED, Status

JsonObject = Mapping[str, Any]
Item = TypeVar("Item")
_FILLED_IN = frozenset({"id", "createdAt", "creationUser", "creationTenantId", "links"})


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list. `next_marker` leads to the next one, None on the last; `total` counts all that fit, where that was asked."""

    items: Sequence[Item]
    next_marker: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A login: who it is of, and until when it is good."""

    username: str
    tenant_id: str
    roles: tuple[str, ...]
    expires_at: datetime
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "Session":
        """Return the answer to a login as a value."""
        of = Reader(value, "login")
        return cls(of.text("username"), of.text("tenantId"), of.texts("roles"), of.time("expiresAt"), of.raw)


@dataclass(frozen=True, slots=True)
class Health:
    """How the service is: `status` is `ok` when all is well."""

    status: str
    version: str
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "Health":
        """Return the answer about the health of the service as a value."""
        of = Reader(value, "health")
        return cls(of.text("status"), of.text("version"), of.raw)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of a log."""

    msg: str
    time: datetime
    level: str
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "LogEntry":
        """Return a line as a value."""
        of = Reader(value, "log entry")
        return cls(of.text("msg"), of.time("time"), of.text("level"), of.raw)


@dataclass(frozen=True, slots=True)
class StepError:
    """Why a step did not succeed."""

    code: str
    message: str

    @classmethod
    def read(cls, value: object) -> "StepError":
        """Return an error as a value."""
        of = Reader(value, "error")
        return cls(of.text("code"), of.text("message"))


@dataclass(frozen=True, slots=True)
class Probe:
    """The latest look of a step's probe: `result` is what the look itself came to, `verdict` (one of `Verdict`) what it found."""

    attempt: int
    state: str
    start_time: datetime
    claimed_time: datetime | None
    end_time: datetime | None
    inputs: JsonObject
    outputs: JsonObject
    result: str | None
    verdict: str | None
    error: StepError | None

    @classmethod
    def read(cls, value: object) -> "Probe":
        """Return a look as a value."""
        of = Reader(value, "probe")
        return cls(
            attempt=of.number("attempt", 1),
            state=of.text("state"),
            start_time=of.time("startTime"),
            claimed_time=of.maybe_time("claimedTime"),
            end_time=of.maybe_time("endTime"),
            inputs=of.mapping("inputs"),
            outputs=of.mapping("outputs"),
            result=of.maybe_text("result"),
            verdict=of.maybe_text("verdict"),
            error=StepError.read(of.raw["error"]) if of.has("error") else None,
        )


@dataclass(frozen=True, slots=True)
class Child:
    """The execution that a step waits for, or has waited for. `status` is there when it has ended; `waits` says what somebody has to do there."""

    execution_id: str
    workflow_id: str
    workflow_name: str
    status: str | None
    waits: str | None

    @classmethod
    def read(cls, value: object) -> "Child":
        """Return such an execution as a value."""
        of = Reader(value, "child")
        ids = of.text("executionId"), of.text("workflowId"), of.text("workflowName")
        return cls(*ids, of.maybe_text("status"), of.maybe_text("waits"))


@dataclass(frozen=True, slots=True)
class Parent:
    """The step that waits for an execution: its number in the execution that it belongs to."""

    execution_id: str
    step_number: int

    @classmethod
    def read(cls, value: object) -> "Parent":
        """Return such a step as a value."""
        of = Reader(value, "parent")
        return cls(of.text("executionId"), of.number("stepNumber", 0))


@dataclass(frozen=True, slots=True)
class StepExecution:
    """One attempt at one step; `number` is its place in the execution, from 0. `state` is one of `StepState`, `result` of `Result`."""

    number: int
    step_id: str
    type: str
    state: str
    start_time: datetime
    claimed_time: datetime | None
    end_time: datetime | None
    aborted: bool
    attempt: int
    result: str | None
    error: StepError | None
    site: str | None
    inputs: JsonObject
    outputs: JsonObject
    variables: JsonObject
    logs: tuple[LogEntry, ...]
    probe: Probe | None
    cleanup_pending: bool
    child: "Child | None"
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object, number: int) -> "StepExecution":
        """Return a step execution as a value."""
        of = Reader(value, f"step execution {number}")
        step = Reader(of.mapping("stepSnapshot"), f"step of step execution {number}")
        return cls(
            number=number,
            step_id=step.text("id"),
            type=step.maybe_text("type") or "",
            state=of.text("state"),
            start_time=of.time("startTime"),
            claimed_time=of.maybe_time("claimedTime"),
            end_time=of.maybe_time("endTime"),
            aborted=of.flag("aborted"),
            attempt=of.number("attempt", 1),
            result=of.maybe_text("result"),
            error=StepError.read(of.raw["error"]) if of.has("error") else None,
            site=of.maybe_text("site"),
            inputs=of.mapping("inputs"),
            outputs=of.mapping("outputs"),
            variables=of.mapping("variables"),
            logs=tuple(map(LogEntry.read, of.items("logs"))),
            probe=Probe.read(of.raw["probe"]) if of.has("probe") else None,
            cleanup_pending=of.flag("cleanupPending"),
            child=Child.read(of.raw["child"]) if of.has("child") else None,
            raw=of.raw,
        )


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The execution that has a lock; `status` is one of `Status`."""

    execution_id: str
    status: str

    @classmethod
    def read(cls, value: object) -> "LockHolder":
        """Return who has a lock as a value."""
        of = Reader(value, "holder")
        return cls(of.text("executionId"), of.text("status"))


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """One thing that an execution waits for: `kind` is person, device, lock, site, place, time, hold or execution."""

    kind: str
    name: str
    since: datetime
    until: datetime | None
    holder: LockHolder | None = None
    """Of a lock: who has it."""

    @classmethod
    def read(cls, value: object) -> "WaitingFor":
        """Return a reason to wait as a value."""
        of = Reader(value, "waitingFor")
        holder = LockHolder.read(of.raw["holder"]) if of.has("holder") else None
        return cls(of.text("kind"), of.text("name"), of.time("since"), of.maybe_time("until"), holder)


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution. `status` is one of `Status`; `workflow` is the snapshot that it was made from, as JSON.

    `etag` names the state that was read, where the service said one; it goes into `if_match` of what steers.
    """

    id: str
    status: str
    workflow_id: str
    workflow_name: str
    context_type: str
    creation_time: datetime
    creation_user: str
    start_time: datetime | None
    end_time: datetime | None
    retained_til: datetime | None
    parent: Parent | None
    aborted: bool
    pause_at_failure: bool
    accepted_failures: int
    start_step_id: str | None
    queue_position: int | None
    debug_step_ids: tuple[str, ...]
    waiting_for: tuple[WaitingFor, ...]
    context: JsonObject
    assignments: JsonObject
    attachments: JsonObject
    outputs: JsonObject
    step_executions: tuple[StepExecution, ...]
    logs: tuple[LogEntry, ...]
    workflow: JsonObject = field(repr=False)
    raw: JsonObject = field(repr=False)
    etag: str | None = None

    @classmethod
    def read(cls, value: object, etag: str | None = None) -> "Execution":
        """Return an execution as a value."""
        of = Reader(value, "execution")
        workflow = Reader(of.mapping("workflow"), "workflow of the execution")
        return cls(
            id=of.text("id"),
            status=of.maybe_text("status") or "",
            workflow_id=workflow.maybe_text("id") or "",
            workflow_name=workflow.maybe_text("name") or "",
            context_type=of.text("contextType"),
            creation_time=of.time("creationTime"),
            creation_user=of.text("creationUser"),
            start_time=of.maybe_time("startTime"),
            end_time=of.maybe_time("endTime"),
            retained_til=of.maybe_time("retainedTil"),
            parent=Parent.read(of.raw["parent"]) if of.has("parent") else None,
            aborted=of.flag("aborted"),
            pause_at_failure=of.flag("pauseAtFailure"),
            accepted_failures=of.number("acceptedFailures", 0),
            start_step_id=of.maybe_text("startStepId"),
            queue_position=of.number("queuePosition", 0) or None,
            debug_step_ids=of.texts("debugStepIds"),
            waiting_for=tuple(map(WaitingFor.read, of.items("waitingFor"))),
            context=of.mapping("context"),
            assignments=of.mapping("assignments"),
            attachments=of.mapping("attachments"),
            outputs=of.mapping("outputs"),
            step_executions=tuple(StepExecution.read(each, number) for number, each in enumerate(of.items("stepExecutions"))),
            logs=tuple(map(LogEntry.read, of.items("logs"))),
            workflow=workflow.raw,
            raw=of.raw,
            etag=etag,
        )

    @property
    def has_ended(self) -> bool:
        """Whether it is COMPLETED, FAILED or ABORTED. One that has FAILED can be reopened by a retry."""
        return self.status in ENDED

    @property
    def is_paused(self) -> bool:
        """Whether it waits for somebody."""
        return self.status == Status.PAUSED


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow of the catalogue. `etag` goes into `if_match` of a change; a list does not tell it. `warnings` is how many the document drew."""

    id: str
    name: str
    version: str
    created_at: datetime
    creation_user: str
    read_only: bool
    description: str | None
    raw: JsonObject = field(repr=False)
    etag: str | None = None
    warnings: int = 0

    @classmethod
    def read(cls, value: object, etag: str | None = None, warnings: int = 0) -> "Workflow":
        """Return a workflow as a value."""
        of = Reader(value, "workflow")
        return cls(
            id=of.text("id"),
            name=of.text("name"),
            version=of.text("version"),
            created_at=of.time("createdAt"),
            creation_user=of.text("creationUser"),
            read_only=of.flag("readOnly"),
            description=of.maybe_text("description"),
            raw=of.raw,
            etag=etag,
            warnings=warnings,
        )

    @property
    def document(self) -> dict[str, Any]:
        """The document as it can be sent back: without what the service fills in. Passwords are shown as `********`."""
        return {name: value for name, value in self.raw.items() if name not in _FILLED_IN}
