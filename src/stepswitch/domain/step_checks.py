"""What can be said about one step without running it. Called by `validation` for each step of a document.

A step is held against the document (the names and steps that it refers to) and against what its type declares of itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from stepswitch.domain.conditions import unfit
from stepswitch.domain.document import Condition, Declaration, InBinding, OutBinding, Step
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.formats import misfit
from stepswitch.domain.influence import RUN, is_free_text, variables_of_context
from stepswitch.domain.names import INJECTED, OVERWRITE_PROTECTED, shown
from stepswitch.domain.parsing import Outline
from stepswitch.domain.readers import Report
from stepswitch.domain.secrecy import MASK, SHORTEST_SECRET
from stepswitch.domain.step_types import DOCUMENTED_TYPES, TARGET, InputSpec, StepSignature, StepTypes
from stepswitch.domain.values import ValueType

DOCUMENTED_ALIASES: Final = frozenset({"JAVASCRIPT"})
_SPLICED_INTO: Final = frozenset({"cmd", "script"})
_SCALARS: Final = frozenset({ValueType.NUMBER, ValueType.BOOLEAN})


class Scope:
    """What a step is held against: the document around it, the installed types, and the report to write to."""

    __slots__ = ("_inputs_by_type", "found", "of_context", "report", "step_types", "types")

    def __init__(self, found: Outline, step_types: StepTypes, report: Report) -> None:
        self.found = found
        self.step_types = step_types
        self.report = report
        self.types = dict.fromkeys(INJECTED, ValueType.STRING) | {
            name: declaration.type for name, declaration in found.workflow.declarations.items()
        }
        self.of_context = variables_of_context(found.workflow)
        self._inputs_by_type: dict[str, dict[str, InputSpec]] = {}

    def inputs_of(self, signature: StepSignature) -> Mapping[str, InputSpec]:
        """Return the inputs of a step type by name."""
        if signature.name not in self._inputs_by_type:
            self._inputs_by_type[signature.name] = {spec.name: spec for spec in signature.inputs}
        return self._inputs_by_type[signature.name]

    def check_name(self, name: str, path: str) -> None:
        """Note that `name` is declared nowhere, if so."""
        if name not in self.found.names and name not in INJECTED:
            hint = self.report.hint(name, self.found.names)
            self.report.fault(ErrorCode.UNDECLARED_NAME, path, f"no input, variable or output is called {shown(name)!r}{hint}")

    def check_step_id(self, step_id: str | None, path: str) -> None:
        """Note that no step is called `step_id`, if so."""
        if step_id is not None and step_id not in self.found.step_ids:
            hint = self.report.hint(step_id, self.found.step_ids)
            self.report.fault(ErrorCode.UNKNOWN_STEP, path, f"no step is called {step_id!r}{hint}")


def check_step(step: Step, scope: Scope) -> None:
    """Note every fault and warning of `step`."""
    path = f"steps.{step.id}"
    signature = _check_type(step, path, scope)
    scope.check_step_id(step.next_step_id, f"{path}.nextStepId")
    scope.check_step_id(step.policy.on_failure_step_id, f"{path}.policy.onFailureStepId")
    scope.check_step_id(step.policy.on_unknown_step_id, f"{path}.policy.onUnknownStepId")
    for place, condition, is_value_unread in placed_conditions(step.source.get("conditions"), step.conditions):
        _check_condition(condition, f"{path}.conditions[{place}]", scope, is_value_unread=is_value_unread)
    for binding in step.in_bindings:
        check_in_binding(binding, f"{path}.inBindings.{binding.name}", scope, signature)
    for out_binding in step.out_bindings:
        check_out_binding(out_binding, f"{path}.outBindings.{out_binding.target}", scope, signature)
    _warn_of_led_password(step, path, scope, signature)
    if signature is not None:
        check_missing_inputs(step.source.get("inBindings"), f"{path}.inBindings", signature, scope)


def warn_of_short_secret(secret: str, path: str, report: Report) -> None:
    """Warn where `secret` is too short to be masked in logs and answers."""
    if 0 < len(secret) < SHORTEST_SECRET:
        report.warn(ErrorCode.SHORT_SECRET, path, f"a secret with fewer than {SHORTEST_SECRET} characters is not masked in logs")


def _warn_of_led_password(step: Step, path: str, scope: Scope, signature: StepSignature | None) -> None:
    """Warn where whoever starts the workflow says where a password is sent that stands in it, which he need not know."""
    workflow = scope.found.workflow
    bindings = step.all_in_bindings
    if not any(_holds_password(workflow.declarations.get(binding.export_name or ""), binding) for binding in bindings):
        return
    targets = {*TARGET, *(() if signature is None else signature.device_inputs)}
    for binding in step.in_bindings:
        read = (binding.export_name, *(binding.template.names if binding.template is not None else ()))
        for name in dict.fromkeys(each for each in read if binding.name in targets and each in workflow.inputs):
            message = f"the input {name!r} says where a stored password is sent: whoever starts the workflow can have it sent to a host of his own"
            scope.report.warn(
                ErrorCode.UNSAFE_TEMPLATE, f"{path}.inBindings.{binding.name}", f"{message}; use a credential, which is for its devices"
            )


def _holds_password(declared: Declaration | None, binding: InBinding) -> bool:
    """Return whether what an input takes is a password that stands in the document itself; a credential has its own devices."""
    default = binding.default if declared is None or declared.default is None else declared.default
    is_secret = binding.type is ValueType.PASSWORD or (declared is not None and declared.type is ValueType.PASSWORD)
    return is_secret and isinstance(default, str) and default != ""


def _check_type(step: Step, path: str, scope: Scope) -> StepSignature | None:
    signature = scope.step_types.find(step.type)
    if signature is not None or not step.type:
        return signature
    if step.type in DOCUMENTED_TYPES or step.type in DOCUMENTED_ALIASES:
        message = f"the step type {step.type} is not installed here: the workflow can be stored, not executed"
        scope.report.warn(ErrorCode.STEP_TYPE_NOT_INSTALLED, f"{path}.type", message)
    else:
        hint = scope.report.hint(step.type, dict.fromkeys((*DOCUMENTED_TYPES, *scope.step_types.by_name)))
        scope.report.fault(ErrorCode.UNKNOWN_STEP_TYPE, f"{path}.type", f"no step type is called {shown(step.type)!r}{hint}")
    return None


def placed_conditions(source: object, conditions: Sequence[Condition]) -> Iterator[tuple[int, Condition, bool]]:
    """Return each condition with its place in the array `source`, and whether its value is there but could not be read."""
    items = source if isinstance(source, list | tuple) else ()
    places = [(place, item) for place, item in enumerate(items) if isinstance(item, Mapping)]
    for (place, item), condition in zip(places, conditions, strict=True):
        yield place, condition, condition.value is None and item.get("value") is not None


def _check_condition(condition: Condition, path: str, scope: Scope, *, is_value_unread: bool) -> None:
    scope.check_step_id(condition.next_step_id, f"{path}.nextStepId")
    if condition.name:
        scope.check_name(condition.name, f"{path}.name")
    why = None if is_value_unread else unfit(condition, scope.types.get(condition.name))
    if why is not None:
        scope.report.fault(ErrorCode.UNFIT_COMPARATOR, f"{path}.value", why)


def check_in_binding(binding: InBinding, path: str, scope: Scope, signature: StepSignature | None) -> None:
    """Note every fault and warning of an input of a step or of its probe."""
    if binding.export_name is not None:
        scope.check_name(binding.export_name, f"{path}.exportName")
        if binding.name in RUN and binding.export_name in scope.of_context and (what := _free_text(binding.export_name, scope)):
            message = f"{what} is what is run; declare an input where that is meant, and else give it a defaultValue"
            scope.report.warn(ErrorCode.UNSAFE_TEMPLATE, f"{path}.exportName", message)
        given = scope.types.get(binding.export_name)
        if given in _SCALARS and binding.type in _SCALARS and given is not binding.type:
            scope.report.fault(ErrorCode.WRONG_TYPE, f"{path}.exportName", f"{binding.export_name} is a {given}, never a {binding.type}")
    _check_default(binding, path, scope)
    spec = None if signature is None else scope.inputs_of(signature).get(binding.name)
    if spec is not None and signature is not None:
        _check_against_spec(binding, spec, signature.name, path, scope.report)
    elif signature is not None and not signature.other_inputs:
        hint = scope.report.hint(binding.name, scope.inputs_of(signature))
        scope.report.warn(ErrorCode.UNKNOWN_INPUT, path, f"{signature.name} has no input {binding.name!r}: it is ignored{hint}")


def _check_default(binding: InBinding, path: str, scope: Scope) -> None:
    path = f"{path}.defaultValue"
    if binding.template is not None:
        for name in dict.fromkeys(binding.template.names):
            scope.check_name(name, path)
            if binding.name in _SPLICED_INTO and (what := _free_text(name, scope)):
                message = f"{what} may hold anything, and it becomes a part of what is run; give it a format, or hand it over apart"
                scope.report.warn(ErrorCode.UNSAFE_TEMPLATE, path, message)
    elif isinstance(binding.default, str):
        if binding.type is ValueType.PASSWORD:
            warn_of_short_secret(binding.default, path, scope.report)
        if binding.type in (ValueType.STRING, ValueType.PASSWORD):
            why = misfit(binding.default, binding.format)
            if why is not None:
                scope.report.fault(ErrorCode.INVALID_VALUE, path, why)
        attachments = scope.found.workflow.attachments
        if binding.type is ValueType.FILE and binding.default not in {*attachments, *attachments.values()}:
            scope.report.warn(ErrorCode.UNKNOWN_ATTACHMENT, path, f"the workflow has no attachment {shown(binding.default)!r} (yet)")


def _free_text(name: str, scope: Scope) -> str:
    """Return what `name` is, where whoever executes the workflow may write into it what he likes; nothing where he may not."""
    declaration = scope.found.workflow.inputs.get(name)
    if declaration is not None:
        return f"the input {name!r}" if declaration.type is ValueType.STRING and is_free_text(declaration) else ""
    if name in scope.of_context and is_free_text(scope.found.workflow.variables[name]):
        return f"the variable {name!r}, which the context of whoever executes fills,"
    if name in INJECTED and name not in scope.found.names:
        return f"{name!r}, which the context of whoever executes gives,"
    return ""


def _check_against_spec(binding: InBinding, spec: InputSpec, type_name: str, path: str, report: Report) -> None:
    if spec.types and binding.type not in spec.types:
        wanted = " or ".join(spec.types)
        report.fault(ErrorCode.WRONG_TYPE, f"{path}.type", f"{binding.name} of {type_name} is a {wanted}, not a {binding.type}")
    elif spec.choices and binding.template is None and binding.default is not None and binding.default not in spec.choices:
        report.fault(ErrorCode.INVALID_VALUE, f"{path}.defaultValue", f"must be one of {', '.join(spec.choices)}")
    elif spec.unfit is not None and binding.template is None and isinstance(binding.default, str) and binding.default != MASK:
        why = spec.unfit(binding.default)
        if why is not None:
            report.fault(ErrorCode.INVALID_VALUE, f"{path}.defaultValue", why)


def check_out_binding(binding: OutBinding, path: str, scope: Scope, signature: StepSignature | None) -> None:
    """Note every fault and warning of what a step or its probe writes."""
    if binding.target in scope.found.workflow.inputs:
        scope.report.fault(ErrorCode.INVALID_VALUE, path, f"{binding.target!r} is an input; a step writes variables and outputs")
    elif binding.target in OVERWRITE_PROTECTED:
        scope.report.fault(ErrorCode.INVALID_VALUE, path, f"{binding.target!r} is given by the context and cannot be overwritten")
    elif binding.target not in scope.found.names:
        hint = scope.report.hint(binding.target, scope.found.names)
        scope.report.fault(ErrorCode.UNDECLARED_NAME, path, f"no variable or output is called {binding.target!r}{hint}")
    if signature is None or signature.other_outputs or any(spec.name == binding.name for spec in signature.outputs):
        return
    hint = scope.report.hint(binding.name, [spec.name for spec in signature.outputs])
    message = f"{signature.name} has no output {binding.name!r}, so {binding.target!r} is not written here{hint}"
    scope.report.warn(ErrorCode.UNWRITTEN_OUTPUT, f"{path}.name", message)


def check_missing_inputs(source: object, path: str, signature: StepSignature, scope: Scope) -> None:
    """Note each input that the type needs and that the bindings in `source`, which stand at `path`, do not give."""
    given: Mapping[str, object] = source if isinstance(source, Mapping) else {}
    empty = {name for name, binding in given.items() if isinstance(binding, Mapping) and _takes_nothing(binding)}
    groups: dict[str, list[str]] = {}
    for spec in scope.inputs_of(signature).values():
        if spec.one_of is not None:
            groups.setdefault(spec.one_of, []).append(spec.name)
        # The VIM location may come with the context of an execution.
        if spec.required and spec.name not in INJECTED and (spec.name not in given or spec.name in empty):
            what = "its binding has neither an exportName nor a defaultValue" if spec.name in empty else "the step does not bind it"
            scope.report.fault(ErrorCode.MISSING_INPUT, f"{path}.{spec.name}", f"{signature.name} needs it, and {what}")
    for names in groups.values():
        if not any(name in given and name not in empty for name in names):
            scope.report.fault(ErrorCode.MISSING_INPUT, path, f"{signature.name} needs one of {' and '.join(names)}")


def _takes_nothing(binding: Mapping[str, object]) -> bool:
    return binding.get("exportName") is None and binding.get("defaultValue") is None
