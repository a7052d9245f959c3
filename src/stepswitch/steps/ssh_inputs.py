"""What TCA_SSH takes and gives, and its inputs read into what a login and a command need. Called by `ssh` and its companions."""

import codecs
from dataclasses import dataclass, field, replace
from typing import Final

from stepswitch.plugin import ErrorCode, InputSpec, OutputSpec, StepContext, StepSignature, Values, ValueType
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.known_devices import known_login, with_platform
from stepswitch.steps.login_inputs import (
    TEXT,
    VIM_LOCATION,
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
_ANY_LINE: Final = "a line"
"""What stands for the lines while faults are looked for, where they cannot be had."""

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
    """Return what the inputs of a step ask for; raises InputFaultError with a sentence for every fault, which shows no value."""
    faults = Faults()
    encoding = text_of(inputs, "encoding") or "utf-8"
    if not is_text_encoding(encoding):
        faults.add(ErrorCode.INVALID_VALUE, "the input 'encoding' names no text encoding that is known here")
        encoding = "utf-8"
    inputs = await with_platform(inputs, context)
    patterns = _patterns(inputs, faults)
    if wants_shell(inputs):
        return await _read_shell(inputs, context, encoding, patterns, faults)
    manners, fault = read_manners(inputs)
    if fault is not None:
        faults.add(ErrorCode.INVALID_VALUE, fault)
    command = await faults.attempted(_command(inputs, context, encoding))
    login = await known_login(inputs, context, faults=faults)
    return Request(login, faults.settled(command), encoding, patterns, manners=manners)


async def _read_shell(inputs: Values, context: StepContext, encoding: str, patterns: OutputPatterns, faults: Faults) -> Request:
    typed = await faults.attempted(_typed(inputs, context, encoding))
    shell, more = read_shell(inputs, _ANY_LINE if typed is None else typed, encoding)
    faults.add(ErrorCode.INVALID_VALUE, *more)
    login = await known_login(inputs, context, enables=shell.manners.platform.enable is not None, faults=faults)
    shell = replace(shell, enable_password=shell.enable_password or login.enable_password)
    return Request(replace(login, answers=shell.answers), Command(b""), encoding, patterns, shell=shell)


def _patterns(inputs: Values, faults: Faults) -> OutputPatterns:
    """Return the patterns for the output; those that are none are noted."""
    fit: dict[str, str | None] = {}
    for name in ("failPattern", "successPattern"):
        text = text_of(inputs, name) or None
        why = None if text is None else unfit(name)(text)
        if why is not None:
            faults.add(ErrorCode.INVALID_VALUE, why)
        fit[name] = None if why is not None else text
    return OutputPatterns(fit["failPattern"], fit["successPattern"])


async def _command(inputs: Values, context: StepContext, encoding: str) -> Command:
    """Return what is run; raises InputFaultError with every fault."""
    faults = Faults()
    line, script, stdin = (text_of(inputs, name) for name in ("cmd", "script", "stdin"))
    if script is not None and line is not None:
        faults.add(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    if script is not None and stdin is not None:
        faults.add(ErrorCode.INVALID_VALUE, "'stdin' does not go with 'script': the script itself is sent by that way")
    if script is not None:
        content = await faults.attempted(_script(inputs, context))
        return Command(_SHELL, _whole_script(faults.settled(content)))
    if line is None or not line.strip():
        faults.add(ErrorCode.MISSING_INPUT, "there is no command: 'cmd' and 'script' are without value")
    if line is not None and "\0" in line:
        faults.add(ErrorCode.INVALID_VALUE, "the input 'cmd' has a zero byte, which no command line can have")
    command, given = (
        faults.attempt(lambda: _encoded("cmd", line or "", encoding)),
        faults.attempt(lambda: _encoded("stdin", stdin or "", encoding)),
    )
    return Command(faults.settled(command), faults.settled(given))


async def _typed(inputs: Values, context: StepContext, encoding: str) -> str:
    """Return the lines for a shell; raises InputFaultError where they cannot be had."""
    line, script = text_of(inputs, "cmd"), text_of(inputs, "script")
    if script is None:
        return line or ""
    if line is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    return (await _script(inputs, context)).decode(encoding, "replace")


async def _script(inputs: Values, context: StepContext) -> bytes:
    if not context.is_file("script"):
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'script' must be bound as type file")
    return await attachment_of(context, text_of(inputs, "script") or "")


def _whole_script(script: bytes) -> bytes:
    """Return a script as one compound command: a shell that gets only a part of it, when the connection is cut, runs nothing of it."""
    return b"{ :; " + script + b"\n}\n"


def _encoded(name: str, text: str, encoding: str) -> bytes:
    try:
        return codecs.encode(text, encoding)
    except ValueError:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input {name!r} has characters that the encoding {encoding} lacks") from None
