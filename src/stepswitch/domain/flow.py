"""How an execution goes from step to step: arriving, ending, retrying, passing on. Called by `decide` and `steering`.

The rows of the table in `workflow-semantics`, section 5, in its order; the guards stand here, what may happen at all in `states`.
"""

from typing import Final

from stepswitch.domain import files, locking, probing
from stepswitch.domain.bindings import Bound
from stepswitch.domain.changed import changed
from stepswitch.domain.conditions import choose
from stepswitch.domain.document import Policy, Step
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import TaskKind
from stepswitch.domain.execution import LogLevel, Outcome, Result, Status, StepError, StepExecution, Values
from stepswitch.domain.fitting_outputs import fitting_outputs
from stepswitch.domain.lanes import lane_of
from stepswitch.domain.names import shown
from stepswitch.domain.progress import Progress
from stepswitch.domain.states import StepEvent, StepState, advance
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.values import Value

MAX_LOSSES: Final = 3
"""A safe step that is lost this often in one visit is not run again unasked: it may be what kills its workers."""
RESTORED_BEFORE: Final = (
    "RESTORED from a backup, and it may have been carried out since that was made; resume runs it, or say where to go on"
)
RESTORED_AFTER: Final = "RESTORED from a backup; look at the target and say where to go on"
_SUCCEEDED: Final = Outcome(Result.SUCCEEDED)
_GONE_ON: Final = (StepEvent.PASSED, StepEvent.ENDED)
_NO_INPUTS: Final = Bound({}, (), ())


def arrive(p: Progress, step_id: str) -> None:
    """Begin a visit of the step: it waits where somebody wants it to, else it is executable. A delay counts from here, also beside a pause."""
    step = p.workflow.steps[step_id]
    hold_reason = _reason_to_hold(p, step, visited=True)
    delay = step.policy.delay_seconds
    state = StepState.EXECUTABLE if hold_reason is None else StepState.WAITING_BEFORE
    begin_step(p, step, state, p.clock + round(delay * 1000) if delay else None)
    if hold_reason is not None:
        _pause_before(p, *hold_reason)


def _reason_to_hold(p: Progress, step: Step, *, visited: bool) -> tuple[str, ErrorCode | None] | None:
    """Return why the next step execution, one of `step`, has to wait for somebody; `visited` where this is no retry."""
    if p.head.holds_unsafe and not _may_rerun(p, step, p.bound(step).inputs):
        return RESTORED_BEFORE, ErrorCode.RESTORED
    begun = p.steps_begun
    if begun >= p.head.steps_allowed:
        more = p.rules.limits.step_executions
        return f"LOOP_LIMIT, {begun} step executions have begun; resume gives {more} more", ErrorCode.LOOP_LIMIT
    if p.head.pause_requested:
        return p.pause_wish
    return ("it is one of debugStepIds", None) if visited and step.id in p.head.debug_step_ids else None


def _pause_before(p: Progress, reason: str, code: ErrorCode | None = None) -> None:
    if code is ErrorCode.RESTORED:
        p.change(holds_unsafe=False)
    p.pause(f"paused before step {p.step.step_id}: {reason}", code)


def begin_step(
    p: Progress, step: Step, state: StepState, not_before: int | None = None, before: StepExecution | None = None, *, anew: bool = False
) -> None:
    """Make a new step execution the current one; `before` is the attempt that it repeats, `anew` when a person asked for it."""
    bound = _bind(p, step)
    number = p.steps_begun
    p.steps_begun += 1
    p.current = StepExecution(
        number=number,
        step_id=step.id,
        state=state,
        start_time=p.now,
        since=p.now,
        snapshot_id=p.head.snapshot_id,
        attempt=1 if before is None else before.attempt + 1,
        attempts_before=0 if before is None else before.attempt if anew else before.attempts_before,
        losses=0 if before is None or anew else before.losses,
        reruns=0 if before is None or anew else before.reruns,
        not_before=not_before,
        inputs=bound.inputs,
        device=lane_of(p.signature(step), bound.inputs, p.inventory),
    )
    if state is StepState.EXECUTABLE:
        _note(p, bound)
        if step.policy.lock is not None:
            locking.ask(p, step, bound.inputs)
        _dispatch(p, step, bound)


def _bind(p: Progress, step: Step) -> Bound:
    signature = p.signature(step)
    return _NO_INPUTS if signature is not None and signature.inline else p.bound(step)


def _note(p: Progress, bound: Bound) -> None:
    for note in bound.notes:
        p.log(note, LogLevel.WARN, p.step.number)


def make_executable(p: Progress, *events: StepEvent) -> None:
    """Bind the current step again and let it be taken."""
    step = p.workflow.steps[p.step.step_id]
    bound = _bind(p, step)
    state = advance(p.step.state, *events)
    p.current = changed(
        p.step,
        state=state,
        since=p.now,
        inputs=bound.inputs,
        device=lane_of(p.signature(step), bound.inputs, p.inventory),
        snapshot_id=p.head.snapshot_id,
    )
    _note(p, bound)
    if step.policy.lock is not None:
        locking.ask(p, step, bound.inputs)
    _dispatch(p, step, bound)


def ask_again(p: Progress) -> bool:
    """Let the current step ask for the lock that it wants, where nobody has begun it and the lock was taken from its execution; return whether it does."""
    if p.step.state is not StepState.EXECUTABLE or p.head.awaited_lock is not None:
        return False
    locking.ask(p, p.workflow.steps[p.step.step_id], p.step.inputs)
    return p.head.awaited_lock is not None


def dispatch(p: Progress) -> None:
    """Ask for somebody to take the current step, or the look of its probe, as it is stored."""
    step = p.workflow.steps[p.step.step_id]
    if p.step.look is not None:
        p.awaited = TaskKind.STEP if probing.can_look(p.signature(step)) else TaskKind.TURN
    else:
        _dispatch(p, step, _bind(p, step))


def _dispatch(p: Progress, step: Step, bound: Bound) -> None:
    if p.head.awaited_lock is not None:
        p.awaited = None
        return
    p.awaited = TaskKind.STEP if _needs_worker(p.signature(step), bound) else TaskKind.TURN


def _needs_worker(signature: StepSignature | None, bound: Bound) -> bool:
    return signature is not None and not signature.inline and not signature.waits and not bound.faults


def is_due(p: Progress, *, has_waited: bool = False) -> bool:
    """Whether the current step, or the look of its probe, may be taken now, by a turn or by a worker; `has_waited` as in `Task`."""
    work = p.step.work
    return (
        work.state is StepState.EXECUTABLE
        and p.head.awaited_lock is None
        and (has_waited or work.not_before is None or work.not_before <= p.clock)
    )


def is_for_worker(p: Progress, *, has_waited: bool = False) -> bool:
    """Whether a worker may take the current step now, or the look of its probe, because it is due and has all that it needs."""
    if not is_due(p, has_waited=has_waited):
        return False
    step = p.workflow.steps[p.step.step_id]
    if p.step.look is not None:
        return probing.can_look(p.signature(step))
    return _needs_worker(p.signature(step), _bind(p, step))


def run_inline(p: Progress, *, has_waited: bool = False) -> None:
    """Take the steps that need nobody, at most `Limits.inline_steps` of them; then the execution goes to the back of the queue.

    `has_waited` is said of the first.
    """
    left = p.rules.limits.inline_steps
    while is_due(p, has_waited=has_waited):
        step = p.workflow.steps[p.step.step_id]
        outcome = _inline_outcome(p, step)
        if outcome is None:
            return
        if not left:
            return  # the step that is next was begun just now, and stands behind all others with its task
        left -= 1
        p.start()
        p.awaited = None
        report(p, outcome, StepEvent.CLAIMED, StepEvent.REPORTED)
        has_waited = False


def _inline_outcome(p: Progress, step: Step) -> Outcome | None:
    signature = p.signature(step)
    if signature is None:
        return _failure(ErrorCode.STEP_TYPE_NOT_INSTALLED, f"no step type {step.type} is installed here")
    if signature.inline:
        return _SUCCEEDED
    faults = p.bound(step).faults
    return _failure(faults[0].code, "; ".join(map(str, faults))) if faults else None


def _failure(code: ErrorCode, message: str) -> Outcome:
    return Outcome(Result.FAILED, error=StepError(code, message))


def fail_in_circle(p: Progress, told: str) -> None:
    """Fail the current step, which waits for a lock that will never be free."""
    p.change(awaited_lock=None)
    p.start()
    report(p, _failure(ErrorCode.DEADLOCK, told), StepEvent.CLAIMED, StepEvent.REPORTED)


def report(p: Progress, outcome: Outcome, *events: StepEvent, started: int | None = None) -> None:
    """Note what an attempt came to, write what it binds, and go where it leads."""
    old = p.step
    step = p.workflow.steps[old.step_id]
    written, outcome = _write_outputs(p, step, files.take_made(p, outcome) if outcome.files else outcome)
    succeeded = outcome.result is Result.SUCCEEDED
    p.current = changed(
        old,
        state=advance(old.state, *events, *(_GONE_ON if succeeded else ())),
        claimed_time=old.claimed_time if old.claimed_time is not None else p.now if started is None else started,
        end_time=p.now,
        result=outcome.result,
        error=outcome.error,
        outputs=outcome.outputs,
        variables=written,
    )
    if succeeded:
        pass_on(p, step)
        return
    _log_failure(p)
    settle_failure(p, step)


def replace_doubt(p: Progress, outcome: Outcome) -> None:
    """Put what a late report says in the place of UNKNOWN, without going on."""
    step = p.workflow.steps.get(p.step.step_id)
    outcome = files.take_made(p, outcome)
    written: dict[str, Value] = {}
    if step is not None:
        written, outcome = _write_outputs(p, step, outcome)
    current = p.step if outcome.result is Result.UNKNOWN else probing.ended(p.step, p.now)
    p.current = changed(current, result=outcome.result, error=outcome.error, outputs=outcome.outputs, variables=written)


def _write_outputs(p: Progress, step: Step, outcome: Outcome) -> tuple[dict[str, Value], Outcome]:
    """Bind the outputs of `outcome`, and fail it where one does not fit, was cut, or is too much."""
    if not step.out_bindings:
        return {}, outcome
    values, faults = fitting_outputs(p, step.out_bindings, outcome, f"steps.{shown(step.id)}")
    if values:
        p.write_values(dict(values))
    if faults and outcome.result is Result.SUCCEEDED:
        return values, changed(outcome, result=Result.FAILED, error=StepError(faults[0].code, "; ".join(map(str, faults))))
    for fault in faults:
        p.log(str(fault), LogLevel.WARN, p.step.number)
    return values, outcome


def settle_failure(p: Progress, step: Step) -> None:
    """Go on from a step that was executed and did not succeed, by the first row of the table that fits."""
    result = p.step.result
    policy = step.policy
    is_certain = result is Result.FAILED and not _is_in_doubt(p.step)
    may_rerun = is_certain or (is_safe(p) and p.step.losses < MAX_LOSSES)  # what kills its workers is not given more of them
    if may_rerun and has_attempts_left(p.step, policy):
        retry(p, step, _retry_delay(p, policy))
        return
    if result is Result.UNKNOWN and probing.begin(p, step):
        return
    target = policy.on_unknown_step_id if result is Result.UNKNOWN else policy.on_failure_step_id
    if target is not None:
        p.log(f"step {step.id} ({p.step.number}) ended {result}: the way goes on at {target}")
        leave(p, target, *_GONE_ON)
    elif is_restored(p.step):
        p.current = changed(p.step, state=advance(p.step.state, StepEvent.HELD))
        p.change(holds_unsafe=False)
        p.pause(f"paused after step {step.id} ({p.step.number}): {RESTORED_AFTER}", ErrorCode.RESTORED)
    elif p.head.pause_at_failure:
        p.current = changed(p.step, state=advance(p.step.state, StepEvent.HELD))
        p.pause(f"paused after step {step.id} ({p.step.number}) ended {result}")
    else:
        p.current = changed(p.step, state=advance(p.step.state, StepEvent.ENDED))
        end(p, Status.FAILED)


def _is_in_doubt(step: StepExecution) -> bool:
    """Whether nobody knows what the execution did that the step waited for: another one might do it twice."""
    return step.error is not None and step.error.code in (ErrorCode.CHILD_IN_DOUBT, ErrorCode.CHILD_GONE)


def is_restored(step: StepExecution) -> bool:
    """Whether a step was being carried out when the backup was made that it came back from."""
    return step.error is not None and step.error.code is ErrorCode.RESTORED


def _log_failure(p: Progress) -> None:
    step = p.step
    error = f"{step.error.code}: {step.error.message}" if step.error else "no reason was given"
    p.log(f"ended {step.result}: {error}", LogLevel.ERROR, step.number)


def is_safe(p: Progress) -> bool:
    """Whether the step at which the execution stands may run again, with the inputs that it has, without anybody's word."""
    return _may_rerun(p, p.workflow.steps[p.step.step_id], p.step.inputs)


def _may_rerun(p: Progress, step: Step, inputs: Values) -> bool:
    signature = p.signature(step)
    said = step.policy.safe_to_rerun
    return bool(said) if signature is None else signature.is_safe(inputs, said=said)


def has_attempts_left(step: StepExecution, policy: Policy) -> bool:
    """Whether the policy wants another attempt where this one has failed."""
    return step.attempt - step.attempts_before < policy.retry.max_attempts


def _retry_delay(p: Progress, policy: Policy) -> float:
    retries = p.step.attempt - p.step.attempts_before - 1
    return float(policy.retry.delay_seconds * policy.retry.backoff**retries)


def retry(p: Progress, step: Step, delay_seconds: float = 0.0, *, anew: bool = False) -> None:
    """End the current attempt as `retry` and let a new one of the same step stand executable."""
    old = p.step
    end_time = old.end_time if old.end_time is not None else p.now
    if old.state is not StepState.FINISHED:
        old = probing.ended(changed(old, state=advance(old.state, StepEvent.RETRIED), end_time=end_time), p.now)
    p.rows.append(old)
    not_before = p.clock + round(delay_seconds * 1000) if delay_seconds else None
    p.log(f"step {step.id} ({old.number}) ended {old.result}: attempt {old.attempt + 1} follows", LogLevel.WARN)
    hold_reason = None if anew else _reason_to_hold(p, step, visited=False)
    begin_step(p, step, StepState.EXECUTABLE, not_before, old, anew=anew)
    if hold_reason is not None:
        hold(p, *hold_reason)


def lose(p: Progress, reason: str, code: ErrorCode = ErrorCode.LOST) -> None:
    """Give up the attempt that somebody holds a claim on: it may run again where that is safe, else nobody knows what it came to."""
    p.cancel()
    p.leave_behind()
    p.log(f"lost: {reason}", LogLevel.WARN, p.step.number)
    unknown = "what it came to" if p.only_computes else "whether the target acted"
    doubt = StepError(code, f"nobody can say {unknown}: {reason}")
    step = p.workflow.steps[p.step.step_id]
    p.current = changed(p.step, losses=p.step.losses + 1, result=Result.UNKNOWN, error=doubt)
    if is_safe(p) and p.step.losses < MAX_LOSSES:
        retry(p, step)
    else:
        report(p, Outcome(Result.UNKNOWN, error=doubt), StepEvent.REPORTED)


def hold(p: Progress, reason: str, code: ErrorCode | None = None) -> None:
    """Pause before the current step, which nobody has claimed."""
    p.awaited = None
    p.current = changed(p.step, state=advance(p.step.state, StepEvent.HELD))
    if p.head.awaited_lock is not None:
        p.change(awaited_lock=None)
    _pause_before(p, reason, code)


def pass_on(p: Progress, step: Step, *events: StepEvent) -> None:
    """Take the first condition that holds, else the next step, else the end; `events` lead the current step execution to its own."""
    choice = choose(step, p.workflow.declarations, p.values)
    for note in choice.notes:
        p.log(note, LogLevel.WARN, p.step.number)
    why = f" ({choice.condition.name} {choice.condition.comparator})" if choice.condition else ""
    if choice.next_step_id is None:
        if events:
            p.current = changed(p.step, state=advance(p.step.state, *events))
        p.log(f"step {step.id} ({p.step.number}) was the last{why}")
        end(p, Status.COMPLETED)
    else:
        p.log(f"step {step.id} ({p.step.number}) → {choice.next_step_id}{why}")
        leave(p, choice.next_step_id, *events)


def leave(p: Progress, next_step_id: str, *events: StepEvent) -> None:
    """Finish the current step execution and arrive at another step."""
    step = p.step if p.step.probe is None else probing.ended(p.step, p.now)
    if events:
        step = changed(step, state=advance(step.state, *events), end_time=step.end_time or p.now)
    p.rows.append(step)
    if p.head.locks:
        locking.leave_step(p)
    arrive(p, next_step_id)


def end(p: Progress, status: Status) -> None:
    """End the execution; its last step execution stays in the head."""
    p.awaited = None
    p.end(status)
    if p.head.locks or p.head.awaited_lock is not None:
        p.change(locks=(), awaited_lock=None)
    p.log(f"ended {status}", LogLevel.INFO if status is Status.COMPLETED else LogLevel.ERROR)
