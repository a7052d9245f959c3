"""The step type NETCONF: reads or changes the configuration of a device. Registered in `pyproject.toml`, called by the step runner.

The parts: `netconf_inputs` reads what is asked, `ssh_login` logs in, `netconf_session` speaks the protocol, `netconf_xml` reads XML,
`netconf_edit` makes a change, `netconf_proof` compares. Here they are put together, and outputs are cut to what is kept.
"""

import asyncio
import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, StepContext, StepSignature, Value, Values, failed
from stepswitch.steps.connections import Connections, Holder, digest
from stepswitch.steps.host_keys import fingerprint
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.login_inputs import LoginError, server_name
from stepswitch.steps.netconf_inputs import SIGNATURE, Datastore, Request, read_request

if TYPE_CHECKING:
    from stepswitch.steps.netconf_session import NetconfSession
    from stepswitch.steps.netconf_xml import Element
    from stepswitch.steps.ssh_login import Session

CONNECT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 300.0


class NetconfStep:
    """Speaks NETCONF over SSH. Times are in seconds: `silence_seconds` is how long a device may owe a reply, `lock_poll_seconds` the time between two tries for a lock."""

    def __init__(
        self,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        lock_poll_seconds: float = 1.0,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._lock_poll_seconds = lock_poll_seconds
        self._connections: Connections[Session] = Connections()

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Log in, do what is asked, and say what came of it."""
        try:
            await _load_driver()
            request = await read_request(inputs, context, _parsed)
            return await self._attempt(request, request.parsed, context)
        except (InputFaultError, LoginError) as error:
            return failed(error.code, str(error))

    async def release(self, execution_id: str) -> None:
        """Close what is kept for an execution, which is nothing: each step has a session of its own."""
        await self._connections.release(execution_id)

    async def close(self) -> None:
        """Close what is kept."""
        await self._connections.close()

    async def _attempt(self, request: Request, payload: "Element | None", context: StepContext) -> Outcome:
        from stepswitch.steps.netconf_session import NetconfSession, SessionError  # noqa: PLC0415 - asyncssh takes most of a second to import
        from stepswitch.steps.ssh_login import connect  # noqa: PLC0415 - see above

        login, server = request.login, server_name(request.login.host, request.login.port)
        holder = Holder(context.execution_id, (login.host.lower(), login.port), digest(*login.identity))
        async with self._connections.lease(
            holder, lambda: connect(login, context.host_keys, self._connect_seconds), accepts=lambda _: False, fresh=True
        ) as lease:
            session = NetconfSession(
                lease.session.connection,
                open_seconds=login.connect_seconds(self._connect_seconds),
                silence_seconds=login.silence_seconds(self._silence_seconds),
            )
            try:
                await session.open()
                shown = f"session {session.session_id}" if session.session_id else "a session without a number"
                await context.log(
                    f"{server}: logged in{login.told_way}, {shown}; the host key is {fingerprint(lease.session.host_key)}", LogLevel.DEBUG
                )
                return _bounded(await self._act(session, request, payload, context, server), context.output_limit_bytes)
            except SessionError as error:
                return failed(error.code, f"{server} {error}; nothing was changed")
            finally:
                await session.close()

    async def _act(
        self, session: "NetconfSession", request: Request, payload: "Element | None", context: StepContext, server: str
    ) -> Outcome:
        from stepswitch.steps.netconf_edit import Edit  # noqa: PLC0415 - see above

        if payload is None:
            return await _read(session, request, context, server)
        return await Edit(session, request, payload, context, server, poll_seconds=self._lock_poll_seconds).carry_out()


async def _read(session: "NetconfSession", request: Request, context: StepContext, server: str) -> Outcome:
    from stepswitch.steps.netconf_session import RpcError  # noqa: PLC0415 - see above
    from stepswitch.steps.netconf_xml import element, filter_of, told  # noqa: PLC0415 - see above

    datastore = request.datastore or Datastore.RUNNING
    parts = [element("source", element(datastore))] if request.read == "get-config" else []
    if request.filter.strip():
        wanted = filter_of(request.filter, session.modules)
        if wanted.get("type") == "xpath" and not session.can("xpath"):
            return failed(ErrorCode.NOT_OFFERED, f"{server} takes no XPath expression as filter; give one by subtree")
        parts.append(wanted)
    outputs: dict[str, Value] = {"datastore": str(datastore)}
    try:
        reply = await session.ask(element(str(request.read), *parts))
    except RpcError as error:
        message = f"{server} refused to be read: {told(error.faults)}"
        return failed(ErrorCode.RPC_ERROR, message, {**outputs, "output": error.reply.text})
    if reply.warnings:
        await context.log(f"{server} warns: {told(reply.warnings)}", LogLevel.WARN)
    return Outcome(Result.SUCCEEDED, {**outputs, "output": reply.text})


async def _parsed(payload: str, operation: str | None, name: str) -> "Element":
    """Return what is to be edited, read beside the event loop: it may be large."""
    from stepswitch.steps.netconf_xml import payload_of  # noqa: PLC0415 - see above

    return await asyncio.to_thread(payload_of, payload, operation, name)


async def _load_driver() -> None:
    """Import the driver beside the event loop, which would stand still for most of a second the first time."""
    await asyncio.to_thread(importlib.import_module, "stepswitch.steps.netconf_edit")


def _bounded(outcome: Outcome, limit_bytes: int) -> Outcome:
    """Return an outcome whose texts are no longer than what is kept."""
    outputs, cut = dict(outcome.outputs), []
    for name, value in outcome.outputs.items():
        encoded = str(value).encode("utf-8")
        if len(encoded) > limit_bytes:
            outputs[name] = encoded[:limit_bytes].decode("utf-8", "ignore")
            cut.append(name)
    return replace(outcome, outputs=outputs, truncated=tuple(cut)) if cut else outcome
