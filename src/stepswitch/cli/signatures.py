"""What a step type declares, told: the one source of `stepswitch step-types` and of the page about step types in the reference. Called by `step_types`, and by what makes that page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepswitch.domain.step_types import InputSpec, StepSignature

INPUT_COLUMNS = ("input", "type", "default", "meaning")
OUTPUT_COLUMNS = ("output", "type", "meaning")
OTHER_INPUTS = "Any other input may be given."
OTHER_OUTPUTS = "Further outputs depend on what the step does."


Mark = Callable[[str], str]
"""How a name or a value is set off from the words around it."""


def facts(signature: StepSignature, mark: Mark = str) -> Sequence[str]:
    """Return what is to be said of a step type beside what it does, a sentence for each."""
    aliases, own = ", ".join(map(mark, signature.aliases)), ", ".join(mark(spec.name) for spec in signature.inputs if spec.tells_what)
    found = (
        f"Also read as {aliases}." if aliases else "",
        ""
        if signature.inline
        else f"Time limit: {signature.time_limit_seconds:.10g} seconds, unless the policy of the step says otherwise.",
        _reruns(signature, mark),
        "What it starts does not end with its connection: what is left is removed after the attempt, also by the next start."
        if signature.outlives
        else "",
        "It waits for another execution: no worker carries it out, and it takes no place." if signature.waits else "",
        "Rehearsals carry it out." if signature.only_computes else "",
        f"A probe takes over all of its inputs but {own}." if own else "",
    )
    return tuple(filter(None, found))


def _reruns(signature: StepSignature, mark: Mark) -> str:
    harmless, unasked = "running it twice never harms", f"is never run twice unasked, unless its policy says {mark('safeToRerun')}."
    if signature.always_safe:
        return f"{harmless.capitalize()}."
    cases = [f"{mark(name)} is {' or '.join(map(mark, sorted(values)))}" for name, values in signature.safe_when.items()]
    return (
        f"Where {', or '.join(cases)}, {harmless}, unless its policy says {mark('safeToRerun')} with false. Else it {unasked}"
        if cases
        else f"It {unasked}"
    )


def input_rows(signature: StepSignature, mark: Mark = str) -> Sequence[tuple[str, str, str, str]]:
    """Return a row for each input: its name, its types, its default or that it must be given, and what it means."""
    return [(mark(spec.name), " or ".join(spec.types), _default(spec, signature, mark), _meaning(spec, mark)) for spec in signature.inputs]


def output_rows(signature: StepSignature, mark: Mark = str) -> Sequence[tuple[str, str, str]]:
    """Return a row for each output: its name, its type, and what it means."""
    return [(mark(spec.name), spec.type, spec.description) for spec in signature.outputs]


def as_object(signature: StepSignature) -> Mapping[str, Any]:
    """Return all that a step type declares, as JSON can carry it."""
    return {
        "name": signature.name,
        "description": signature.description,
        "aliases": list(signature.aliases),
        "timeLimitSeconds": None if signature.inline else signature.time_limit_seconds,
        "alwaysSafe": signature.always_safe,
        "safeWhen": {name: sorted(values) for name, values in signature.safe_when.items()},
        "onlyComputes": signature.only_computes,
        "waits": signature.waits,
        "outlives": signature.outlives,
        "deviceInputs": list(signature.device_inputs),
        "inputs": [_input(spec) for spec in signature.inputs],
        "otherInputs": signature.other_inputs,
        "outputs": [{"name": spec.name, "type": spec.type, "description": spec.description} for spec in signature.outputs],
        "otherOutputs": signature.other_outputs,
    }


def _input(spec: InputSpec) -> Mapping[str, Any]:
    return {
        "name": spec.name,
        "types": list(spec.types),
        "required": spec.required,
        "oneOf": spec.one_of,
        "default": spec.default,
        "choices": list(spec.choices),
        "tellsWhat": spec.tells_what,
        "description": spec.description,
    }


def _default(spec: InputSpec, signature: StepSignature, mark: Mark) -> str:
    """Return what an input has where nobody gives it; an empty text where it has nothing then."""
    if spec.required:
        return "must be given"
    if spec.one_of is not None:
        return f"{' or '.join(mark(other.name) for other in signature.inputs if other.one_of == spec.one_of)} must be given"
    default = spec.default
    return "" if default is None else mark(str(default).lower() if isinstance(default, bool) else str(default))


def _meaning(spec: InputSpec, mark: Mark) -> str:
    return f"{spec.description} One of {', '.join(map(mark, spec.choices))}." if spec.choices else spec.description
