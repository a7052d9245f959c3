"""Everything that can happen to an execution, and what a decision about it says. Made by `engine`, read by `decide`.

Each event has an id, stored with its save. A steering event names the version of the head that its sender saw (`seen`; None
where the sender saw none), so that nothing is applied to a state that nobody saw. It is the version and not the number of the
step execution, because one step execution can be waited at twice: before it has run, and after.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stepswitch.domain.changed import quickly_made
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.document import Workflow
from stepswitch.domain.execution import Child, ContextType, Head, LogEntry, Outcome, Parent, Status, StepExecution, Values
from stepswitch.domain.values import Value


@quickly_made
@dataclass(frozen=True, slots=True)
class Create:
    """What somebody wants executed; already checked against the workflow. Times in milliseconds."""

    execution_id: str
    tenant: str
    user: str
    workflow_id: str
    snapshot_id: str
    context_type: ContextType
    retained_til: int
    assignments: Values = field(default_factory=dict)
    context: Values = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    pause_at_failure: bool = False
    debug_step_ids: tuple[str, ...] = ()
    is_confidential: bool = False
    parent: Parent | None = None
    editors: Mapping[str, str] = field(default_factory=dict)
    givers: Mapping[str, str] = field(default_factory=dict)
    """These two as in `Head`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The execution's turn has come: take the steps that need nobody (NOOP)."""

    id: str
    number: int
    attempt: int
    has_waited: bool = False
    """As in `Task`."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A worker wants to carry out a step, or a look of its probe; `nonce` makes a repeat of the same claim recognisable."""

    id: str
    number: int
    attempt: int
    nonce: str
    instance: str
    epoch: str = ""
    """Of the task: a worker that was sent before the store was restored gets nothing."""
    look: int = 0
    has_waited: bool = False
    """As in `Task`."""
    since: int | None = None
    """The `since` of the step as it was taken without a claim, where this claim comes late: after a pause it is another one."""
    started: int | None = None
    """When the attempt began, where this claim comes late."""
    device_seconds: float | None = None
    """How long the inventory gives one attempt at the step's device; None leaves it to the type."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker says what an attempt came to. `nonce` is None for a step that is safe by type and has ended before a claim was asked for."""

    id: str
    number: int
    attempt: int
    nonce: str | None
    outcome: Outcome
    started: int | None = None
    """When the attempt began, for a step that began without a claim."""
    since: int | None = None
    """The `since` of the step as it was taken without a claim: after a pause it is another one, and so may the inputs be."""
    epoch: str = ""
    """As in `Claimed`."""
    look: int = 0
    """Which look of the probe is reported; 0 for the attempt itself."""
    is_left_behind: bool = False
    """Whether something may be left at the target, because the step type does not let go of it."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Who holds, or has asked for, a claim stops before anything was sent: somebody else may carry the step, or the look, out."""

    id: str
    number: int
    attempt: int
    nonce: str
    epoch: str = ""
    """As in `Claimed`."""
    look: int = 0

    @staticmethod
    def id_of(nonce: str) -> str:
        """Return the id of the event for a claim, by which it is known that the claim will not be used any more."""
        return f"back:{nonce}"


@dataclass(frozen=True, slots=True)
class Lost:
    """The holder of a claim, on a step or a look of its probe, gave no sign of life, or its deadline has passed."""

    id: str
    number: int
    attempt: int
    nonce: str
    reason: str


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What the holder of a claim may have left behind at its target is gone."""

    id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class LockGiven:
    """The lock that a step waits for is its execution's: it is the first in line, which the save proves once more."""

    id: str
    number: int
    attempt: int
    key: str


@dataclass(frozen=True, slots=True)
class LocksInCircle:
    """The lock that a step waits for will never be free: its holder waits, perhaps by way of others, for what this execution has. `told` says who."""

    id: str
    number: int
    attempt: int
    key: str
    told: str


@dataclass(frozen=True, slots=True)
class ChildBegun:
    """The execution that a step waits for was made, in the same save. `seen` is the version of the head that it was made from."""

    id: str
    number: int
    attempt: int
    seen: int
    child: Child
    has_waited: bool = False
    """As in `Task`."""


@dataclass(frozen=True, slots=True)
class ChildRefused:
    """The execution that a step would wait for cannot be made, and why. `seen` is as in `ChildBegun`."""

    id: str
    number: int
    attempt: int
    seen: int
    outcome: Outcome
    has_waited: bool = False
    """As in `Task`."""


@dataclass(frozen=True, slots=True)
class ChildHeard:
    """How the execution stands that a step waits for, at a version of its head; `outcome` is what the step came to where it has ended, or is gone."""

    id: str
    number: int
    child_id: str
    version: int
    status: Status
    waits: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class ChildOverdue:
    """The time is over of the execution that a step waits for: it is to be stopped."""

    id: str
    number: int
    child_id: str


@dataclass(frozen=True, slots=True)
class HeldByParent:
    """The execution whose step waits for this one is to pause, or is no longer to."""

    id: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """The store was restored from the backup of `backed_up_at`; whatever happened since then is not known here. `epoch` is new."""

    id: str
    epoch: str
    backed_up_at: int


@dataclass(frozen=True, slots=True)
class Steered:
    """Somebody's will: who, why (free text), and the version of the head that was seen.

    Where it `is_exact` it is meant for that version alone; otherwise it depends on what is wanted whether another one matters.
    """

    id: str
    user: str
    seen: int | None
    reason: str = ""
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Resume(Steered):
    """Go on after a pause, or reopen a failed execution at the step that a change named."""


@dataclass(frozen=True, slots=True)
class Retry(Steered):
    """Run the failed step again."""


@dataclass(frozen=True, slots=True)
class Abort(Steered):
    """Stop at once."""


@dataclass(frozen=True, slots=True)
class Pause(Steered):
    """Pause before the next step that has not been claimed."""


@dataclass(frozen=True, slots=True)
class Change(Steered):
    """A PATCH. None leaves a field as it is. `workflow` is the whole edited snapshot, validated, made from `base_snapshot_id`."""

    pause_at_failure: bool | None = None
    debug_step_ids: tuple[str, ...] | None = None
    retained_til: int | None = None
    start_step_id: str | None = None
    workflow: Workflow | None = None
    snapshot_id: str | None = None
    base_snapshot_id: str | None = None
    edited: tuple[str, ...] = ()
    givers: Mapping[str, str] = field(default_factory=dict)
    """As in `SetValues`: whose passwords edited steps have made something of so far."""
    """The ids of the steps that were sent."""


@dataclass(frozen=True, slots=True)
class SetValues(Steered):
    """Correct values of inputs or variables; None takes the value away."""

    values: Mapping[str, Value | None] = field(default_factory=dict)
    givers: Mapping[str, str] = field(default_factory=dict)
    """Who gave the passwords among the values that there are then, and what was made of some, as far as that is another person than before."""


@dataclass(frozen=True, slots=True)
class SetFile(Steered):
    """Give the execution a file of its own under `key`, in place of one that it has; None takes its own away."""

    key: str = ""
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class WritingBack(Steered):
    """The catalogue's workflow, which is `found_snapshot_id` now, is about to be given the steps of this execution, as `snapshot_id`."""

    snapshot_id: str = ""
    found_snapshot_id: str = ""


@dataclass(frozen=True, slots=True)
class WrittenBack(Steered):
    """The catalogue's workflow was given the steps of this execution: it is `snapshot_id` now, and of that revision."""

    snapshot_id: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class BreakLock(Steered):
    """Take the lock called `key` away from its holder."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class AbandonCleanup(Steered):
    """Take for gone what step executions may have left behind: those of `numbers`, or all. Only what was seen, in `places`: where each is, by its claim."""

    numbers: tuple[int, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)


Steering = Resume | Retry | Abort | Pause | Change | SetValues | SetFile | WritingBack | WrittenBack | BreakLock | AbandonCleanup
OfChild = ChildBegun | ChildRefused | ChildHeard | ChildOverdue
OfLock = LockGiven | LocksInCircle
Event = Turn | Claimed | Reported | GivenBack | Lost | CleanedUp | OfLock | Restored | OfChild | HeldByParent | Steering


class Reply(StrEnum):
    """What the sender of an event is told."""

    DONE = "done"
    GRANTED = "granted"
    BUSY = "busy"
    STALE = "stale"
    STORED = "stored"
    BEGIN = "begin"
    """To who takes a turn: the step waits for an execution that is still to be made."""


class TaskKind(StrEnum):
    """TURN needs no worker; STEP does."""

    TURN = "turn"
    STEP = "step"


def lane_of_tenant(tenant: str) -> str:
    """Return what those stand in line for whose tenant may have a few steps carried out at once."""
    return f"tenant {tenant}"


@quickly_made
@dataclass(frozen=True, slots=True)
class Task:
    """Somebody has to go on with an execution. `since` is the order, `not_before` the earliest moment, both in milliseconds.

    `look` is 0 for the step itself, else which look of its probe.
    """

    execution_id: str
    number: int
    attempt: int
    kind: TaskKind
    since: int
    not_before: int | None = None
    device: DeviceLane | None = None
    site: str = "default"
    step_type: str = ""
    epoch: str = ""
    look: int = 0
    tenant: str = ""
    has_waited: bool = False
    """Whether all of its delay has passed, whatever the time of day says: that may have been set meanwhile."""

    @property
    def lane(self) -> str:
        """What the task stands in line for: a turn, its device, or a place for a step of its type."""
        if self.kind is TaskKind.TURN:
            return "turn"
        return f"type {self.step_type}" if self.device is None else self.device.lane


@dataclass(frozen=True, slots=True)
class Cancel:
    """A step, or a look of its probe, that is being carried out is to be stopped and its session closed."""

    execution_id: str
    number: int
    attempt: int
    look: int = 0


@quickly_made
@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an event: the new head (the old one itself where nothing changed), rows to append, and what to do after the save."""

    head: Head
    reply: Reply = Reply.DONE
    rows: tuple[StepExecution, ...] = ()
    logs: tuple[LogEntry, ...] = ()
    tasks: tuple[Task, ...] = ()
    cancels: tuple[Cancel, ...] = ()
