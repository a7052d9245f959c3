"""What NETCONF takes and gives, and its inputs read into what is asked of a device. Called by `netconf` and its companions."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from stepswitch.plugin import ErrorCode, InputSpec, OutputSpec, StepContext, StepSignature, Value, Values, ValueType
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.known_devices import known_login
from stepswitch.steps.login_inputs import (
    TEXT,
    VIM_LOCATION,
    Login,
    attachment_of,
    login_inputs,
    needed,
    text_of,
)

NETCONF_PORT: Final = 830
Parse = Callable[[str, str | None, str], Awaitable[Any]]
"""Makes of the text of an input, an operation and the input's name what is edited; raises InputFaultError."""
MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
LEAST_CONFIRMED_SECONDS: Final = 5
MOST_CONFIRMED_SECONDS: Final = 3600
_MOST_LOCK_SECONDS: Final = 3600
_READS: Final = {"get": "get", "getconfig": "get-config", "get-config": "get-config"}
_EDITS: Final = {"merge": "merge", "replace": "replace", "create": "create", "delete": "delete", "edit-config": None}
"""The actions that change something, each with the operation that it puts on the payload's top elements."""
_ACTIONS: Final = (*_READS, *_EDITS)


class Datastore(StrEnum):
    """A configuration of a device."""

    RUNNING = "running"
    CANDIDATE = "candidate"
    STARTUP = "startup"


SIGNATURE: Final = StepSignature(
    name="NETCONF",
    description="Reads or changes the configuration of a device over NETCONF. A change is read back and compared: an `ok` alone is no proof. "
    "How that goes is told in [configure a device over NETCONF](../how-to/netconf.md).",
    inputs=(
        *login_inputs(NETCONF_PORT),
        InputSpec(
            "action",
            TEXT,
            "What to do. `get` reads configuration and state, `get-config` (or `getconfig`) the configuration; `merge`, `replace`, `create` and "
            "`delete` change it, each at the payload's top elements unless the payload has its own marks; `edit-config` goes by these marks "
            "alone, and merges where there are none.",
            required=True,
            choices=_ACTIONS,
            tells_what=True,
        ),
        InputSpec(
            "payload", TEXT, "What to change: XML, with or without its element `config`. An edit needs it, or `inFile`.", tells_what=True
        ),
        InputSpec("inFile", (ValueType.FILE,), "The same as a file in UTF-8.", tells_what=True),
        InputSpec(
            "filter",
            TEXT,
            "What to read: XML is a filter by subtree, anything else an XPath expression whose prefixes are names of modules. An element "
            '`<filter type="xpath" select="…"/>` brings prefixes of its own.',
            tells_what=True,
        ),
        InputSpec(
            "datastore",
            TEXT,
            "Which configuration: `running`, `candidate`, or to read `startup`. Without it, reads take `running`, and edits the candidate where "
            "the device has one.",
            choices=tuple(map(str, Datastore)),
            tells_what=True,
        ),
        InputSpec(
            "dryRun",
            (ValueType.BOOLEAN,),
            "Whether to edit the candidate, let the device check it, show the difference, and discard it again.",
            default=False,
            tells_what=True,
        ),
        InputSpec(
            "confirmedTimeout",
            (ValueType.NUMBER,),
            f"Seconds, {LEAST_CONFIRMED_SECONDS} to {MOST_CONFIRMED_SECONDS}, within which the change must be proven: else the device takes it back. Needs a candidate.",
        ),
        InputSpec(
            "saveToStartup",
            (ValueType.BOOLEAN,),
            "Whether the running configuration is copied to the startup configuration when the change is proven, for devices that have one of their "
            "own and would forget the change with a restart.",
            default=False,
            tells_what=True,
        ),
        InputSpec("lockTimeout", (ValueType.NUMBER,), "Seconds to wait for a lock that somebody else holds.", default=30),
        VIM_LOCATION,
    ),
    outputs=(
        OutputSpec("output", ValueType.STRING, "The device's last reply to what was asked, as XML."),
        OutputSpec("datastore", ValueType.STRING, "The configuration that was read or changed."),
        OutputSpec(
            "difference",
            ValueType.STRING,
            "Of a dry run: the lines that the change would remove (-) and add (+); empty where it changes nothing.",
        ),
    ),
    time_limit_seconds=14_400.0,
    device_input="hostNameOrIP",
    port_input="port",
    safe_when={"action": frozenset(_READS), "dryRun": frozenset({"true"})},
)


@dataclass(frozen=True, slots=True)
class Request:
    """All that one attempt was asked to do. `read` is `get` or `get-config`, and None where something is changed. Times are in seconds."""

    login: Login
    read: str | None
    operation: str | None
    payload: str = field(default="", repr=False)
    payload_name: str = "payload"
    parsed: Any = field(default=None, repr=False)
    """The payload as the element that is edited."""
    filter: str = field(default="", repr=False)
    datastore: Datastore | None = None
    dry_run: bool = False
    confirmed_seconds: float | None = None
    lock_seconds: float = 30.0
    saves: bool = False


async def read_request(inputs: Values, context: StepContext, parse: Parse | None = None) -> Request:
    """Return what the inputs of a step ask for; raises InputFaultError with a sentence for every fault, which shows no value.

    `parse` makes of the text of a payload what is edited; without it that is not looked at.
    """
    faults = Faults()
    action = faults.attempt(lambda: _action(inputs))
    datastore = faults.attempt(lambda: _datastore(text_of(inputs, "datastore")))
    if action in _READS:
        login = await known_login(inputs, context, NETCONF_PORT, faults=faults)
        return Request(login, _READS[action], None, filter=text_of(inputs, "filter") or "", datastore=datastore)
    dry_run = inputs.get("dryRun", False) in (True, "true")
    confirmed = inputs.get("confirmedTimeout")
    saves = inputs.get("saveToStartup", False) in (True, "true")
    if saves and dry_run:
        faults.add(ErrorCode.INVALID_VALUE, "a dry run leaves nothing to be saved: leave 'saveToStartup' out")
    faults.add(ErrorCode.INVALID_VALUE, *_faults_of_edit(datastore, dry_run=dry_run, confirmed=confirmed))
    name, operation = "payload" if inputs.get("inFile") is None else "inFile", _EDITS.get(action or "")
    payload = None if action is None else await faults.attempted(_payload(inputs, context))
    parsed = None if parse is None or payload is None else await faults.attempted(parse(payload, operation, name))
    confirming = faults.attempt(lambda: _seconds("confirmedTimeout", confirmed, LEAST_CONFIRMED_SECONDS, MOST_CONFIRMED_SECONDS))
    locking = faults.attempt(lambda: _seconds("lockTimeout", inputs.get("lockTimeout", 30), 0, _MOST_LOCK_SECONDS))
    login = await known_login(inputs, context, NETCONF_PORT, faults=faults)  # last: it opens credentials
    return Request(
        read=None,
        operation=operation,
        payload=faults.settled(payload),
        payload_name=name,
        parsed=parsed,
        datastore=datastore,
        dry_run=dry_run,
        confirmed_seconds=confirming,
        lock_seconds=faults.settled(locking),
        saves=saves,
        login=login,
    )


def _action(inputs: Values) -> str:
    action = needed(inputs, "action")
    if action not in _ACTIONS:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input 'action' must be one of {', '.join(_ACTIONS)}")
    return action


def _faults_of_edit(datastore: Datastore | None, *, dry_run: bool, confirmed: Value | None) -> Iterator[str]:
    if datastore is Datastore.STARTUP:
        yield "the datastore startup can be read and not edited"
    if datastore is Datastore.RUNNING and dry_run:
        yield "a dry run edits the candidate: leave 'datastore' out, or say candidate"
    if datastore is Datastore.RUNNING and confirmed is not None:
        yield "'confirmedTimeout' needs the candidate: leave 'datastore' out, or say candidate"


async def _payload(inputs: Values, context: StepContext) -> str:
    text, file = text_of(inputs, "payload"), text_of(inputs, "inFile")
    if text is not None and file is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "give 'payload' or 'inFile', not both")
    if file is not None:
        if not context.is_file("inFile"):
            raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'inFile' must be bound as type file")
        try:
            text = (await attachment_of(context, file)).decode("utf-8")
        except UnicodeDecodeError:
            raise InputFaultError(ErrorCode.MALFORMED_XML, "the input 'inFile' cannot be used: it is not in UTF-8") from None
    if text is None or not text.strip():
        raise InputFaultError(ErrorCode.MISSING_INPUT, "there is nothing to edit: 'payload' and 'inFile' are without value")
    if len(text) > MAX_PAYLOAD_BYTES:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the payload is larger than {MAX_PAYLOAD_BYTES // (1024 * 1024)} MiB")
    return text


def _datastore(text: str | None) -> Datastore | None:
    if text is None or not text.strip():
        return None
    try:
        return Datastore(text.strip())
    except ValueError:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input 'datastore' must be one of {', '.join(Datastore)}") from None


def _seconds(name: str, value: Value | None, least: int, most: int) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if isinstance(value, bool) or not least <= seconds <= most:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input {name!r} must be a number of seconds from {least} to {most}")
    return seconds
