"""The one pure function: given an execution's head, an event and the time, what follows? Called by `engine.conductor`.

    load the head  →  decide  →  save over the version that was read  →  dispatch the tasks that follow

`decide` first asks whether the event is still meant, only then advances the state. A report of a claim that is no longer the
stored one, a second copy of a task, a resume of a pause that is over: each gets an answer, none is applied to another state.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from stepswitch.domain import children, doubts, flow, leftovers, locking, restoring, steering
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import (
    AbandonCleanup,
    Abort,
    BreakLock,
    Change,
    ChildBegun,
    ChildHeard,
    ChildOverdue,
    ChildRefused,
    Claimed,
    CleanedUp,
    Create,
    Decision,
    Event,
    GivenBack,
    HeldByParent,
    LockGiven,
    LocksInCircle,
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
    WritingBack,
    WrittenBack,
)
from stepswitch.domain.execution import ENDED, Claim, Head, LogLevel, Probe, Result, StepExecution
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.locks import Lock
from stepswitch.domain.progress import Progress
from stepswitch.domain.rules import Rules
from stepswitch.domain.states import StepEvent, StepState, advance
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.values import Value

DEADLINE_GRACE_SECONDS = 30.0
"""How long after its time limit an attempt may still report, before it counts as lost."""


def begin(
    order: Create, values: dict[str, Value], workflow: Workflow, rules: Rules, now: int, *, inventory: Inventory = NOTHING_KNOWN
) -> Decision:
    """Return a new execution, queued, whose step execution 0 is there; `values` are those it starts with, `inventory` what its tenant knows."""
    return _begun(order, values, workflow, rules, now, inventory=inventory).decision(None)


def begin_and_take_turn(
    order: Create, values: dict[str, Value], workflow: Workflow, rules: Rules, now: int, *, inventory: Inventory = NOTHING_KNOWN
) -> tuple[Decision, Decision]:
    """Return a new execution as `begin` does, and with its first turn taken, where nobody else's comes before it: either one may be stored."""
    p = _begun(order, values, workflow, rules, now, inventory=inventory)
    queued = p.decision(None)
    if p.awaited is not TaskKind.TURN:
        return queued, queued
    flow.run_inline(p)
    return queued, p.decision(None)


def _begun(order: Create, values: dict[str, Value], workflow: Workflow, rules: Rules, now: int, *, inventory: Inventory) -> Progress:
    if workflow.start_step_id is None:
        raise AssertionError("a draft is refused before it comes here")
    head = Head(
        id=order.execution_id,
        tenant=order.tenant,
        snapshot_id=order.snapshot_id,
        catalogue_snapshot_id=order.snapshot_id,
        workflow_id=order.workflow_id,
        workflow_name=workflow.name,
        creation_user=order.user,
        creation_time=now,
        context_type=order.context_type,
        retained_til=order.retained_til,
        context=order.context,
        assignments=order.assignments,
        attachments=order.attachments,
        values=values,
        pause_at_failure=order.pause_at_failure,
        debug_step_ids=order.debug_step_ids,
        steps_allowed=rules.limits.step_executions,
        epoch=rules.epoch,
        is_confidential=order.is_confidential,
        parent=order.parent,
        editors=order.editors,
        givers=order.givers,
    )
    p = Progress(head, workflow, rules, now, inventory)
    p.log(f"queued by {order.user}" + ("" if order.parent is None else f", for {children.told_parent(order.parent)}"))
    flow.arrive(p, workflow.start_step_id)
    return p


def decide(head: Head, event: Event, workflow: Workflow, rules: Rules, now: int, *, inventory: Inventory = NOTHING_KNOWN) -> Decision:
    """Return what follows from `event`, with what `inventory` says of devices at which a step stands in line next; raises StateConflictError where somebody asks for what does not fit the state."""
    if event.id in head.applied and not isinstance(event, Claimed):
        return Decision(head, Reply.STORED)
    return _HANDLERS[type(event)](Progress(head, workflow, rules, now, inventory), event)


def is_for_worker(head: Head, task: Task, workflow: Workflow, rules: Rules, now: int) -> bool:
    """Return whether a worker may carry out `task` now; asked for a step that is safe by its type and needs no claim."""
    step = head.current
    if step is None or (step.number, step.attempt, step.look_number, head.epoch) != (task.number, task.attempt, task.look, task.epoch):
        return False
    return flow.is_for_worker(Progress(head, workflow, rules, now), has_waited=task.has_waited)


def is_to_begin(head: Head, workflow: Workflow, rules: Rules, now: int) -> bool:
    """Return whether an execution stands at a step that waits for another one, which is still to be made; its delay counts as over."""
    return children.is_to_begin(Progress(head, workflow, rules, now), has_waited=True)


def pending_task(head: Head, workflow: Workflow, rules: Rules, now: int) -> Task | None:
    """Return the task that a stored execution waits for; None where it waits for a person or a lock, is being worked on, or has ended."""
    if head.status in ENDED or head.current is None or head.current.work.state is not StepState.EXECUTABLE:
        return None
    p = Progress(head, workflow, rules, now)
    flow.dispatch(p)
    return p.tasks[0] if p.tasks else None


def _is_current(p: Progress, event: Turn | Claimed | Reported | GivenBack | Lost | LockGiven | LocksInCircle) -> bool:
    if isinstance(event, Claimed | Reported | GivenBack) and event.epoch != p.head.epoch:
        return False
    return p.step.number == event.number and p.step.attempt == event.attempt


def _turn(p: Progress, event: Turn) -> Decision:
    if not _is_current(p, event) or not flow.is_due(p, has_waited=event.has_waited):
        return Decision(p.head, Reply.STALE)
    if p.step.look is not None:
        return _turn_of_look(p, event)
    if children.is_to_begin(p, has_waited=event.has_waited):
        return Decision(p.head, Reply.BEGIN)
    flow.run_inline(p, has_waited=event.has_waited)
    if p.step is p.head.current:  # since it was queued its type was installed: it needs a worker now
        flow.make_executable(p)
    return p.decision(event.id)


def _turn_of_look(p: Progress, event: Turn) -> Decision:
    """Give up a look whose step type is gone; any other needs a worker, and its turn is not meant."""
    if flow.is_for_worker(p, has_waited=event.has_waited):
        return Decision(p.head, Reply.STALE)
    doubts.cannot_look(p)
    return p.decision(event.id)


def _claimed(p: Progress, event: Claimed) -> Decision:
    if not _is_current(p, event) or p.step.look_number != event.look:
        return Decision(p.head, Reply.STALE)
    work = p.step.work
    if event.since not in (None, work.since) or GivenBack.id_of(event.nonce) in p.head.applied:
        return Decision(p.head, Reply.STALE)
    if work.state is StepState.EXECUTING and work.claim is not None:
        return Decision(p.head, Reply.GRANTED if work.claim.nonce == event.nonce else Reply.BUSY)
    if not flow.is_for_worker(p, has_waited=event.has_waited):
        return Decision(p.head, Reply.STALE)
    started = _began(p, event.started)
    p.start(started)
    limit = time_limit_seconds(p.workflow, p.rules.types, p.step.step_id, is_look=event.look > 0, device_seconds=event.device_seconds)
    claim = Claim(event.nonce, event.instance, deadline=p.clock + round((limit + DEADLINE_GRACE_SECONDS) * 1000), epoch=event.epoch)
    taken = replace(work, state=advance(work.state, StepEvent.CLAIMED), claimed_time=started, claim=claim)
    _put(p, taken)
    return p.decision(event.id, Reply.GRANTED)


def _put(p: Progress, work: StepExecution | Probe) -> None:
    p.current = replace(p.step, probe=work) if isinstance(work, Probe) else work


def _given_back(p: Progress, event: GivenBack) -> Decision:
    """Let somebody else take what was claimed and not sent. Where the claim is not stored yet it is noted, for it may still be on its way."""
    if not _is_current(p, event) or p.step.look_number != event.look:
        return Decision(p.head, Reply.STALE)
    work = p.step.work
    if work.state is StepState.EXECUTABLE:
        return p.decision(event.id)
    if work.state is not StepState.EXECUTING or work.claim is None or work.claim.nonce != event.nonce:
        return Decision(p.head, Reply.STALE)
    _put(p, replace(work, state=advance(work.state, StepEvent.GIVEN_BACK), claimed_time=None, not_before=None))
    p.log("given back: nothing was sent, and whoever had taken it stops", step=p.step.number)
    if p.head.pause_requested:
        steering.hold(p)
    else:
        flow.ask_again(p)  # what it acted under may have been broken meanwhile
        flow.dispatch(p)
    return p.decision(event.id)


def time_limit_seconds(
    workflow: Workflow, types: StepTypes, step_id: str, *, is_look: bool = False, device_seconds: float | None = None
) -> float:
    """Return how long one attempt at a step, or one look of its probe, may take: its policy's word, else that of the device's entry, else its type's."""
    step = workflow.steps[step_id]
    if is_look and step.policy.probe is not None:
        return step.policy.probe.timeout_seconds
    if step.policy.timeout_seconds is not None:
        return step.policy.timeout_seconds
    if device_seconds is not None:
        return device_seconds
    signature = types.find(step.type)
    return signature.time_limit_seconds if signature is not None else 0.0


def _reported(p: Progress, event: Reported) -> Decision:
    if not _is_current(p, event):
        return _log_late(p, event)
    if event.look:
        return _reported_look(p, event)
    if event.nonce is None or p.step.state is StepState.EXECUTABLE:  # it has no claim, or was quicker than that
        return _reported_unclaimed(p, event)
    claim = p.step.claim
    if claim is None or claim.nonce != event.nonce:
        return _log_late(p, event)
    if p.step.state is StepState.EXECUTING:
        if event.is_left_behind:
            p.leave_behind()
        flow.report(p, event.outcome, StepEvent.REPORTED)
        return p.decision(event.id, Reply.STORED)
    return _reported_late(p, event)


def _reported_look(p: Progress, event: Reported) -> Decision:
    look = p.step.probe
    if look is None or look.attempt != event.look or look.claim is None or look.claim.nonce != event.nonce:
        return _log_late(p, event)
    if look.state is not StepState.EXECUTING:
        return Decision(p.head, Reply.STORED) if look.result is not None else _log_late(p, event)
    if event.is_left_behind:
        p.leave_behind()
    doubts.looked(p, event.outcome)
    return p.decision(event.id, Reply.STORED)


def _reported_unclaimed(p: Progress, event: Reported) -> Decision:
    if not _may_report_unclaimed(p, event):
        return _log_late(p, event)
    started = _began(p, event.started)
    p.start(started)
    flow.report(p, event.outcome, StepEvent.CLAIMED, StepEvent.REPORTED, started=started)
    return p.decision(event.id, Reply.STORED)


def _may_report_unclaimed(p: Progress, event: Reported) -> bool:
    """Whether the step is safe by its type and stands as it was taken."""
    if not flow.is_due(p, has_waited=True) or p.step.look is not None:  # who took it has waited for its time
        return False
    signature = p.signature(p.workflow.steps[p.step.step_id])
    is_as_taken = event.since == p.step.since or (event.since is None and event.nonce is None)
    return signature is not None and signature.always_safe and not signature.inline and is_as_taken


def _began(p: Progress, started: int | None) -> int:
    """Return when an attempt began: now, unless it began before it was heard of."""
    return p.now if started is None else min(max(started, p.step.work.since), p.now)


def _reported_late(p: Progress, event: Reported) -> Decision:
    """Let the truth replace the doubt where the execution still stands at the step that was declared lost.

    Nothing goes on by itself that waits for a person or has ended; a probe that was about to find out is overtaken.
    """
    step = p.step
    if step.result is not Result.UNKNOWN or step.error is None or step.error.code is not ErrorCode.LOST:
        is_told = step.aborted or flow.is_restored(step)
        return _log_late(p, event) if is_told else Decision(p.head, Reply.STORED)
    p.log(f"step {step.step_id} ({step.number}) reported {event.outcome.result} after it was given up", LogLevel.WARN)
    if step.state is StepState.EXECUTED:
        doubts.overtaken(p, event.outcome)
    else:
        flow.replace_doubt(p, event.outcome)
    return p.decision(event.id, Reply.STORED)


def _log_late(p: Progress, event: Reported) -> Decision:
    if event.nonce is None:
        return Decision(p.head, Reply.STALE)
    who = f"look {event.look} of the probe of step execution" if event.look else "step execution"
    p.log(f"{who} {event.number} reported {event.outcome.result} too late: nothing follows from it", LogLevel.WARN)
    return p.decision(event.id, Reply.STALE)


def _lost(p: Progress, event: Lost) -> Decision:
    work = p.step.work
    if not _is_current(p, event) or work.state is not StepState.EXECUTING or work.claim is None or work.claim.nonce != event.nonce:
        return Decision(p.head, Reply.STALE)
    (flow.lose if p.step.look is None else doubts.lost)(p, event.reason)
    return p.decision(event.id)


def _lock_given(p: Progress, event: LockGiven) -> Decision:
    lock = _awaited(p, event)
    if lock is None:
        return Decision(p.head, Reply.STALE)
    locking.has(p, lock)
    flow.dispatch(p)
    return p.decision(event.id)


def _locks_in_circle(p: Progress, event: LocksInCircle) -> Decision:
    if _awaited(p, event) is None:
        return Decision(p.head, Reply.STALE)
    flow.fail_in_circle(p, event.told)
    return p.decision(event.id)


def _awaited(p: Progress, event: LockGiven | LocksInCircle) -> Lock | None:
    """Return the lock that the current step waits for, where that is the one that is meant."""
    lock = p.head.awaited_lock
    return lock if _is_current(p, event) and lock is not None and lock.key == event.key else None


_HANDLERS: Final[Mapping[type[Event], Callable[[Progress, Any], Decision]]] = {
    Turn: _turn,
    Claimed: _claimed,
    Reported: _reported,
    GivenBack: _given_back,
    Lost: _lost,
    CleanedUp: leftovers.cleaned_up,
    LockGiven: _lock_given,
    LocksInCircle: _locks_in_circle,
    Restored: restoring.restore,
    ChildBegun: children.begin,
    ChildRefused: children.refuse,
    ChildHeard: children.hear,
    ChildOverdue: children.is_overdue,
    HeldByParent: children.hold,
    **dict.fromkeys(
        (Resume, Retry, Abort, Pause, Change, SetValues, SetFile, WritingBack, WrittenBack, BreakLock, AbandonCleanup), steering.steer
    ),
}
