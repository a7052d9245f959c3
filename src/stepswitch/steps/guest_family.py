"""How a command is run in a machine of one kind or the other: the files that are put there, and the program that is started. Called by `guest_run`.

What is started is a script of ours, `run`, in a directory of its own, whose name stands on its command line: by that it is found again. It runs the
command, keeps what that prints and, at its end, its exit code as files beside it. Guest operations end one process and none that it has begun; so
the command runs in a group of its own, which `run` ends when it is ended itself.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import ErrorCode
from stepswitch.steps.guest_inputs import Command
from stepswitch.steps.guest_machine import Process, Program
from stepswitch.steps.input_faults import InputFaultError

OUT: Final = "out"
ERRORS: Final = "err"
CODE: Final = "code"
_INTERPRETER: Final = re.compile(rb"#![ \t]*(/[^ \t\r\n]+)[ \t]*([^\r\n]*)")
_LINUX_RUN: Final = """\
dir=${0%/*}
trap 'trap "" TERM; kill -s TERM -- "-$!"; sleep 1; kill -s KILL -- "-$!"; exit 143' TERM
if command -v setsid >/dev/null 2>&1; then
    setsid /bin/sh "$dir/begin" >"$dir/out" 2>"$dir/err" </dev/null &
else
    /bin/sh "$dir/begin" >"$dir/out" 2>"$dir/err" </dev/null &
fi
wait "$!"
code=$?
echo "$code" >"$dir/code.part" && mv "$dir/code.part" "$dir/code"
exit "$code"
"""
_LINUX_BEGIN: Final = '{exports}exec {interpreter} "${{0%/*}}/command"\n'
_WINDOWS_RUN: Final = """\
@echo off
chcp 65001 >nul
{exports}%SystemRoot%\\System32\\cmd.exe /d /c "%~dp0command.cmd" >"%~dp0out" 2>"%~dp0err" <nul
set STEPSWITCH_CODE=%errorlevel%
>"%~dp0code.part" echo %STEPSWITCH_CODE%
move /y "%~dp0code.part" "%~dp0code" >nul
exit /b %STEPSWITCH_CODE%
"""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of operating system. `parent` is where the directory of an attempt is made."""

    name: str
    parent: str
    separator: str
    has_permissions: bool
    run_name: str

    def inside(self, directory: str, name: str) -> str:
        """Return the path of a file in a directory."""
        return f"{directory}{self.separator}{name}"

    def is_run(self, process: Process) -> bool:
        """Return whether a process of an attempt is our script, which ends whatever the command has begun."""
        return self.run_name in process.command_line


LINUX: Final = Family("Linux", "/tmp", "/", has_permissions=True, run_name="/run")  # noqa: S108 - a directory of our own is made in it
WINDOWS: Final = Family("Windows", r"C:\Windows\Temp", "\\", has_permissions=False, run_name="\\run.cmd")


def family_of(reported: str) -> Family:
    """Return the kind of machine by what its VMware Tools call it; whatever is not Windows is taken to have a POSIX shell."""
    return WINDOWS if reported == "windowsGuest" else LINUX


def files_of(family: Family, command: Command) -> Mapping[str, bytes]:
    """Return the files that are put into the directory, by name; raises InputFaultError where the command cannot be written down."""
    if family is WINDOWS:
        exports = "".join(_windows_export(name, value) for name, value in command.environment.items())
        run = _WINDOWS_RUN.format(exports=exports).replace("\n", "\r\n").encode("utf-8", "replace")
        return {"command.cmd": _batch(command), "run.cmd": run}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in command.environment.items())
    begin = _LINUX_BEGIN.format(exports=exports, interpreter=_interpreter(command))
    return {"command": command.content + b"\n", "begin": begin.encode("utf-8", "replace"), "run": _LINUX_RUN.encode("ascii")}


def program_of(family: Family, directory: str, working_directory: str | None) -> Program:
    """Return what is started."""
    if family is WINDOWS:
        return Program(r"C:\Windows\System32\cmd.exe", f'/d /c "{directory}\\run.cmd"', working_directory)
    return Program("/bin/sh", f"{directory}/run", working_directory)


def ending_of(family: Family, process: Process) -> Program | None:
    """Return the program that ends a process with all that it has begun; None where ending the process does."""
    return Program(r"C:\Windows\System32\taskkill.exe", f"/T /F /PID {process.pid}") if family is WINDOWS else None


def _interpreter(command: Command) -> str:
    """Return what reads the command, as a shell writes it. The kernel is not asked: many machines run nothing out of /tmp."""
    found = _INTERPRETER.match(command.content) if command.is_script else None
    if found is None:
        return "/bin/sh"
    return " ".join(shlex.quote(part.decode("utf-8", "replace")) for part in (found[1], found[2].strip()) if part)


def _batch(command: Command) -> bytes:
    content = command.content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return content if command.is_script else b"@echo off\r\n" + content + b"\r\n"


def _windows_export(name: str, value: str) -> str:
    if '"' in value:
        raise InputFaultError(
            ErrorCode.INVALID_VALUE, f"the input 'env' has a value for {name} with a quotation mark, which Windows cannot be given"
        )
    return f'set "{name}={value.replace("%", "%%")}"\n'
