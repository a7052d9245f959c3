"""The files of an execution by key: its workflow's, as they were when it was copied, and its own, which stand before those. Called by `steering`."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from stepswitch.domain.document import Workflow
from stepswitch.domain.names import shown
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
