"""What TCA_SSH takes and gives, and its inputs read into what a login and a command need. Called by `ssh` and its companions."""

import codecs
from dataclasses import dataclass, field, replace
from typing import Final

from stepswitch.plugin import ErrorCode, InputSpec, OutputSpec, StepContext, StepSignature, Values, ValueType
from stepswitch.steps.known_devices import known_login, with_platform
from stepswitch.steps.login_inputs import (
    TEXT,
    VIM_LOCATION,
    InputFaultError,
    Login,
    attachment_of,
    login_inputs,
    text_of,
)
from stepswitch.steps.output import is_text_encoding
from stepswitch.steps.patterns import OutputPatterns, unfit
from stepswitch.steps.ssh_manners import Manners
from stepswitch.steps.ssh_shell_inputs import SHELL_INPUTS, ShellRequest, read_manners, read_shell, wants_shell

_SHELL: Final = b"sh -s"

SIGNATURE: Final = StepSignature(
    name="TCA_SSH",
    description="Runs a command or a script over SSH. Its output appears in the log as it arrives; an exit code other than 0 fails the step.",
    inputs=(
        *login_inputs(),
        InputSpec(
            "cmd",
            TEXT,
            "The command line, sent as one request and run by the user's own shell or command interpreter; with `shell`, the lines that are typed.",
            one_of="command",
            tells_what=True,
        ),
        InputSpec(
            "script",
            (ValueType.FILE,),
            "A file with a POSIX shell script, run by `sh` from its standard input and never in part. A first line `#!…` does not choose another interpreter. With `shell`, the lines that are typed.",
            one_of="command",
            tells_what=True,
        ),
        InputSpec(
            "stdin",
            TEXT,
            "What the command reads from its standard input; without it, the input is empty. Not together with `script`.",
            tells_what=True,
        ),
        InputSpec("encoding", TEXT, "The encoding of the command, its input and its output.", default="utf-8"),
        InputSpec(
            "failPattern",
            TEXT,
            "A regular expression (RE2) for the output and the error output: where it is found, the step fails.",
            tells_what=True,
            unfit=unfit("failPattern"),
        ),
        InputSpec(
            "successPattern",
            TEXT,
            "A regular expression (RE2) for the output and the error output: where it is not found, the step fails.",
            tells_what=True,
            unfit=unfit("successPattern"),
        ),
        *SHELL_INPUTS,
        VIM_LOCATION,
    ),
    outputs=(
        OutputSpec("outputText", ValueType.STRING, "What the command printed."),
        OutputSpec("result", ValueType.STRING, "The same as outputText."),
        OutputSpec("errorText", ValueType.STRING, "What the command printed on its error stream."),
        OutputSpec("exitCode", ValueType.NUMBER, "Its exit code; none where the server gives none, as many routers do."),
    ),
    time_limit_seconds=14_400.0,
    device_input="hostNameOrIP",
    port_input="port",
)


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, in the bytes that are sent; `stdin` is followed by its end."""

    line: bytes = field(repr=False)
    stdin: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """All that one attempt was asked to do."""

    login: Login
    command: Command
    encoding: str
    patterns: OutputPatterns
    shell: ShellRequest | None = None
    """What is typed instead, where an interactive shell is asked for; `command` is empty then."""
    manners: Manners | None = None
    """How a router says that it refuses a command, where `platform` says what kind it is and no shell is asked for."""


async def read_request(inputs: Values, context: StepContext) -> Request:
    """Return what the inputs of a step ask for; raises InputFaultError with a sentence that shows no value."""
    encoding = text_of(inputs, "encoding") or "utf-8"
    if not is_text_encoding(encoding):
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'encoding' names no text encoding that is known here")
    inputs = await with_platform(inputs, context)
    if wants_shell(inputs):
        return await _read_shell(inputs, context, encoding)
    manners, fault = read_manners(inputs)
    if fault is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, fault)
    command, patterns = await _command(inputs, context, encoding), _patterns(inputs)
    return Request(await known_login(inputs, context), command, encoding, patterns, manners=manners)


async def _read_shell(inputs: Values, context: StepContext, encoding: str) -> Request:
    shell, faults = read_shell(inputs, await _typed(inputs, context, encoding), encoding)
    code, enables = ErrorCode.INVALID_VALUE, shell.manners.platform.enable is not None
    try:
        patterns = _patterns(inputs)
        login = await known_login(inputs, context, enables=enables, is_trial=bool(faults))
    except InputFaultError as error:
        code, faults = error.code, [str(error), *faults]
    if faults:
        raise InputFaultError(code, "; ".join(faults))
    shell = replace(shell, enable_password=shell.enable_password or login.enable_password)
    return Request(replace(login, answers=shell.answers), Command(b""), encoding, patterns, shell=shell)


def _patterns(inputs: Values) -> OutputPatterns:
    try:
        return OutputPatterns(text_of(inputs, "failPattern") or None, text_of(inputs, "successPattern") or None)
    except ValueError as error:
        raise InputFaultError(ErrorCode.INVALID_VALUE, str(error)) from None


async def _command(inputs: Values, context: StepContext, encoding: str) -> Command:
    line, script, stdin = (text_of(inputs, name) for name in ("cmd", "script", "stdin"))
    if script is not None and line is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    if script is not None and stdin is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "'stdin' does not go with 'script': the script itself is sent by that way")
    if script is not None:
        if not context.is_file("script"):
            raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'script' must be bound as type file")
        return Command(_SHELL, _whole_script(await attachment_of(context, script)))
    if line is None or not line.strip():
        raise InputFaultError(ErrorCode.MISSING_INPUT, "there is no command: 'cmd' and 'script' are without value")
    if "\0" in line:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'cmd' has a zero byte, which no command line can have")
    return Command(_encoded("cmd", line, encoding), _encoded("stdin", stdin or "", encoding))


async def _typed(inputs: Values, context: StepContext, encoding: str) -> str:
    """Return the lines for a shell; raises InputFaultError where they cannot be had."""
    line, script = text_of(inputs, "cmd"), text_of(inputs, "script")
    if script is None:
        return line or ""
    if line is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    if not context.is_file("script"):
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'script' must be bound as type file")
    return (await attachment_of(context, script)).decode(encoding, "replace")


def _whole_script(script: bytes) -> bytes:
    """Return a script as one compound command: a shell that gets only a part of it, when the connection is cut, runs nothing of it."""
    return b"{ :; " + script + b"\n}\n"


def _encoded(name: str, text: str, encoding: str) -> bytes:
    try:
        return codecs.encode(text, encoding)
    except ValueError:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input {name!r} has characters that the encoding {encoding} lacks") from None
