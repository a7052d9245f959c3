"""The operations that steer an execution, and its log. Listed in `steering_operations`.

Every act takes a reason in the header `x-stepswitch-reason`, which goes into the execution's log, and in `If-Match` the state for which it
is meant alone. The answer's `ETag` names the state that it shows.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from starlette.responses import Response, StreamingResponse

from stepswitch.api.services import Call, execution_response, json_response
from stepswitch.api.wire.bodies import read_json_as, read_optional_json_as
from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.etags import etag, wanted_states
from stepswitch.api.wire.log_lines import log_lines
from stepswitch.api.wire.requests import CleanupOrder, LockOrder, change_order, cleanup_order, existing_id, lock_order, values_order
from stepswitch.api.wire.together import beside_body, both
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotPermittedError, StateConflictError
from stepswitch.engine.catalogue import tag_of
from stepswitch.engine.steering import ChangeOrder, Seen, ValuesOrder
from stepswitch.engine.views import ExecutionView, state_of

REASON_HEADER: Final = "x-stepswitch-reason"
LONGEST_REASON: Final = 1_000
LOGGED_REASON: Final = 200
"""So much of a reason stands in the service's own log, where a line is to stay one."""
CLEANUP_SECONDS: Final = 10.0
"""How long a deletion waits for a session to be closed that an abort has cut."""
NO_WILL: Final[tuple[str, Seen]] = ("", None)
"""Of a request whose headers are refused."""
_Order = TypeVar("_Order", bound=ChangeOrder | ValuesOrder | LockOrder | CleanupOrder)
_log = structlog.get_logger("stepswitch.api")


async def change_execution(call: Call) -> Response:
    """Change an execution, as a whole or not at all."""
    order, reason, seen = await _ordered(call, change_order)
    changed = await call.services.steering.change(call.caller, _execution_id(call), order, reason, seen)
    return await steered(call, changed.view, {"x-stepswitch-warnings": str(len(changed.warnings))} if changed.warnings else None)


async def delete_execution(call: Call) -> Response:
    """Remove an execution that has ended. Its log goes with it, so who did it and why is in the service's own."""
    execution_id, reason, seen = _will(call)
    await _delete_when_cleaned_up(call, execution_id, seen)
    _log.info("an execution was deleted", user=call.caller.user, execution=execution_id, reason=_shortened(reason))
    return Response(None, 204)


async def _delete_when_cleaned_up(call: Call, execution_id: str, seen: Seen) -> None:
    """Delete an execution, for a while not before what an abort has left behind at a target is gone; who means one state alone hears of it at once."""
    watchers = call.services.watchers
    limit = asyncio.ensure_future(call.services.clock.sleep(CLEANUP_SECONDS))
    try:
        with watchers.watch(execution_id) as changed:
            while True:
                try:
                    return await call.services.steering.delete(call.caller, execution_id, seen)
                except StateConflictError as error:
                    if error.code is not ErrorCode.CLEANUP_PENDING or seen is not None or limit.done() or watchers.is_closed:
                        raise
                await _first_of(limit, changed)
                changed.clear()
    finally:
        limit.cancel()


async def _first_of(limit: "asyncio.Future[None]", changed: asyncio.Event) -> None:
    change = asyncio.ensure_future(changed.wait())
    waiting: set[asyncio.Future[Any]] = {limit, change}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()


async def abort_execution(call: Call) -> Response:
    """Stop an execution at once."""
    return await steered(call, await call.services.steering.abort(call.caller, *_will(call)))


async def resume_execution(call: Call) -> Response:
    """Let a paused execution go on."""
    return await steered(call, await call.services.steering.resume(call.caller, *_will(call)))


async def retry_execution(call: Call) -> Response:
    """Run the failed step again."""
    return await steered(call, await call.services.steering.retry(call.caller, *_will(call)))


async def pause_execution(call: Call) -> Response:
    """Pause an execution before its next step."""
    return await steered(call, await call.services.steering.pause(call.caller, *_will(call)))


async def set_values(call: Call) -> Response:
    """Correct values of inputs and variables."""
    order, reason, seen = await _ordered(call, values_order)
    return await steered(call, await call.services.steering.set_values(call.caller, _execution_id(call), order, reason, seen))


async def abandon_cleanup(call: Call) -> Response:
    """Take for gone what an execution may have left behind."""
    order, reason, seen = await _ordered(call, cleanup_order, is_optional=True)
    if order.faults:
        raise InvalidRequestError(order.faults)
    execution_id, numbers = _execution_id(call), list(order.numbers)
    view = await call.services.steering.abandon_cleanup(call.caller, execution_id, numbers, reason, seen)
    told = {"user": call.caller.user, "execution": execution_id, "numbers": numbers or "all", "reason": _shortened(reason)}
    _log.warning("what an execution may have left behind was taken for gone", **told)
    return await steered(call, view)


async def read_logs(call: Call) -> Response:
    """Answer with the log as text, while it is read."""
    execution_id = _execution_id(call)
    pages = await call.services.logbook.pages(call.caller, execution_id)
    headers = {"Content-Disposition": 'attachment; filename="execution.log"', "Cache-Control": "no-store"}
    return StreamingResponse((log_lines(page) async for page in pages), 200, headers, "text/plain; charset=utf-8")


async def update_workflow(call: Call) -> Response:
    """Write the steps of an execution back to the workflow in the catalogue."""
    stored = await call.services.steering.update_workflow(call.caller, *_will(call))
    return json_response(call.answers.workflow(stored, call.root), {"ETag": etag(tag_of(stored))})


async def read_vro_login(call: Call) -> Response:
    """Answer with address and login of the vRO that was used, in clear. Whoever asks is noted, let in or not."""
    execution_id = _execution_id(call)
    await call.services.views.head(call.caller, execution_id)
    if not call.caller.is_administrator:
        raise NotPermittedError("only a System Administrator may see the login of a vRO")
    if not call.services.shows_vro_login:
        raise NotPermittedError("the setting vro_login_details does not allow it")
    _log.warning("the login of a vRO was asked for", user=call.caller.user, execution=execution_id)
    login = await call.services.vro_logins.of(call.caller, execution_id)
    answer = {"username": login.username, "password": login.password, "url": login.url, "runUuids": list(login.runs)}
    return json_response(encode(answer), {"Cache-Control": "no-store"})


def _will(call: Call) -> tuple[str, str, Seen]:
    """Return which execution is steered, why, and in which states alone."""
    return _execution_id(call), *why_and_when(call)


async def _ordered(call: Call, reader: Callable[[object], _Order], *, is_optional: bool = False) -> tuple[_Order, str, Seen]:
    """Return what a body asks for, with what is wrong in the headers among its faults, and why and when that is meant."""
    read = read_optional_json_as if is_optional else read_json_as
    will, order, wrong = await beside_body(partial(why_and_when, call), read(call.request, reader))
    return replace(order, faults=(*wrong, *order.faults)), *(will or NO_WILL)


async def ordered_lock(call: Call) -> tuple[str, str, str, Seen]:
    """Return of which execution which lock is to be taken away, why, and in which states alone; raises InvalidRequestError with every fault."""
    order, reason, seen = await _ordered(call, lock_order)
    if order.faults:
        raise InvalidRequestError(order.faults)
    return _execution_id(call), order.lock_id, reason, seen


def why_and_when(call: Call) -> tuple[str, Seen]:
    """Return the reason, and the states that a request is meant for; raises InvalidRequestError with the faults of both."""
    return both(partial(reason_of, call), partial(wanted_states, call.request))


async def steered(call: Call, view: ExecutionView, headers: Mapping[str, str] | None = None) -> Response:
    """Return the 200 with an execution that was steered, and the state that it shows."""
    return await execution_response(call, view, headers={**(headers or {}), "ETag": etag(state_of(view.head), is_weak=True)})


def _execution_id(call: Call) -> str:
    return existing_id(call.request.path_params["workflowExecutionId"])


def _shortened(reason: str) -> str:
    return reason if len(reason) <= LOGGED_REASON else f"{reason[:LOGGED_REASON]}… ({len(reason)} characters)"


def reason_of(call: Call) -> str:
    """Return why somebody does it; what is not ASCII is sent as UTF-8. Raises InvalidRequestError where it is no short text."""
    sent = call.request.headers.get(REASON_HEADER, "").encode("latin-1")
    try:
        reason = sent.decode().strip()
    except UnicodeDecodeError:
        reason = sent.decode("latin-1").strip()
    if len(reason) > LONGEST_REASON:
        text = f"has {len(reason)} characters; a reason has at most {LONGEST_REASON}"
        raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, REASON_HEADER, text)])
    return " ".join("".join(each if each.isprintable() else " " for each in reason).split())
