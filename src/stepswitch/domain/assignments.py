"""What an execution starts with: assignments of inputs, defaults, and what its context gives. Called when one is created or corrected.

Keys of a context are readable as variables: one that a workflow declares as a variable is filled by it. `vnfId` and `nsId` are
injected and cannot be overwritten; an input `vimLocation` may be given as an assignment or by the context. A context fills no
other input (those are assigned), no output (those are written by steps) and no password (a context is shown in clear).
Paths in faults are as the caller wrote them. Source: `workflow-semantics`, section 5.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stepswitch.domain.document import Declaration, Workflow
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.execution import ContextType
from stepswitch.domain.formats import misfit
from stepswitch.domain.names import INJECTED, shown, unfit_name, unfit_text
from stepswitch.domain.readers import ObjectReader, Report
from stepswitch.domain.values import Value, ValueType, fit

REQUIRED_KEYS: Final[Mapping[ContextType, str]] = {ContextType.VNF: "vnfId", ContextType.CNF: "vnfId", ContextType.NS: "nsId"}
"""What the context of each type must carry, and what is injected by it."""
_INJECTED: Final = tuple(sorted(INJECTED))
_TEXTS: Final = frozenset({ValueType.STRING, ValueType.PASSWORD})


def check_assignments(
    workflow: Workflow,
    assignments: Mapping[str, Any],
    context: Mapping[str, Any],
    context_type: ContextType,
    attachments: Collection[str] = (),
) -> tuple[Fault, ...]:
    """Return every fault of what an execution of `workflow` shall start with; `attachments` are the keys of its own files."""
    report = Report()
    files = {*workflow.attachments, *attachments}
    _check_assigned(workflow, assignments, report, files)
    _check_context(workflow, context, report, files)
    _check_injected(assignments, context, context_type, report)
    _check_required(workflow, assignments, context, report, files)
    return report.faults


def check_values(
    workflow: Workflow, values: Mapping[str, Any], context: Mapping[str, Any], attachments: Collection[str] = ()
) -> tuple[Fault, ...]:
    """Return every fault of what somebody wants inputs and variables of an execution to be; null takes a value away."""
    report = Report()
    for name, value in values.items():
        path = f"values.{shown(name)}"
        declaration = workflow.inputs.get(name) or workflow.variables.get(name)
        if name in INJECTED and context.get(name) is not None:
            report.fault(ErrorCode.INVALID_VALUE, path, "is given by the context and cannot be overwritten")
        elif declaration is None:
            known = [*workflow.inputs, *workflow.variables]
            why = "is an output, which steps write" if name in workflow.outputs else f"the workflow has none{report.hint(name, known)}"
            report.fault(ErrorCode.UNKNOWN_INPUT, path, f"{why}; only inputs and variables can be corrected")
        elif value is None and declaration.required:
            report.fault(ErrorCode.MISSING_INPUT, path, "is required: its value can be replaced, and not taken away")
        else:
            _check_value(value, declaration, path, report, {*workflow.attachments, *attachments})
    return report.faults


def fitting_values(workflow: Workflow, values: Mapping[str, Any]) -> dict[str, Value | None]:
    """Return values that `check_values` finds no fault with as they are stored."""
    return {name: None if value is None else fit(value, workflow.declarations[name].type) for name, value in values.items()}


def assigned_values(workflow: Workflow, assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Return assignments that `check_assignments` finds no fault with as they are stored: objects that name credentials as references."""
    return {name: fit(value, workflow.inputs[name].type) if isinstance(value, Mapping) else value for name, value in assignments.items()}


def initial_values(workflow: Workflow, assignments: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values that an execution starts with; what `check_assignments` finds no fault with never raises."""
    values = {name: declared.default for name, declared in workflow.declarations.items() if declared.default is not None}
    given = {**_present(assignments), **_present(context)}
    for name, value in given.items():
        declaration = workflow.declarations.get(name)
        values[name] = fit(value, _scalar_type(value) if declaration is None else declaration.type)
    return values


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _scalar_type(value: object) -> ValueType:
    if isinstance(value, bool):
        return ValueType.BOOLEAN
    return ValueType.NUMBER if isinstance(value, int | float) else ValueType.STRING


def _check_assigned(workflow: Workflow, assignments: Mapping[str, Any], report: Report, files: Collection[str]) -> None:
    for name, value in assignments.items():
        path = f"assignments.{shown(name)}"
        declaration = workflow.inputs.get(name)
        if declaration is not None:
            _check_value(value, declaration, path, report, files)
        elif name in workflow.declarations:
            kind = "a variable" if name in workflow.variables else "an output"
            report.fault(ErrorCode.UNKNOWN_INPUT, path, f"is {kind} of the workflow; only inputs can be assigned")
        else:
            report.fault(ErrorCode.UNKNOWN_INPUT, path, f"the workflow has no such input{report.hint(name, workflow.inputs)}")


def _check_value(value: object, declaration: Declaration, path: str, report: Report, files: Collection[str]) -> None:
    if value is None:
        return
    try:
        fitting = fit(value, declaration.type)
    except ValueMisfitError as error:
        report.fault(ErrorCode.WRONG_TYPE, path, str(error))
        return
    if not isinstance(fitting, str):
        return
    why = unfit_text(fitting) or (misfit(fitting, declaration.format) if declaration.type in _TEXTS else None)
    if why is not None:
        report.fault(ErrorCode.INVALID_VALUE, path, why)
    if declaration.type is ValueType.FILE and fitting not in files:
        hint = report.hint(fitting, files)
        report.fault(
            ErrorCode.UNKNOWN_ATTACHMENT, path, f"neither the workflow nor the execution has an attachment {shown(fitting)!r}{hint}"
        )


def _check_context(workflow: Workflow, context: Mapping[str, Any], report: Report, files: Collection[str]) -> None:
    reader = ObjectReader(context, "context", report)
    for name, value in _present(context).items():
        field = shown(name)
        why = unfit_name(name)
        declaration = workflow.declarations.get(name)
        if why is not None:
            reader.fault(ErrorCode.INVALID_VALUE, field, why)
        elif name in INJECTED:
            text = reader.text(name)
            if text is not None and not text.strip():
                reader.fault(ErrorCode.INVALID_VALUE, field, "must not be empty")
        elif declaration is None:
            reader.scalar(name)
        elif name in workflow.variables and declaration.type is not ValueType.PASSWORD:
            _check_value(value, declaration, reader.at(field), report, files)
        else:
            reader.fault(ErrorCode.INVALID_VALUE, field, _why_not_from_context(workflow, name))


def _why_not_from_context(workflow: Workflow, name: str) -> str:
    if name in workflow.inputs:
        return "is an input of the workflow: give it under assignments"
    if name in workflow.outputs:
        return "is an output of the workflow: steps write it, and a context cannot"
    return "is a password: a context is shown in clear, so give it as an input under assignments"


def _check_injected(assignments: Mapping[str, Any], context: Mapping[str, Any], context_type: ContextType, report: Report) -> None:
    key = REQUIRED_KEYS.get(context_type)
    if key is not None and context.get(key) is None:
        report.fault(ErrorCode.MISSING_FIELD, f"context.{key}", f"a context of type {context_type} needs it")
    for name in _INJECTED:
        assigned, injected = assignments.get(name), context.get(name)
        if assigned is not None and (name == key or (injected is not None and injected != assigned)):
            report.fault(ErrorCode.INVALID_VALUE, f"assignments.{name}", "is given by the context and cannot be overwritten")


def _check_required(
    workflow: Workflow, assignments: Mapping[str, Any], context: Mapping[str, Any], report: Report, files: Collection[str]
) -> None:
    for name, declaration in workflow.inputs.items():
        is_given = assignments.get(name) is not None or (name in INJECTED and context.get(name) is not None)
        if is_given:
            continue
        path = f"assignments.{name}"
        default = declaration.default
        if declaration.required and default is None:
            report.fault(ErrorCode.MISSING_INPUT, path, f"the input {name!r} is required and has no default")
        elif declaration.type is ValueType.FILE and isinstance(default, str) and default not in files:
            message = f"its default, the attachment {shown(default)!r}, is missing: the workflow and the execution have none of that name"
            report.fault(ErrorCode.UNKNOWN_ATTACHMENT, path, message)
