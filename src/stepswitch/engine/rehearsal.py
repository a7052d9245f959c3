"""One rehearsal, played: every event goes through `decide`, as in the service, with scripted results in the place of targets.

Nothing is stored, nothing is sent, and no time passes: the clock is set to whatever is waited for. Only steps that compute (scripts)
are handed out to be carried out for real, where no result is given for them. Called by `rehearsals`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from stepswitch.domain.assignments import fitting_values, initial_values
from stepswitch.domain.decide import begin, decide, is_to_begin, pending_task, time_limit_seconds
from stepswitch.domain.document import Step
from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.events import (
    Abort,
    Change,
    ChildBegun,
    ChildHeard,
    Claimed,
    Create,
    Decision,
    Event,
    LockGiven,
    Lost,
    Reported,
    Resume,
    Retry,
    SetValues,
    Steering,
    Task,
    TaskKind,
    Turn,
)
from stepswitch.domain.execution import Child, Head, LogEntry, LogLevel, Outcome, Result, Status, StepExecution, Values
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import StepSignature
from stepswitch.engine.confidential import Mask, secrets_of
from stepswitch.engine.outcomes import bounded, timed_out
from stepswitch.engine.ports import Secrets
from stepswitch.engine.reasons import told_result, why_completed, why_next
from stepswitch.engine.rehearsal_orders import MAX_STEP_EXECUTIONS, Act, ActKind, Rehearsal, ScriptedResult
from stepswitch.engine.snapshots import Compiled
from stepswitch.engine.telling import Teller

START: Final = 1_767_225_600_000
"""When every rehearsal begins: on the first of January 2026."""
MAX_SECRETS: Final = 1024 * 1024
"""Characters that the secrets of a rehearsal may have together: each is looked for in whatever is told."""
MAX_LOG_LINES: Final = 500
_OPERATOR: Final = "an operator"
_ASSUMED: Final = ScriptedResult()
_TOLD_LEVELS: Final = frozenset({LogLevel.WARN, LogLevel.ERROR})


class Stop(StrEnum):
    """Why a rehearsal was broken off before the execution had ended, or waited for somebody who does not come."""

    STEP_EXECUTIONS = "stepExecutions"
    TIME = "time"
    SECRETS = "secrets"
    RESULTS = "results"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Computation:
    """A step that is to be carried out for real, and what it takes."""

    step: Step
    inputs: Values
    time_limit_seconds: float


@dataclass(frozen=True, slots=True)
class Missing:
    """A step execution (its number counts from 0), or a look of its probe, for which there was no result; `given` are those that there were."""

    number: int
    step_id: str
    given: int
    is_look: bool = False


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What is being carried out: the claim, if it needed one, and when it was begun."""

    task: Task
    nonce: str | None
    started: int


class _Script:
    """The results of one step, taken one after the other."""

    def __init__(self, results: tuple[ScriptedResult, ...]) -> None:
        self.used = [0] * len(results)
        self._results = results
        self._place = 0

    def take(self) -> ScriptedResult | None:
        """Return what the next attempt comes to; None where nothing is left."""
        while self._place < len(self._results) and self.used[self._place] >= self._results[self._place].times:
            self._place += 1
        if self._place == len(self._results):
            return None
        self.used[self._place] += 1
        return self._results[self._place]


class Play:
    """One execution that nobody else knows. `told` hears of each step execution once, when it is behind, and why the way came to it."""

    def __init__(
        self, rehearsal: Rehearsal, compiled: Compiled, rules: Rules, secrets: Secrets, told: "Callable[[StepExecution, str, Play], None]"
    ) -> None:
        bound = min(rules.limits.step_executions, rehearsal.expected.max_step_executions or MAX_STEP_EXECUTIONS, MAX_STEP_EXECUTIONS)
        # One step a turn makes no difference to the way, and keeps every decision short.
        self._rules = replace(rules, limits=replace(rules.limits, step_executions=bound, inline_steps=1))
        self._rehearsal = rehearsal
        self._compiled = compiled
        self._secrets = secrets
        self._told = told
        self._scripts = {
            (step_id, is_look): _Script(results)
            for is_look, given in ((False, rehearsal.results), (True, rehearsal.probes))
            for step_id, results in given.items()
        }
        self._acts_done = 0
        self._attempt: _Attempt | None = None
        self._events = 0
        self._now = START
        self._known: dict[str, None] = {}
        self._known_size = 0
        self._because = ""
        self.computation: Computation | None = None
        self.stop: Stop | None = None
        self.missing: list[Missing] = []
        self.remarks: list[tuple[int, str]] = []
        """What is to be said of acts: the place of each, and the sentence."""
        self.log: list[LogEntry] = []
        begun = self._begin()
        self.head: Head = begun.head
        self.mask = Mask(secrets, begun.head, [compiled])
        self.teller = Teller(self.mask, compiled.secret_names)
        self._take(begun)

    @property
    def seconds(self) -> float:
        """How long the execution would have taken, as far as results and waits say."""
        return (self._now - START) / 1000

    @property
    def acts_done(self) -> int:
        """How many acts of operators were asked for."""
        return self._acts_done

    def used(self, step_id: str, *, is_look: bool = False) -> list[int]:
        """Return how often each result of a step, or of its probe, was taken."""
        return self._scripts[step_id, is_look].used

    def advance(self) -> bool:
        """Do the next thing; return whether there is more to do: first of all what `computation` asks for, where it does."""
        task = self._pending() if self.stop is None else None
        if task is None:
            self._told(self._step, self._because, self)
            return False
        self._now = max(self._now, task.not_before or 0)
        if is_to_begin(self.head, self._compiled.workflow, self._rules, self._now):
            self._wait_for_child(task)
        elif task.kind is TaskKind.TURN:
            self._apply(Turn(self._event_id(), task.number, task.attempt))
        else:
            self.computation = self._carry_out(task)
        return True

    def give_up(self) -> None:
        """Go no further: it takes too long."""
        self.stop = Stop.TIME

    def report(self, outcome: Outcome) -> None:
        """Hand in what the step of `computation` came to."""
        self.computation = None
        self._report(bounded(outcome, self._rules.limits.output_bytes, self.mask))

    def say(self, message: str, level: LogLevel) -> None:
        """Take down what a step said while it was carried out."""
        self._note(LogEntry(self._now, level, message, self._step.number))

    def why_ended(self) -> str:
        """Return why the execution stands where it does, as the end of a sentence that begins with `because`."""
        last = self._step
        match self.head.status:
            case Status.COMPLETED:
                return why_completed(last, self._compiled.workflow, self.head.values, self.teller)
            case Status.ABORTED:
                return "an operator aborted it"
            case Status.FAILED:
                return f"`{last.step_id}` {told_result(last, self.teller)}"
            case _ if last.result is not None:
                return f"`{last.step_id}` {told_result(last, self.teller)}, and nobody goes on"
        return f"it waits before `{last.step_id}`, and nobody goes on"

    def _begin(self) -> Decision:
        rehearsal, workflow = self._rehearsal, self._compiled.workflow
        order = Create(
            execution_id="rehearsal",
            tenant=self._compiled.snapshot.tenant,
            user=_OPERATOR,
            workflow_id="",
            snapshot_id=self._compiled.snapshot.id,
            context_type=rehearsal.context_type,
            retained_til=START,
            assignments=rehearsal.assignments,
            context=rehearsal.context,
            attachments={**workflow.attachments, **dict.fromkeys(rehearsal.attachments, "")},
            pause_at_failure=rehearsal.pause_at_failure,
            debug_step_ids=rehearsal.debug_step_ids,
        )
        values = initial_values(workflow, rehearsal.assignments, rehearsal.context)
        return begin(order, values, workflow, self._rules, self._now)

    # --- steps ---

    def _pending(self) -> Task | None:
        """Return what has to be done next; operators act until there is something, or they have nothing left to do."""
        while (task := pending_task(self.head, self._compiled.workflow, self._rules, self._now)) is None:
            if not (self._is_given_lock() or self._act()):
                break
        return task

    def _is_given_lock(self) -> bool:
        """Give the execution the lock that it waits for, which nobody else can have here; return whether there was one."""
        awaited = self.head.awaited_lock
        if awaited is not None:
            self._apply(LockGiven(self._event_id(), self._step.number, self._step.attempt, awaited.key))
        return awaited is not None

    def _carry_out(self, task: Task) -> Computation | None:
        step = self._compiled.workflow.steps[self._step.step_id]
        signature = self._rules.types.find(step.type)
        if signature is None:
            raise AssertionError("a type that is not installed needs no worker")
        is_look = task.look > 0
        limit = time_limit_seconds(self._compiled.workflow, self._rules.types, step.id, is_look=is_look)
        if signature.only_computes and (step.id, False) not in self._scripts:
            self._claim(task, signature)
            return Computation(step, self._step.inputs, limit)
        scripted = self._next_result(step, is_look=is_look)
        if scripted is not None:
            self._claim(task, signature)
            is_safe = signature.is_safe(self._step.inputs, said=step.policy.safe_to_rerun) or is_look
            self._play_result(scripted, limit, is_safe=is_safe)
        return None

    def _wait_for_child(self, task: Task) -> None:
        """Let the execution that the step waits for end as the rehearsal says; it is not played itself."""
        step = self._compiled.workflow.steps[self._step.step_id]
        scripted = self._next_result(step, is_look=False)
        if scripted is None:
            return
        limit = time_limit_seconds(self._compiled.workflow, self._rules.types, step.id)
        child = Child("another one", "", step.id, self._now + round(limit * 1000))
        self._apply(ChildBegun(self._event_id(), task.number, task.attempt, self.head.version, child, has_waited=True))
        self._now += round(min(scripted.seconds, limit) * 1000)
        outcome = Outcome(scripted.result, scripted.outputs, scripted.error)
        if scripted.seconds > limit:
            outcome = timed_out(limit, may_have_acted=False)
        status = Status.COMPLETED if outcome.result is Result.SUCCEEDED else Status.FAILED
        outcome = bounded(outcome, self._rules.limits.output_bytes, self.mask)
        self._apply(ChildHeard(self._event_id(), task.number, child.execution_id, 1, status, outcome=outcome))

    def _next_result(self, step: Step, *, is_look: bool) -> ScriptedResult | None:
        """Return what the attempt comes to. Where none is given, a success is assumed, once for each step, to see what else is missing."""
        script = self._scripts.get((step.id, is_look))
        scripted = None if script is None else script.take()
        if scripted is not None:
            return scripted
        if any((each.step_id, each.is_look) == (step.id, is_look) for each in self.missing):
            self.stop = Stop.RESULTS
            return None
        self.missing.append(Missing(self._step.number, step.id, 0 if script is None else sum(script.used), is_look))
        return _ASSUMED

    def _claim(self, task: Task, signature: StepSignature) -> None:
        nonce = None if signature.always_safe else f"{task.number}.{task.look}"
        if nonce is not None:
            self._apply(Claimed(self._event_id(), task.number, task.attempt, nonce, "rehearsal", look=task.look))
        self._attempt = _Attempt(task, nonce, self._now)

    def _play_result(self, scripted: ScriptedResult, limit: float, *, is_safe: bool) -> None:
        self._now += round(min(scripted.seconds, limit) * 1000)
        if scripted.lost and self._attempt is not None and self._attempt.nonce is not None:
            task = self._attempt.task
            self._apply(Lost(self._event_id(), task.number, task.attempt, self._attempt.nonce, "its worker gave no sign of life"))
        elif scripted.seconds > limit:
            self._report(timed_out(limit, may_have_acted=not is_safe))
        else:
            self._report(Outcome(scripted.result, scripted.outputs, scripted.error))

    def _report(self, outcome: Outcome) -> None:
        attempt = self._attempt
        if attempt is None:
            raise AssertionError("nothing is being carried out")
        task, self._attempt = attempt.task, None
        event_id, since = self._event_id(), self._step.work.since
        self._apply(Reported(event_id, task.number, task.attempt, attempt.nonce, outcome, attempt.started, since, task.epoch, task.look))

    # --- operators ---

    def _act(self) -> bool:
        """Let an operator do the next thing; return whether that was possible, and had to be done."""
        if self.head.pause_code is ErrorCode.LOOP_LIMIT:
            self.stop = Stop.STEP_EXECUTIONS
            return False
        place = self._acts_done
        if self.head.status not in (Status.PAUSED, Status.FAILED) or place == len(self._rehearsal.acts):
            return False
        self._acts_done += 1
        act, step_id = self._rehearsal.acts[place], self._step.step_id
        if act.at is not None and act.at != step_id:
            self.remarks.append((place, f"expected to be asked at `{act.at}`, it is {self.head.status} at `{step_id}`"))
        try:
            for event in self._events_of(act):
                self._apply(event)
        except StateConflictError as conflict:
            self.remarks.append((place, f"{act.kind} was refused at `{step_id}`: {self.teller.line(str(conflict))}"))
            self.stop = Stop.REFUSED
            return False
        if act.start_step_id is not None or act.kind is ActKind.RETRY:
            self._because = f"{_OPERATOR} {'asked for another attempt' if act.kind is ActKind.RETRY else 'went on there'}"
        return True

    def _events_of(self, act: Act) -> Iterator[Steering]:
        if act.values:
            values = fitting_values(self._compiled.workflow, act.values)
            yield SetValues(self._event_id(), _OPERATOR, None, values=values)
        if act.start_step_id is not None:
            yield Change(self._event_id(), _OPERATOR, None, start_step_id=act.start_step_id)
        kinds: dict[ActKind, type[Resume | Retry | Abort]] = {ActKind.RESUME: Resume, ActKind.RETRY: Retry, ActKind.ABORT: Abort}
        yield kinds[act.kind](self._event_id(), _OPERATOR, None)

    # --- what follows ---

    @property
    def _step(self) -> StepExecution:
        if self.head.current is None:
            raise AssertionError("an execution has a step execution")
        return self.head.current

    def _event_id(self) -> str:
        self._events += 1
        return f"event-{self._events}"

    def _apply(self, event: Event) -> None:
        decision = decide(self.head, event, self._compiled.workflow, self._rules, self._now)
        if decision.head is self.head and not isinstance(event, Steering):
            raise AssertionError(f"{type(event).__name__} was {decision.reply}")
        self._take(decision)

    def _take(self, decision: Decision) -> None:
        self.head = decision.head
        self._now = max(self._now, decision.head.last_time)
        self._learn((*decision.rows, self._step))
        for entry in decision.logs:
            if entry.level in _TOLD_LEVELS and entry.step is not None:
                self._note(entry)
        for row in decision.rows:
            self._told(row, self._because, self)
            self._because = why_next(row, self._compiled.workflow, decision.head.values, self.teller)

    def _note(self, entry: LogEntry) -> None:
        if len(self.log) < MAX_LOG_LINES:
            self.log.append(replace(entry, message=self.teller.lines(entry.message)))

    def _learn(self, steps: tuple[StepExecution, ...]) -> None:
        """Keep every secret that was ever there: one that is replaced may stand in a text all the same."""
        compiled = self._compiled
        before = len(self._known)
        for secret in secrets_of(self.head, [compiled], [(step, compiled) for step in steps]):
            if secret not in self._known:
                self._known[secret] = None
                self._known_size += len(secret)
        if self._known_size > MAX_SECRETS:
            self.stop = Stop.SECRETS
        if len(self._known) > before:
            self.mask = Mask(self._secrets, self.head, [compiled], more=self._known)
            self.teller = Teller(self.mask, compiled.secret_names)
