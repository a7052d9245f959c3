"""What a step type takes to log in somewhere over SSH, and those inputs read into a login. Called by the step types that do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.plugin import ErrorCode, HostKeys, InputSpec, StepContext, TargetError, Value, Values, ValueType
from stepswitch.steps.host_keys import fingerprint, parse_fingerprint, parse_public_key
from stepswitch.steps.output import harmless
from stepswitch.steps.ssh_answers import Answer

TEXT: Final = (ValueType.STRING,)
_SECRET: Final = (ValueType.PASSWORD, ValueType.STRING)
_HIGHEST_PORT: Final = 65_535
SSH_PORT: Final = 22
VIM_LOCATION: Final = InputSpec("vimLocation", (ValueType.VIM_LOCATION, ValueType.STRING), "The VIM at whose site the step is carried out.")


def login_inputs(port: int = SSH_PORT) -> tuple[InputSpec, ...]:
    """Return the inputs that say where to log in and as whom; `port` is where such servers listen."""
    return (
        InputSpec("hostNameOrIP", TEXT, "The server: a name, an IPv4 or an IPv6 address.", required=True),
        InputSpec("port", (ValueType.NUMBER,), "The port that it listens on.", default=port),
        InputSpec("username", TEXT, "Who logs in.", required=True),
        InputSpec("password", _SECRET, "The password; also the answer where the server asks for one interactively."),
        InputSpec("privateKey", (ValueType.PASSWORD, ValueType.FILE), "The private key in OpenSSH or PEM form, as its text or as a file."),
        InputSpec("passphrase", _SECRET, "What opens a protected private key."),
        InputSpec(
            "certificate",
            (ValueType.STRING, ValueType.FILE),
            "The OpenSSH certificate (`ssh-ed25519-cert-v01@openssh.com AAAA…`) that goes with `privateKey`, as its text or as a file.",
        ),
        InputSpec(
            "passwordAuthentication", (ValueType.BOOLEAN,), "Whether the password may be used; false logs in by key only.", default=True
        ),
        InputSpec(
            "hostKey",
            TEXT,
            "The server's public key (`ssh-ed25519 AAAA…`) or its fingerprint (`SHA256:…`); without it, the trusted keys count.",
        ),
    )


@dataclass(frozen=True, slots=True)
class Login:
    """Where to log in and as whom. `host_key` is a line, `host_fingerprint` its fingerprint; at most one of them is given."""

    host: str
    port: int
    username: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    host_key: str | None = None
    host_fingerprint: str | None = None
    certificate: str | None = None
    answers: tuple[Answer, ...] = field(default=(), repr=False)
    """What is answered where the server asks for more than the password while somebody logs in."""


class LoginError(Exception):
    """Nobody is logged in, and nothing was done at the server."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


async def allowed_keys(login: Login, host_keys: HostKeys) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the fingerprints that are let through, and the keys behind them as far as they are known."""

    def readable(line: str) -> bool:
        try:
            return bool(fingerprint(line))
        except ValueError:  # of a kind that another release trusts and this one does not speak
            return False

    if login.host_fingerprint is not None:
        return frozenset({login.host_fingerprint}), ()
    trusted = (login.host_key,) if login.host_key else await host_keys.trusted(login.host, login.port)
    lines = tuple(line for line in trusted if readable(line))
    return frozenset(map(fingerprint, lines)), lines


def server_name(host: str, port: int) -> str:
    """Return a server as people write it."""
    shown = harmless(host)
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


class InputFaultError(Exception):
    """An input that cannot be used. Nothing was sent, nobody was asked."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


async def read_login(inputs: Values, context: StepContext, port: int = SSH_PORT) -> Login:
    """Return the login that the inputs of a step ask for; raises InputFaultError with a sentence that shows no value."""
    try:
        host_key, host_fingerprint = _host_key(text_of(inputs, "hostKey"))
    except ValueError as error:
        raise InputFaultError(ErrorCode.INVALID_VALUE, str(error)) from None
    uses_password = inputs.get("passwordAuthentication", True) not in (False, "false")
    return Login(
        host=_host(inputs),
        port=_port(inputs.get("port", port)),
        username=needed(inputs, "username"),
        password=text_of(inputs, "password") if uses_password else None,
        private_key=await _private_key(inputs, context),
        passphrase=text_of(inputs, "passphrase") or None,
        host_key=host_key,
        host_fingerprint=host_fingerprint,
        certificate=await _certificate(inputs, context),
    )


def _host_key(text: str | None) -> tuple[str | None, str | None]:
    if text is None or not text.strip():
        return None, None
    if text.strip().startswith("SHA256:"):
        return None, parse_fingerprint(text)
    return parse_public_key(text), None


def _host(inputs: Values) -> str:
    host = needed(inputs, "hostNameOrIP")
    if not host.isprintable() or " " in host:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'hostNameOrIP' is neither a host name nor an address")
    return host


def _port(value: Value) -> int:
    try:
        port = int(value) if float(value) == int(value) and not isinstance(value, bool) else 0
    except (ValueError, OverflowError):
        port = 0
    if not 1 <= port <= _HIGHEST_PORT:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input 'port' must be a whole number from 1 to {_HIGHEST_PORT}")
    return port


async def _private_key(inputs: Values, context: StepContext) -> str | None:
    text = text_of(inputs, "privateKey")
    if text and context.is_file("privateKey"):
        text = (await attachment_of(context, text)).decode("utf-8", "replace")
    return text.replace("\r\n", "\n").strip() + "\n" if text and text.strip() else None


async def _certificate(inputs: Values, context: StepContext) -> str | None:
    text = text_of(inputs, "certificate")
    if text and context.is_file("certificate"):
        text = (await attachment_of(context, text)).decode("utf-8", "replace")
    if not text or not text.strip():
        return None
    if not (text_of(inputs, "privateKey") or "").strip():
        raise InputFaultError(ErrorCode.MISSING_INPUT, "'certificate' needs the private key that it belongs to: give 'privateKey'")
    return text.strip() + "\n"


async def attachment_of(context: StepContext, key: str) -> bytes:
    """Return the content of an attachment; raises InputFaultError where there is none called so."""
    try:
        return await context.attachment(key)
    except TargetError as error:
        raise InputFaultError(ErrorCode.UNKNOWN_ATTACHMENT, str(error)) from None


def needed(inputs: Values, name: str) -> str:
    """Return the text of an input without blanks around it; raises InputFaultError where it has none."""
    text = (text_of(inputs, name) or "").strip()
    if not text:
        raise InputFaultError(ErrorCode.MISSING_INPUT, f"the input {name!r} is without value")
    return text


def text_of(inputs: Mapping[str, Value], name: str) -> str | None:
    """Return an input as text; None where it is without value."""
    value = inputs.get(name)
    return None if value is None else str(value)
