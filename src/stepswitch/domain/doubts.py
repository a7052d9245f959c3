"""Where a probe's look leads, and what ends one early. Called by `decide`.

| verdict | leads |
| --- | --- |
| DONE | on, as after success |
| NOT_DONE | to another run of the step, at most `MAX_RERUNS` times in a visit; then it counts as failed |
| UNKNOWN | to another look while there are some left; then on as without a probe |
"""

from dataclasses import replace
from typing import Final

from stepswitch.domain import flow, probing
from stepswitch.domain.document import ProbePolicy, Step
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import LogLevel, Outcome, Probe, Result, StepError, Values, Verdict
from stepswitch.domain.fitting_outputs import fitting_outputs
from stepswitch.domain.names import shown
from stepswitch.domain.progress import Progress
from stepswitch.domain.states import StepEvent, advance

MAX_RERUNS: Final = flow.MAX_LOSSES - 1
"""How often a probe lets a step run again in one visit: what is in doubt a third time is more likely the cause than the victim."""


def looked(p: Progress, outcome: Outcome) -> None:
    """Note what a look came to, and go where it leads."""
    step, policy, look = _open(p)
    verdict, values = _found(p, step, policy, outcome)
    look = replace(look, end_time=p.now, result=outcome.result, error=outcome.error, outputs=outcome.outputs, verdict=verdict)
    why = f": {outcome.error.code}: {outcome.error.message}" if outcome.error is not None else ""
    p.log(f"look {look.attempt} of the probe ended {look.result}, verdict {verdict}{why}", step=p.step.number)
    if verdict is Verdict.UNKNOWN and look.attempt - look.losses < policy.max_attempts:
        _look_again(p, step, policy, look.losses, StepEvent.REPORTED)
        return
    p.current = replace(p.step, probe=replace(look, state=advance(look.state, StepEvent.REPORTED, StepEvent.ENDED)))
    if verdict is Verdict.DONE:
        _go_on(p, step, values)
    elif verdict is Verdict.NOT_DONE:
        _run_again(p, step)
    else:
        _remain_unknown(p, step)


def _found(p: Progress, step: Step, policy: ProbePolicy, outcome: Outcome) -> tuple[Verdict, Values]:
    """Return what a look says, and what is to be written where it says that the step was done."""
    judgement = probing.judge(policy, outcome, p.values, p.signature(step))
    verdict, notes = judgement.verdict, judgement.notes
    values: Values = {}
    if verdict is Verdict.DONE:
        values, faults = fitting_outputs(p, policy.out_bindings, outcome, f"steps.{shown(step.id)}.policy.probe")
        if faults:  # nobody may go on without what it should write, and nobody may run again what was done: that is for a person
            verdict, notes = Verdict.UNKNOWN, (*notes, *map(str, faults))
    for note in notes:
        p.log(note, LogLevel.WARN, p.step.number)
    return verdict, values


def lost(p: Progress, reason: str) -> None:
    """Give up a look that somebody holds a claim on: it changed nothing, so it is taken again, though not for ever."""
    step, policy, look = _open(p)
    p.cancel()
    p.leave_behind()
    losses = look.losses + 1
    if losses < flow.MAX_LOSSES:
        p.log(f"look {look.attempt} of the probe was lost: {reason}", LogLevel.WARN, p.step.number)
        _look_again(p, step, policy, losses)
    else:
        probing.give_up(p, StepError(ErrorCode.LOST, f"the probe was lost {losses} times: {reason}"), StepEvent.REPORTED)
        _remain_unknown(p, step)


def resume(p: Progress) -> None:
    """Go on with a look before which the execution was paused."""
    step, _, _ = _open(p)
    if not probing.resume(p, step):
        _remain_unknown(p, step)


def cannot_look(p: Progress) -> None:
    """Go on as without a probe: the step type cannot take the look that is open (any more)."""
    step, _, _ = _open(p)
    probing.give_up(p, probing.cannot_look(step, p.signature(step)))
    _remain_unknown(p, step)


def overtaken(p: Progress, outcome: Outcome) -> None:
    """Let the late report of the attempt itself decide in the place of its probe, unless it is as much in doubt."""
    if outcome.result is Result.UNKNOWN:
        flow.replace_doubt(p, outcome)
        return
    p.cancel()
    p.current = probing.ended(p.step, p.now)
    flow.report(p, outcome)


def _look_again(p: Progress, step: Step, policy: ProbePolicy, losses: int, *events: StepEvent) -> None:
    if not probing.look_again(p, step, policy, losses, *events):
        _remain_unknown(p, step)


def _go_on(p: Progress, step: Step, values: Values) -> None:
    done = p.step
    p.log(f"the probe found that step {step.id} ({done.number}) was done")
    if values:
        p.write_values(dict(values))
    written = {**done.variables, **values}
    missing = [binding.target for binding in step.out_bindings if binding.target not in written]
    if missing:
        p.log(f"what the step itself put out is not known: {', '.join(missing)} keep their values", LogLevel.WARN, done.number)
    state = advance(done.state, StepEvent.PASSED, StepEvent.ENDED)
    p.current = replace(done, state=state, result=Result.SUCCEEDED, error=None, variables=written)
    flow.pass_on(p, step)


def _run_again(p: Progress, step: Step) -> None:
    attempt = p.step
    p.log(f"the probe found that step {step.id} ({attempt.number}) was not done")
    doubt = attempt.error or StepError(ErrorCode.LOST, "nobody can say whether the target acted")
    error = replace(doubt, message=f"{doubt.message}; its probe found that it was not done")
    p.current = replace(attempt, result=Result.FAILED, error=error)
    if attempt.reruns < MAX_RERUNS:
        p.current = replace(p.step, reruns=attempt.reruns + 1)
        flow.retry(p, step)
    else:
        p.log("this was its last run by the word of its probe", LogLevel.WARN, attempt.number)
        flow.settle_failure(p, step)


def _remain_unknown(p: Progress, step: Step) -> None:
    p.log(f"the probe could not tell whether step {step.id} ({p.step.number}) was done", LogLevel.WARN)
    flow.settle_failure(p, step)


def _open(p: Progress) -> tuple[Step, ProbePolicy, Probe]:
    step, look = p.workflow.steps[p.step.step_id], p.step.look
    if look is None or step.policy.probe is None:
        raise AssertionError("no probe looks")  # steps cannot be edited while one does
    return step, step.policy.probe, look
