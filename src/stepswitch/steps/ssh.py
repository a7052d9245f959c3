"""The step type TCA_SSH: one command or script on an SSH server. Registered in `pyproject.toml`, called by the step runner.

The parts: `ssh_inputs` and `login_inputs` read what is asked, `connections` keeps sessions between the steps of an execution, `ssh_login` logs in,
`ssh_command` runs one command, `ssh_shell` types lines into a router's shell, `output` shows and keeps what is printed. Here they are
put together, and the end of a command is judged; that of a conversation is in `ssh_talk`.
"""

import asyncio
import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, StepContext, StepError, StepSignature, Value, Values, failed
from stepswitch.steps.connections import Connections, Holder, Lease, digest
from stepswitch.steps.host_keys import fingerprint
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.login_inputs import LoginError, server_name
from stepswitch.steps.output import Output
from stepswitch.steps.patterns import shortened
from stepswitch.steps.ssh_inputs import SIGNATURE, Request, read_request
from stepswitch.steps.ssh_shell_inputs import ShellRequest

if TYPE_CHECKING:
    from stepswitch.steps.ssh_command import Ending, NotSentError, Run
    from stepswitch.steps.ssh_login import Session

CONNECT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 300.0
_KEPT_OPEN_SECONDS: Final = 10.0
"""How long a session that was kept may take to open a channel before it counts as dead."""
_LAST_WORDS_SECONDS: Final = 0.5


class SshStep:
    """Runs a command or a script over SSH. Times are in seconds; `silence_seconds` is how long a command may print nothing."""

    def __init__(
        self,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        idle_seconds: float = 30.0,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._connections: Connections[Session] = Connections(idle_seconds=idle_seconds)

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Log in, or go on in the session of the step before, run the command and say how it ended."""
        try:
            request = await read_request(inputs, context)
            await _load_driver()
            return await self._attempt(request, context, fresh=False) or await self._fresh_attempt(request, context)
        except (InputFaultError, LoginError) as error:
            return failed(error.code, str(error))

    async def release(self, execution_id: str) -> None:
        """Close the sessions that are kept for an execution."""
        await self._connections.release(execution_id)

    async def close(self) -> None:
        """Close every session that is kept."""
        await self._connections.close()

    async def _fresh_attempt(self, request: Request, context: StepContext) -> Outcome:
        outcome = None
        while outcome is None:
            outcome = await self._attempt(request, context, fresh=True)
        return outcome

    async def _attempt(self, request: Request, context: StepContext, *, fresh: bool) -> Outcome | None:
        """Return how the command ended; None where a kept session was dead, so that nothing was sent and a fresh one is needed."""
        from stepswitch.steps.ssh_command import NotSentError  # noqa: PLC0415 - asyncssh takes most of a second to import
        from stepswitch.steps.ssh_login import connect, let_through  # noqa: PLC0415 - see above

        login, connect_seconds = request.login, request.login.connect_seconds(self._connect_seconds)
        async with self._connections.lease(
            _holder(request, context.execution_id),
            lambda: connect(login, context.host_keys, self._connect_seconds),
            accepts=await let_through(login, context.host_keys),
            fresh=fresh,
        ) as lease:
            await context.log(_greeting(request, lease), LogLevel.DEBUG)
            open_seconds = min(_KEPT_OPEN_SECONDS, connect_seconds) if lease.reused else connect_seconds
            try:
                if request.shell is not None:
                    return await self._converse(request, request.shell, context, lease, open_seconds)
                return await self._run(request, context, lease, open_seconds)
            except NotSentError as error:
                return None if lease.reused else _not_sent(error, request, open_seconds)

    def _silent_for(self, request: Request) -> float:
        return request.login.silence_seconds(self._silence_seconds)

    async def _run(self, request: Request, context: StepContext, lease: "Lease[Session]", open_seconds: float) -> Outcome:
        from stepswitch.steps.ssh_command import Run  # noqa: PLC0415 - see above

        run = Run(lease.session.connection, context.mark_sent, open_seconds=open_seconds, silence_seconds=self._silent_for(request))
        return await self._follow(run, request, context, lease)

    async def _converse(
        self, request: Request, shell: ShellRequest, context: StepContext, lease: "Lease[Session]", open_seconds: float
    ) -> Outcome | None:
        from stepswitch.steps.ssh_shell import ShellRun  # noqa: PLC0415 - see above
        from stepswitch.steps.ssh_talk import judged, last_words  # noqa: PLC0415 - see above

        output = Output(context, LogLevel.INFO, encoding="utf-8", limit_bytes=context.output_limit_bytes)
        times = {"open_seconds": open_seconds, "silence_seconds": self._silent_for(request)}
        run = ShellRun(lease.session.connection, shell, context, output, request.patterns, encoding=request.encoding, **times)
        try:
            talk = await run.follow()
        except asyncio.CancelledError:
            if run.was_sent:
                await _last_words(context, last_words(run, _server(request)))
            raise
        if lease.reused and talk.is_lost and not run.was_sent:
            return None
        if talk.is_open:
            lease.keep()
        return judged(talk, run, request, output, _server(request))

    async def _follow(self, run: "Run", request: Request, context: StepContext, lease: "Lease[Session]") -> Outcome:
        from stepswitch.steps.ssh_command import End  # noqa: PLC0415 - see above

        watch = request.patterns.watch if request.patterns.are_given else None
        output, errors = (
            Output(context, level, encoding=request.encoding, limit_bytes=context.output_limit_bytes, watch=watch)
            for level in (LogLevel.INFO, LogLevel.WARN)
        )
        try:
            ending = await run.follow(request.command, output, errors)
        except asyncio.CancelledError:
            if run.was_sent and not run.has_ended:
                await _last_words(context, f"{_server(request)} did not confirm that the command has ended; it may still run there")
            raise
        if ending.end is End.ENDED and not ending.torn:
            lease.keep()
        if ending.end is End.LINGERING:
            await context.log(
                "the command has ended, but something that it started still holds its output; that is not waited for", LogLevel.WARN
            )
        return self._judged(ending, output, errors, request)

    def _judged(self, ending: "Ending", output: Output, errors: Output, request: Request) -> Outcome:
        result, error = self._verdict(ending, output, errors, request)
        text = output.text
        outputs: dict[str, Value] = {"outputText": text, "result": text, "errorText": errors.text}
        if ending.status is not None:
            outputs["exitCode"] = ending.status
        cut = (("outputText", "result") if output.truncated or ending.torn else ()) + (
            ("errorText",) if errors.truncated or ending.torn else ()
        )
        return Outcome(result, outputs, error, cut)

    def _verdict(self, ending: "Ending", output: Output, errors: Output, request: Request) -> tuple[Result, StepError | None]:
        from stepswitch.steps.ssh_command import End  # noqa: PLC0415 - see above

        server = _server(request)
        match ending:
            case _ if ending.end is End.CUT:
                sentence = f"the connection to {server} was cut after the command was sent; whether it has done its work is not known"
                return Result.UNKNOWN, StepError(ErrorCode.CONNECTION_CUT, sentence)
            case _ if ending.end is End.SILENT:
                sentence = (
                    f"the command at {server} printed nothing for {self._silent_for(request):g} seconds, so its session was closed; "
                    "whether it has done its work is not known"
                )
                return Result.UNKNOWN, StepError(ErrorCode.TIMEOUT, sentence)
            case _ if ending.end is End.REFUSED:
                return _failure(ErrorCode.CONNECTION_REFUSED, f"{server} let us in, but refused to run a command")
            case _ if ending.signal is not None:
                return _failure(ErrorCode.KILLED_BY_SIGNAL, f"the command at {server} was ended by the signal {_signal(ending.signal)}")
            case _ if ending.status:
                last = shortened(errors.last_line or output.last_line)
                return _failure(
                    ErrorCode.NON_ZERO_EXIT, f"the command at {server} ended with exit code {ending.status}" + (f": {last}" if last else "")
                )
        return _verdict_over(output, errors, request)


def _verdict_over(output: Output, errors: Output, request: Request) -> tuple[Result, StepError | None]:
    """Return what follows from what was printed by a command that ended well."""
    reason = request.patterns.verdict(output, errors)
    if reason is not None:
        return _failure(ErrorCode.PATTERN_FAILED, f"{_server(request)}: {reason}")
    manners = request.manners
    refusal = (manners.refusal_in(output.text) or manners.refusal_in(errors.text)) if manners else None
    if refusal is not None:
        return _failure(ErrorCode.LINE_REFUSED, f"{_server(request)} refused the command: {shortened(refusal)}")
    return Result.SUCCEEDED, None


async def _load_driver() -> None:
    """Import the driver beside the event loop, which would stand still for most of a second the first time."""
    await asyncio.to_thread(importlib.import_module, "stepswitch.steps.ssh_command")


def _holder(request: Request, execution_id: str) -> Holder:
    login = request.login
    return Holder(execution_id, (login.host.lower(), login.port), digest(*login.identity))


def _greeting(request: Request, lease: "Lease[Session]") -> str:
    way = "goes on in the session of an earlier step" if lease.reused else f"logged in{request.login.told_way}"
    return f"{_server(request)}: {way}; the host key is {fingerprint(lease.session.host_key)}"


def _not_sent(error: "NotSentError", request: Request, open_seconds: float) -> Outcome:
    server = _server(request)
    if error.timed_out:
        return failed(ErrorCode.TIMEOUT, f"{server} let us in, but opened no session within {open_seconds:g} seconds; nothing was sent")
    if error.refused:
        return failed(ErrorCode.CONNECTION_REFUSED, f"{server} let us in, but refused to open a session; nothing was sent")
    return failed(ErrorCode.CONNECTION_CUT, f"the connection to {server} was cut before the command was sent")


async def _last_words(context: StepContext, sentence: str) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(context.log(sentence, LogLevel.WARN), _LAST_WORDS_SECONDS)  # as in `ssh_command.Run.stop`


def _failure(code: ErrorCode, sentence: str) -> tuple[Result, StepError]:
    return Result.FAILED, StepError(code, sentence)


def _server(request: Request) -> str:
    return server_name(request.login.host, request.login.port)


def _signal(name: str) -> str:
    return "".join(character for character in name if character.isalnum())[:20] or "unnamed"
