"""Everything that can be said about a document without running it: faults and warnings, all at once, each with its path.

Called by the catalogue, by steering (an edit is checked as a whole) and by the command `validate`. Names that a workflow may
use are those that it declares, and `vnfId`, `nsId` and `vimLocation`, which contexts give. Other keys of a context are known
only when an execution is created, so a workflow that wants one declares a variable of that name, which the context then fills.
Source: `workflow-semantics`, sections 1 to 4. What concerns a single step stands in `step_checks`, and its
probe in `probe_checks`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stepswitch.domain.document import Declaration, Step, Workflow
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.formats import misfit
from stepswitch.domain.lock_checks import check_locks
from stepswitch.domain.names import INJECTED, shown
from stepswitch.domain.parsing import Outline, outline
from stepswitch.domain.probe_checks import check_probe
from stepswitch.domain.readers import Parsed, Report
from stepswitch.domain.step_checks import Scope, check_step, warn_of_short_secret
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.values import ValueType

_WITH_FORMAT = frozenset({ValueType.STRING, ValueType.PASSWORD})


def check(source: Mapping[str, Any], step_types: StepTypes, strict: bool = False) -> Parsed:  # noqa: FBT001, FBT002 - a setting
    """Return the workflow that `source` describes, or every fault of it; never raises.

    With `strict`, fields that nobody knows are faults and not warnings.
    """
    report = Report(strict=strict)
    found = outline(source, report)
    if found is None:
        return report.parsed(None)
    is_readable = not report.has_faults
    scope = Scope(found, step_types, report)
    _check_start(found, report)
    _check_declarations(found.workflow, report)
    for step in found.workflow.steps.values():
        check_step(step, scope)
        check_probe(step, scope)
        check_locks(step, scope)
    if is_readable:
        # Of a document that could be read in part only, nobody can say what is missing in it.
        _warn_of_loose_ends(found.workflow, report)
    return report.parsed(found.workflow)


def faults_to_execute(workflow: Workflow, step_types: StepTypes) -> tuple[Fault, ...]:
    """Return what stops `workflow`, valid as a document, from being executed here."""
    report = Report()
    if not workflow.steps:
        report.fault(ErrorCode.DRAFT, "steps", "the workflow is a draft: it has no steps")
    if workflow.start_step_id is None:
        report.fault(ErrorCode.DRAFT, "startStepId", "the workflow is a draft: it does not say where to start")
    for step in workflow.steps.values():
        if step_types.find(step.type) is None:
            message = f"the step type {shown(step.type)} is not installed here"
            report.fault(ErrorCode.STEP_TYPE_NOT_INSTALLED, f"steps.{shown(step.id)}.type", message)
    return report.faults


def _check_start(found: Outline, report: Report) -> None:
    start = found.workflow.start_step_id
    if start is None or start in found.step_ids:
        return
    message = f"no step is called {start!r}{report.hint(start, found.step_ids)}"
    if found.step_ids:
        report.fault(ErrorCode.UNKNOWN_STEP, "startStepId", message)
    else:
        report.warn(ErrorCode.UNKNOWN_STEP, "startStepId", f"{message}; without steps the document is a draft")


def _check_declarations(workflow: Workflow, report: Report) -> None:
    for section, declarations in (("inputs", workflow.inputs), ("variables", workflow.variables), ("outputs", workflow.outputs)):
        for declaration in declarations.values():
            path = f"{section}.{declaration.name}"
            if declaration.name in INJECTED and declaration.type in (ValueType.NUMBER, ValueType.BOOLEAN, ValueType.FILE):
                message = f"contexts give {declaration.name} a text, which is no {declaration.type}"
                report.fault(ErrorCode.WRONG_TYPE, f"{path}.type", message)
            _check_default(declaration, workflow, path, report)


def _check_default(declaration: Declaration, workflow: Workflow, path: str, report: Report) -> None:
    default = declaration.default
    if not isinstance(default, str):
        return
    if declaration.type in _WITH_FORMAT:
        why = misfit(default, declaration.format)
        if why is not None:
            report.fault(ErrorCode.INVALID_VALUE, f"{path}.defaultValue", why)
    if declaration.type is ValueType.FILE and default not in workflow.attachments:
        message = f"the workflow has no attachment {shown(default)!r} (yet)"
        report.warn(ErrorCode.UNKNOWN_ATTACHMENT, f"{path}.defaultValue", message)
    if declaration.type is ValueType.PASSWORD:
        warn_of_short_secret(default, f"{path}.defaultValue", report)


def _warn_of_loose_ends(workflow: Workflow, report: Report) -> None:
    if not workflow.is_draft:
        reached = _reached(workflow)
        for step_id in workflow.steps:
            if step_id not in reached:
                report.warn(ErrorCode.UNREACHABLE_STEP, f"steps.{step_id}", "no way leads to this step")
    written = {binding.target for step in workflow.steps.values() for binding in step.all_out_bindings}
    for name, declaration in workflow.outputs.items():
        if name not in written and declaration.default is None:
            report.warn(ErrorCode.UNWRITTEN_OUTPUT, f"outputs.{name}", "no step writes this output")
    read = {name for step in workflow.steps.values() for name in _names_read(step)} | INJECTED
    for name in workflow.inputs:
        if name not in read:
            report.warn(ErrorCode.UNREAD_INPUT, f"inputs.{name}", "no step reads this input")


def _reached(workflow: Workflow) -> set[str]:
    reached: set[str] = set()
    ahead = [workflow.start_step_id]
    while ahead:
        step_id = ahead.pop()
        step = None if step_id is None or step_id in reached else workflow.steps.get(step_id)
        if step is not None:
            reached.add(step.id)
            ahead += [step.next_step_id, step.policy.on_failure_step_id, step.policy.on_unknown_step_id]
            ahead += [condition.next_step_id for condition in step.conditions]
    return reached


def _names_read(step: Step) -> Iterator[str]:
    for binding in step.all_in_bindings:
        if binding.export_name is not None:
            yield binding.export_name
        if binding.template is not None:
            yield from binding.template.names
    for condition in step.conditions:
        yield condition.name
    for evidence in step.policy.probe.conditions if step.policy.probe is not None else ():
        if evidence.template is not None:
            yield from evidence.template.names
