"""What an edit of steps changed, told for the log: which step, where in it, from what to what. Called by `steering`.

Values of type password are told as `********`, and long texts by their length: part of one may be a secret that nobody would find in it.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from stepswitch.domain.document import Workflow
from stepswitch.domain.names import shown
from stepswitch.domain.references import Reference
from stepswitch.domain.secrecy import MASK, secret_names
from stepswitch.domain.values import ValueType

LONGEST: Final = 200
"""Characters of a value that are told; of a longer one only how many there are."""
LINES: Final = 50
"""Differences that are told of one edit; of the rest only the number."""


def told_value(value: object) -> str:
    """Return `value` as the log tells it."""
    if value is None:
        return "none"
    text = f"the credential {shown(value.credential)}" if isinstance(value, Reference) else str(value)
    return text if len(text) <= LONGEST else f"a text of {len(text)} characters"


def told_edits(before: Workflow, after: Workflow) -> list[str]:
    """Return a sentence for every difference between the steps of two workflows, up to `LINES` of them."""
    found = list(_differences(before, after))
    return found if len(found) <= LINES else [*found[:LINES], f"and {len(found) - LINES} more differences"]


def _differences(before: Workflow, after: Workflow) -> Iterator[str]:
    secret = secret_names(after)
    for step_id in dict.fromkeys((*before.steps, *after.steps)):
        old, new = before.steps.get(step_id), after.steps.get(step_id)
        if new is None:
            yield f"step {step_id} removed"
        elif old is None:
            yield f"step {step_id} added ({shown(new.type)})"
        elif old.source != new.source:
            yield from _changes(step_id, old.source, new.source, secret)


def _changes(step_id: str, old: Mapping[str, Any], new: Mapping[str, Any], secret: Set[str]) -> Iterator[str]:
    hidden = _secret_places(old, secret) | _secret_places(new, secret)
    leaves_before, leaves_after = dict(_leaves(old)), dict(_leaves(new))
    for place in dict.fromkeys((*leaves_before, *leaves_after)):
        values = leaves_before.get(place), leaves_after.get(place)
        if values[0] != values[1] or type(values[0]) is not type(values[1]):
            was, now = (MASK if place in hidden and value is not None else told_value(value) for value in values)
            yield f"step {step_id}, {'.'.join(place)}: from {was} to {now}"


def _leaves(value: object, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Return everything in `value` that is no object or array, each with its place; a document is at most 64 levels deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*place, shown(str(name))))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*place, str(number)))
    else:
        yield place, value


def _secret_places(step: Mapping[str, Any], secret: Set[str]) -> set[tuple[str, ...]]:
    """Return where passwords stand in a step: defaults of that type, and what a condition compares a password with."""
    policy, conditions = step.get("policy"), step.get("conditions")
    probe = policy.get("probe") if isinstance(policy, Mapping) else None
    found = _secret_inputs(step) | {("policy", "probe", *place) for place in _secret_inputs(probe)}
    if isinstance(conditions, list | tuple):
        found |= {
            ("conditions", str(place), "value")
            for place, condition in enumerate(conditions)
            if isinstance(condition, Mapping) and condition.get("name") in secret
        }
    return found


def _secret_inputs(holder: object) -> set[tuple[str, ...]]:
    """Return where passwords stand in the inputs of a step or a probe."""
    bindings = holder.get("inBindings") if isinstance(holder, Mapping) else None
    return {
        ("inBindings", shown(name), "defaultValue")
        for name, binding in (bindings.items() if isinstance(bindings, Mapping) else ())
        if isinstance(binding, Mapping) and binding.get("type") == ValueType.PASSWORD
    }
