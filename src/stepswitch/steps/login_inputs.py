"""What a step type takes to log in somewhere over SSH, and those inputs read into a login. Called by `known_devices`, which adds what the inventory knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.plugin import ErrorCode, HostKeys, InputSpec, StepContext, TargetError, TimeLimits, Value, Values, ValueType
from stepswitch.steps.host_keys import FINGERPRINT, fingerprint, parse_fingerprint, parse_public_key
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.output import harmless
from stepswitch.steps.ssh_algorithms import MODERN, Offer
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
        InputSpec("username", TEXT, "Who logs in; without it, whoever the inventory's entry of the server names."),
        InputSpec(
            "password",
            _SECRET,
            "The password; also the answer where the server asks for one interactively. Where neither it nor `privateKey` is given, those of the "
            "inventory's entry are used, if `username` is the entry's, too.",
        ),
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
            "The server's public key (`ssh-ed25519 AAAA…`) or its fingerprint (`SHA256:…`); without it, the keys of the inventory's entry count, "
            "and without those, the trusted ones.",
        ),
    )


@dataclass(frozen=True, slots=True)
class Login:
    """Where to log in and as whom. `known_keys` are lines and fingerprints that name its host key; without any, the trusted keys count."""

    host: str
    port: int
    username: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    known_keys: tuple[str, ...] = ()
    certificate: str | None = None
    answers: tuple[Answer, ...] = field(default=(), repr=False)
    """What is answered where the server asks for more than the password while somebody logs in."""
    offer: Offer = MODERN
    limits: TimeLimits = field(default_factory=TimeLimits)
    entry: str = ""
    """The id of the device in the inventory; empty where it is not in there."""
    enable_password: str | None = field(default=None, repr=False)
    """What opens the privileged mode, where the inventory has it and it is wanted."""
    through: "Login | None" = None
    """The jump host on the way, which may have one on its own way."""

    @property
    def way(self) -> tuple["Login", ...]:
        """Every login that is needed to get there: its own, and before it those of the jump hosts, the nearest to us last."""
        return (self,) if self.through is None else (self, *self.through.way)

    @property
    def told_way(self) -> str:
        """What is said of the jump hosts behind the name of the server; empty where there is none."""
        return "" if self.through is None else f" through {' and '.join(each.jump_host for each in reversed(self.through.way))}"

    @property
    def jump_host(self) -> str:
        """How a sentence calls a server that is on the way to another."""
        return f"the jump host {harmless(self.entry)!r} ({server_name(self.host, self.port)})"

    @property
    def identity(self) -> tuple[str | None, ...]:
        """All that a session is made of: one is used again only where all of it is the same."""
        return tuple(
            part
            for each in self.way
            for part in (
                *(each.host, str(each.port), each.username, each.password, each.private_key, each.passphrase, each.certificate),
                repr(each.offer),
            )
        )

    def connect_seconds(self, otherwise: float) -> float:
        """Return how long the server may take until it lets somebody in; `otherwise` is as the step type has it."""
        return self.limits.connect_seconds or otherwise

    def silence_seconds(self, otherwise: float) -> float:
        """Return how long the server may say nothing; `otherwise` is as the step type has it."""
        return self.limits.silence_seconds or otherwise


class LoginError(Exception):
    """Nobody is logged in, and nothing was done at the server."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


async def allowed_keys(login: Login, host_keys: HostKeys) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the fingerprints that are let through, and the keys behind them as far as they are known."""
    named = login.known_keys or await host_keys.trusted(login.host, login.port)
    lines = tuple(line for line in named if _is_readable(line))
    return frozenset({*(each for each in named if each.startswith(FINGERPRINT)), *map(fingerprint, lines)}), lines


def _is_readable(line: str) -> bool:
    try:
        return bool(fingerprint(line))
    except ValueError:  # a fingerprint, or of a kind that another release trusts and this one does not speak
        return False


def server_name(host: str, port: int) -> str:
    """Return a server as people write it."""
    shown = harmless(host)
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


async def read_login(inputs: Values, context: StepContext, port: int = SSH_PORT) -> Login:
    """Return the login that the inputs of a step ask for; raises InputFaultError with a sentence for every fault, which shows no value."""
    faults = Faults()
    login = Login(
        host=faults.attempt(lambda: host_of(inputs)) or "",
        port=faults.attempt(lambda: port_of(inputs, port)) or port,
        username=faults.attempt(lambda: needed(inputs, "username")) or "",
        password=text_of(inputs, "password") if uses_password(inputs) else None,
        private_key=await faults.attempted(_private_key(inputs, context)),
        passphrase=text_of(inputs, "passphrase") or None,
        known_keys=faults.attempt(lambda: _host_key(text_of(inputs, "hostKey"))) or (),
        certificate=await faults.attempted(_certificate(inputs, context)),
    )
    faults.refuse()
    return login


def uses_password(inputs: Values) -> bool:
    """Return whether a password may be used."""
    return inputs.get("passwordAuthentication", True) not in (False, "false")


def _host_key(text: str | None) -> tuple[str, ...]:
    if text is None or not text.strip():
        return ()
    try:
        return (parse_fingerprint(text) if text.strip().startswith(FINGERPRINT) else parse_public_key(text),)
    except ValueError as error:
        more = "" if text.strip().startswith(FINGERPRINT) else "; its fingerprint, 'SHA256:…', will do as well"
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input 'hostKey' cannot be used: {error}{more}") from None


def host_of(inputs: Values) -> str:
    """Return the server that a step names; raises InputFaultError."""
    host = needed(inputs, "hostNameOrIP")
    if not host.isprintable() or " " in host:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'hostNameOrIP' is neither a host name nor an address")
    return host


def port_of(inputs: Values, usual: int = SSH_PORT) -> int:
    """Return the port that a step names, the usual one where it names none; raises InputFaultError."""
    value = inputs.get("port", usual)
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
    return whole_key(text) if text and text.strip() else None


def whole_key(text: str) -> str:
    """Return the text of a key as it stands in a file."""
    return text.replace("\r\n", "\n").strip() + "\n"


async def _certificate(inputs: Values, context: StepContext) -> str | None:
    text = text_of(inputs, "certificate")
    if text and context.is_file("certificate"):
        text = (await attachment_of(context, text)).decode("utf-8", "replace")
    return text.strip() + "\n" if text and text.strip() else None


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
