"""An execution as a value: the small head that `decide` loads, and the rows that it writes once and never reads again.

Times are milliseconds since 1970-01-01T00:00:00Z. Source: `rest-api` section 4, `workflow-semantics` section 5, `design` section 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from stepswitch.domain.changed import quickly_made
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.locks import Lock
from stepswitch.domain.states import TERMINAL, StepState
from stepswitch.domain.values import Plain, Value

HEAD_FORMAT: Final = 1
"""Format number that every stored head and step execution carries."""
Values = Mapping[str, Value]
PlainValues = Mapping[str, Plain]
"""Values of which none is a reference: what a step type is given."""


class Status(StrEnum):
    """Where an execution stands, in one word."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.ABORTED})
COUNTED_PLACES: Final = 10_000
"""So many who wait in line are counted; whoever stands further behind is said to be behind them."""


class Result(StrEnum):
    """What an attempt came to. UNKNOWN: the target may or may not have acted. SKIPPED: it never ran."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"


class Verdict(StrEnum):
    """What a probe found. UNKNOWN: it could not tell, so the doubt remains."""

    DONE = "DONE"
    NOT_DONE = "NOT_DONE"
    UNKNOWN = "UNKNOWN"


class LogLevel(StrEnum):
    """How much a log entry matters."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class ContextType(StrEnum):
    """What an execution is about."""

    VNF = "VNF"
    CNF = "CNF"
    NS = "NS"
    NONE = "NONE"


@quickly_made
@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of log; `step` is the number of the step execution, None for the execution itself.

    `line` counts what a step type said within its attempt, so that lines whose storing was in doubt are recognised.
    """

    time: int
    level: LogLevel
    message: str
    step: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class StepError:
    """Why a step did not succeed: a code of the one enumeration and a sentence without secrets."""

    code: ErrorCode
    message: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt did, as a value. `truncated` names the outputs that were cut to the limit.

    `files` (key → id) are files that it made: they become the execution's with the report, in one save.
    """

    result: Result
    outputs: PlainValues = field(default_factory=dict)
    error: StepError | None = None
    truncated: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@quickly_made
@dataclass(frozen=True, slots=True)
class Claim:
    """Who carries out a step, or was the last to do so: `instance` is the worker, `nonce` this very claim. `deadline` is the latest end."""

    nonce: str
    instance: str
    deadline: int
    epoch: str = ""
    """The epoch in which it was given: a part of the name under which the attempt makes things at its target. An execution may have another one by now."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The step execution that waits for this execution. `depth` is 1 where nobody waits for the one that it belongs to.

    `holds`: a pause of that execution was handed down, and not taken back yet. `people` are those who say what is done by that step, and by
    those above it, beside who created them: who stored the workflow, and who last changed the step.
    """

    execution_id: str
    number: int
    depth: int
    holds: bool = False
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """The execution that a step waits for, as it was last heard of: at the `version` of its head. `deadline` is when it is stopped.

    `waits` says what a person has to do there, or in an execution that it waits for itself; empty where it goes on by itself.
    """

    execution_id: str
    workflow_id: str
    workflow_name: str
    deadline: int
    status: Status = Status.QUEUED
    version: int = 0
    waits: str = ""
    is_overdue: bool = False


@dataclass(frozen=True, slots=True)
class Leftover:
    """What an attempt at a step, or a look of its probe, may have left at its target: `nonce` names its claim, `instance` who held that."""

    number: int
    nonce: str
    instance: str
    only_computes: bool = False
    """Whether it is of a type that opens no session anywhere (a script): then it may go on computing, and no more."""
    look: int = 0
    """Which look of the probe it was; 0 where it was the attempt itself."""
    outlives: bool = False
    """Whether what its type starts elsewhere does not end with the process that held the claim: somebody has to remove it there."""
    is_execution: bool = False
    """Whether it is an execution that the step waited for, which has still to be stopped: `nonce` is its id."""
    epoch: str = ""
    """That of its claim: by its name it is looked for."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at the target, to find out whether an attempt has acted of which nobody knows. The latest one is kept.

    It goes through the states of a step execution. `attempt` counts the looks from 1, `losses` those of them that were lost: a look
    changes nothing, so it may be repeated. `verdict` is there when it has ended by itself.
    """

    attempt: int
    state: StepState
    start_time: int
    since: int
    losses: int = 0
    not_before: int | None = None
    claimed_time: int | None = None
    end_time: int | None = None
    claim: Claim | None = None
    device: DeviceLane | None = None
    inputs: Values = field(default_factory=dict)
    outputs: Values = field(default_factory=dict)
    result: Result | None = None
    error: StepError | None = None
    verdict: Verdict | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a later release wrote; kept and written back."""


@quickly_made
@dataclass(frozen=True, slots=True)
class StepExecution:
    """One attempt at one step. Its number is its place in the array of the API.

    `attempt` starts at 1 at each visit and counts on; `attempts_before` is its value when somebody last asked for a retry, so
    that `maxAttempts` starts anew. `since` is when it last became executable: the order in which steps are taken. `reruns` counts
    how often a probe let the step run again in this visit.
    """

    number: int
    step_id: str
    state: StepState
    start_time: int
    since: int
    snapshot_id: str
    attempt: int = 1
    attempts_before: int = 0
    losses: int = 0
    claimed_time: int | None = None
    end_time: int | None = None
    not_before: int | None = None
    aborted: bool = False
    result: Result | None = None
    error: StepError | None = None
    inputs: Values = field(default_factory=dict)
    outputs: Values = field(default_factory=dict)
    variables: Values = field(default_factory=dict)
    claim: Claim | None = None
    device: DeviceLane | None = None
    site: str = "default"
    reruns: int = 0
    probe: Probe | None = None
    child: Child | None = None
    """The execution that it waits for, or has waited for."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a later release wrote; kept and written back."""

    @property
    def awaits(self) -> Child | None:
        """The execution that it waits for."""
        return self.child if self.state is StepState.EXECUTING else None

    @property
    def look(self) -> Probe | None:
        """The probe that has still to be carried out, or is being carried out."""
        return self.probe if self.probe is not None and self.probe.state not in TERMINAL else None

    @property
    def work(self) -> "StepExecution | Probe":
        """What is to be taken, or is being carried out: its probe where that is not over, else the attempt itself."""
        return self if self.probe is None else self.look or self

    @property
    def look_number(self) -> int:
        """Which look of the probe that is; 0 where it is the attempt itself."""
        look = self.look
        return 0 if look is None else look.attempt


@quickly_made
@dataclass(frozen=True, slots=True)
class Head:
    """All that a decision needs to know of an execution. Its cost does not depend on the length of the history."""

    id: str
    tenant: str
    snapshot_id: str
    workflow_id: str
    workflow_name: str
    creation_user: str
    creation_time: int
    context_type: ContextType
    retained_til: int
    context: Values = field(default_factory=dict)
    assignments: Values = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    pause_at_failure: bool = False
    debug_step_ids: tuple[str, ...] = ()
    status: Status = Status.QUEUED
    current: StepExecution | None = None
    steps_begun: int = 0
    steps_allowed: int = 10_000
    accepted_failures: int = 0
    editors: Mapping[str, str] = field(default_factory=dict)
    """Who has last changed a step of this execution, else who first what it is given, by its id: a credential that the step takes has to be his
    to use, too."""
    givers: Mapping[str, str] = field(default_factory=dict)
    """Who gave the passwords among the values, by their names, where not all are those that the execution was created with; and whose passwords
    steps have made others of, which were replaced since."""
    resume_at: str | None = None
    pause_requested: bool = False
    pause_code: ErrorCode | None = None
    error: StepError | None = None
    start_time: int | None = None
    end_time: int | None = None
    last_time: int = 0
    catalogue_snapshot_id: str = ""
    """The catalogue's workflow as it was copied from, or last given these steps: from another one, nobody's work may be lost."""
    writing_back: str = ""
    """The snapshot that the catalogue's workflow was about to be given; whether it was, nobody knows when a stop came in between."""
    left_behind: tuple[Leftover, ...] = ()
    """Of any of its steps, until somebody has confirmed that it is gone. Here and not at the step, whose row is written once."""
    epoch: str = ""
    """The restore of a backup that its store last went through; empty where it went through none."""
    is_confidential: bool = False
    """Its workflow knows passwords, or once did: whatever is stored of it is encrypted."""
    holds_unsafe: bool = False
    """It was restored and nobody has looked at it since: it pauses before the first step that is not safe to run again."""
    locks: tuple[Lock, ...] = ()
    """What nobody else of the tenant has as long as this execution has it."""
    awaited_lock: Lock | None = None
    """What the current step waits for before it can be taken."""
    parent: Parent | None = None
    """Who waits for it; None where it stands for itself."""
    applied: tuple[str, ...] = ()
    """Ids of the latest events, so that one whose commit was in doubt is recognised."""
    version: int = 0
    format: int = HEAD_FORMAT
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a later release wrote; kept and written back."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of every execution, settable; defaults as documented. Sizes in bytes, times in seconds."""

    step_executions: int = 10_000
    values_bytes: int = 64 * 1024 * 1024
    output_bytes: int = 1024 * 1024
    step_log_bytes: int = 1024 * 1024
    retention_seconds: int = 30 * 24 * 3600
    inline_steps: int = 50
    sub_workflow_depth: int = 8


DEFAULT_LIMITS: Final = Limits()
