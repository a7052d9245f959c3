"""What the audit trail says of a workflow: its name and revision, and which places of the document a change touched. Called by `catalogue`.

What stands there is not said: a document can hold passwords, and every revision of it is kept in the catalogue.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from stepswitch.engine.audit import Entry, Thing, changed
from stepswitch.engine.callers import Caller
from stepswitch.engine.records import StoredWorkflow

MOST_PLACES: Final = 50
_PARTS: Final = ("steps", "inputs", "outputs", "variables", "attachments")
"""Maps whose members are named one by one."""


def thing_of(workflow: StoredWorkflow) -> Thing:
    """Return what the audit trail calls a workflow."""
    return Thing("workflow", workflow.id, str(workflow.document.get("name")))


def told(workflow: StoredWorkflow) -> dict[str, Any]:
    """Return what the audit trail says of a workflow as it stands."""
    document = workflow.document
    return {
        "name": document.get("name"),
        "version": document.get("version"),
        "revision": workflow.revision,
        "readOnly": document.get("readOnly"),
    }


def change(caller: Caller, before: StoredWorkflow, after: StoredWorkflow) -> Entry | None:
    """Return the record of a workflow's next revision."""
    if caller.act is None:
        return None
    was, became = changed(told(before), told(after))
    became["changed"] = list(islice(_places(before.document, after.document), MOST_PLACES))
    return caller.entry(thing_of(after), was, became)


def _places(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Return the places of two documents that differ: fields, and the members of the maps that matter."""
    for name in {**before, **after}:
        left, right = before.get(name), after.get(name)
        if left == right:
            continue
        if name in _PARTS and isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from (f"{name}.{each}" for each in {**left, **right} if left.get(each) != right.get(each))
        else:
            yield str(name)
