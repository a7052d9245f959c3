"""What TCA_EXEC takes and gives, and its inputs read into what an attempt is asked to do. Called by `guest` and its companions."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.plugin import ErrorCode, InputSpec, OutputSpec, StepContext, StepSignature, Values, ValueType
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.login_inputs import TEXT, attachment_of, needed, text_of

MOST_SCRIPT_BYTES: Final = 16 * 1024 * 1024
_SECRET: Final = (ValueType.PASSWORD, ValueType.STRING)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _unfit_environment(text: str) -> str | None:
    """Return why `text` is none that `env` can be, without showing a value; None where it can."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return 'is to be a JSON object of names and values, as in {"MODE": "check"}'
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            return "has a name that no variable can have: letters, digits and '_', a letter or '_' first"
        if not isinstance(value, str | int | float):
            return f"has a value for {name} that is neither a text nor a number nor a boolean"
        if isinstance(value, str) and not set(value).isdisjoint("\0\r\n"):
            return f"has a value for {name} with a line break or a zero byte in it"
    return None


SIGNATURE: Final = StepSignature(
    name="TCA_EXEC",
    description=(
        "Runs a command or a script inside a virtual machine through VMware Tools: no network leads from this service to the machine, only to "
        "its vCenter. Its output appears in the log while it runs; an exit code other than 0 fails the step."
    ),
    inputs=(
        InputSpec(
            "vimLocation",
            (ValueType.VIM_LOCATION, ValueType.STRING),
            "The VIM location of the inventory whose vCenter knows the machine; without it, that of the machine's entry in the inventory.",
        ),
        InputSpec(
            "virtualMachine",
            (ValueType.VIRTUAL_MACHINE, ValueType.STRING),
            "The machine: its id in the inventory; or, where that has none of this name, its managed object (`vm-1042`), its instance UUID or "
            "its path (`/Paris/vm/smf-1`) at the vCenter.",
            required=True,
        ),
        InputSpec("username", TEXT, "Who runs it in the machine; without it, the login of the machine's entry in the inventory."),
        InputSpec(
            "password",
            _SECRET,
            "That user's password; without it, that of the machine's entry in the inventory, if `username` is the entry's, too.",
        ),
        InputSpec(
            "cmd",
            TEXT,
            "The command, or several lines of them: run by `sh`, or by `cmd.exe` in a machine with Windows.",
            one_of="command",
            tells_what=True,
        ),
        InputSpec(
            "script",
            (ValueType.FILE,),
            "A file with a script. On Linux a first line `#!…` chooses its interpreter, otherwise it is `sh`; on Windows it is a batch file.",
            one_of="command",
            tells_what=True,
        ),
        InputSpec(
            "workingDirectory",
            TEXT,
            "The directory in which it runs; without it, the machine decides: mostly the user's home.",
            tells_what=True,
        ),
        InputSpec(
            "env",
            _SECRET,
            'Variables of its environment beside those that the machine gives, as a JSON object: `{"MODE": "check"}`.',
            tells_what=True,
            unfit=_unfit_environment,
        ),
    ),
    outputs=(
        OutputSpec("outputText", ValueType.STRING, "What it printed."),
        OutputSpec("errorText", ValueType.STRING, "What it printed on its error stream."),
        OutputSpec("exitCode", ValueType.NUMBER, "Its exit code."),
    ),
    time_limit_seconds=14_400.0,
    device_input="virtualMachine",
    outlives=True,
)


@dataclass(frozen=True, slots=True)
class Command:
    """What is run in the machine. `is_script` where it came as a file."""

    content: bytes = field(repr=False)
    is_script: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_directory: str | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Which machine is meant, and as whom, as far as the inputs say so."""

    machine: str
    vim_location: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def read_whereabouts(inputs: Values) -> Whereabouts:
    """Return which machine is meant; raises InputFaultError."""
    machine = needed(inputs, "virtualMachine")
    if not machine.isprintable():
        raise InputFaultError(
            ErrorCode.INVALID_VALUE, "the input 'virtualMachine' names no machine: it has characters that cannot be printed"
        )
    location, username = ((text_of(inputs, name) or "").strip() or None for name in ("vimLocation", "username"))
    return Whereabouts(machine, location, username, text_of(inputs, "password"))


async def read_command(inputs: Values, context: StepContext) -> Command:
    """Return what is to be run; raises InputFaultError with a sentence that names every fault, and shows no value."""
    faults = Faults()
    environment = _environment(text_of(inputs, "env") or "", faults)
    place = text_of(inputs, "workingDirectory") or None
    if place is not None and not place.isprintable():
        faults.add(ErrorCode.INVALID_VALUE, "the input 'workingDirectory' has characters that cannot be printed")
    line, script = text_of(inputs, "cmd"), text_of(inputs, "script")
    if line is not None and script is not None:
        faults.add(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    if line is not None and "\0" in line:
        faults.add(ErrorCode.INVALID_VALUE, "the input 'cmd' has a zero byte, which no command can have")
    if script is not None:
        content = await faults.attempted(_script(script, context))
        return Command(faults.settled(content), is_script=True, environment=environment, working_directory=place)
    if line is None or not line.strip():
        faults.add(ErrorCode.MISSING_INPUT, "there is no command: 'cmd' and 'script' are without value")
    faults.refuse()
    return Command((line or "").encode("utf-8", "replace"), environment=environment, working_directory=place)


async def _script(key: str, context: StepContext) -> bytes:
    if not context.is_file("script"):
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'script' must be bound as type file")
    content = await attachment_of(context, key)
    if len(content) > MOST_SCRIPT_BYTES:
        raise InputFaultError(ErrorCode.TOO_LARGE, f"the script has more than {MOST_SCRIPT_BYTES // 1024 // 1024} MiB")
    return content


def _environment(text: str, faults: Faults) -> dict[str, str]:
    why = _unfit_environment(text) if text.strip() else None
    if why is not None:
        faults.add(ErrorCode.INVALID_VALUE, f"the input 'env' {why}")
    if why is not None or not text.strip():
        return {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in json.loads(text).items()}
