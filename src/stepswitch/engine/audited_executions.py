"""What the audit trail says of an execution, and of what somebody does to it. Called by the use cases, and by `conductor`, which knows what became of it.

Values and edited steps can hold passwords: only the names of what was changed are said.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stepswitch.domain.events import AbandonCleanup, BreakLock, Change, Event, SetFile, SetValues
from stepswitch.domain.execution import Head
from stepswitch.engine.audit import Actor, Entry, Thing, changed, written_time


def thing_of(head: Head) -> Thing:
    """Return what the audit trail calls an execution: by the name of its workflow."""
    return Thing("execution", head.id, head.workflow_name)


def created(head: Head) -> dict[str, Any]:
    """Return what is said of a new execution."""
    return {"workflowId": head.workflow_id, "contextType": head.context_type.value, "assignments": list(head.assignments)}


def expired(head: Head, now: int) -> Entry:
    """Return the record of a removal by the service itself, and why."""
    why = {"status": head.status.value, "creationUser": head.creation_user, "retainedTil": written_time(head.retained_til)}
    return Entry("removeExpiredExecution", now, head.tenant, "", Actor.SYSTEM, thing=thing_of(head), before=why, status=204)


def called(head: Head, now: int) -> Entry:
    """Return the record of an execution that a step of another one began, in the name of whoever created that."""
    link = head.parent
    by = {} if link is None else {"parent": link.execution_id, "stepNumber": link.number}
    return Entry(
        "beginSubWorkflow", now, head.tenant, head.creation_user, Actor.SYSTEM, thing=thing_of(head), after={**created(head), **by}
    )


def _told(head: Head) -> dict[str, Any]:
    return {
        "status": head.status.value,
        "pauseAtFailure": head.pause_at_failure,
        "debugStepIds": head.debug_step_ids,
        "retainedTil": written_time(head.retained_til),
        "startStepId": head.resume_at,
    }


def saved(entry: Entry, before: Head, after: Head, event: Event) -> Entry:
    """Return the record of an event that somebody caused, with what it changed."""
    was, became = changed(_told(before), _told(after))
    return replace(entry, before=was, after={**became, **_named(event), **_abandoned(before, after, event)})


def _abandoned(before: Head, after: Head, event: Event) -> Mapping[str, Any]:
    """Return of which step executions something was taken for gone: only their numbers, for a place may hold a secret."""
    if not isinstance(event, AbandonCleanup):
        return {}
    return {"abandonedCleanup": sorted({each.number for each in before.left_behind if each not in after.left_behind})}


def _named(event: Event) -> Mapping[str, Any]:
    """Return what an event changed beside that, by name."""
    if isinstance(event, SetValues):
        return {"values": list(event.values)}
    if isinstance(event, BreakLock):
        return {"brokenLock": event.key.removeprefix("name ")}
    if isinstance(event, SetFile):
        return {"file": event.key, "fileId": event.file_id}
    if isinstance(event, Change) and event.snapshot_id is not None:
        return {"steps": "edited", "snapshot": event.snapshot_id}
    return {}
