"""Workflows and executions as the bodies of answers. Called by `workflows` and `executions`; what it is given is masked already.

Fields without a value are left out. Built by hand and encoded in one go: this is the hottest path of the service.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from stepswitch.api.wire.documents import SnapshotText, SnapshotTexts, encode
from stepswitch.api.wire.events import EventTexts
from stepswitch.api.wire.fields import ALL, Fields
from stepswitch.api.wire.times import format_time
from stepswitch.domain.execution import ENDED, Child, Head, LogEntry, Probe, Status, StepError, StepExecution
from stepswitch.domain.filters import written
from stepswitch.engine.kept_passwords import masked_document
from stepswitch.engine.records import StoredWorkflow
from stepswitch.engine.rows import Rows
from stepswitch.engine.snapshots import Compiled
from stepswitch.engine.views import ExecutionView
from stepswitch.engine.waiting import WaitingFor

_PLAIN_ROOT: Final = "/telco/api/workflows"
_NO_LOGS: Final[Sequence[Mapping[str, str]]] = ()


@lru_cache(maxsize=1024)
def _escaped(text: str) -> str:
    """Return a text as it stands in a path or a query: an id may be anything that somebody chose, and thousands of answers show the same one."""
    return quote(text, safe="")


@dataclass(frozen=True, slots=True)
class Root:
    """Under which of the two roots an answer is given: links stay under it, and the one with a tenant in its path shows the tenant."""

    prefix: str = _PLAIN_ROOT
    with_tenant: bool = False


PLAIN_ROOT: Final = Root()


def tenant_root(tenant: str) -> Root:
    """Return the root of a tenant."""
    return Root(f"/tca/workflows/api/v1/orgs/{_escaped(tenant)}", with_tenant=True)


class Answers:
    """Makes bodies, and keeps the texts of snapshots that many of them share."""

    def __init__(self) -> None:
        self._texts = SnapshotTexts()
        self.events = EventTexts()

    def workflow(self, stored: StoredWorkflow, root: Root, fields: Fields = ALL) -> bytes:
        """Return a `workflowResponse`, or what of it is asked for."""
        place = f"{root.prefix}/workflow/{_escaped(stored.id)}"
        answer: dict[str, Any] = masked_document(stored.document)
        answer |= {"id": stored.id, "createdAt": format_time(stored.created_at), "creationUser": stored.creation_user}
        if root.with_tenant:
            answer["creationTenantId"] = stored.tenant
        answer["links"] = {
            "self": place,
            "executions": f"{root.prefix}/workflowExecution?filter=(eq,workflow/id,{_escaped(written(stored.id))})",
            "attachments": f"{place}/attachments",
        }
        return encode(fields.of(answer))

    def execution(self, view: ExecutionView, root: Root, fields: Fields = ALL) -> bytes:
        """Return a `workflowExecution` whose rows are all in the view, or what of it is asked for."""
        logs, step_logs = _logs_by_step(view.logs)
        answer = self._head(view, root, fields)
        snapshot_of = self._step_snapshots(view, root, fields)
        answer["stepExecutions"] = [
            _step(step, snapshot_of(step, of), step_logs.get(step.number, _NO_LOGS), view.head) for step, of in view.steps
        ]
        answer["logs"] = logs
        return encode(fields.of(answer))

    async def execution_pieces(self, view: ExecutionView, root: Root, fields: Fields = ALL) -> AsyncIterator[bytes]:
        """Give the same piece by piece, reading the rows on the way where the view has them to be read."""
        rows = view.rows
        if rows is None:
            yield self.execution(view, root, fields)
            return
        yield encode(fields.of(self._head(view, root, fields))).removesuffix(b"}")
        if fields.shows("logs"):
            of_line = fields.inside("logs")
            yield b',"logs":'
            async for piece in _array(encode(of_line.of(_line(entry))) async for page in rows.logs() for entry in page):
                yield piece
        if fields.shows("stepExecutions"):
            yield b',"stepExecutions":'
            async for piece in _array(self._steps(rows, view, root, fields)):
                yield piece
        await rows.check()  # before it looks whole
        yield b"}"

    async def _steps(self, rows: Rows, view: ExecutionView, root: Root, fields: Fields) -> AsyncIterator[bytes]:
        of_step, snapshot_of = fields.inside("stepExecutions"), self._step_snapshots(view, root, fields)
        async for step, of, logs in rows.steps(with_logs=fields.shows("stepExecutions", "logs")):
            yield encode(of_step.of(_step(step, snapshot_of(step, of), [_line(entry) for entry in logs], view.head)))

    def _head(self, view: ExecutionView, root: Root, fields: Fields) -> dict[str, Any]:
        head = view.head
        snapshot = self._texts.get(view.compiled, view.masker, with_tenant=root.with_tenant)
        answer: dict[str, Any] = {
            "id": head.id,
            "status": head.status,
            "pauseAtFailure": head.pause_at_failure,
            "retainedTil": format_time(head.retained_til),
            "debugStepIds": head.debug_step_ids,
            "contextType": head.context_type,
            "context": head.context,
            "assignments": head.assignments,
            "attachments": _attachments(head, view.compiled) if head.attachments else {},
            "workflow": snapshot.document if fields.looks_into("workflow") else snapshot.workflow,
            "creationTime": format_time(head.creation_time),
            "creationUser": head.creation_user,
            "aborted": head.status is Status.ABORTED,
            "outputs": view.outputs,
            "acceptedFailures": head.accepted_failures,
            "links": {
                "self": f"{root.prefix}/workflowExecution/{head.id}",
                "workflow": f"{root.prefix}/workflow/{_escaped(head.workflow_id)}",
            },
        }
        if head.parent is not None:
            answer["parent"] = {"executionId": head.parent.execution_id, "stepNumber": head.parent.number}
        if head.start_time is not None:
            answer["startTime"] = format_time(head.start_time)
        if head.end_time is not None:
            answer["endTime"] = format_time(head.end_time)
        if head.resume_at is not None:
            answer["startStepId"] = head.resume_at
        if view.queue_position is not None:
            answer["queuePosition"] = view.queue_position
        if view.waiting_for:
            answer["waitingFor"] = [_waiting_for(each) for each in view.waiting_for]
        return answer

    def _step_snapshots(self, view: ExecutionView, root: Root, fields: Fields) -> Callable[[StepExecution, Compiled], Any]:
        """Return what gives the step of a step execution as it was written, as a text or, where only some of it is shown, as an object."""

        def text(of: Compiled) -> SnapshotText:
            return self._texts.get(of, view.masker, with_tenant=root.with_tenant)

        if fields.looks_into("stepExecutions", "stepSnapshot"):
            return lambda step, of: text(of).step_document(step.step_id)
        return lambda step, of: text(of).step(step.step_id)


def _step(step: StepExecution, snapshot: Any, logs: Sequence[Mapping[str, str]], head: Head) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "stepSnapshot": snapshot,
        "state": step.state,
        "startTime": format_time(step.start_time),
        "aborted": step.aborted,
        "attempt": step.attempt,
        "site": step.site,
        "inputs": step.inputs,
        "outputs": step.outputs,
        "variables": step.variables,
        "logs": logs,
    }
    if step.claimed_time is not None:
        answer["claimedTime"] = format_time(step.claimed_time)
    if step.end_time is not None:
        answer["endTime"] = format_time(step.end_time)
    if step.result is not None:
        answer["result"] = step.result
    if step.error is not None:
        answer["error"] = _error(step.error)
    if head.left_behind and any(each.number == step.number for each in head.left_behind):
        answer["cleanupPending"] = True
    if step.probe is not None:
        answer["probe"] = _probe(step.probe)
    if step.child is not None:
        answer["child"] = _child(step.child)
    return answer


def _child(child: Child) -> dict[str, Any]:
    """Return the execution that a step waits for, or has waited for."""
    answer = {"executionId": child.execution_id, "workflowId": child.workflow_id, "workflowName": child.workflow_name}
    if child.status in ENDED:
        answer["status"] = child.status
    if child.waits:
        answer["waits"] = child.waits
    return answer


def _probe(probe: Probe) -> dict[str, Any]:
    """Return the latest look of a probe."""
    answer: dict[str, Any] = {
        "attempt": probe.attempt,
        "state": probe.state,
        "startTime": format_time(probe.start_time),
        "inputs": probe.inputs,
        "outputs": probe.outputs,
    }
    if probe.claimed_time is not None:
        answer["claimedTime"] = format_time(probe.claimed_time)
    if probe.end_time is not None:
        answer["endTime"] = format_time(probe.end_time)
    if probe.result is not None:
        answer["result"] = probe.result
    if probe.verdict is not None:
        answer["verdict"] = probe.verdict
    if probe.error is not None:
        answer["error"] = _error(probe.error)
    return answer


def _error(error: StepError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def _logs_by_step(entries: Sequence[LogEntry]) -> tuple[list[Mapping[str, str]], Mapping[int, list[Mapping[str, str]]]]:
    """Return the log of the execution itself, and the logs of its steps by number."""
    own: list[Mapping[str, str]] = []
    steps: dict[int, list[Mapping[str, str]]] = {}
    for entry in entries:
        written = _line(entry)
        if entry.step is None:
            own.append(written)
        else:
            steps.setdefault(entry.step, []).append(written)
    return own, steps


def _line(entry: LogEntry) -> dict[str, str]:
    return {"msg": entry.message, "time": format_time(entry.time), "level": entry.level}


async def _array(items: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    opening = b"["
    async for item in items:
        yield opening + item
        opening = b","
    yield b"[]" if opening == b"[" else b"]"


def _attachments(head: Head, compiled: Compiled) -> dict[str, dict[str, str]]:
    """Return the files of an execution; `reference` is the workflow's own where the file is, else the key."""
    written = compiled.snapshot.document.get("attachments")
    references = {key: entry.get("reference", key) for key, entry in written.items()} if isinstance(written, Mapping) else {}
    own = compiled.workflow.attachments
    return {
        key: {"id": file_id, "reference": references.get(key, key) if own.get(key) == file_id else key}
        for key, file_id in head.attachments.items()
    }


def _waiting_for(waiting: WaitingFor) -> dict[str, Any]:
    answer: dict[str, Any] = {"kind": waiting.kind, "name": waiting.name, "since": format_time(waiting.since)}
    if waiting.until is not None:
        answer["until"] = format_time(waiting.until)
    if waiting.holder is not None:
        answer["holder"] = {"executionId": waiting.holder.execution_id, "status": waiting.holder.status}
    return answer
