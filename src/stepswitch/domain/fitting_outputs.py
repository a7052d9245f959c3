"""Which outputs of an attempt can be written, and why others cannot. Called by `flow` and `doubts`."""

from collections.abc import Mapping

from stepswitch.domain.bindings import write
from stepswitch.domain.document import OutBinding
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.execution import Outcome
from stepswitch.domain.progress import Progress
from stepswitch.domain.values import Value


def fitting_outputs(p: Progress, bindings: tuple[OutBinding, ...], outcome: Outcome, path: str) -> tuple[dict[str, Value], list[Fault]]:
    """Return what `bindings`, which stand at `path`, make of the outputs of an attempt: the values that can be written, and why others cannot."""
    written = write(bindings, p.workflow.declarations, outcome.outputs, path)
    faults = [*_cut_faults(bindings, outcome), *written.faults, *_size_faults(p, written.values)]
    if any(fault.code is ErrorCode.TOO_LARGE for fault in faults):
        return {}, faults
    cut = {binding.target for binding in bindings if binding.name in outcome.truncated}
    return {name: value for name, value in written.values.items() if name not in cut} if cut else written.values, faults


def _cut_faults(bindings: tuple[OutBinding, ...], outcome: Outcome) -> list[Fault]:
    return [
        Fault(ErrorCode.OUTPUT_TOO_LARGE, f"outBindings.{binding.target}", f"the output {binding.name} was cut and cannot be used")
        for binding in bindings
        if binding.name in outcome.truncated
    ]


def _size_faults(p: Progress, values: Mapping[str, Value]) -> list[Fault]:
    if not values:
        return []
    total = p.size_with(values)
    if total <= p.rules.limits.values_bytes:
        return []
    return [
        Fault(ErrorCode.TOO_LARGE, "", f"the values of this execution would take {total} bytes; the limit is {p.rules.limits.values_bytes}")
    ]
