"""What the step types of vRO that stand for their TCA twins take and give. Called by `vro_errands`."""

from dataclasses import replace
from typing import Final

from stepswitch.plugin import InputSpec, OutputSpec, StepSignature, ValueType
from stepswitch.steps.login_inputs import TEXT, login_inputs
from stepswitch.steps.patterns import unfit
from stepswitch.steps.vro_outcome import RUN_ID_OUTPUT
from stepswitch.steps.vro_place import VIM_LOCATION

_SECRET: Final = (ValueType.PASSWORD, ValueType.STRING)
_OTHERS: Final = (
    "Any other input is given to the vRO workflow by its name; one that it does not take fails the step before anything is sent."
)


def _login() -> tuple[InputSpec, ...]:
    """Return the inputs of a login at a device; who logs in may stand in the inventory."""
    wanted = [each for each in login_inputs() if each.name != "certificate"]
    return tuple(replace(each, required=False) if each.name == "username" else each for each in wanted)


def _command(line: str) -> tuple[InputSpec, ...]:
    return (
        InputSpec("cmd", TEXT, line, one_of="command", tells_what=True),
        InputSpec(
            "script", (ValueType.FILE,), "A file with the command, where the vRO workflow takes one.", one_of="command", tells_what=True
        ),
    )


_PRINTED: Final = (
    OutputSpec("outputText", ValueType.STRING, "What the command printed."),
    OutputSpec("errorText", ValueType.STRING, "What the command printed on its error stream."),
    OutputSpec("exitCode", ValueType.NUMBER, "Its exit code; none where the vRO workflow gives none."),
    OutputSpec("result", ValueType.STRING, "The same as outputText."),
    RUN_ID_OUTPUT,
)

SSH: Final = StepSignature(
    name="VRO_SSH",
    description=f"Runs a command over SSH, the connection starting at the vRO of the VIM. {_OTHERS}",
    inputs=(
        *_login(),
        *_command("The command line."),
        InputSpec("encoding", TEXT, "The encoding of the command and its output.", default="utf-8"),
        InputSpec(
            "failPattern",
            TEXT,
            "A regular expression (RE2) for the output: where it is found, the step fails.",
            tells_what=True,
            unfit=unfit("failPattern"),
        ),
        InputSpec(
            "successPattern",
            TEXT,
            "A regular expression (RE2) for the output: where it is not found, the step fails.",
            tells_what=True,
            unfit=unfit("successPattern"),
        ),
        VIM_LOCATION,
    ),
    outputs=_PRINTED,
    other_inputs=True,
    device_input="hostNameOrIP",
    port_input="port",
    outlives=True,
)
SCP: Final = StepSignature(
    name="VRO_SCP",
    description=f"Copies a file of the execution to a server, or one of the server into the execution, from the vRO of the VIM. {_OTHERS}",
    inputs=(
        *_login(),
        InputSpec("inFile", (ValueType.FILE,), "The attachment that is sent to `destinationPath`.", one_of="file", tells_what=True),
        InputSpec("destinationPath", TEXT, "The whole path that it gets at the server.", tells_what=True),
        InputSpec("sourcePath", TEXT, "The file at the server that is fetched.", one_of="file", tells_what=True),
        InputSpec("outFile", TEXT, "The key of the new attachment; without it, the last part of `sourcePath`.", tells_what=True),
        InputSpec("mode", TEXT, "The permissions that a sent file gets, where the vRO workflow takes them.", tells_what=True),
        VIM_LOCATION,
    ),
    outputs=(
        OutputSpec("result", ValueType.STRING, "The path at the server that was written, or the key of the new attachment."),
        OutputSpec("bytes", ValueType.NUMBER, "How many bytes were handed to vRO, or came from it."),
        OutputSpec("sha256", ValueType.STRING, "The SHA-256 of the attachment that was handed over or made, in hexadecimal."),
        RUN_ID_OUTPUT,
    ),
    other_inputs=True,
    device_input="hostNameOrIP",
    port_input="port",
    outlives=True,
)
EXEC: Final = StepSignature(
    name="VRO_EXEC",
    description=f"Runs a command inside of a virtual machine, from the vRO of the VIM. {_OTHERS}",
    inputs=(
        InputSpec(
            "virtualMachine",
            (ValueType.VIRTUAL_MACHINE, ValueType.STRING),
            "The virtual machine: its id in the inventory, or what its vCenter calls it.",
            required=True,
        ),
        InputSpec("username", TEXT, "Who logs in inside of it; without it, the inventory says who."),
        InputSpec(
            "password",
            _SECRET,
            "With which password; without it, that of the machine's entry in the inventory, if `username` is the entry's, too.",
        ),
        *_command("The command line."),
        InputSpec("workingDirectory", TEXT, "Where it begins.", tells_what=True),
        InputSpec("env", TEXT, "Variables of its environment, as a JSON object.", tells_what=True),
        VIM_LOCATION,
    ),
    outputs=_PRINTED,
    other_inputs=True,
    outlives=True,
)
