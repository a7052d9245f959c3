"""Executions: started, read, waited for and steered. `StepswitchClient.executions` is one of these; their events are in `events`."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from stepswitch.client.answers import Execution, Page, Workflow
from stepswitch.client.catalogue_answers import FileAttachment, VroLogin
from stepswitch.client.downloads import Download, downloaded
from stepswitch.client.events import Event, OnBreak, events
from stepswitch.client.following import follow
from stepswitch.client.news import News
from stepswitch.client.selection import ALL, Selection, as_text, page_of, pages
from stepswitch.client.transport import Call, Content, Files, Transport
from stepswitch.client.waiting import HELD_SECONDS, Wait, is_settled, prefer
from stepswitch.client.workflows import OWN_ROOT, ROOT, workflow_of

Values = Mapping[str, Any]
"""Values by name: texts, numbers and booleans; structured data travels as a JSON text."""
_REASON: Final = "x-stepswitch-reason"


class Executions:
    """The executions that the caller may see. Every method raises ApiError where the service says no, and NoAnswerError where it says nothing.

    What steers takes the `etag` of an execution as `if_match`: it raises PreconditionFailedError, and changes nothing, where that has moved on
    since it was read. Without it the state counts in which the service finds it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def start(
        self,
        workflow_id: str,
        assignments: Values | None = None,
        *,
        context_type: str = "NONE",
        context: Values | None = None,
        files: Mapping[str, Content] | None = None,
        attachments: Mapping[str, str] | None = None,
        pause_at_failure: bool = False,
        debug_step_ids: Sequence[str] = (),
        retained_til: datetime | None = None,
        idempotency_key: str | None = None,
        wait: float = 0,
    ) -> Execution:
        """Queue an execution and return it: from then on it is carried out, whatever happens to the service.

        It is returned as it was queued; with `wait` as soon as it has ended or is paused, or as it is after so many seconds, 50 at most. `wait` of this
        class waits longer.

        `files` holds the content of attachments by key, `attachments` the ids of files that were uploaded before. The request carries
        a key, made up unless given: where a connection breaks, it is sent again, and the service answers with the execution that the
        first one made. Raises InvalidRequestError with every fault.
        """
        body = {
            "workflowId": workflow_id,
            "contextType": context_type,
            "context": dict(context or {}),
            "assignments": dict(assignments or {}),
            "attachments": {key: {"id": file_id} for key, file_id in (attachments or {}).items()},
            "pauseAtFailure": pause_at_failure,
            "debugStepIds": list(debug_step_ids),
        }
        if retained_til is not None:
            body["retainedTil"] = as_text(retained_til)
        held = math.ceil(min(max(wait, 0), HELD_SECONDS))
        call = Call(
            "POST" if files else "PUT",
            f"{ROOT}/workflowExecution",
            f"workflow {workflow_id}",
            headers={"idempotency-key": idempotency_key or self._transport.pacing.new_key(), **prefer(held)},
            body=body,
            files=Files(files, body_part="workflowExecution") if files else None,
            safe=True,
            seconds=self._transport.timeout + held if held else None,
        )
        return await self._execution(call)

    async def get(self, execution_id: str, *, fields: Sequence[str] = (), exclude_fields: Sequence[str] = ()) -> Execution:
        """Return an execution with all its step executions and its log; raises NotFoundError."""
        query = {"fields": ",".join(fields), "exclude_fields": ",".join(exclude_fields)}
        query = {name: text for name, text in query.items() if text}
        return await self._execution(Call("GET", _place(execution_id), _called(execution_id), query, safe=True))

    async def wait(self, execution_id: str, *, until: Callable[[Execution], bool] = is_settled, timeout: float | None = None) -> Execution:
        """Return the execution as soon as it has ended or is paused, or as `until` says; raises WaitTimeoutError after `timeout` seconds.

        `until` is given executions without their steps and logs. A service that starts again meanwhile is waited for, five minutes at most.
        """
        await Wait(self._transport, execution_id, until, timeout).over()
        return await self.get(execution_id)

    def events(self, execution_id: str, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Yield what happens to it from now on, or behind the event of the id `after`, until it has ended and all is told.

        A connection that breaks is made again, where it broke. After news of the kind `Reset` something is missing: read the execution.
        `follow` does that by itself. Who leaves the loop early closes it: `async with contextlib.aclosing(…) as events`.
        """
        return events(self._transport, f"{_own_place(execution_id)}/events", _called(execution_id), after)

    def follow(self, execution_id: str, *, on_break: OnBreak | None = None) -> AsyncGenerator[News, None]:
        """Yield all that happened to it and happens now, each thing once and in its order, until it has ended.

        Steps (`StepNews`), lines of log (`LogNews`) and where it stands (`ExecutionNews`). Who leaves the loop early closes it, as with `events`.
        `on_break` is told of a connection that broke and is made again.
        """
        stream = events(self._transport, f"{_own_place(execution_id)}/events", _called(execution_id), on_break=on_break)
        return follow(stream, lambda: self.get(execution_id))

    async def list(self, selection: Selection = ALL, *, marker: str | None = None, count: bool = False) -> Page[Execution]:
        """Return one page, without logs, newest first unless the selection says otherwise; `marker` is `next_marker` of the page before."""
        headers = selection.headers(marker, count=count)
        call = Call("GET", f"{ROOT}/workflowExecution", "API at this address", selection.query(marker), headers, safe=True)
        return page_of(*await self._transport.json(call), Execution.read)

    def iterate(self, selection: Selection = ALL) -> AsyncIterator[Execution]:
        """Yield every execution that fits, page after page; what is added meanwhile makes none of the rest repeat or be missed."""
        return pages(lambda marker: self.list(selection, marker=marker))

    async def change(
        self,
        execution_id: str,
        *,
        steps: Mapping[str, Mapping[str, Any] | None] | None = None,
        start_step_id: str | None = None,
        debug_step_ids: Sequence[str] | None = None,
        pause_at_failure: bool | None = None,
        retained_til: datetime | None = None,
        reason: str = "",
        if_match: str | None = None,
    ) -> Execution:
        """Change an execution as a whole or not at all, and return it; what is not given stays as it is.

        `steps` are added or replaced by id, None removes one; `start_step_id` is where the next resume goes on: both while it is PAUSED
        or has FAILED. `debug_step_ids` replaces those that are set. Raises InvalidRequestError with every fault, StateConflictError
        where that does not fit its state.
        """
        given = {
            "steps": None if steps is None else dict(steps),
            "startStepId": start_step_id,
            "debugStepIds": None if debug_step_ids is None else list(debug_step_ids),
            "pauseAtFailure": pause_at_failure,
            "retainedTil": None if retained_til is None else as_text(retained_til),
        }
        body = {name: value for name, value in given.items() if value is not None}
        return await self._execution(
            Call("PATCH", _place(execution_id), _called(execution_id), headers=_because(reason, if_match), body=body)
        )

    async def pause(self, execution_id: str, *, reason: str = "", if_match: str | None = None) -> Execution:
        """Pause before the next step that nobody has begun, and return the execution."""
        return await self._act(f"{_own_place(execution_id)}/pause", execution_id, _because(reason, if_match))

    async def resume(self, execution_id: str, *, reason: str = "", if_match: str | None = None) -> Execution:
        """Let it go on after a pause, and return the execution."""
        return await self._act(f"{_place(execution_id)}/resume", execution_id, _because(reason, if_match))

    async def retry(self, execution_id: str, *, reason: str = "", if_match: str | None = None) -> Execution:
        """Run the step that did not succeed once more, and return the execution; one that has FAILED is reopened."""
        return await self._act(f"{_place(execution_id)}/retry", execution_id, _because(reason, if_match))

    async def abort(self, execution_id: str, *, reason: str = "", if_match: str | None = None) -> Execution:
        """Stop it at once, and return the execution. A second time is no error."""
        return await self._act(f"{_place(execution_id)}/abort", execution_id, _because(reason, if_match))

    async def break_lock(self, execution_id: str, lock_id: str, *, reason: str = "", if_match: str | None = None) -> Execution:
        """Take a lock away from it, by the `id` that `client.locks.list` shows, and return the execution."""
        return await self._act(f"{_own_place(execution_id)}/locks/break", execution_id, _because(reason, if_match), {"lockId": lock_id})

    async def abandon_cleanup(
        self, execution_id: str, step_numbers: Sequence[int] = (), *, reason: str = "", if_match: str | None = None
    ) -> Execution:
        """Say that what its steps may have left behind is gone, or will never be reached, so that nobody looks for it any more; return the execution.

        `step_numbers` are those of step executions that are `cleanup_pending`; all of them where none is named. After that it can be deleted. Raises
        StateConflictError where nothing is left behind.
        """
        body = {"stepNumbers": list(step_numbers)} if step_numbers else None
        return await self._act(f"{_own_place(execution_id)}/cleanup/abandon", execution_id, _because(reason, if_match), body)

    async def set_values(self, execution_id: str, values: Values, *, reason: str = "", if_match: str | None = None) -> Execution:
        """Correct values of inputs and variables while it is PAUSED or has FAILED, and return the execution; None takes one away."""
        return await self._act(f"{_own_place(execution_id)}/values", execution_id, _because(reason, if_match), {"values": dict(values)})

    async def update_workflow(self, execution_id: str, *, reason: str = "", if_match: str | None = None) -> Workflow:
        """Give the workflow in the catalogue the steps of this execution, and return it."""
        path = f"{_place(execution_id)}/updateWorkflow"
        call = Call("POST", path, f"workflow of execution {execution_id}", headers=_because(reason, if_match))
        return workflow_of(*await self._transport.json(call))

    async def delete(self, execution_id: str, *, reason: str = "", if_match: str | None = None) -> None:
        """Remove an execution that has ended, with its logs and its own files."""
        await self._transport.json(Call("DELETE", _place(execution_id), _called(execution_id), headers=_because(reason, if_match)))

    async def logs(self, execution_id: str) -> AsyncIterator[str]:
        """Yield the log line by line as it comes: time, level, number of the step execution (`-` for the execution itself), message."""
        call = Call("GET", f"{_place(execution_id)}/logs", _called(execution_id), safe=True)
        rest = b""
        async with self._transport.open(call) as incoming:
            async for chunk in incoming.chunks():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace")
        if rest:
            yield rest.decode("utf-8", "replace")

    async def vro_login(self, execution_id: str) -> VroLogin:
        """Return the login of the vRO that its steps used; raises NotPermittedError unless the caller is an administrator and the settings allow it."""
        call = Call("GET", f"{_place(execution_id)}/vroLoginDetails", f"login of a vRO of execution {execution_id}")
        answer, _ = await self._transport.json(call)
        return VroLogin.read(answer)

    async def attach(
        self, execution_id: str, name: str, content: Content, *, reason: str = "", if_match: str | None = None
    ) -> FileAttachment:
        """Add a file to an execution, and return how it is called; its name becomes its key."""
        files = Files({name: content}, part="file")
        call = Call("POST", f"{_place(execution_id)}/attachments", _called(execution_id), headers=_because(reason, if_match), files=files)
        answer, _ = await self._transport.json(call)
        return FileAttachment.read(answer)

    def download(self, execution_id: str, id_or_key: str) -> AbstractAsyncContextManager[Download]:
        """Give a file, to be read in the block: `async with client.executions.download(…) as file: await file.save(path)`."""
        query = {"attachmentId": id_or_key}
        call = Call("GET", f"{_place(execution_id)}/attachments", f"file {id_or_key} of execution {execution_id}", query, safe=True)
        return downloaded(self._transport, call)

    async def detach(self, execution_id: str, id_or_key: str, *, reason: str = "", if_match: str | None = None) -> None:
        """Remove a file of an execution."""
        query, about = {"attachmentId": id_or_key}, f"file {id_or_key} of execution {execution_id}"
        await self._transport.json(Call("DELETE", f"{_place(execution_id)}/attachments", about, query, _because(reason, if_match)))

    async def _act(self, path: str, execution_id: str, headers: Mapping[str, str], body: Any = None) -> Execution:
        return await self._execution(Call("POST", path, _called(execution_id), headers=headers, body=body))

    async def _execution(self, call: Call) -> Execution:
        answer, headers = await self._transport.json(call)
        return Execution.read(answer, headers.get("etag"))


def _place(execution_id: str) -> str:
    return f"{ROOT}/workflowExecution/{quote(execution_id, safe='')}"


def _own_place(execution_id: str) -> str:
    return f"{OWN_ROOT}/executions/{quote(execution_id, safe='')}"


def _called(execution_id: str) -> str:
    return f"execution {execution_id}"


def _because(reason: str, if_match: str | None) -> dict[str, str]:
    """Return the headers that say why, in one line, and for which state alone."""
    headers = {_REASON: " ".join(reason.split()), "if-match": if_match or ""}
    return {name: text for name, text in headers.items() if text}
