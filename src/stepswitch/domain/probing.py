"""Probes: a look at the target that settles whether an attempt has acted of which nobody knows. Called by `flow`, `doubts` and `steering`.

A look goes through the same table of states as a step execution. How it begins, waits, is judged and ends stands here; where its
verdict leads stands in `doubts`. Why it is so: docs/decisions/0011-a-probe-settles-a-doubt.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepswitch.domain.bindings import bind_probe
from stepswitch.domain.conditions import UncomparableError, holds
from stepswitch.domain.document import Comparator, Condition, ProbePolicy, Step
from stepswitch.domain.errors import ErrorCode, ValueMisfitError
from stepswitch.domain.events import TaskKind
from stepswitch.domain.execution import LogLevel, Outcome, Probe, Result, StepError, StepExecution, Values, Verdict
from stepswitch.domain.lanes import lane_of
from stepswitch.domain.progress import Progress
from stepswitch.domain.states import StepEvent, StepState, advance
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.values import Value, ValueType, to_text

EXIT_CODE: Final = "exitCode"
"""The output by which a probe may answer although it failed: `test -f` says no with it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a look found. Notes go to the step's log, and show no value."""

    verdict: Verdict
    notes: tuple[str, ...] = ()


def unfit_to_look(signature: StepSignature) -> str | None:
    """Return why a step type cannot be used for a look; None where it can."""
    if signature.inline or signature.always_safe:
        return f"{signature.name} acts on nothing, so that there is never a doubt to settle"
    if signature.waits:
        return f"{signature.name} waits for another execution, in which each step has a probe of its own"
    if not any(spec.tells_what for spec in signature.inputs):
        return f"{signature.name} does not say which of its inputs tell what is done, so that a look could be the deed itself"
    return None


def can_look(signature: StepSignature | None) -> bool:
    """Whether a step type, which may be gone, can be used for a look."""
    return signature is not None and unfit_to_look(signature) is None


def cannot_look(step: Step, signature: StepSignature | None) -> StepError:
    """Return why a look at `step` cannot be taken by its type, which may be gone."""
    why = None if signature is None else unfit_to_look(signature)
    return StepError(ErrorCode.STEP_TYPE_NOT_INSTALLED, why or f"no step type {step.type} is installed here")


def begin(p: Progress, step: Step) -> bool:
    """Let the probe of `step` take its first look; return whether it does. It does not where there is none, or where it has looked already."""
    policy = step.policy.probe
    if policy is None or p.step.probe is not None:
        return False
    p.log(f"step {step.id} ({p.step.number}) ended {p.step.result}: its probe looks whether it was done")
    return _stand(p, step, _look(p, policy, 1, 0))


def look_again(p: Progress, step: Step, policy: ProbePolicy, losses: int, *events: StepEvent) -> bool:
    """Let another look follow the one that is over by `events`; return whether it can be taken."""
    over = _open(p)
    advance(over.state, *events, StepEvent.RETRIED)  # the table must have it; only the latest look is kept
    return _stand(p, step, _look(p, policy, over.attempt + 1, losses))


def _look(p: Progress, policy: ProbePolicy, attempt: int, losses: int) -> Probe:
    not_before = p.clock + round(policy.delay_seconds * 1000) if policy.delay_seconds else None
    return Probe(attempt, StepState.EXECUTABLE, p.now, p.now, losses, not_before)


def _stand(p: Progress, step: Step, look: Probe) -> bool:
    """Bind the inputs of a look and let it be taken; one that cannot be taken ends at once. Return whether it stands."""
    signature = p.signature(step)
    if signature is None or not can_look(signature):
        p.current = replace(p.step, probe=look)
        give_up(p, cannot_look(step, signature))
        return False
    bound = bind_probe(step, p.step.inputs, p.values, signature)
    lane = lane_of(signature, bound.inputs, p.inventory)
    p.current = replace(p.step, probe=replace(look, since=p.now, inputs=bound.inputs, device=lane))
    if bound.faults:
        give_up(p, StepError(bound.faults[0].code, "; ".join(map(str, bound.faults))))
        return False
    for note in bound.notes:
        p.log(note, LogLevel.WARN, p.step.number)
    if p.head.pause_requested:
        hold(p)
    else:
        p.awaited = TaskKind.STEP
    return True


def give_up(p: Progress, error: StepError, *events: StepEvent) -> None:
    """End the look that is open, after `events`, without an answer, for the reason in `error`."""
    look = _open(p)
    p.current = replace(
        p.step,
        probe=replace(look, state=advance(look.state, *events, StepEvent.ENDED), end_time=p.now, error=error, verdict=Verdict.UNKNOWN),
    )
    p.log(f"look {look.attempt} of the probe came to nothing: {error.code}: {error.message}", LogLevel.WARN, p.step.number)


def ended(step: StepExecution, now: int) -> StepExecution:
    """Return `step` without an open look: somebody, or a late report, has decided meanwhile."""
    look = step.look
    if look is None:
        return step
    return replace(step, probe=replace(look, state=advance(look.state, StepEvent.ENDED), end_time=now))


def hold(p: Progress) -> None:
    """Pause before a look that nobody has taken."""
    look = _open(p)
    p.awaited = None
    held = replace(look, state=advance(look.state, StepEvent.HELD))
    p.current = replace(p.step, state=advance(p.step.state, StepEvent.HELD), probe=held)
    why, code = p.pause_wish
    p.pause(f"paused before the probe of step {p.step.step_id} ({p.step.number}) looks: {why}", code)


def resume(p: Progress, step: Step) -> bool:
    """Go on with a look that was held, its inputs bound again; return whether it can be taken."""
    look = _open(p)
    p.current = replace(p.step, state=advance(p.step.state, StepEvent.RESUMED))
    return _stand(p, step, replace(look, state=advance(look.state, StepEvent.RESUMED)))


def _open(p: Progress) -> Probe:
    look = p.step.look
    if look is None:
        raise AssertionError("no probe looks")
    return look


# --- what a look found -----------------------------------------------------------------------------------------------


def judge(policy: ProbePolicy, outcome: Outcome, values: Values, signature: StepSignature | None) -> Judgement:
    """Return what `outcome` says by the conditions of `policy`; `values` are the workflow's, for the references in them."""
    if outcome.result is Result.UNKNOWN:
        return Judgement(Verdict.UNKNOWN)
    notes: list[str] = []
    done, not_done = (_all_hold(conditions, outcome, values, signature, notes) for conditions in (policy.done, policy.not_done))
    if done and not_done:
        return Judgement(Verdict.UNKNOWN, (*notes, "the conditions of done and those of notDone hold, so they say nothing"))
    return Judgement(Verdict.DONE if done else Verdict.NOT_DONE if not_done else Verdict.UNKNOWN, tuple(notes))


def _all_hold(conditions: Sequence[Condition], outcome: Outcome, values: Values, signature: StepSignature | None, notes: list[str]) -> bool:
    """Return whether all of `conditions` hold. A look that failed answers only by its exit code: what else it printed may be anything."""
    if not conditions or (outcome.result is not Result.SUCCEEDED and all(each.name != EXIT_CODE for each in conditions)):
        return False
    answers = [_holds(condition, outcome, values, signature, notes) for condition in conditions]
    return all(answers)


def _holds(condition: Condition, outcome: Outcome, values: Values, signature: StepSignature | None, notes: list[str]) -> bool:
    spec = None if signature is None else signature.output(condition.name)
    output = _output(condition.name, outcome)
    try:
        filled = replace(condition, value=_value(condition, values))
        return holds(filled, output, ValueType.STRING if spec is None else spec.type)
    except (UncomparableError, ValueMisfitError) as error:
        why = "the output was cut" if condition.name in outcome.truncated else error
        note = f"the probe's condition '{condition.name} {condition.comparator}' counts as false: {why}"
        if note not in notes:
            notes.append(note)
        return False


def _output(name: str, outcome: Outcome) -> Value | None:
    """Return an output that can be compared: one that was cut says nothing."""
    return None if name in outcome.truncated else outcome.outputs.get(name)


def _value(condition: Condition, values: Values) -> Value | None:
    """Return what an output is compared with; raises UncomparableError where that says nothing."""
    value = condition.value
    if condition.template is not None:
        missing = [name for name in condition.template.names if values.get(name) is None]
        if missing:
            raise UncomparableError(f"{{{{{missing[0]}}}}} has no value")
        value = condition.template.fill(lambda name: to_text(values[name]))
    if condition.comparator is Comparator.CONTAINS and value == "":
        raise UncomparableError("every text contains the empty one")
    return value
