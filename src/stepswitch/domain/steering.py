"""What people do to an execution: resume, retry, abort, pause, change, set values and files, abandon a cleanup. Called by `decide`.

Everything here is refused with StateConflictError where it does not fit the state, or where the run has moved on since its
sender looked; nothing is applied to a state that nobody saw. Every act is in the execution's log: who, what it was before and
after, why. Source: `workflow-semantics`, section 5, "Steering".
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from stepswitch.domain import doubts, files, flow, leftovers, locking, probing
from stepswitch.domain.document import Workflow
from stepswitch.domain.edits import told_edits, told_value
from stepswitch.domain.errors import ErrorCode, PreconditionFailedError, StateConflictError
from stepswitch.domain.events import (
    AbandonCleanup,
    Abort,
    BreakLock,
    Change,
    Decision,
    Pause,
    Reply,
    Resume,
    Retry,
    SetFile,
    SetValues,
    Steered,
    Steering,
    WritingBack,
    WrittenBack,
)
from stepswitch.domain.execution import ENDED, LogLevel, Result, Status
from stepswitch.domain.influence import steps_given, steps_with_file, takes_password
from stepswitch.domain.names import shown
from stepswitch.domain.progress import Progress
from stepswitch.domain.references import Reference
from stepswitch.domain.secrecy import MASK, holds_passwords, secret_names
from stepswitch.domain.states import StepEvent, StepState, advance
from stepswitch.domain.values import Value


def steer(p: Progress, event: Steering) -> Decision:
    """Return what follows from somebody's will; raises PreconditionFailedError where it was meant for another state alone."""
    if event.is_exact and event.seen != p.head.version:
        raise PreconditionFailedError(_moved_on(p))
    return _ACTS[type(event)](p, event)


def _refuse_moved_on(p: Progress, event: Steered) -> None:
    if event.seen is not None and event.seen != p.head.version:
        raise StateConflictError(_moved_on(p), ErrorCode.MOVED_ON)


def _moved_on(p: Progress) -> str:
    return f"the run has moved on meanwhile: it is {p.status} at step {p.step.step_id} ({p.step.number}); look again"


def _log(p: Progress, event: Steered, what: str, before: str = "") -> None:
    p.log(f"{what} by {event.user}{before}" + (f": {event.reason}" if event.reason else ""))


def _log_act(p: Progress, event: Steered, what: str) -> None:
    """Log what somebody wants to happen, with how the execution stands before it; what follows from it says the rest."""
    _log(p, event, what, f" while {p.status} at step {p.step.step_id} ({p.step.number}, {p.step.state})")


def _is_repairable(p: Progress) -> bool:
    return p.status in (Status.PAUSED, Status.FAILED)


def _refuse_unrepairable(p: Progress, what: str) -> None:
    if not _is_repairable(p):
        raise StateConflictError(f"{what} can be changed while the execution is PAUSED or has ended FAILED; it is {p.status}")


def _resume(p: Progress, event: Resume) -> Decision:
    _refuse_moved_on(p, event)
    if p.step.awaits is not None and p.head.pause_requested:
        _log_act(p, event, "resumed")
        p.change(pause_requested=False)
        return p.decision(event.id)
    target = p.head.resume_at
    if not _is_repairable(p) or (p.status is Status.FAILED and target is None):
        hint = "; retry, or PATCH startStepId first" if p.status is Status.FAILED else ""
        raise StateConflictError(f"only a paused execution can be resumed; this one is {p.status}{hint}")
    _log_act(p, event, "resumed")
    if (
        p.step.state is StepState.WAITING_BEFORE and p.steps_begun > p.head.steps_allowed
    ):  # at the LOOP_LIMIT, whatever else it may wait for
        waiting = 0 if target is not None else 1  # the one that waits here is the first of those that are allowed now
        p.change(steps_allowed=p.steps_begun - waiting + p.rules.limits.step_executions)
    p.run_on()
    if not go_on(p):
        _accept(p)
    return p.decision(event.id)


def go_on(p: Progress) -> bool:
    """Go on where somebody has said, else with what was paused before it began; return whether there was such a thing."""
    if p.head.resume_at is not None:
        _jump(p, p.head.resume_at)
    elif p.step.state is StepState.WAITING_BEFORE:
        flow.make_executable(p, StepEvent.RESUMED)
    elif p.step.look is not None and p.workflow.steps[p.step.step_id].policy.probe is not None:
        doubts.resume(p)
    else:
        return False
    return True


def _jump(p: Progress, target: str) -> None:
    p.change(resume_at=None, holds_unsafe=False)
    if p.step.state is StepState.WAITING_BEFORE:
        p.current = replace(p.step, result=Result.SKIPPED)
    p.log(f"goes on at step {target}")
    flow.leave(p, target, *(() if p.step.state is StepState.FINISHED else (StepEvent.ENDED,)))


def _accept(p: Progress) -> None:
    step = p.workflow.steps[p.step.step_id]
    p.current = probing.ended(p.step, p.now)
    if p.step.result is not Result.SUCCEEDED:
        p.change(accepted_failures=p.head.accepted_failures + 1)
        p.log(f"the failure of step {step.id} ({p.step.number}) is accepted", LogLevel.WARN)
    flow.pass_on(p, step, StepEvent.PASSED, StepEvent.ENDED)


def _retry(p: Progress, event: Retry) -> Decision:
    _refuse_moved_on(p, event)
    failed_here = p.step.state is StepState.WAITING_AFTER or p.status is Status.FAILED
    if not failed_here:
        raise StateConflictError(f"only a failed step can be run again; this execution is {p.status} and its step {p.step.state}")
    step = p.workflow.steps.get(p.step.step_id)
    if step is None:
        raise StateConflictError(f"step {p.step.step_id} is no longer in the workflow; PATCH startStepId and resume")
    _log_act(p, event, "retry asked for")
    p.run_on()
    if p.head.resume_at is not None:
        _log(p, event, f"startStepId changed from {p.head.resume_at} to none")
    p.change(resume_at=None, holds_unsafe=False)
    flow.retry(p, step, anew=True)
    return p.decision(event.id)


def _abort(p: Progress, event: Abort) -> Decision:
    if p.status is Status.ABORTED:
        return Decision(p.head, Reply.DONE)
    if p.status in ENDED:
        raise StateConflictError(f"the execution has ended {p.status}; there is nothing to abort")
    _log_act(p, event, "aborted")
    step = p.step
    running = step.work.state is StepState.EXECUTING
    result = step.result or (Result.SKIPPED if not running else Result.UNKNOWN if step.awaits is None else Result.FAILED)
    if step.work.state in (StepState.EXECUTING, StepState.EXECUTABLE):
        p.cancel()
    if running:
        p.leave_behind()
        p.leave_child()
    p.current = replace(
        probing.ended(step, p.now),
        state=advance(step.state, StepEvent.ENDED),
        aborted=True,
        result=result,
        end_time=step.end_time or p.now,
    )
    flow.end(p, Status.ABORTED)
    return p.decision(event.id)


def _pause(p: Progress, event: Pause) -> Decision:
    if p.status in ENDED:
        raise StateConflictError(f"the execution has ended {p.status}")
    if p.status is Status.PAUSED or p.head.pause_requested:
        return Decision(p.head, Reply.DONE)
    _log_act(p, event, "pause asked for")
    if p.step.work.state is StepState.EXECUTABLE:
        p.cancel()
        hold(p)
    else:
        p.change(pause_requested=True)
    return p.decision(event.id)


def hold(p: Progress) -> None:
    """Pause, as somebody has asked for, before what nobody holds a claim on."""
    if p.step.look is None:
        flow.hold(p, *p.pause_wish)
    else:
        probing.hold(p)


def _change(p: Progress, event: Change) -> Decision:
    head = p.head
    fields: dict[str, tuple[str, object]] = {
        "pause_at_failure": ("pauseAtFailure", event.pause_at_failure),
        "debug_step_ids": ("debugStepIds", event.debug_step_ids),
        "retained_til": ("retainedTil", event.retained_til),
        "snapshot_id": ("steps", event.snapshot_id),
        "resume_at": ("startStepId", event.start_step_id),
    }
    changed = {name: value for name, (_, value) in fields.items() if value is not None and value != getattr(head, name)}
    _refuse_ended(p, event)
    if not changed:
        return Decision(head, Reply.DONE)
    if "snapshot_id" in changed or "resume_at" in changed:
        _refuse_moved_on(p, event)
    _refuse_unfit_change(p, event)
    if event.workflow is not None and event.debug_step_ids is None and "snapshot_id" in changed:
        changed |= _breakpoints_left(p, event.workflow)
    for name, value in changed.items():
        if name == "snapshot_id":
            _log_edits(p, event)
        else:
            _log(p, event, f"{fields[name][0]} changed from {_shown(name, getattr(head, name))} to {_shown(name, value)}")
    if event.workflow is not None and "snapshot_id" in changed:
        changed["is_confidential"] = head.is_confidential or holds_passwords(event.workflow)
        changed["editors"] = _editors(p, event, event.workflow)
        changed["givers"] = {**p.head.givers, **event.givers}
    p.change(**changed)
    return p.decision(event.id)


def _editors(p: Progress, event: Change, workflow: Workflow) -> dict[str, str]:
    """Return who has last changed which step; those that are as they were keep their editor."""
    steps = p.workflow.steps
    edited = {step_id for step_id in event.edited if step_id not in steps or steps[step_id] != workflow.steps.get(step_id)}
    return {
        step_id: user
        for step_id, user in {**p.head.editors, **dict.fromkeys(sorted(edited), event.user)}.items()
        if step_id in workflow.steps
    }


def _log_edits(p: Progress, event: Change) -> None:
    for difference in told_edits(p.workflow, event.workflow) if event.workflow is not None else ():
        _log(p, event, f"steps changed: {difference}")


def _breakpoints_left(p: Progress, workflow: Workflow) -> dict[str, object]:
    """Return the breakpoints that an edit leaves, where it takes some of their steps away."""
    left = tuple(step_id for step_id in p.head.debug_step_ids if step_id in workflow.steps)
    return {} if left == p.head.debug_step_ids else {"debug_step_ids": left}


def _shown(name: str, value: object) -> str:
    if name == "retained_til" and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return ", ".join(value) or "none" if isinstance(value, tuple) else told_value(value)


def _refuse_ended(p: Progress, event: Change) -> None:
    live = event.pause_at_failure is not None or event.debug_step_ids is not None
    if live and p.status in (Status.COMPLETED, Status.ABORTED):
        raise StateConflictError(f"the execution has ended {p.status}; only retainedTil can still be changed")
    if event.workflow is not None or event.start_step_id is not None:
        _refuse_unrepairable(p, "steps and startStepId")


def _refuse_unfit_change(p: Progress, event: Change) -> None:
    if event.workflow is not None and p.head.snapshot_id not in {event.base_snapshot_id, event.snapshot_id}:
        raise StateConflictError("somebody else has changed the steps meanwhile; look again", ErrorCode.MOVED_ON)
    steps = (event.workflow or p.workflow).steps
    unknown = [step_id for step_id in event.debug_step_ids or () if step_id not in steps]
    if unknown:
        raise StateConflictError(f"debugStepIds names no step: {', '.join(unknown)}", ErrorCode.UNKNOWN_STEP)
    target = event.start_step_id or p.head.resume_at
    if target is not None and target not in steps:
        raise StateConflictError(f"startStepId names no step: {target}", ErrorCode.UNKNOWN_STEP)
    if target is None and p.step.step_id not in steps:
        raise StateConflictError(f"the execution waits at step {p.step.step_id}: give startStepId in the same call to remove it")


def _set_values(p: Progress, event: SetValues) -> Decision:
    _refuse_unrepairable(p, "values")
    before = {name: p.values.get(name) for name in event.values}
    changed = {name: value for name, value in event.values.items() if value != before[name] or type(value) is not type(before[name])}
    if not changed:
        return Decision(p.head, Reply.DONE)
    _refuse_moved_on(p, event)
    _refuse_too_large(p, changed)
    secrets = secret_names(p.workflow)
    for name in changed:
        secret = name in secrets
        _log(
            p, event, f"value {name} changed from {_show_value(before, name, secret=secret)} to {_show_value(changed, name, secret=secret)}"
        )
    p.write_values(dict(changed))
    if event.givers:
        p.change(givers={**p.head.givers, **event.givers})
    _note_editor(p, event, steps_given(p.workflow, changed))
    return p.decision(event.id)


def _note_editor(p: Progress, event: Steered, steps: Collection[str]) -> None:
    """Note who says what steps are given, where nobody has changed them: it is as if he had changed them."""
    noted = {step_id: event.user for step_id in steps if step_id not in p.head.editors and _may_take_credential(p, step_id)}
    if noted:
        p.change(editors={**p.head.editors, **noted})


def _may_take_credential(p: Progress, step_id: str) -> bool:
    """Return whether a step is given a password, or acts where the inventory may have one for it."""
    signature = p.rules.types.find(p.workflow.steps[step_id].type)
    acts = signature is not None and not (signature.inline or signature.only_computes)
    return acts or takes_password(p.workflow, step_id)


def _refuse_too_large(p: Progress, changed: Mapping[str, Value | None]) -> None:
    size = p.size_with(changed)
    if size > p.rules.limits.values_bytes:
        message = f"the values of this execution would take {size} bytes; the limit is {p.rules.limits.values_bytes}"
        raise StateConflictError(message, ErrorCode.TOO_LARGE)


def _show_value(values: Mapping[str, object], name: str, *, secret: bool) -> str:
    value = values[name]
    return MASK if value is not None and secret and not isinstance(value, Reference) else told_value(value)


def _set_file(p: Progress, event: SetFile) -> Decision:
    """Add a file as long as it can be of use; what is there already is changed only while nothing can be reading it."""
    if p.status in (Status.COMPLETED, Status.ABORTED):
        raise StateConflictError(f"the execution has ended {p.status}; its files stay as they are")
    before = p.head.attachments
    after = files.with_file(before, p.workflow, event.key, event.file_id)
    if event.key in before or event.file_id is None:
        _refuse_unrepairable(p, "files that are there already")
        _refuse_moved_on(p, event)
    _refuse_unfit_files(p, event, after)
    ids = (files_of.get(event.key) or "none" for files_of in (before, after))
    _log(p, event, f"file {shown(event.key)} changed from {' to '.join(ids)}")
    p.change(attachments=after)
    _note_editor(p, event, steps_with_file(p.workflow, p.values, before, event.key))
    return p.decision(event.id)


def _refuse_unfit_files(p: Progress, event: SetFile, after: files.Files) -> None:
    if after == p.head.attachments:
        own = "belongs to the workflow as it was copied: it can be replaced, and not taken away"
        raise StateConflictError(f"the file {shown(event.key)} {own}")
    if len(after) > max(files.MOST, len(p.head.attachments)):
        raise StateConflictError(f"an execution has at most {files.MOST} files", ErrorCode.TOO_LARGE)
    users = files.left_without(p.head.attachments, after, p.workflow, p.values)
    if users:
        message = f"the file {shown(event.key)} is still referred to by {', '.join(users)}; correct that first"
        raise StateConflictError(message, ErrorCode.FILE_IN_USE)


def _break_lock(p: Progress, event: BreakLock) -> Decision:
    lock = next((each for each in p.head.locks if each.key == event.key), None)
    if lock is None:
        raise StateConflictError("the execution does not have this lock, or has it no more; look again")
    locking.break_(p, lock, event.user, event.reason)
    if flow.ask_again(p):
        p.cancel()  # it is not to be taken by whoever was asked to
    return p.decision(event.id)


def _writing_back(p: Progress, event: WritingBack) -> Decision:
    p.change(catalogue_snapshot_id=event.found_snapshot_id, writing_back=event.snapshot_id)
    return p.decision(event.id)


def _written_back(p: Progress, event: WrittenBack) -> Decision:
    if p.head.catalogue_snapshot_id == event.snapshot_id:
        return Decision(p.head, Reply.DONE)
    _log(p, event, f"the workflow in the catalogue was given the steps of this execution, as revision {event.revision},")
    p.change(catalogue_snapshot_id=event.snapshot_id, writing_back="")
    return p.decision(event.id)


_ACTS: Final[Mapping[type[Steering], Callable[[Progress, Any], Decision]]] = {
    Resume: _resume,
    Retry: _retry,
    Abort: _abort,
    Pause: _pause,
    Change: _change,
    SetValues: _set_values,
    SetFile: _set_file,
    WritingBack: _writing_back,
    WrittenBack: _written_back,
    BreakLock: _break_lock,
    AbandonCleanup: leftovers.abandon,
}
