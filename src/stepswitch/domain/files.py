"""The files of an execution by key: its workflow's, as they were when it was copied, and its own, which stand before those. Called by `steering` and `flow`."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from stepswitch.domain.changed import changed
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import LogLevel, Outcome, Result, StepError
from stepswitch.domain.names import shown
from stepswitch.domain.progress import Progress
from stepswitch.domain.values import Value, ValueType

MOST: Final = 1_000
"""Files of one execution: all of them are named in its head, which every decision reads."""
Files = Mapping[str, str]
"""Key → id of the file."""


def with_file(files: Files, workflow: Workflow, key: str, file_id: str | None) -> Files:
    """Return `files` with another one under `key`; None takes it away, and leaves the workflow's own of that key where there is one."""
    found = file_id if file_id is not None else workflow.attachments.get(key)
    others = {name: each for name, each in files.items() if name != key}
    return others if found is None else {**others, key: found}


def take_made(p: Progress, outcome: Outcome) -> Outcome:
    """Give the execution the files that an attempt made, and fail the attempt where it cannot have them."""
    if not outcome.files:
        return outcome
    misfit = _misfit_of_made(p.head.attachments, outcome.files, p.workflow, p.values)
    if misfit is not None:
        p.log(f"what the step made is not kept: {misfit.message}", LogLevel.WARN, p.step.number)
        return changed(outcome, files={}, result=Result.FAILED, error=misfit) if outcome.result is Result.SUCCEEDED else outcome
    for key in outcome.files:
        how = "replaced" if key in p.head.attachments else "added"
        p.log(f"file {shown(key)} {how} by step {p.step.step_id}", step=p.step.number)
    p.change(attachments={**p.head.attachments, **outcome.files})
    return outcome


def _misfit_of_made(before: Files, made: Files, workflow: Workflow, values: Mapping[str, Value]) -> StepError | None:
    """Return why an execution with the files `before` cannot take those that an attempt `made`; None where it can."""
    after = {**before, **made}
    if len(after) > max(MOST, len(before)):
        return StepError(ErrorCode.TOO_LARGE, f"the execution would have {len(after)} files; it may have {MOST}")
    users = left_without(before, after, workflow, values) if any(key in before for key in made) else []
    if users:
        message = f"a file that is to be replaced by {', '.join(map(shown, made))} is still referred to, by its id, by {', '.join(users)}"
        return StepError(ErrorCode.FILE_IN_USE, message)
    return None


def left_without(before: Files, after: Files, workflow: Workflow, values: Mapping[str, Value]) -> list[str]:
    """Return what refers to a file that is in `before` and would not be in `after`, each as a path."""
    known, left = _names(before), _names(after)
    return [path for path, name in _references(workflow, values) if name in known and name not in left]


def _names(files: Files) -> Collection[str]:
    """Return what files go by: their keys, and their ids too."""
    return {*files, *files.values()}


def _references(workflow: Workflow, values: Mapping[str, Value]) -> Iterator[tuple[str, Value | None]]:
    holders = {name for name, declared in workflow.declarations.items() if declared.type is ValueType.FILE}
    for step in workflow.steps.values():
        for binding in step.in_bindings:
            if binding.type is ValueType.FILE:
                yield f"steps.{shown(step.id)}.inBindings.{shown(binding.name)}.defaultValue", binding.default
                if binding.export_name is not None:
                    holders.add(binding.export_name)
    for name in sorted(holders):
        yield f"values.{shown(name)}", values.get(name)
