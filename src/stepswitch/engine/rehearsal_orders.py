"""What is to be rehearsed, and what is expected of it: results of steps, acts of operators, a way. Made by `api.wire.rehearsals`.

Everything here is held against the workflow before anything is played, every fault at once with its path in the document.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from stepswitch.domain.assignments import check_assignments, check_values
from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.execution import ContextType, PlainValues, Result, Status, StepError, Verdict
from stepswitch.domain.names import shown
from stepswitch.domain.readers import Report
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.values import fit, size_of
from stepswitch.engine.executions import size_faults

MAX_REHEARSALS: Final = 100
"""So many rehearsals one document may have."""
MAX_STEP_EXECUTIONS: Final = 10_000
"""So many step executions a rehearsal may have, also where an execution may have more."""


class ActKind(StrEnum):
    """What an operator does when an execution waits for somebody."""

    RESUME = "resume"
    RETRY = "retry"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class ScriptedResult:
    """What an attempt at a step comes to, for the next `times` attempts. `seconds` is how long each one takes.

    One that is `lost` never reports: its worker gave no sign of life.
    """

    result: Result = Result.SUCCEEDED
    outputs: PlainValues = field(default_factory=dict)
    error: StepError | None = None
    seconds: float = 0.0
    times: int = 1
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator does at the next pause, or after it has ended FAILED; `at` is the step where that is to be (None: anywhere).

    `values` are corrected before; the way goes on at `start_step_id`, where one is given.
    """

    kind: ActKind
    at: str | None = None
    start_step_id: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """One step execution of the way; of `inputs` only those that are named count, None stands for no value."""

    step_id: str
    result: Result | None = None
    attempt: int | None = None
    error: ErrorCode | None = None
    verdict: Verdict | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to come out. None is not looked at; `outputs` are all there are, of `values` only those that are named count."""

    way: tuple[ExpectedStep, ...] | None = None
    status: Status | None = None
    outputs: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    max_step_executions: int | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One rehearsal. `path` is its place in the document; `shared` holds the paths of what stands above it there for all of them."""

    name: str
    path: str = ""
    shared: frozenset[str] = frozenset()
    context_type: ContextType = ContextType.NONE
    context: Mapping[str, Any] = field(default_factory=dict)
    assignments: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    """Key → content, as a text."""
    pause_at_failure: bool = False
    debug_step_ids: tuple[str, ...] = ()
    results: Mapping[str, tuple[ScriptedResult, ...]] = field(default_factory=dict)
    probes: Mapping[str, tuple[ScriptedResult, ...]] = field(default_factory=dict)
    """What the looks of a step's probe come to."""
    acts: tuple[Act, ...] = ()
    expected: Expected = Expected()

    def at(self, path: str) -> str:
        """Return a path of this rehearsal as the document has it."""
        return path if path in self.shared or not self.path else f"{self.path}.{path}"


@dataclass(frozen=True, slots=True)
class RehearsalOrder:
    """A document of rehearsals: the workflow itself, or the id of one in the catalogue."""

    workflow: Mapping[str, Any] | None
    workflow_id: str | None
    rehearsals: tuple[Rehearsal, ...]
    faults: tuple[Fault, ...] = ()
    """What was wrong with its shape already, so that everything is said in one answer."""
    is_large: bool = False
    """Whether it takes long to hold it against the workflow."""


def rehearsal_faults(rehearsal: Rehearsal, workflow: Workflow, rules: Rules) -> list[Fault]:
    """Return every fault of `rehearsal` that shows only beside its workflow."""
    return [replace(fault, path=rehearsal.at(fault.path)) for fault in _faults(rehearsal, workflow, rules)]


def _faults(rehearsal: Rehearsal, workflow: Workflow, rules: Rules) -> Iterator[Fault]:
    given = (rehearsal.assignments, rehearsal.context)
    files = {*workflow.attachments, *rehearsal.attachments}
    yield from check_assignments(workflow, *given, rehearsal.context_type, files)
    yield from size_faults(*given, rules.limits.values_bytes)
    report = Report()
    known = _Known(workflow, report)
    for place, step_id in enumerate(rehearsal.debug_step_ids):
        known.step(step_id, f"debugStepIds[{place}]")
    for step_id, results in rehearsal.results.items():
        if known.step(step_id, f"results.{shown(step_id)}"):
            _check_results(workflow, step_id, results, rules, report)
    for step_id, looks in rehearsal.probes.items():
        if known.step(step_id, f"probes.{shown(step_id)}"):
            _check_looks(workflow, step_id, looks, rules, report)
    for place, act in enumerate(rehearsal.acts):
        known.step(act.at, f"operators[{place}].at")
        known.step(act.start_step_id, f"operators[{place}].startStepId")
        for fault in check_values(workflow, act.values, rehearsal.context, files):
            report.fault(fault.code, f"operators[{place}].{fault.path}", fault.message)
    _check_expected(rehearsal, workflow, rules, known)
    yield from report.faults


class _Known:
    """Names that a rehearsal may use."""

    def __init__(self, workflow: Workflow, report: Report) -> None:
        self._steps = workflow.steps
        self._report = report

    def step(self, step_id: str | None, path: str) -> bool:
        """Return whether the workflow has the step, and note a fault where it has not."""
        if step_id is None or step_id in self._steps:
            return True
        hint = self._report.hint(step_id, self._steps)
        self._report.fault(ErrorCode.UNKNOWN_STEP, path, f"the workflow has no step {shown(step_id)!r}{hint}")
        return False

    def name(self, name: str, names: Mapping[str, object], what: str, path: str) -> None:
        """Note a fault, which begins with `what`, where none of `names` is called so."""
        if name not in names:
            self._report.fault(ErrorCode.UNDECLARED_NAME, path, f"{what} {shown(name)!r}{self._report.hint(name, names)}")


def _check_results(workflow: Workflow, step_id: str, results: tuple[ScriptedResult, ...], rules: Rules, report: Report) -> None:
    signature = rules.types.find(workflow.steps[step_id].type)
    path = f"results.{shown(step_id)}"
    if signature is None:
        return
    if signature.inline:
        report.fault(ErrorCode.INVALID_VALUE, path, f"{signature.name} does nothing, so it takes no results: leave them out")
        return
    for place, scripted in enumerate(results):
        if scripted.lost and signature.always_safe:
            message = f"an attempt at {signature.name} that is lost is made again, since running it twice never harms: leave it out"
            report.fault(ErrorCode.INVALID_VALUE, f"{path}[{place}].lost", message)
        if signature.waits and (scripted.lost or scripted.result is Result.UNKNOWN):
            message = f"{signature.name} waits for an execution, so it is never in doubt itself: give FAILED, with the error CHILD_IN_DOUBT"
            report.fault(ErrorCode.INVALID_VALUE, f"{path}[{place}]", message)
    _check_outputs(path, results, signature, rules, report)


def _check_looks(workflow: Workflow, step_id: str, looks: tuple[ScriptedResult, ...], rules: Rules, report: Report) -> None:
    step, path = workflow.steps[step_id], f"probes.{shown(step_id)}"
    signature = rules.types.find(step.type)
    if step.policy.probe is None:
        report.fault(ErrorCode.INVALID_VALUE, path, "the step has no probe that could look")
    elif signature is not None:
        _check_outputs(path, looks, signature, rules, report)


def _check_outputs(path: str, results: tuple[ScriptedResult, ...], signature: StepSignature, rules: Rules, report: Report) -> None:
    for place, scripted in enumerate(results):
        for name, value in scripted.outputs.items():
            found = _unfit_output(signature, name, value, report) or _too_large(value, rules.limits.output_bytes)
            if found is not None:
                report.fault(found[0], f"{path}[{place}].outputs.{shown(name)}", found[1])


def _unfit_output(signature: StepSignature, name: str, value: object, report: Report) -> tuple[ErrorCode, str] | None:
    """Return why a step of this type never gives such an output; None where it may."""
    spec = signature.output(name)
    if spec is None:
        hint = report.hint(name, [spec.name for spec in signature.outputs])
        return None if signature.other_outputs else (ErrorCode.UNDECLARED_NAME, f"{signature.name} gives no output {shown(name)!r}{hint}")
    try:
        fit(value, spec.type)
    except ValueMisfitError as misfit:
        return ErrorCode.WRONG_TYPE, str(misfit)
    return None


def _too_large(value: object, limit_bytes: int) -> tuple[ErrorCode, str] | None:
    is_over = isinstance(value, str) and size_of(value) > limit_bytes
    return (ErrorCode.OUTPUT_TOO_LARGE, f"an output has at most {limit_bytes} bytes") if is_over else None


def _check_expected(rehearsal: Rehearsal, workflow: Workflow, rules: Rules, known: _Known) -> None:
    expected = rehearsal.expected
    for place, step in enumerate(expected.way or ()):
        path = f"expected.way[{place}]"
        if not step.step_id or not known.step(step.step_id, path):
            continue  # it is said already that there is none
        names = dict.fromkeys(_inputs_of(workflow.steps[step.step_id], rules))
        for name in step.inputs:
            known.name(name, names, f"step {shown(step.step_id)} takes no input", f"{path}.inputs.{shown(name)}")
    for name in expected.outputs or ():
        known.name(name, workflow.outputs, "the workflow has no output", f"expected.outputs.{shown(name)}")
    for name in expected.values:
        names = {**workflow.declarations, **rehearsal.context}
        known.name(name, names, "the workflow has no input, variable or output", f"expected.values.{shown(name)}")


def _inputs_of(step: Step, rules: Rules) -> Iterator[str]:
    signature = rules.types.find(step.type)
    if signature is not None and signature.inline:
        return  # what is bound to it is dropped
    yield from (binding.name for binding in step.in_bindings)
    yield from (spec.name for spec in (signature.inputs if signature is not None else ()))
