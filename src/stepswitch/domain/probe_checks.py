"""What can be said about a step's probe without running it. Called by `validation` for each step of a document."""

from collections.abc import Mapping, Sequence

from stepswitch.domain.conditions import unfit
from stepswitch.domain.document import Comparator, Condition, ProbePolicy, Step
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.names import shown
from stepswitch.domain.probing import unfit_to_look
from stepswitch.domain.step_checks import Scope, check_in_binding, check_missing_inputs, check_out_binding, placed_conditions
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.values import ValueType


def check_probe(step: Step, scope: Scope) -> None:
    """Note every fault and warning of the probe of `step`, where it has one."""
    probe = step.policy.probe
    if probe is None:
        return
    path, signature = f"steps.{step.id}.policy.probe", scope.step_types.find(step.type)
    why = None if signature is None else unfit_to_look(signature)
    if why is not None:
        scope.report.fault(ErrorCode.INVALID_VALUE, path, why)
        return
    for binding in probe.in_bindings:
        check_in_binding(binding, f"{path}.inBindings.{binding.name}", scope, signature)
    for out_binding in probe.out_bindings:
        check_out_binding(out_binding, f"{path}.outBindings.{out_binding.target}", scope, signature)
    source = _probe_source(step)
    if signature is not None:
        _check_inputs(step, source, signature, scope)
    for field, conditions in (("done", probe.done), ("notDone", probe.not_done)):
        _check_conditions(source.get(field), conditions, f"{path}.{field}", signature, scope)
    _check_answers(probe, source, path, scope)


def _probe_source(step: Step) -> Mapping[str, object]:
    source = step.source["policy"]["probe"]
    return source if isinstance(source, Mapping) else {}


def _check_inputs(step: Step, source: Mapping[str, object], signature: StepSignature, scope: Scope) -> None:
    """Note what is missing beside what the probe takes over from its step, and a probe that does just what its step does."""
    probe, path = step.policy.probe, f"steps.{step.id}.policy.probe.inBindings"
    own, of_step = source.get("inBindings"), step.source.get("inBindings")
    if probe is None or not isinstance(own, Mapping) or not own:
        return
    taken_over = {
        name: each
        for name, each in (of_step.items() if isinstance(of_step, Mapping) else ())
        if (spec := signature.input(name)) is None or not spec.tells_what
    }
    check_missing_inputs({**taken_over, **own}, path, signature, scope)
    if probe.in_bindings and all(binding in step.in_bindings for binding in probe.in_bindings):
        scope.report.fault(ErrorCode.INVALID_VALUE, path, "is what the step itself has: the probe would not look but do it again")


def _check_conditions(source: object, conditions: Sequence[Condition], path: str, signature: StepSignature | None, scope: Scope) -> None:
    for place, condition, is_value_unread in placed_conditions(source, conditions):
        at = f"{path}[{place}]"
        output = None if signature is None else signature.output(condition.name)
        if condition.name and signature is not None and output is None and not signature.other_outputs:
            hint = scope.report.hint(condition.name, [spec.name for spec in signature.outputs])
            message = f"{signature.name} has no output {shown(condition.name)!r}{hint}"
            scope.report.fault(ErrorCode.UNDECLARED_NAME, f"{at}.name", message)
        for name in dict.fromkeys(condition.template.names if condition.template is not None else ()):
            scope.check_name(name, f"{at}.value")
        if is_value_unread or condition.template is not None:
            continue
        why = unfit(condition, ValueType.STRING if output is None else output.type)
        if why is None and condition.comparator is Comparator.CONTAINS and condition.value == "":
            why = "every text contains the empty one"
        if why is not None:
            scope.report.fault(ErrorCode.UNFIT_COMPARATOR, f"{at}.value", why)


def _check_answers(probe: ProbePolicy, source: Mapping[str, object], path: str, scope: Scope) -> None:
    """Note where no look could ever tell anything."""
    if source.get("done") == [] == source.get("notDone"):
        scope.report.fault(ErrorCode.INVALID_VALUE, path, "done and notDone are empty, so that no look could tell anything")
    elif probe.done and probe.done == probe.not_done:
        scope.report.fault(ErrorCode.INVALID_VALUE, f"{path}.notDone", "asks for the same as done, so that no look could tell them apart")
