"""The step type TL1: what it declares, and one attempt at it. Registered under the entry point group `stepswitch.step_types`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from stepswitch.plugin import (
    ErrorCode,
    InputSpec,
    Outcome,
    OutputSpec,
    Result,
    StepContext,
    StepError,
    StepSignature,
    Values,
    ValueType,
    exhausted,
    failed,
    unknown,
)
from stepswitch_tl1.dialogue import DONE, Answer, Dialogue, NoAnswerError, is_safe

CONNECT_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 120.0
_HIGHEST_PORT: Final = 65_535
_TEXT: Final = (ValueType.STRING,)

SIGNATURE: Final = StepSignature(
    name="TL1",
    description="Sends one TL1 command to a network element. A completion code other than COMPLD, DELAY and RTRV fails the step.",
    inputs=(
        InputSpec("hostNameOrIP", _TEXT, "The network element, or the gateway before it.", required=True),
        InputSpec("port", (ValueType.NUMBER,), "The port that it listens on.", default=3083),
        InputSpec("username", _TEXT, "Who logs in.", required=True),
        InputSpec("password", (ValueType.PASSWORD,), "With which password.", required=True),
        InputSpec("tid", _TEXT, "Which element is meant, where the connection leads to a gateway.", default=""),
        InputSpec("command", _TEXT, "The verb with its modifiers, as in `RTRV-ALM-ALL`.", required=True, tells_what=True),
        InputSpec("aid", _TEXT, "What of the element is meant, as in `SLOT-1`.", default="", tells_what=True),
        InputSpec("parameters", _TEXT, "What follows, as in `OOS`.", default="", tells_what=True),
    ),
    outputs=(
        OutputSpec("completionCode", ValueType.STRING, "What the element answered: `COMPLD`, `DENY` and so on."),
        OutputSpec("outputText", ValueType.STRING, "The lines of its answer."),
    ),
    time_limit_seconds=600.0,
    device_input="hostNameOrIP",
    port_input="port",
)


class Tl1Step:
    """Implements `StepType`. Times are in seconds; `answer_seconds` is how long an element may take to answer a command."""

    def __init__(self, *, connect_seconds: float = CONNECT_SECONDS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Log in, send the command and say how it ended. What went wrong is a value; raised is only what cancels, and what `mark_sent` raises."""
        fault = _fault(inputs)
        if fault is not None:
            return fault
        server = f"{inputs['hostNameOrIP']}:{_port(inputs)}"
        try:
            async with self._connected(inputs, context) as dialogue:
                refusal = await self._log_in(dialogue, inputs, server)
                return refusal or await self._send(dialogue, inputs, context, server)
        except TimeoutError:
            return failed(ErrorCode.TIMEOUT, f"{server} did not let us in within {self._connect_seconds:g} seconds; nothing was sent")
        except OSError as error:
            return _unreached(error, server)
        except NoAnswerError:
            return failed(ErrorCode.CONNECTION_CUT, f"what answers at {server} ended the login, or speaks no TL1; nothing was sent")

    async def release(self, execution_id: str) -> None:
        """Do nothing: no connection outlives its step."""

    async def close(self) -> None:
        """Do nothing, for the same reason."""

    @asynccontextmanager
    async def _connected(self, inputs: Values, context: StepContext) -> AsyncIterator[Dialogue]:
        """Give a dialogue. Whatever ends the block, also a cancellation, closes its connection."""
        async with asyncio.timeout(self._connect_seconds):
            reader, writer = await asyncio.open_connection(str(inputs["hostNameOrIP"]), _port(inputs))
        try:
            yield Dialogue(reader, writer, context.output_limit_bytes)
        finally:
            writer.transport.abort()

    async def _log_in(self, dialogue: Dialogue, inputs: Values, server: str) -> Outcome | None:
        """Return why nobody was let in; None where somebody was. A login changes nothing, so that it may be tried again."""
        async with asyncio.timeout(self._connect_seconds):
            answer = await dialogue.ask("ACT-USER", _part(inputs, "tid"), _part(inputs, "username"), _part(inputs, "password"))
        if answer.code in DONE:
            return None
        return failed(ErrorCode.LOGIN_REFUSED, f"{server} refused the login: {answer.code}; nothing was sent")

    async def _send(self, dialogue: Dialogue, inputs: Values, context: StepContext, server: str) -> Outcome:
        """Send the command. From `mark_sent` on nobody can say that the element has not acted, unless it says so itself."""
        verb, tid, aid, parameters = (_part(inputs, name) for name in ("command", "tid", "aid", "parameters"))
        context.mark_sent()
        try:
            async with asyncio.timeout(self._answer_seconds):
                answer = await dialogue.ask(verb, tid, aid, parameters, context.log)
        except TimeoutError:
            return unknown(ErrorCode.TIMEOUT, f"{server} gave no answer within {self._answer_seconds:g} seconds; it may have acted")
        except (OSError, NoAnswerError):
            return unknown(ErrorCode.CONNECTION_CUT, f"the connection to {server} was cut after the command was sent; it may have acted")
        return _judged(answer, server)


def _judged(answer: Answer, server: str) -> Outcome:
    outputs = {"completionCode": answer.code, "outputText": answer.text}
    cut = ("outputText",) if answer.is_cut else ()
    if answer.code in DONE:
        return Outcome(Result.SUCCEEDED, outputs, truncated=cut)
    said = answer.text.partition("\n")[0].strip()
    error = StepError(ErrorCode.UNEXPECTED_STATUS, f"{server} answered {answer.code}{f': {said}' if said else ''}")
    return Outcome(Result.FAILED, outputs, error, cut)


def _unreached(error: OSError, server: str) -> Outcome:
    ran_out = exhausted(error)
    if ran_out is not None:
        return Outcome(Result.FAILED, error=ran_out)
    if isinstance(error, ConnectionRefusedError):
        return failed(ErrorCode.CONNECTION_REFUSED, f"{server} refused the connection")
    return failed(ErrorCode.UNREACHABLE, f"{server} cannot be reached: {error.strerror or 'its name is not known'}")


def _fault(inputs: Values) -> Outcome | None:
    """Return what is wrong with the inputs, in a sentence that shows none of them: any may hold a secret."""
    for spec in SIGNATURE.inputs:
        if spec.required and not inputs.get(spec.name):
            return failed(ErrorCode.MISSING_INPUT, f"the input {spec.name!r} is without value")
        if spec.types != (ValueType.NUMBER,) and spec.name != "hostNameOrIP" and not is_safe(_part(inputs, spec.name)):
            return failed(ErrorCode.INVALID_VALUE, f"the input {spec.name!r} has characters that no part of a command can have")
    if not 1 <= _port(inputs) <= _HIGHEST_PORT:
        return failed(ErrorCode.INVALID_VALUE, f"the input 'port' must be a whole number from 1 to {_HIGHEST_PORT}")
    return None


def _part(inputs: Values, name: str) -> str:
    return str(inputs.get(name, ""))


def _port(inputs: Values) -> int:
    value = inputs.get("port", 3083)
    return int(value) if isinstance(value, int | float) and value == int(value) else 0
