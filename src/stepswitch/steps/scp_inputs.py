"""What TCA_SCP takes and gives, and its inputs read into what a copy needs. Called by `scp` and its companions."""

import re
from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import ErrorCode, InputSpec, OutputSpec, StepContext, StepSignature, Values, ValueType
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.known_devices import known_login
from stepswitch.steps.login_inputs import TEXT, VIM_LOCATION, Login, login_inputs, text_of

_MODE: Final = re.compile(r"0?[0-7]{3}|[0-7]{4}")
_YES_OR_NO: Final = (ValueType.BOOLEAN,)

SIGNATURE: Final = StepSignature(
    name="TCA_SCP",
    description=(
        "Copies a file of the execution to a server, or a file of a server into the execution, over SFTP; over the SCP protocol where the "
        "server has no SFTP. An interrupted copy never leaves a part of a file under its final name, unless `inPlace` lets it."
    ),
    inputs=(
        *login_inputs(),
        InputSpec("inFile", (ValueType.FILE,), "The attachment that is sent to `destinationPath`.", one_of="file", tells_what=True),
        InputSpec(
            "destinationPath",
            TEXT,
            "The whole path that it gets at the server, its name included; without a `/` in front it begins at the user's home directory.",
            tells_what=True,
        ),
        InputSpec("sourcePath", TEXT, "The file at the server that is fetched.", one_of="file", tells_what=True),
        InputSpec(
            "outFile",
            TEXT,
            "The key that what is fetched gets among the attachments of the execution; without it, the last part of `sourcePath`.",
            tells_what=True,
        ),
        InputSpec(
            "mode",
            TEXT,
            "The permissions that a sent file gets, in octal: `0644`. Without it a file that is replaced leaves its own to the new one.",
            tells_what=True,
        ),
        InputSpec(
            "unpack",
            _YES_OR_NO,
            "Whether `inFile` is a tar archive whose files are sent, with their modes, into the directory `destinationPath`.",
            default=False,
            tells_what=True,
        ),
        InputSpec(
            "recursive",
            _YES_OR_NO,
            "Whether `sourcePath` is a directory, which is fetched with all below it as one tar archive.",
            default=False,
            tells_what=True,
        ),
        InputSpec(
            "verify",
            _YES_OR_NO,
            "Whether what was sent is read back and compared; false takes the server's word for it.",
            default=True,
        ),
        InputSpec(
            "inPlace",
            _YES_OR_NO,
            "Whether a file may be written under its final name from its first byte on, where a server has neither SFTP nor a shell that renames: "
            "a copy that is interrupted leaves a part of it there. Without it nothing is sent to such a server.",
            default=False,
        ),
        VIM_LOCATION,
    ),
    outputs=(
        OutputSpec("result", ValueType.STRING, "The path at the server that was written, or the key of the new attachment."),
        OutputSpec("bytes", ValueType.NUMBER, "How many bytes were copied."),
        OutputSpec("sha256", ValueType.STRING, "The SHA-256 of the attachment that was sent or made, in hexadecimal."),
    ),
    outlives=True,
    time_limit_seconds=14_400.0,
    device_input="hostNameOrIP",
    port_input="port",
)


@dataclass(frozen=True, slots=True)
class Sending:
    """An attachment on its way to a server. `mode` is None where the server's habits decide; `in_place` where a part of it may stand under its name."""

    key: str
    path: str
    mode: int | None
    unpack: bool
    verify: bool
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Fetching:
    """A file, or a directory, of a server on its way to the execution."""

    path: str
    key: str
    recursive: bool


@dataclass(frozen=True, slots=True)
class Request:
    """All that one attempt was asked to do."""

    login: Login
    copy: Sending | Fetching


async def read_request(inputs: Values, context: StepContext, faults: Faults | None = None) -> Request:
    """Return what the inputs of a step ask for; raises InputFaultError with a sentence that names every fault, those that are known already first, and shows no value."""
    faults = faults or Faults()
    asked = faults.attempt(lambda: (_copy(inputs, context),))
    login = await known_login(inputs, context, faults=faults)
    return Request(login, *faults.settled(asked))


def _copy(inputs: Values, context: StepContext) -> Sending | Fetching:
    return _fetching(inputs) if text_of(inputs, "inFile") is None else _sending(inputs, context)


def _sending(inputs: Values, context: StepContext) -> Sending:
    key, path, mode = (text_of(inputs, name) or "" for name in ("inFile", "destinationPath", "mode"))
    faults = _surplus(inputs, ("sourcePath", "outFile", "recursive"), "inFile")
    if not context.is_file("inFile"):
        faults.append("the input 'inFile' must be bound as type file")
    faults += _path_faults("destinationPath", path)
    if mode and not _MODE.fullmatch(mode):
        faults.append("the input 'mode' must be permissions in octal, such as 0644")
    _refuse(faults, is_missing=not path.strip())
    return Sending(
        key,
        _at_home(path),
        int(mode, 8) if mode else None,
        unpack=_is_set(inputs, "unpack"),
        verify=inputs.get("verify") not in _NO,
        in_place=_is_set(inputs, "inPlace"),
    )


def _fetching(inputs: Values) -> Fetching:
    path, key = (text_of(inputs, name) or "" for name in ("sourcePath", "outFile"))
    faults = _surplus(inputs, ("destinationPath", "mode", "unpack"), "sourcePath") + _path_faults("sourcePath", path)
    recursive = _is_set(inputs, "recursive")
    last = path.rstrip("/").rpartition("/")[2]
    if path and not key and last in ("", ".", ".."):
        faults.append("the input 'outFile' is needed: the path that is fetched has no name of its own")
    _refuse(faults, is_missing=not path.strip())
    return Fetching(_at_home(path), key or (f"{last}.tar" if recursive else last), recursive)


_NO: Final = (False, "false")


def _is_set(inputs: Values, name: str) -> bool:
    return inputs.get(name) in (True, "true")


def _surplus(inputs: Values, names: tuple[str, ...], beside: str) -> list[str]:
    given = [name for name in names if text_of(inputs, name) is not None and inputs[name] not in _NO]
    return [f"the input {name!r} does not go with {beside!r}" for name in given]


def _path_faults(name: str, path: str) -> list[str]:
    if not path.strip():
        return [f"the input {name!r} is without value"]
    if "\0" in path or "\n" in path or "\r" in path:
        return [f"the input {name!r} has a zero byte or an end of line, which no path here can have"]
    return [f"the input {name!r} ends in '/'; give the whole name"] if name == "destinationPath" and path.endswith("/") else []


def _at_home(path: str) -> str:
    """Return a path as servers know it: they begin at the home directory, and only a shell would read `~/`."""
    return path.removeprefix("~/") or "."


def _refuse(faults: list[str], *, is_missing: bool) -> None:
    if faults:
        raise InputFaultError(ErrorCode.MISSING_INPUT if is_missing else ErrorCode.INVALID_VALUE, "; ".join(faults))
