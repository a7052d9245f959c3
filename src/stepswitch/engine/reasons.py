"""Why a way went where it did, as the end of a sentence that begins with `because`. Called by `rehearsal`.

Nothing is decided here: the condition that held is the one that `decide` went by, asked for again with the values that it had.
"""

from collections.abc import Mapping
from typing import Final

from stepswitch.domain.conditions import choose
from stepswitch.domain.document import Condition, Step, Workflow
from stepswitch.domain.execution import Result, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.domain.values import Value
from stepswitch.engine.telling import Teller

_LOOKED_AT: Final = 5
"""So many values are told of conditions that did not hold."""


def why_next(left: StepExecution, workflow: Workflow, values: Mapping[str, Value], teller: Teller) -> str:
    """Return why the way went on from the step execution `left`."""
    step = workflow.steps[left.step_id]
    if left.state is StepState.RETRY:
        return f"attempt {left.attempt} {told_result(left, teller)} and another one follows"
    if left.result is Result.SUCCEEDED:
        return _why_chosen(step, workflow, values, teller)
    if (name := _policy_field(step, left)) is not None:
        return f"`{step.id}` {told_result(left, teller)} and its {name} leads there"
    return f"the failure of `{step.id}` was accepted and {_why_chosen(step, workflow, values, teller)}"


def why_completed(last: StepExecution, workflow: Workflow, values: Mapping[str, Value], teller: Teller) -> str:
    """Return why the way ended well after the step execution `last`."""
    return _why_chosen(workflow.steps[last.step_id], workflow, values, teller)


def told_result(step: StepExecution, teller: Teller) -> str:
    """Return how an attempt ended, with its error."""
    why = "" if step.error is None else f" ({step.error.code}: {teller.line(step.error.message)})"
    return f"ended {step.result}{why}"


def _policy_field(step: Step, left: StepExecution) -> str | None:
    if left.result is Result.UNKNOWN:
        return "onUnknownStepId" if step.policy.on_unknown_step_id is not None else None
    return "onFailureStepId" if step.policy.on_failure_step_id is not None else None


def _why_chosen(step: Step, workflow: Workflow, values: Mapping[str, Value], teller: Teller) -> str:
    choice = choose(step, workflow.declarations, values)
    if choice.condition is not None:
        place = next(place for place, condition in enumerate(step.conditions, 1) if condition is choice.condition)
        leads = "" if choice.next_step_id is not None else " and names no step"
        return f"condition {place} of `{step.id}` ({_told(choice.condition, teller)}) held{leads}"
    leads = f"`{step.id}` has no nextStepId" if choice.next_step_id is None else f"it is the nextStepId of `{step.id}`"
    if not step.conditions:
        return leads
    names = list(dict.fromkeys(condition.name for condition in step.conditions))
    facts = ", ".join(f"`{name}` {_is(values, name)} {teller.named(values, name)}" for name in names[:_LOOKED_AT])
    return f"no condition of `{step.id}` held ({facts}{', …' if len(names) > _LOOKED_AT else ''}) and {leads}"


def _is(values: Mapping[str, Value], name: str) -> str:
    return "is" if name in values else "has"


def _told(condition: Condition, teller: Teller) -> str:
    is_secret = condition.name in teller.secret_names
    value = "" if condition.value is None else f" {teller.value(condition.value, is_secret=is_secret)}"
    return f"`{condition.name}` {condition.comparator}{value}"
