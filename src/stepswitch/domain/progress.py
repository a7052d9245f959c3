"""An execution while one decision is being made: the parts of the head that may change, and what follows from it.

Lives only inside `decide` and `begin`; `flow` and `steering` write to it. Made mutable on purpose: ten steps without effect
cost one new head, not ten.
"""

from collections.abc import Mapping
from typing import Final

from stepswitch.domain.bindings import Bound, bind
from stepswitch.domain.changed import changed
from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Cancel, Decision, Reply, Task, TaskKind
from stepswitch.domain.execution import Head, Leftover, LogEntry, LogLevel, Status, StepExecution
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.values import Value, size_of

APPLIED_KEPT: Final = 8


class Progress:
    """What a decision changes, step by step.

    `now` is never earlier than the last time stored. Delays and deadlines go by `clock`, the time as it was told: after the clock was set
    back `now` lies in the future of those who wait, and a delay of seconds would take as long as the clock was wrong.
    """

    __slots__ = (
        "_values", "awaited", "cancels", "clock", "current", "end_time", "head", "inventory", "logs", "now", "rows", "rules", "status", "steps_begun",
        "workflow",
    )  # fmt: skip

    def __init__(self, head: Head, workflow: Workflow, rules: Rules, now: int, inventory: Inventory = NOTHING_KNOWN) -> None:
        self.head = head
        self.inventory = inventory
        self.workflow = workflow
        self.rules = rules
        self.clock = now
        self.now = max(now, head.last_time)
        self.current = head.current
        self.status = head.status
        self.end_time = head.end_time
        self.steps_begun = head.steps_begun
        self.rows: list[StepExecution] = []
        self.logs: list[LogEntry] = []
        self.awaited: TaskKind | None = None
        """Who has to go on with the current step; None is nobody."""
        self.cancels: list[Cancel] = []
        self._values: dict[str, Value] | None = None

    @property
    def step(self) -> StepExecution:
        """The current step execution; an execution always has one."""
        if self.current is None:
            raise AssertionError("an execution without a step execution")
        return self.current

    @property
    def values(self) -> dict[str, Value]:
        """The values of inputs, variables and outputs; do not write to it, use `write_values`."""
        return self._values if self._values is not None else self.head.values  # type: ignore[return-value] # read only

    def write_values(self, values: dict[str, Value | None]) -> None:
        """Set values; None takes one away."""
        if self._values is None:
            self._values = dict(self.head.values)
        for name, value in values.items():
            if value is None:
                self._values.pop(name, None)
            else:
                self._values[name] = value

    def size_with(self, values: Mapping[str, Value | None]) -> int:
        """Return the bytes that all values would take with `values` written over them."""
        return sum(map(size_of, values.values())) + sum(size_of(value) for name, value in self.values.items() if name not in values)

    def signature(self, step: Step) -> StepSignature | None:
        """Return what the type of `step` declares; None where it is not installed (any more)."""
        return self.rules.types.find(step.type)

    @property
    def only_computes(self) -> bool:
        """Whether the current step acts on nothing outside (a script): it has no target, and no session there."""
        signature = self.signature(self.workflow.steps[self.step.step_id])
        return signature is not None and signature.only_computes

    def bound(self, step: Step) -> Bound:
        """Return the inputs of `step` as they are now."""
        return bind(step, self.values, self.signature(step))

    def log(self, message: str, level: LogLevel = LogLevel.INFO, step: int | None = None) -> None:
        """Add an entry to the log of the execution, or of a step execution."""
        self.logs.append(LogEntry(self.now, level, message, step))

    def change(self, **fields: object) -> None:
        """Set fields of the head."""
        self.head = changed(self.head, **fields)  # type: ignore[arg-type] # the names are the head's own

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What that somebody is asked to do."""
        if self.awaited is None:
            return ()
        step = self.step
        work, look = (step, 0) if step.probe is None else (step.work, step.look_number)
        definition = self.workflow.steps[step.step_id]
        signature = self.signature(definition)
        task = Task(
            execution_id=self.head.id,
            number=step.number,
            attempt=step.attempt,
            kind=self.awaited,
            since=work.since,
            not_before=work.not_before,
            device=work.device,
            site=step.site,
            step_type=signature.name if signature is not None else definition.type,
            epoch=self.head.epoch,
            look=look,
            tenant=self.head.tenant,
        )
        return (task,)

    def cancel(self) -> None:
        """Ask for what is being carried out of the current step to be stopped, or forgotten where it is queued."""
        self.cancels.append(Cancel(self.head.id, self.step.number, self.step.attempt, self.step.look_number))

    def leave_behind(self) -> None:
        """Note that what is being carried out may leave something at its target, until somebody confirms that it is gone."""
        claim = self.step.work.claim
        if claim is not None:
            signature = self.signature(self.workflow.steps[self.step.step_id])
            outlives = signature is not None and signature.outlives
            left = Leftover(
                self.step.number, claim.nonce, claim.instance, self.only_computes, self.step.look_number, outlives, epoch=claim.epoch
            )
            self.change(left_behind=(*self.head.left_behind, left))

    def leave_child(self) -> None:
        """Note that the execution that the current step waits for has to be stopped, until somebody confirms that it has ended."""
        child = self.step.awaits
        if child is not None:
            left = Leftover(self.step.number, child.execution_id, "", is_execution=True)
            self.change(left_behind=(*self.head.left_behind, left))

    def start(self, at: int | None = None) -> None:
        """Note that somebody took a step, now or at a moment before: what was queued runs."""
        if self.status is Status.QUEUED:
            self.status = Status.RUNNING
            self.change(start_time=self.now if at is None else at)
            self.log("started")

    def run_on(self) -> None:
        """Note that the execution goes on after a pause, or is reopened after it failed: in the epoch that the store has now."""
        self.status = Status.RUNNING if self.head.start_time is not None else Status.QUEUED
        self.end_time = None
        self.change(pause_code=None, error=None, epoch=self.rules.epoch)

    def end(self, status: Status) -> None:
        """Note that the execution has ended; a pause that was asked for is not left for whoever reopens it."""
        self.status = status
        self.end_time = self.now
        if self.head.pause_requested:
            self.change(pause_requested=False)

    @property
    def pause_wish(self) -> tuple[str, ErrorCode | None]:
        """Why it pauses where that was asked for: by somebody, or by the execution that waits for it."""
        parent = self.head.parent
        if parent is not None and parent.holds:
            return f"the execution {parent.execution_id}, which waits for it, pauses", ErrorCode.PARENT_PAUSED
        return "somebody asked for a pause", None

    def pause(self, message: str, code: ErrorCode | None = None) -> None:
        """Note that the execution waits for somebody, and why."""
        self.status = Status.PAUSED
        if self.head.pause_requested or self.head.pause_code is not code:
            self.change(pause_requested=False, pause_code=code)
        self.log(message)

    def decision(self, event_id: str | None, reply: Reply = Reply.DONE) -> Decision:
        """Return all of it as one value, with the version one higher."""
        head = self.head
        applied = head.applied if event_id is None else (*head.applied[1 - APPLIED_KEPT :], event_id)
        head = changed(
            head,
            current=self.current,
            status=self.status,
            end_time=self.end_time,
            steps_begun=self.steps_begun,
            values=head.values if self._values is None else self._values,
            last_time=self.now,
            applied=applied,
            version=head.version + 1,
        )
        return Decision(head, reply, tuple(self.rows), tuple(self.logs), self.tasks, tuple(self.cancels))
