"""One command in one machine: put there, started, followed to its end, stopped, and removed with all that it left. Called by `guest`.

The work goes on in the machine whatever happens to the connection: whoever is cut off comes back and finds it again by the name of its directory.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, repeat
from typing import Final

from stepswitch.plugin import ErrorCode, LogLevel, StepContext
from stepswitch.steps.guest_family import CODE, ERRORS, OUT, Family, ending_of, family_of, files_of, program_of
from stepswitch.steps.guest_faults import BusyError, GoneError, GuestError
from stepswitch.steps.guest_inputs import Command
from stepswitch.steps.guest_machine import Machine, Process
from stepswitch.steps.output import Output

READ_BYTES: Final = 1024 * 1024
_PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 5.0)
"""Seconds between two looks at the machine; the last one again and again. What has printed something is looked at soon again."""
_ROUNDS: Final = 5
"""How often is looked for processes that have to end: ending one may leave another to be found."""
_LONGEST_CODE: Final = 16
_ENDED_BY_OTHERS: Final = 128
"""From here on an exit code says that a signal has ended a process: if our own, then what it would have said of the command is not known."""


class End(Enum):
    """How a command came to its end."""

    ENDED = auto()
    """Its exit code is known."""
    VANISHED = auto()
    """It runs no more, and left no exit code: the machine was restarted, or somebody has ended it."""
    CUT_OFF = auto()
    """The machine could not be asked for too long."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended. `error` is why the machine could not be asked."""

    end: End
    code: int | None = None
    error: GuestError | None = None


class GuestRun:
    """One attempt. `prefix` begins the name of its directory. `patience_seconds` is how long a machine may not be there while the command goes on."""

    def __init__(self, machine: Machine, context: StepContext, output: Output, errors: Output, *, patience_seconds: float) -> None:
        self._machine = machine
        self._context = context
        self._outputs: Mapping[str, Output] = {OUT: output, ERRORS: errors}
        self._offsets = dict.fromkeys(self._outputs, 0)
        self._patience_seconds = patience_seconds
        self._directory = ""
        self._may_have_left = False
        self._family: Family | None = None

    async def prepare(self, command: Command) -> None:
        """Put the command into the machine; raises GuestError and InputFaultError: then nothing was started."""
        machine = self._machine
        await machine.find()
        self._family = family = family_of(await machine.family())
        files = files_of(family, command)
        await machine.let_in()
        await self._context.log(f"logged in to {machine.name} ({family.name})", LogLevel.DEBUG)
        self._may_have_left = True
        self._directory = await machine.make_directory(
            family.parent, prefix_of(self._context.attempt_name), has_permissions=family.has_permissions
        )
        for name, content in files.items():
            await machine.put(family.inside(self._directory, name), content, has_permissions=family.has_permissions)

    async def start(self, command: Command) -> None:
        """Start it; raises GuestError where it was not, for certain, and GoneError where nobody can say."""
        family = self._known_family()
        program = program_of(family, self._directory, command.working_directory)
        self._context.mark_sent()
        try:
            await self._machine.start(program)
        except GoneError as error:
            was_started = await self._was_started()
            if was_started is None:
                raise GoneError(error.code, f"{error}; whether the command was started is not known") from None
            if not was_started:
                raise GuestError(error.code, f"{error}; it was found out: nothing was started") from None
        await self._context.log(f"the command runs in {self._machine.name}", LogLevel.DEBUG)

    async def follow(self) -> Ending:
        """Return how it ended, when it has; what it prints goes to the log meanwhile."""
        loop = asyncio.get_running_loop()
        last_seen, pauses = loop.time(), _pauses()
        is_away = False
        while True:
            began = loop.time()
            try:
                ending, moved = await self._look()
            except GuestError as error:
                may_come_back = isinstance(error, GoneError | BusyError)
                if not may_come_back or loop.time() - last_seen > self._patience_seconds:
                    return Ending(End.CUT_OFF, error=error)
                if not is_away:
                    await self._context.log(f"{error}; the command may go on, and is looked for again", LogLevel.WARN)
                is_away, moved = True, False
            else:
                if ending is not None:
                    return ending
                if is_away:
                    await self._context.log(f"{self._machine.name} is there again, and the command runs", LogLevel.WARN)
                is_away, last_seen = False, loop.time()
            pauses = _pauses() if moved else pauses
            await asyncio.sleep(max(next(pauses), loop.time() - began))

    async def tidy(self) -> None:
        """End what runs, and remove the directory, and any other that bears the name of this attempt; raises GuestError."""
        if self._may_have_left:
            await tidied(self._machine, self._context.attempt_name, self._family)

    async def leave(self) -> None:
        """Remove the directory of a command that has ended; what it has begun and left running goes on. Raises GuestError."""
        await self._machine.remove(self._directory)

    def _known_family(self) -> Family:
        if self._family is None:
            raise AssertionError("nothing is started that was not put there")
        return self._family

    async def _look(self) -> tuple[Ending | None, bool]:
        """Return how it ended, if it has, and whether it printed anything; what runs is looked at before what was printed, so nothing is missed."""
        processes = await self._own_processes()
        sizes = await self._machine.sizes(self._directory)
        moved = [await self._read(name, sizes.get(name, 0)) for name in self._outputs]
        ours = [each for each in processes if self._known_family().is_run(each)]
        if any(not each.has_ended for each in ours or processes):
            return None, any(moved)
        code = await self._code() if CODE in sizes else next((each.exit_code for each in ours if each.exit_code is not None), None)
        for output in self._outputs.values():
            await output.finish()
        if code is None or (CODE not in sizes and not 0 <= code < _ENDED_BY_OTHERS):
            return Ending(End.VANISHED), True
        return Ending(End.ENDED, code), True

    async def _read(self, name: str, size: int) -> bool:
        """Take what was printed since, as far as somebody wants it; return whether there was anything."""
        output, before = self._outputs[name], self._offsets[name]
        while self._offsets[name] < size and not (output.truncated and self._context.is_log_full):
            offset = self._offsets[name]
            data = await self._machine.read(self._known_family().inside(self._directory, name), offset, min(READ_BYTES, size - offset))
            if not data:
                break
            self._offsets[name] += len(data)
            await output.feed(data)
        return self._offsets[name] > before

    async def _code(self) -> int | None:
        text = await self._machine.read(self._known_family().inside(self._directory, CODE), 0, _LONGEST_CODE)
        with suppress(ValueError):
            return int(text)
        return None

    async def _own_processes(self) -> list[Process]:
        return [each for each in await self._machine.processes() if self._directory in each.command_line]

    async def _was_started(self) -> bool | None:
        """Return whether the command was started although no answer came; None where nobody can say."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_seconds
        for pause in _pauses():
            try:
                return await self._is_found()
            except (GoneError, BusyError):
                if loop.time() + pause > deadline:
                    return None
            except GuestError:
                return None
            await asyncio.sleep(pause)
        return None

    async def _is_found(self) -> bool | None:
        """Return whether the command runs or has run; raises GuestError.

        Where it is not found, a request that is still on its way comes too late when the directory is gone: there is nothing left to be started.
        """
        if await self._own_processes() or OUT in await self._machine.sizes(self._directory):
            return True
        await self._machine.remove(self._directory)
        return None if await self._own_processes() else False


def prefix_of(attempt_name: str) -> str:
    """Return how the name of an attempt's directory begins: with it, an attempt is told from any other, also from its own probes."""
    return f"stepswitch-{attempt_name}."


async def tidied(machine: Machine, attempt_name: str, family: Family | None = None) -> None:
    """End what an attempt has running in a machine and remove what it left there; nothing there is fine. Raises GuestError."""
    prefix = prefix_of(attempt_name)
    if family is None:
        await machine.find()
        family = family_of(await machine.family())
    for _ in range(_ROUNDS):
        running = [each for each in await machine.processes() if prefix in each.command_line and not each.has_ended]
        if not running:
            break
        for process in [each for each in running if family.is_run(each)] or running:
            await _ended(machine, family, process)
    else:
        raise BusyError(ErrorCode.GUEST_UNAVAILABLE, f"{machine.name} does not end the command")
    for name in await machine.directories(family.parent, prefix):
        await machine.remove(family.inside(family.parent, name))


async def _ended(machine: Machine, family: Family, process: Process) -> None:
    ending = ending_of(family, process)
    if ending is not None:
        await machine.start(ending)
    await machine.end(process.pid)


def _pauses() -> "chain[float]":
    return chain(_PAUSES, repeat(_PAUSES[-1]))
