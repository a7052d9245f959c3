"""What a step takes and what it leaves behind. Called by `decide` when the way comes to a step and when it has ended.

An input takes the value named by `exportName`, else its default, else nothing. An input `vimLocation` that gets nothing takes
the context's. A step type's own defaults are filled in by the type. Source: `workflow-semantics`, section 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stepswitch.domain.document import Declaration, InBinding, OutBinding, Step
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.names import shown
from stepswitch.domain.references import Reference
from stepswitch.domain.step_types import InputSpec, StepSignature
from stepswitch.domain.templates import Template
from stepswitch.domain.values import Value, coerce, to_text

MAX_FILLED: Final = 10 * 1024 * 1024
"""So many characters a text may have after its references were replaced: a short document must not fill the memory."""
VIM_LOCATION: Final = "vimLocation"


@dataclass(frozen=True, slots=True)
class Bound:
    """The inputs of a step, never to be changed in place; the step cannot run where there are faults. Notes go to its log."""

    inputs: dict[str, Value]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The values of variables and outputs that a step writes, never to be changed in place, and what did not fit."""

    values: dict[str, Value]
    faults: tuple[Fault, ...] = ()


_NOTHING_BOUND: Final = Bound({})
_NOTHING_WRITTEN: Final = Written({})


class _UnboundError(Exception):
    """An input cannot get its value."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def bind(step: Step, lookup: Mapping[str, Value], signature: StepSignature | None) -> Bound:
    """Return the inputs of `step` as the values in `lookup` make them; never raises."""
    specs = () if signature is None else signature.inputs
    if not step.in_bindings and not specs:
        return _NOTHING_BOUND
    return _bind(_Place(step, step.in_bindings, "inBindings"), {}, lookup, specs)


def bind_probe(step: Step, given: Mapping[str, Value], lookup: Mapping[str, Value], signature: StepSignature) -> Bound:
    """Return the inputs of the probe of `step`: its own, over those that the attempt was `given` where they do not say what is done; never raises."""
    own = () if step.policy.probe is None else step.policy.probe.in_bindings
    taken_over = {binding.name for binding in probe_bindings(step, signature)} - {binding.name for binding in own}
    kept = {name: value for name, value in given.items() if name in taken_over or name == VIM_LOCATION}
    return _bind(_Place(step, own, "policy.probe.inBindings"), kept, lookup, signature.inputs)


def probe_bindings(step: Step, signature: StepSignature) -> tuple[InBinding, ...]:
    """Return the inputs of the probe of `step`: its own, and those of the step that it takes over because they do not say what is done."""
    own = () if step.policy.probe is None else step.policy.probe.in_bindings
    names = {binding.name for binding in own} | {spec.name for spec in signature.inputs if spec.tells_what}
    return (*(binding for binding in step.in_bindings if binding.name not in names), *own)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where bindings stand: those of a step, or of its probe."""

    step: Step
    bindings: tuple[InBinding, ...]
    field: str

    @property
    def path(self) -> str:
        return f"steps.{shown(self.step.id)}.{self.field}"

    def of(self, name: str) -> str:
        return f"{self.path}.{shown(name)}"


def _bind(place: _Place, inputs: dict[str, Value], lookup: Mapping[str, Value], specs: tuple[InputSpec, ...]) -> Bound:
    """Return `inputs` with the bindings of `place` over them."""
    faults: list[Fault] = []
    notes: list[str] = []
    for binding in place.bindings:
        try:
            value = _value_of(binding, lookup, notes)
        except _UnboundError as error:
            faults.append(Fault(error.code, place.of(binding.name), str(error)))
            continue
        if value is not None:
            inputs[binding.name] = value
    if specs:
        _fill_vim_location(specs, inputs, lookup)
        _check(place, specs, inputs, faults)
    return Bound(inputs, tuple(faults), tuple(notes)) if inputs or faults or notes else _NOTHING_BOUND


def _value_of(binding: InBinding, lookup: Mapping[str, Value], notes: list[str]) -> Value | None:
    value = None if binding.export_name is None else lookup.get(binding.export_name)
    if value is not None:
        try:
            return coerce(value, binding.type)
        except ValueMisfitError as misfit:
            raise _UnboundError(ErrorCode.WRONG_TYPE, f"the value of {binding.export_name!r} cannot be taken: {misfit}") from None
    return binding.default if binding.template is None else _fill(binding.name, binding.template, lookup, notes)


def _fill(name: str, template: Template, lookup: Mapping[str, Value], notes: list[str]) -> str:
    texts = {}
    for reference in set(template.names):
        value = lookup.get(reference)
        if isinstance(value, Reference):
            message = f"{reference!r} is a credential, which is never a part of a text; bind an input of type password to it"
            raise _UnboundError(ErrorCode.WRONG_TYPE, message)
        texts[reference] = "" if value is None else to_text(value)
        if value is None:
            notes.append(f"{{{{{reference}}}}} in the input {name!r} has no value: nothing is put in its place")
    size = sum(len(texts[part]) if place % 2 else len(part) for place, part in enumerate(template.parts))
    if size > MAX_FILLED:
        raise _UnboundError(ErrorCode.TOO_LARGE, f"the text would have {size} characters with its references replaced; {MAX_FILLED} may be")
    return template.fill(texts.__getitem__)


def _fill_vim_location(specs: tuple[InputSpec, ...], inputs: dict[str, Value], lookup: Mapping[str, Value]) -> None:
    location = lookup.get(VIM_LOCATION)
    if isinstance(location, str) and VIM_LOCATION not in inputs and any(spec.name == VIM_LOCATION for spec in specs):
        inputs[VIM_LOCATION] = location


def _check(place: _Place, specs: tuple[InputSpec, ...], inputs: Mapping[str, Value], faults: list[Fault]) -> None:
    groups: dict[str, list[str]] = {}
    for spec in specs:
        value = inputs.get(spec.name)
        if value is None:
            if spec.required and not _has_fault(place, spec.name, faults):
                faults.append(Fault(ErrorCode.MISSING_INPUT, place.of(spec.name), _why_missing(place, spec.name)))
        elif spec.choices and value not in spec.choices:
            faults.append(Fault(ErrorCode.INVALID_VALUE, place.of(spec.name), f"must be one of {', '.join(spec.choices)}"))
        if spec.one_of is not None:
            groups.setdefault(spec.one_of, []).append(spec.name)
    for names in groups.values():
        if not any(name in inputs or _has_fault(place, name, faults) for name in names):
            message = f"{place.step.type} needs one of {' and '.join(names)}, and none of them has a value"
            faults.append(Fault(ErrorCode.MISSING_INPUT, place.path, message))


def _has_fault(place: _Place, name: str, faults: list[Fault]) -> bool:
    return bool(faults) and any(fault.path == place.of(name) for fault in faults)


def _why_missing(place: _Place, name: str) -> str:
    kind = place.step.type
    binding = next((binding for binding in place.bindings if binding.name == name), None)
    if binding is None:
        return f"{kind} needs it, and nothing binds it"
    if binding.export_name is None:
        return f"{kind} needs it, and its binding has neither an exportName nor a defaultValue"
    return f"{kind} needs it; {binding.export_name!r} has no value, and there is no defaultValue"


def write(bindings: tuple[OutBinding, ...], declarations: Mapping[str, Declaration], outputs: Mapping[str, object], path: str) -> Written:
    """Return what `bindings`, which stand in a step or a probe at `path`, make of its outputs: values of variables and outputs of the workflow.

    Each is in the declared type of its target. An output that is absent, or null, leaves its target as it was. Never raises.
    """
    values: dict[str, Value] = {}
    faults: list[Fault] = []
    for binding in bindings:
        output = outputs.get(binding.name)
        if output is None:
            continue
        declaration = declarations.get(binding.target)
        wanted = binding.type if declaration is None else declaration.type
        try:
            values[binding.target] = coerce(output, wanted)
        except ValueMisfitError as misfit:
            faults.append(_output_misfit(path, binding, output, misfit))
    return Written(values, tuple(faults)) if values or faults else _NOTHING_WRITTEN


def _output_misfit(path: str, binding: OutBinding, output: object, misfit: ValueMisfitError) -> Fault:
    message = f"the output {binding.name!r} cannot be written to {binding.target!r}: {misfit}"
    if isinstance(output, dict | list):
        message += "; structured data travels as a JSON string"
    return Fault(ErrorCode.OUTPUT_MISFIT, f"{path}.outBindings.{shown(binding.target)}", message)
