"""The step type TCA_EXEC: a command inside a virtual machine, through VMware Tools. Registered in `pyproject.toml`, called by the step runner.

The parts: `guest_inputs` reads what is asked, `guest_place` finds machine and vCenter in the inventory, `guest_vcenter` speaks with the vCenter,
`guest_machine` knows what can be done in a machine, `guest_family` how a command is run there, `guest_run` follows one. Here they are put together.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import (
    CredentialError,
    ErrorCode,
    LogLevel,
    Outcome,
    Result,
    StepContext,
    StepError,
    StepSignature,
    TargetError,
    Value,
    Values,
    failed,
)
from stepswitch.steps.guest_inputs import SIGNATURE, Command, read_command, read_whereabouts
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.output import Output
from stepswitch.steps.patterns import shortened

if TYPE_CHECKING:
    from stepswitch.steps.guest_machine import Machine
    from stepswitch.steps.guest_place import Place
    from stepswitch.steps.guest_run import Ending, GuestRun
    from stepswitch.steps.guest_vcenter import VCenter

CALL_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 3600.0
_LAST_SECONDS: Final = 5.0
"""How long an attempt that is stopped may take to end the command and to remove what it has in the machine."""
_TIDY_SECONDS: Final = 30.0


class GuestStep:
    """Runs commands in machines. `call_seconds` is how long one question to a vCenter may take, `patience_seconds` how long a machine may not be there while a command runs in it."""

    def __init__(self, *, call_seconds: float = CALL_SECONDS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._call_seconds = call_seconds
        self._patience_seconds = patience_seconds

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Put the command into the machine, run it there, and say how it ended."""
        try:
            faults = Faults()
            whereabouts, command = faults.attempt(lambda: read_whereabouts(inputs)), await faults.attempted(read_command(inputs, context))
            await _load_driver()
            from stepswitch.steps.guest_place import find_place  # noqa: PLC0415 - nobody waits for drivers that no step needs

            place = await find_place(whereabouts or faults.settled(whereabouts), context, faults)
            return await self._in_session(place, faults.settled(command), context)
        except (InputFaultError, CredentialError) as error:
            return failed(error.code, str(error))

    async def clean_up(self, inputs: Values, context: StepContext) -> None:
        """End what an attempt has left running in its machine, and remove what it has there; raises TargetError where that cannot be done now."""
        try:
            whereabouts = read_whereabouts(inputs)
            await _load_driver()
            from stepswitch.steps.guest_place import find_place  # noqa: PLC0415 - see above

            place = await find_place(whereabouts, context)
        except InputFaultError as error:
            raise TargetError(str(error)) from None
        await self._remove(place, context)

    async def release(self, execution_id: str) -> None:
        """Do nothing: no session outlives its attempt."""

    async def close(self) -> None:
        """Do nothing: see `release`."""

    async def _remove(self, place: "Place", context: StepContext) -> None:
        from stepswitch.steps.guest_faults import GuestError  # noqa: PLC0415 - see above
        from stepswitch.steps.guest_run import tidied  # noqa: PLC0415 - see above

        vcenter, machine = self._machine_of(place)
        try:
            await tidied(machine, context.attempt_name)
        except GuestError as error:
            if error.code is not ErrorCode.NOT_FOUND:  # what was in a machine that is gone is gone with it
                raise TargetError(f"{error}; something may be left in {machine.name}") from None
        finally:
            await vcenter.close()

    def _machine_of(self, place: "Place") -> "tuple[VCenter, Machine]":
        from stepswitch.steps.guest_machine import Machine  # noqa: PLC0415 - see above
        from stepswitch.steps.guest_vcenter import VCenter  # noqa: PLC0415 - see above

        vcenter = VCenter(place.vcenter, self._call_seconds)
        return vcenter, Machine(vcenter, place.machine, place.login)

    async def _in_session(self, place: "Place", command: Command, context: StepContext) -> Outcome:
        from stepswitch.steps.guest_run import GuestRun  # noqa: PLC0415 - see above

        vcenter, machine = self._machine_of(place)
        output, errors = (
            Output(context, level, encoding="utf-8", limit_bytes=context.output_limit_bytes) for level in (LogLevel.INFO, LogLevel.WARN)
        )
        run = GuestRun(machine, context, output, errors, patience_seconds=self._patience_seconds)
        try:
            return await self._carried_out(run, machine, command, context, (output, errors))
        except BaseException:
            await _tidy(run.tidy, machine, context, _LAST_SECONDS)
            raise
        finally:
            await vcenter.close()

    async def _carried_out(
        self, run: "GuestRun", machine: "Machine", command: Command, context: StepContext, outputs: tuple[Output, Output]
    ) -> Outcome:
        from stepswitch.steps.guest_faults import GoneError, GuestError  # noqa: PLC0415 - see above
        from stepswitch.steps.guest_run import End  # noqa: PLC0415 - see above

        sent = False
        try:
            await run.prepare(command)
            sent = True
            await run.start(command)
        except GuestError as error:
            await _tidy(run.tidy, machine, context, _TIDY_SECONDS)
            result = Result.UNKNOWN if sent and isinstance(error, GoneError) else Result.FAILED
            return Outcome(result, error=StepError(error.code, str(error)))
        ending = await run.follow()
        if ending.end is End.CUT_OFF:
            context.leave_behind()
        else:
            await _tidy(run.leave if ending.end is End.ENDED else run.tidy, machine, context, _TIDY_SECONDS)
        return _judged(ending, machine, outputs, self._patience_seconds)


def _judged(ending: "Ending", machine: "Machine", outputs: tuple[Output, Output], patience_seconds: float) -> Outcome:
    output, errors = outputs
    result, error = _verdict(ending, machine, outputs, patience_seconds)
    values: dict[str, Value] = {"outputText": output.text, "errorText": errors.text}
    if ending.code is not None:
        values["exitCode"] = ending.code
    is_torn = result is Result.UNKNOWN
    cut = tuple(name for name, each in (("outputText", output), ("errorText", errors)) if each.truncated or is_torn)
    return Outcome(result, values, error, cut)


def _verdict(
    ending: "Ending", machine: "Machine", outputs: tuple[Output, Output], patience_seconds: float
) -> tuple[Result, StepError | None]:
    from stepswitch.steps.guest_run import End  # noqa: PLC0415 - see above

    output, errors = outputs
    if ending.end is End.CUT_OFF and ending.error is not None:
        sentence = (
            f"{ending.error}, for {patience_seconds:g} seconds; the command may go on in {machine.name}, and what it came to is not known"
        )
        return Result.UNKNOWN, StepError(ending.error.code, sentence)
    if ending.end is End.VANISHED:
        sentence = (
            f"the command runs no more in {machine.name}, and left no exit code: the machine was restarted, or somebody has ended it; "
            "whether it has done its work is not known"
        )
        return Result.UNKNOWN, StepError(ErrorCode.LOST, sentence)
    if ending.code == 0:
        return Result.SUCCEEDED, None
    last = shortened(errors.last_line or output.last_line)
    sentence = f"the command in {machine.name} ended with exit code {ending.code}" + (f": {last}" if last else "")
    return Result.FAILED, StepError(ErrorCode.NON_ZERO_EXIT, sentence)


async def _tidy(remove: Callable[[], Awaitable[None]], machine: "Machine", context: StepContext, seconds: float) -> None:
    """End what runs and remove what is in the machine, as far as that is quick; where it cannot be done now, it is to be done later."""
    from stepswitch.steps.guest_faults import GuestError  # noqa: PLC0415 - see above

    try:
        await asyncio.wait_for(remove(), seconds)  # not `timeout`: see `ssh_command.Run.stop`
    except (GuestError, TimeoutError) as error:
        context.leave_behind()
        why = str(error) or "it does not answer in time"
        with suppress(TimeoutError, TargetError):
            message = f"something may be left in {machine.name}, and is removed later: {why}"
            await asyncio.wait_for(context.log(message, LogLevel.WARN), _LAST_SECONDS / 8)


async def _load_driver() -> None:
    """Import the driver beside the event loop, which would stand still for a good while the first time."""
    await asyncio.to_thread(importlib.import_module, "stepswitch.steps.guest_run")
