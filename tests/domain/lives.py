"""An execution driven by hand: every event goes through `decide`, and what it says is kept as a store would keep it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from stepswitch.domain.decide import begin, decide, pending_task
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import (
    AbandonCleanup,
    Abort,
    Cancel,
    Change,
    ChildBegun,
    ChildHeard,
    ChildOverdue,
    Claimed,
    CleanedUp,
    Create,
    Decision,
    Event,
    GivenBack,
    HeldByParent,
    Lost,
    Pause,
    Reply,
    Reported,
    Restored,
    Resume,
    Retry,
    SetFile,
    SetValues,
    Task,
    TaskKind,
    Turn,
)
from stepswitch.domain.execution import (
    DEFAULT_LIMITS,
    Child,
    ContextType,
    Head,
    Limits,
    LogEntry,
    Outcome,
    Parent,
    Result,
    Status,
    StepError,
    StepExecution,
)
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.rules import Rules
from stepswitch.domain.states import StepState
from stepswitch.domain.step_types import InputSpec, StepSignature, StepTypes, collect
from stepswitch.domain.values import Value, ValueType
from tests.domain.documents import JsonObject, document, workflow_of

START: Final = 1_000_000
NOOP: Final = StepSignature("NOOP", "Does nothing.", other_inputs=True, always_safe=True, inline=True)
LOOK: Final = StepSignature("LOOK", "Only looks.", other_inputs=True, other_outputs=True, always_safe=True, time_limit_seconds=10)
ACT: Final = StepSignature(
    "ACT",
    "Acts on a target.",
    inputs=(
        InputSpec("host", (ValueType.STRING,), "The host."),
        InputSpec("port", (ValueType.NUMBER,), "The port.", default=22),
        InputSpec("must", (ValueType.STRING,), "Has to be given where the type is NEED.", required=False),
        InputSpec("deed", (ValueType.STRING,), "What to do.", tells_what=True),
        InputSpec("tool", (ValueType.STRING,), "With what to do it.", tells_what=True),
    ),
    other_outputs=True,
    time_limit_seconds=60,
    device_input="host",
    port_input="port",
)
NEED: Final = replace(ACT, name="NEED", inputs=(*ACT.inputs[:2], replace(ACT.inputs[2], required=True), *ACT.inputs[3:]))
REMOTE: Final = replace(ACT, name="REMOTE", outlives=True)
WAIT: Final = StepSignature(
    "WAIT", "Waits for another execution.", other_inputs=True, other_outputs=True, waits=True, time_limit_seconds=600
)
TYPES: Final = collect((NOOP, LOOK, ACT, NEED, REMOTE, WAIT))
FAILURE: Final = StepError(ErrorCode.NON_ZERO_EXIT, "it said no")


def steps(*ids: str, of: str = "ACT", **overrides: JsonObject) -> JsonObject:
    """Return steps of a type that follow one another, each with what `overrides` says of it."""
    following = (*ids[1:], None)
    return {step_id: {"type": of, "nextStepId": after, **overrides.get(step_id, {})} for step_id, after in zip(ids, following, strict=True)}


def nonce_of(step: StepExecution) -> str:
    """Return the nonce of who claims a step, or the look of its probe."""
    return f"n{step.number}" if step.look is None else f"n{step.number}.{step.look.attempt}"


class Life:
    """One execution from its creation on."""

    def __init__(
        self,
        source: JsonObject,
        *,
        limits: Limits = DEFAULT_LIMITS,
        types: StepTypes = TYPES,
        pause_at_failure: bool = False,
        debug: tuple[str, ...] = (),
        values: Mapping[str, Value] | None = None,
        files: Mapping[str, str] | None = None,
        inventory: Inventory = NOTHING_KNOWN,
        parent: Parent | None = None,
    ) -> None:
        self.inventory = inventory
        self.rules = Rules(types, limits)
        self.source = source
        self.workflow = workflow_of(source)
        self.now = START
        self.rows: list[StepExecution] = []
        self.logs: list[LogEntry] = []
        self.events: list[tuple[Event, int]] = []
        self.tasks: tuple[Task, ...] = ()
        self.cancels: tuple[Cancel, ...] = ()
        self._ids = 0
        own: dict[str, Any] = {
            "attachments": {**self.workflow.attachments, **(files or {})},
            "pause_at_failure": pause_at_failure,
            "debug_step_ids": debug,
            "parent": parent,
        }
        order = Create("e", "t", "ann", "w", "s0", ContextType.NONE, START + 10**9, **own)
        given = {name: each.default for name, each in self.workflow.declarations.items() if each.default is not None}
        self._take(begin(order, {**given, **(values or {})}, self.workflow, self.rules, self.now, inventory=inventory))

    # --- what it is ---

    head: Head

    @property
    def step(self) -> StepExecution:
        assert self.head.current is not None
        return self.head.current

    @property
    def status(self) -> Status:
        return self.head.status

    @property
    def story(self) -> list[tuple[str, StepState, Result | None]]:
        """Every step execution so far, the current one last."""
        return [(step.step_id, step.state, step.result) for step in (*self.rows, self.step)]

    @property
    def messages(self) -> list[str]:
        return [entry.message for entry in self.logs]

    def said(self, part: str) -> bool:
        return any(part in message for message in self.messages)

    @property
    def task(self) -> Task:
        """The only task that followed from the last decision; the stored execution waits for the same."""
        (task,) = self.tasks
        assert pending_task(self.head, self.workflow, self.rules, self.now) == task
        return task

    @property
    def at(self) -> tuple[str, StepState]:
        return self.step.step_id, self.step.state

    # --- what happens to it ---

    def apply(self, event: Event) -> Decision:
        decision = decide(self.head, event, self.workflow, self.rules, self.now, inventory=self.inventory)
        self.events.append((event, self.now))
        self._take(decision)
        if isinstance(event, Change) and event.workflow is not None and decision.head.snapshot_id == event.snapshot_id:
            self.workflow = event.workflow
        return decision

    def _take(self, decision: Decision) -> None:
        self.head = decision.head
        self.rows += decision.rows
        self.logs += decision.logs
        self.tasks, self.cancels = decision.tasks, decision.cancels

    def new_id(self) -> str:
        self._ids += 1
        return f"event-{self._ids}"

    def turn(self) -> Decision:
        return self.apply(Turn(self.new_id(), self.step.number, self.step.attempt))

    def claim(self, nonce: str = "", *, of: StepExecution | None = None, instance: str = "w1", epoch: str | None = None) -> Reply:
        step = of or self.step
        nonce = nonce or nonce_of(step)
        epoch = self.head.epoch if epoch is None else epoch
        return self.apply(Claimed(f"claim:{nonce}", step.number, step.attempt, nonce, instance, epoch, step.look_number)).reply

    def report(
        self,
        result: Result = Result.SUCCEEDED,
        outputs: Mapping[str, Any] | None = None,
        *,
        of: StepExecution | None = None,
        nonce: str | None = "",
        truncated: tuple[str, ...] = (),
        epoch: str | None = None,
    ) -> Reply:
        step = of or self.step
        nonce = nonce_of(step) if nonce == "" else nonce
        outcome = Outcome(result, outputs or {}, None if result is Result.SUCCEEDED else FAILURE, truncated)
        epoch = self.head.epoch if epoch is None else epoch
        return self.apply(Reported(self.new_id(), step.number, step.attempt, nonce, outcome, epoch=epoch, look=step.look_number)).reply

    def ends(self, result: Result = Result.SUCCEEDED, outputs: Mapping[str, Any] | None = None, **more: Any) -> "Life":
        """Let a worker carry out the current step, or a turn take it where it needs no worker."""
        if self.task.kind is TaskKind.TURN:
            self.turn()
            return self
        assert self.claim() is Reply.GRANTED
        assert self.report(result, outputs, **more) is Reply.STORED
        return self

    def fails(self) -> "Life":
        return self.ends(Result.FAILED)

    def lose(self, *, of: StepExecution | None = None) -> Reply:
        step = of or self.step
        return self.apply(Lost(self.new_id(), step.number, step.attempt, nonce_of(step), "its worker gave no sign of life")).reply

    def give_back(self, nonce: str = "", *, of: StepExecution | None = None, epoch: str | None = None) -> Decision:
        step = of or self.step
        nonce = nonce or nonce_of(step)
        epoch = self.head.epoch if epoch is None else epoch
        return self.apply(GivenBack(GivenBack.id_of(nonce), step.number, step.attempt, nonce, epoch, step.look_number))

    def is_lost(self) -> "Life":
        """Let the current step be claimed and lost."""
        assert self.claim() is Reply.GRANTED
        assert self.lose() is Reply.DONE
        return self

    def restore(self, epoch: str = "after") -> Decision:
        """Let the store be restored from a backup that was made of what is there now."""
        self.rules = replace(self.rules, epoch=epoch)
        return self.apply(Restored(f"restored:{epoch}", epoch, self.now))

    def resume(self, **more: Any) -> Decision:
        return self.apply(Resume(self.new_id(), **self._who(more)))

    def retry(self, **more: Any) -> Decision:
        return self.apply(Retry(self.new_id(), **self._who(more)))

    def abort(self, **more: Any) -> Decision:
        return self.apply(Abort(self.new_id(), **self._who(more)))

    def pause(self, **more: Any) -> Decision:
        return self.apply(Pause(self.new_id(), **self._who(more)))

    def begin_child(self, child_id: str = "", *, seconds: int = 600, seen: int | None = None) -> Reply:
        """Let the current step wait for an execution."""
        step = self.step
        child = Child(child_id or f"c{step.number}", "w2", "child", self.now + seconds * 1000)
        version = self.head.version if seen is None else seen
        return self.apply(ChildBegun(f"begun:{child.execution_id}", step.number, step.attempt, version, child)).reply

    def hear(self, result: Result | None = Result.SUCCEEDED, *, waits: str = "", of: StepExecution | None = None, **more: Any) -> Reply:
        """Tell how the execution stands that a step waits for: it has ended unless `result` is None."""
        step = of or self.step
        child = step.child or Child("nobody", "", "", 0)
        error = None if result is Result.SUCCEEDED else StepError(more.pop("code", ErrorCode.CHILD_FAILED), "why")
        outcome = None if result is None else Outcome(result, more.pop("outputs", {}), error)
        status = Status.RUNNING if result is None else Status.COMPLETED if result is Result.SUCCEEDED else Status.FAILED
        version = more.pop("version", child.version + 1)
        return self.apply(ChildHeard(self.new_id(), step.number, child.execution_id, version, status, waits, outcome)).reply

    def is_overdue(self) -> Reply:
        child_id = "" if self.step.child is None else self.step.child.execution_id
        return self.apply(ChildOverdue(self.new_id(), self.step.number, child_id)).reply

    def held_by_parent(self, *, holds: bool) -> Reply:
        return self.apply(HeldByParent(self.new_id(), holds)).reply

    def clean_up(self, nonce: str) -> Decision:
        return self.apply(CleanedUp(self.new_id(), nonce))

    def abandon(self, *numbers: int, of: Sequence[str] | None = None, **more: Any) -> Decision:
        """Take for gone what was seen to be left behind: all of it unless said otherwise."""
        places = dict.fromkeys(self.left if of is None else of, "step a, at the core")
        return self.apply(AbandonCleanup(self.new_id(), numbers=numbers, places=places, **self._who(more)))

    @property
    def left(self) -> list[str]:
        """The claims under which something may be left at a target."""
        return [each.nonce for each in self.head.left_behind]

    def set_values(self, values: Mapping[str, Any], **more: Any) -> Decision:
        return self.apply(SetValues(self.new_id(), values=values, **self._who(more)))

    def set_file(self, key: str, file_id: str | None, **more: Any) -> Decision:
        return self.apply(SetFile(self.new_id(), key=key, file_id=file_id, **self._who(more)))

    def change(self, **more: Any) -> Decision:
        return self.apply(Change(self.new_id(), **self._who(more)))

    def edit(self, changes: Mapping[str, JsonObject | None], *, base: str | None = None, **more: Any) -> Decision:
        """Change steps as a PATCH does: replaced or added, or removed with None."""
        edited = {name: step for name, step in {**self.source["steps"], **changes}.items() if step is not None}
        source = {**self.source, "steps": edited}
        name = f"s{abs(hash(str(source)))}"
        decision = self.change(workflow=workflow_of(source), snapshot_id=name, base_snapshot_id=base or self.head.snapshot_id, **more)
        self.source = source
        return decision

    def _who(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"user": "bob", "seen": self.head.version, **more}


def life(*ids: str, of: str = "ACT", **more: Any) -> Life:
    """Return an execution of steps that follow one another; `more` are what `Life` takes, and overrides of steps as `a={...}`."""
    named = {name: more.pop(name) for name in ids if name in more}
    fields = {name: more.pop(name) for name in ("inputs", "variables", "outputs") if name in more}
    return Life(document(startStepId=ids[0], steps=steps(*ids, of=of, **named), **fields), **more)
