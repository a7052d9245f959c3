"""VRO_SSH, VRO_SCP and VRO_EXEC: what their TCA twins do, done by a workflow of vRO, so that the connection begins there. Called by the step runner.

Which vRO workflow does it, the settings say; it is given what the step is given, by the names of the inputs. What it does not take is refused before
anything is sent: a host key that nobody would check is worse than none. See docs/decisions/0040.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from stepswitch.plugin import Device, ErrorCode, Login, Outcome, StepContext, StepError, Value, Values, VirtualMachine
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.login_inputs import needed, port_of, text_of
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import OutputPatterns, Text, shortened, unfit
from stepswitch.steps.vro import Order, VroStep
from stepswitch.steps.vro_api import Patience
from stepswitch.steps.vro_outcome import Ended
from stepswitch.steps.vro_place import VIM_LOCATION
from stepswitch.steps.vro_runs import Pauses
from stepswitch.steps.vro_signatures import EXEC, SCP, SSH
from stepswitch.steps.vro_workflows import Named

LIBRARY_SSH: Final = Named("90808080808080808080808080808080D28080800120523434428525559a3425f", "Run SSH command")
"""The workflow for a command over SSH in the library that comes with every vRO."""
_PATTERNS: Final = ("failPattern", "successPattern")
_USUAL: Final[Values] = {"port": 22, "encoding": "utf-8", "passwordAuthentication": True}
"""What is given where the vRO workflow takes it and the step says nothing else."""
_KEYS: Final = ("password", "privateKey")


class SettingErrand:
    """What the three have in common: their vRO workflow is that of a setting."""

    def __init__(self, setting: str, workflow: str | None, usual: Named | None = None) -> None:
        self._setting = setting
        self._workflow = usual if workflow is None else Named.either(workflow)

    def named(self, inputs: Values) -> Named:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        if self._workflow is None:
            message = f"no vRO workflow does that: name one by the setting {self._setting}, and restart the service"
            raise InputFaultError(ErrorCode.INVALID_VALUE, message)
        return self._workflow

    async def completed(self, inputs: Values, context: StepContext) -> Values:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        return inputs


def _check_place(entry: VirtualMachine | None, location: str | None) -> None:
    """Raise InputFaultError where a machine that the inventory knows is to be looked for elsewhere."""
    if entry is not None and location is not None and location != entry.vim_location:
        message = (
            f"the machine {harmless(entry.id)} is at the VIM location {entry.vim_location!r}, says the inventory, and this step is to act at {location!r}: "
            "what is called the same there may be another machine"
        )
        raise InputFaultError(ErrorCode.INVALID_VALUE, message)


def _nobody(given: Values, login: Login) -> Iterator[str]:
    """Yield a sentence where neither the step nor the inventory says who logs in."""
    if not text_of(given, "username") and not login.username:
        yield "the input 'username' is without value, and the inventory names nobody"


async def _with_login(given: Mapping[str, Value], login: Login, at: Device, context: StepContext) -> dict[str, Value]:
    """Return what a step gives with what the inventory adds to its login; raises CredentialError."""
    found = dict(given)
    if not text_of(found, "username") and login.username is not None:
        found["username"] = login.username
    is_his = login.username in (None, text_of(found, "username"))
    if login.password is not None and is_his and not any(text_of(found, each) for each in _KEYS):
        found["password"] = await context.secret(login.password, at)
    return found


async def _at_device(inputs: Values, left_out: frozenset[str], context: StepContext, faults: Faults) -> dict[str, Value]:
    """Return what a step that logs in to a device gives to vRO; raises InputFaultError with every fault, `faults` among them."""
    host, port = faults.attempt(lambda: needed(inputs, "hostNameOrIP")), faults.attempt(lambda: port_of(inputs))
    entry = None if host is None or port is None else (await context.inventory()).device_at(host, port)
    given = {name: value for name, value in inputs.items() if name not in left_out | {VIM_LOCATION.name}}
    login = Login() if entry is None else entry.login
    faults.add(ErrorCode.MISSING_INPUT, *_nobody(given, login))
    return await _with_login(given, login, Device(faults.settled(host), faults.settled(port)), context)


class SshErrand(SettingErrand):
    """VRO_SSH: one command at a device, by default with "Run SSH command" of vRO's library."""

    async def order(self, inputs: Values, context: StepContext, faults: Faults) -> Order:
        """See `Errand`."""
        for name in _PATTERNS:
            text = text_of(inputs, name)
            faults.add(ErrorCode.INVALID_VALUE, *filter(None, [unfit(name)(text) if text else None]))
        faults.attempt(lambda: _check_command(inputs))
        named = faults.attempt(lambda: self.named(inputs))
        given = await _at_device(inputs, frozenset(_PATTERNS), context, faults)
        return Order(faults.settled(named), given, _USUAL)

    def outcome(self, ended: Ended, order: Order, inputs: Values) -> Outcome:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        return _judged(ended, _patterns(inputs))


class ScpErrand(SettingErrand):
    """VRO_SCP: a file of the execution to a device, or one of the device into the execution."""

    async def order(self, inputs: Values, context: StepContext, faults: Faults) -> Order:
        """See `Errand`."""
        sends, fetches = (text_of(inputs, name) for name in ("inFile", "sourcePath"))
        if (sends is None) is (fetches is None):
            message = "give 'inFile' and 'destinationPath' to send a file, or 'sourcePath' to fetch one"
            faults.add(ErrorCode.MISSING_INPUT if sends is None else ErrorCode.INVALID_VALUE, message)
        if sends is not None:
            faults.attempt(lambda: needed(inputs, "destinationPath"))
        file = None if sends is None else await faults.attempted(context.attached(sends))
        named = faults.attempt(lambda: self.named(inputs))
        given = await _at_device(inputs, frozenset({"outFile"}), context, faults)
        key = None if fetches is None else text_of(inputs, "outFile") or fetches.rstrip("/").rpartition("/")[2]
        return Order(faults.settled(named), given, _USUAL, key, file)

    def outcome(self, ended: Ended, order: Order, inputs: Values) -> Outcome:
        """See `Errand`."""
        if ended.error is not None:
            return ended.outcome({})
        file = order.sent or next(iter(ended.files.values()), None)
        if file is None:
            message = f"{ended.run.told} has completed and given no file: its workflow is to have an output of the type MimeAttachment"
            return ended.outcome({}, StepError(ErrorCode.OUTPUT_MISFIT, message))
        result = text_of(inputs, "destinationPath") or "" if order.sent else file.name
        return ended.outcome({"result": result, "bytes": file.size, "sha256": file.sha256})


class ExecErrand(SettingErrand):
    """VRO_EXEC: a command inside of a virtual machine."""

    async def completed(self, inputs: Values, context: StepContext) -> Values:
        """See `Errand`."""
        entry = (await context.inventory()).virtual_machines.get(text_of(inputs, "virtualMachine") or "")
        if entry is None or text_of(inputs, VIM_LOCATION.name):
            return inputs
        return {**inputs, VIM_LOCATION.name: entry.vim_location}

    async def order(self, inputs: Values, context: StepContext, faults: Faults) -> Order:
        """See `Errand`."""
        machine = faults.attempt(lambda: needed(inputs, "virtualMachine"))
        faults.attempt(lambda: _check_command(inputs))
        named = faults.attempt(lambda: self.named(inputs))
        entry = (await context.inventory()).virtual_machines.get(machine or "")
        faults.attempt(lambda: _check_place(entry, text_of(inputs, VIM_LOCATION.name)))
        given = {name: value for name, value in inputs.items() if name != VIM_LOCATION.name}
        if entry is not None:
            given["virtualMachine"] = entry.managed_object_id or entry.instance_uuid or entry.path or entry.id
        login = Login() if entry is None else entry.login
        faults.add(ErrorCode.MISSING_INPUT, *_nobody(given, login))
        given = await _with_login(given, login, Device(faults.settled(machine)), context)
        return Order(faults.settled(named), given)

    def outcome(self, ended: Ended, order: Order, inputs: Values) -> Outcome:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        return _judged(ended, None)


def _check_command(inputs: Values) -> None:
    given = [name for name in ("cmd", "script") if (text_of(inputs, name) or "").strip()]
    if len(given) > 1:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    if not given:
        raise InputFaultError(ErrorCode.MISSING_INPUT, "there is no command: 'cmd' and 'script' are without value")


def _patterns(inputs: Values) -> OutputPatterns:
    return OutputPatterns(*(text_of(inputs, name) or None for name in _PATTERNS))


def _judged(ended: Ended, patterns: OutputPatterns | None) -> Outcome:
    """Return what a command has come to.

    Its exit code is the output `exitCode`, or `result` where that stands beside `outputText` and is a whole number, as in vRO's library.
    """
    found = ended.outputs
    text, errors = (text_of(found, name) for name in ("outputText", "errorText"))
    code = _whole(found.get("exitCode", found.get("result") if text is not None else None))
    text = (text_of(found, "result") if text is None else text) or ""
    outputs: dict[str, Value] = {"outputText": text, "result": text, "errorText": errors or ""}
    if code is not None:
        outputs["exitCode"] = code
    reason = patterns.verdict(Text(text), Text(errors or "")) if patterns is not None else None
    error: StepError | None = None
    if code:
        last = shortened((errors or text).rstrip().rpartition("\n")[2].strip())
        error = StepError(
            ErrorCode.NON_ZERO_EXIT, f"the command of {ended.run.told} ended with exit code {code}{f': {last}' if last else ''}"
        )
    elif reason is not None:
        error = StepError(ErrorCode.PATTERN_FAILED, f"{ended.run.told}: {reason}")
    return ended.outcome(outputs, error)


def _whole(value: Value | None) -> int | None:
    try:
        return (
            int(value) if isinstance(value, str | int) and not isinstance(value, bool) else int(value) if isinstance(value, float) else None
        )
    except (ValueError, OverflowError):
        return None


class VroSshStep(VroStep):
    """Runs a command over SSH from a vRO."""

    def __init__(self, *, workflow: str | None = None, patience: Patience | None = None, pauses: Pauses | None = None) -> None:
        super().__init__(SSH, SshErrand("vro_ssh_workflow", workflow, LIBRARY_SSH), patience=patience, pauses=pauses)


class VroScpStep(VroStep):
    """Copies a file over SSH from or to a vRO."""

    def __init__(self, *, workflow: str | None = None, patience: Patience | None = None, pauses: Pauses | None = None) -> None:
        super().__init__(SCP, ScpErrand("vro_scp_workflow", workflow), patience=patience, pauses=pauses)


class VroExecStep(VroStep):
    """Runs a command inside of a virtual machine from a vRO."""

    def __init__(self, *, workflow: str | None = None, patience: Patience | None = None, pauses: Pauses | None = None) -> None:
        super().__init__(EXEC, ExecErrand("vro_exec_workflow", workflow), patience=patience, pauses=pauses)
