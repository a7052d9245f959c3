"""What TCA_SSH takes and gives, and its inputs read into what a login and a command need. Called by `ssh` and its companions."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.plugin import (
    ErrorCode,
    HostKeys,
    InputSpec,
    OutputSpec,
    StepContext,
    StepSignature,
    TargetError,
    Value,
    Values,
    ValueType,
)
from stepswitch.steps.host_keys import fingerprint, parse_fingerprint, parse_public_key
from stepswitch.steps.output import harmless, is_text_encoding
from stepswitch.steps.patterns import OutputPatterns

_TEXT: Final = (ValueType.STRING,)
_SECRET: Final = (ValueType.PASSWORD, ValueType.STRING)
_SHELL: Final = b"sh -s"
_HIGHEST_PORT: Final = 65_535

SIGNATURE: Final = StepSignature(
    name="TCA_SSH",
    description="Runs a command or a script over SSH. Its output appears in the log as it arrives; an exit code other than 0 fails the step.",
    inputs=(
        InputSpec("hostNameOrIP", _TEXT, "The server: a name, an IPv4 or an IPv6 address.", required=True),
        InputSpec("port", (ValueType.NUMBER,), "The port that it listens on.", default=22),
        InputSpec("username", _TEXT, "Who logs in.", required=True),
        InputSpec("password", _SECRET, "The password; also the answer where the server asks for one interactively."),
        InputSpec("privateKey", (ValueType.PASSWORD, ValueType.FILE), "The private key in OpenSSH or PEM form, as its text or as a file."),
        InputSpec("passphrase", _SECRET, "What opens a protected private key."),
        InputSpec(
            "passwordAuthentication", (ValueType.BOOLEAN,), "Whether the password may be used; false logs in by key only.", default=True
        ),
        InputSpec(
            "hostKey",
            _TEXT,
            "The server's public key (`ssh-ed25519 AAAA…`) or its fingerprint (`SHA256:…`); without it, the trusted keys count.",
        ),
        InputSpec(
            "cmd",
            _TEXT,
            "The command line, sent as one request and run by the user's own shell or command interpreter.",
            one_of="command",
            tells_what=True,
        ),
        InputSpec(
            "script",
            (ValueType.FILE,),
            "A file with a POSIX shell script, run by `sh` from its standard input and never in part. A first line `#!…` does not choose another interpreter.",
            one_of="command",
            tells_what=True,
        ),
        InputSpec(
            "stdin",
            _TEXT,
            "What the command reads from its standard input; without it, the input is empty. Not together with `script`.",
            tells_what=True,
        ),
        InputSpec("encoding", _TEXT, "The encoding of the command, its input and its output.", default="utf-8"),
        InputSpec(
            "failPattern",
            _TEXT,
            "A regular expression (RE2) for the output and the error output: where it is found, the step fails.",
            tells_what=True,
        ),
        InputSpec(
            "successPattern",
            _TEXT,
            "A regular expression (RE2) for the output and the error output: where it is not found, the step fails.",
            tells_what=True,
        ),
        InputSpec("vimLocation", (ValueType.VIM_LOCATION, ValueType.STRING), "The VIM at whose site the step is carried out."),
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


@dataclass(frozen=True, slots=True)
class Request:
    """All that one attempt was asked to do."""

    login: Login
    command: Command
    encoding: str
    patterns: OutputPatterns


class InputFaultError(Exception):
    """An input that cannot be used. Nothing was sent, nobody was asked."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


async def read_request(inputs: Values, context: StepContext) -> Request:
    """Return what the inputs of a step ask for; raises InputFaultError with a sentence that shows no value."""
    encoding = _text(inputs, "encoding") or "utf-8"
    if not is_text_encoding(encoding):
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'encoding' names no text encoding that is known here")
    try:
        patterns = OutputPatterns(_text(inputs, "failPattern") or None, _text(inputs, "successPattern") or None)
        host_key, host_fingerprint = _host_key(_text(inputs, "hostKey"))
    except ValueError as error:
        raise InputFaultError(ErrorCode.INVALID_VALUE, str(error)) from None
    uses_password = inputs.get("passwordAuthentication", True) not in (False, "false")
    login = Login(
        host=_host(inputs),
        port=_port(inputs.get("port", 22)),
        username=_needed(inputs, "username"),
        password=_text(inputs, "password") if uses_password else None,
        private_key=await _private_key(inputs, context),
        passphrase=_text(inputs, "passphrase") or None,
        host_key=host_key,
        host_fingerprint=host_fingerprint,
    )
    return Request(login, await _command(inputs, context, encoding), encoding, patterns)


async def _command(inputs: Values, context: StepContext, encoding: str) -> Command:
    line, script, stdin = (_text(inputs, name) for name in ("cmd", "script", "stdin"))
    if script is not None and line is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "give 'cmd' or 'script', not both")
    if script is not None and stdin is not None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "'stdin' does not go with 'script': the script itself is sent by that way")
    if script is not None:
        if not context.is_file("script"):
            raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'script' must be bound as type file")
        return Command(_SHELL, _whole_script(await _attachment(context, script)))
    if line is None or not line.strip():
        raise InputFaultError(ErrorCode.MISSING_INPUT, "there is no command: 'cmd' and 'script' are without value")
    if "\0" in line:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'cmd' has a zero byte, which no command line can have")
    return Command(_encoded("cmd", line, encoding), _encoded("stdin", stdin or "", encoding))


def _whole_script(script: bytes) -> bytes:
    """Return a script as one compound command: a shell that gets only a part of it, when the connection is cut, runs nothing of it."""
    return b"{ :; " + script + b"\n}\n"


def _host_key(text: str | None) -> tuple[str | None, str | None]:
    if text is None or not text.strip():
        return None, None
    if text.strip().startswith("SHA256:"):
        return None, parse_fingerprint(text)
    return parse_public_key(text), None


def _host(inputs: Values) -> str:
    host = _needed(inputs, "hostNameOrIP")
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
    text = _text(inputs, "privateKey")
    if text and context.is_file("privateKey"):
        text = (await _attachment(context, text)).decode("utf-8", "replace")
    return text.replace("\r\n", "\n").strip() + "\n" if text and text.strip() else None


async def _attachment(context: StepContext, key: str) -> bytes:
    try:
        return await context.attachment(key)
    except TargetError as error:
        raise InputFaultError(ErrorCode.UNKNOWN_ATTACHMENT, str(error)) from None


def _encoded(name: str, text: str, encoding: str) -> bytes:
    try:
        return codecs.encode(text, encoding)
    except ValueError:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input {name!r} has characters that the encoding {encoding} lacks") from None


def _needed(inputs: Values, name: str) -> str:
    text = (_text(inputs, name) or "").strip()
    if not text:
        raise InputFaultError(ErrorCode.MISSING_INPUT, f"the input {name!r} is without value")
    return text


def _text(inputs: Mapping[str, Value], name: str) -> str | None:
    value = inputs.get(name)
    return None if value is None else str(value)
