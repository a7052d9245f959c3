"""A step that waits for another execution, its child: begun, heard of, ended. Called by `decide`.

Nobody carries such a step out, and nobody holds a claim on it: the child is made in the same save that lets the step wait, so it is there once
or not at all. What becomes of the child is told again until it is taken, so each telling asks first whether it is still meant. A pause goes the other way, and is
taken back with it; an abort is an abort.
"""

from stepswitch.domain import flow, steering
from stepswitch.domain.changed import changed
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import ChildBegun, ChildHeard, ChildOverdue, ChildRefused, Decision, HeldByParent, Reply
from stepswitch.domain.execution import ENDED, Child, LogLevel, Outcome, Parent, Result, Status, StepError
from stepswitch.domain.progress import Progress
from stepswitch.domain.states import StepEvent, StepState, advance


def told_parent(parent: Parent) -> str:
    """Return who waits for an execution, as logs say it."""
    return f"step execution {parent.number} of the execution {parent.execution_id}"


def is_to_begin(p: Progress, *, has_waited: bool = False) -> bool:
    """Whether the current step waits for an execution that may be made now; `has_waited` as in `Task`."""
    if not flow.is_due(p, has_waited=has_waited) or p.step.look is not None:
        return False
    step = p.workflow.steps[p.step.step_id]
    signature = p.signature(step)
    return signature is not None and signature.waits and not p.bound(step).faults


def begin(p: Progress, event: ChildBegun) -> Decision:
    """Let the step wait for the execution that is made with this; it is not made where the execution has moved on since."""
    if not _may_begin(p, event):
        return Decision(p.head, Reply.STALE)
    child = event.child
    p.start()
    p.current = changed(p.step, state=advance(p.step.state, StepEvent.CLAIMED), claimed_time=p.now, child=child)
    p.log(f"waits for the execution {child.execution_id} of the workflow {child.workflow_name}", step=p.step.number)
    return p.decision(event.id)


def refuse(p: Progress, event: ChildRefused) -> Decision:
    """Fail the step whose execution cannot be made."""
    if not _may_begin(p, event):
        return Decision(p.head, Reply.STALE)
    p.start()
    flow.report(p, event.outcome, StepEvent.CLAIMED, StepEvent.REPORTED)
    return p.decision(event.id)


def _may_begin(p: Progress, event: ChildBegun | ChildRefused) -> bool:
    is_as_seen = (p.head.version, p.step.number, p.step.attempt) == (event.seen, event.number, event.attempt)
    return is_as_seen and is_to_begin(p, has_waited=event.has_waited)


def hear(p: Progress, event: ChildHeard) -> Decision:
    """Take note of how the child stands; where it has ended, the step has, too."""
    child = _awaited(p, event.number, event.child_id)
    if child is None or (event.outcome is None and event.version <= child.version):
        return Decision(p.head, Reply.STALE)
    heard = changed(child, status=event.status, version=event.version, waits=event.waits)
    if event.outcome is None:
        if event.waits != child.waits and event.waits:
            p.log(f"the execution {child.execution_id} waits for somebody: {event.waits}", LogLevel.WARN, p.step.number)
        p.current = changed(p.step, child=heard)
        return p.decision(event.id)
    p.current = changed(p.step, child=changed(heard, waits=""))
    p.log(f"the execution {child.execution_id} has ended {event.status}", step=p.step.number)
    flow.report(p, _in_time(child, event.outcome), StepEvent.REPORTED)
    return p.decision(event.id)


def _in_time(child: Child, outcome: Outcome) -> Outcome:
    """Return what a step came to whose child was stopped because its time was over; one that had ended well by then has ended well."""
    if not child.is_overdue or outcome.result is Result.SUCCEEDED or outcome.error is None:
        return outcome
    code = outcome.error.code if outcome.error.code is ErrorCode.CHILD_IN_DOUBT else ErrorCode.TIMEOUT
    return changed(outcome, error=StepError(code, f"its time was over, so it was stopped: {outcome.error.message}"))


def is_overdue(p: Progress, event: ChildOverdue) -> Decision:
    """Have the child stopped; the step ends when it has."""
    child = _awaited(p, event.number, event.child_id)
    if child is None or child.is_overdue or child.deadline > p.clock:
        return Decision(p.head, Reply.STALE)
    p.current = changed(p.step, child=changed(child, is_overdue=True))
    p.log(f"its time is over: the execution {child.execution_id} is stopped", LogLevel.WARN, p.step.number)
    return p.decision(event.id)


def _awaited(p: Progress, number: int, child_id: str) -> Child | None:
    child = p.step.awaits
    return child if child is not None and (p.step.number, child.execution_id) == (number, child_id) else None


def hold(p: Progress, event: HeldByParent) -> Decision:
    """Pause before the next step because the parent is to pause; or go on where that alone was the reason to."""
    parent = p.head.parent
    if parent is None or parent.holds is event.holds or p.status in ENDED:
        return Decision(p.head, Reply.STALE)
    p.change(parent=changed(parent, holds=event.holds))
    p.log(f"{'pause asked for' if event.holds else 'the pause was taken back'} by {told_parent(parent)}")
    if event.holds:
        _pause(p)
    elif p.head.pause_code is ErrorCode.PARENT_PAUSED and p.status is Status.PAUSED:
        p.run_on()
        steering.go_on(p)
    elif p.head.pause_requested:
        p.change(pause_requested=False)
    return p.decision(event.id)


def _pause(p: Progress) -> None:
    if p.status is Status.PAUSED or p.head.pause_requested:
        return
    if p.step.work.state is StepState.EXECUTABLE:
        p.cancel()
        steering.hold(p)
    else:
        p.change(pause_requested=True)
