"""Logging in to an SSH server with what the step was given and nothing else. Called by `ssh` and `host_keys`, imported when first used.

No agent, no configuration file, no known_hosts file and no key of the account that the service runs under is ever read. Every
failure is a `LoginError` with a code and a sentence that names the server and shows no secret.
"""

import asyncio
import errno
import getpass
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

import asyncssh

from stepswitch.plugin import ErrorCode, HostKeys, TargetError, exhausted
from stepswitch.steps.host_keys import algorithms, fingerprint, line_of, scan
from stepswitch.steps.login_inputs import Login, LoginError, allowed_keys, server_name
from stepswitch.steps.output import harmless
from stepswitch.steps.ssh_certificates import certificate_for

_NO_KNOWN_HOSTS: Final[tuple[list[str], list[str], list[str]]] = ([], [], [])
_REASON_CHARACTERS: Final = 200
_KEEP_ALIVE_SECONDS: Final = 30.0
_KEEP_ALIVES_UNANSWERED: Final = 9
"""So many without an answer, and nothing else heard, and the connection counts as dead: no sooner than a command that prints nothing."""
_Questions = Sequence[tuple[str, bool]]
_Keys = list[asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]]
_REFUSED: Final = f"[Errno {errno.ECONNREFUSED}]"

# The driver's log shows every command that it sends, and commands carry secrets.
asyncssh.set_log_level(logging.WARNING)
asyncssh.set_sftp_log_level(logging.WARNING)


class Session:
    """A logged-in connection, with the host key that it was made with."""

    def __init__(self, connection: asyncssh.SSHClientConnection, host_key: str) -> None:
        self.connection = connection
        self.host_key = host_key

    def is_closed(self) -> bool:
        """Return whether the connection is known to be dead."""
        return self.connection.is_closed()

    def close(self) -> None:
        """Take leave and drop the connection."""
        self.connection.close()

    def abort(self) -> None:
        """Drop the connection."""
        self.connection.abort()

    async def wait_closed(self) -> None:
        """Return when nothing is left of the connection."""
        await self.connection.wait_closed()


class _Client(asyncssh.SSHClient):
    """Decides about the host key, and remembers how far the login came."""

    def __init__(self, allowed: frozenset[str], login: Login) -> None:
        self._allowed = allowed
        self._login = login
        self._challenged = False
        self.shown: str | None = None
        self.logging_in = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.shown = line_of(key.export_public_key("openssh"))
        return fingerprint(self.shown) in self._allowed

    def begin_auth(self, username: str) -> None:  # noqa: ARG002
        self.logging_in = True

    def kbdint_auth_requested(self) -> Any:
        if not self._login.answers:
            return NotImplemented  # the driver answers the one question for a password by itself
        challenged, self._challenged = self._challenged, True
        return None if challenged else ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: _Questions) -> list[str] | None:  # noqa: ARG002
        replies = [_answer(self._login, prompt) for prompt, _ in prompts]
        return None if None in replies else [reply for reply in replies if reply is not None]


def _answer(login: Login, question: str) -> str | None:
    """Return what is answered to a question during the login; None where nothing is known."""
    if "password" in question.lower() and login.password is not None:
        return login.password  # an answer to such a question is meant for the shell
    return next((answer.reply for answer in login.answers if answer.fits(question)), None)


class _OtherKeyError(Exception):
    """The server showed a host key that is not among the allowed ones."""

    def __init__(self, shown: str) -> None:
        super().__init__("the host key is another one")
        self.shown = shown


async def connect(login: Login, host_keys: HostKeys, timeout_seconds: float) -> Session:
    """Return a session at a server whose host key is the wanted or a trusted one; raises LoginError."""
    try:
        async with asyncio.timeout(timeout_seconds):
            keys = await _client_keys(login)
            return await _connect_checked(login, keys, host_keys, timeout_seconds)
    except TimeoutError as error:
        code, sentence = explained(error, login.host, login.port, timeout_seconds)
        raise LoginError(code, sentence) from error


async def shown_host_key(host: str, port: int, family: Sequence[str], timeout_seconds: float) -> str:
    """Return the host key of one kind that a server shows; raises what the driver raises, for `explained` to read."""
    options = asyncssh.SSHClientConnectionOptions(**_options(Login(host, port, "nobody"), None))
    async with asyncio.timeout(timeout_seconds):
        key = await asyncssh.get_server_host_key(host, port, server_host_key_algs=list(family), config=None, options=options)
    if key is None:
        raise asyncssh.KeyExchangeFailed("No matching host key algorithm found")
    return line_of(key.export_public_key("openssh"))


def explained(error: BaseException, host: str, port: int, timeout_seconds: float, *, logging_in: bool = False) -> tuple[ErrorCode, str]:
    """Return the code and the sentence for what the driver raised before anybody was logged in."""
    server = server_name(host, port)
    match error:
        case TimeoutError() if error.errno is None:
            return ErrorCode.TIMEOUT, f"{server} did not let us in within {timeout_seconds:g} seconds"
        case asyncssh.DisconnectError():
            return _disconnected(error, server, logging_in=logging_in)
        case socket.gaierror() | UnicodeError() if not isinstance(error, UnicodeDecodeError):
            return ErrorCode.UNREACHABLE, f"the name {harmless(host)!r} leads to no address"
        case OSError():
            return _out_of_reach(error, server)
        case _:
            return ErrorCode.CONNECTION_CUT, f"what answers at {server} does not speak SSH as it should ({type(error).__name__})"


def _disconnected(error: asyncssh.DisconnectError, server: str, *, logging_in: bool) -> tuple[ErrorCode, str]:
    reason = harmless(error.reason)[:_REASON_CHARACTERS] or "no reason was given"
    match error:
        case asyncssh.PermissionDenied():
            return ErrorCode.LOGIN_REFUSED, f"{server} refused the login"
        case asyncssh.KeyExchangeFailed() if reason.startswith("No matching"):
            return ErrorCode.NO_COMMON_ALGORITHM, f"{server} and this service have no algorithm in common: {harmless(error.reason)}"
        case asyncssh.ConnectionLost():
            return ErrorCode.CONNECTION_CUT, f"{server} closed the connection {'during' if logging_in else 'before'} the login"
        case _ if logging_in and "authentication" in reason.lower():
            return ErrorCode.LOGIN_REFUSED, f"{server} refused the login: {reason}"
        case _:
            return ErrorCode.CONNECTION_CUT, f"the SSH connection to {server} ended before the login was done: {reason}"


def _out_of_reach(error: OSError, server: str) -> tuple[ErrorCode, str]:
    ran_out = exhausted(error)
    if ran_out is not None:
        return ran_out.code, ran_out.message
    if isinstance(error, ConnectionRefusedError) or _REFUSED in str(error):
        return ErrorCode.CONNECTION_REFUSED, f"{server} refused the connection: nothing listens there, or a firewall says no"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return ErrorCode.CONNECTION_CUT, f"{server} closed the connection before the login"
    return ErrorCode.UNREACHABLE, f"{server} cannot be reached: {error.strerror or 'the network says no'}"


async def _connect_checked(login: Login, keys: _Keys | None, host_keys: HostKeys, timeout_seconds: float) -> Session:
    allowed, lines = await allowed_keys(login, host_keys)
    try:
        return await _open(login, keys, allowed, lines)
    except _OtherKeyError as other:
        shown = other.shown
    if login.host_fingerprint is not None:
        # The server may have several keys, and the fingerprint does not tell of which kind the wanted one is.
        wanted = await _key_behind(login, login.host_fingerprint, timeout_seconds)
        again = (wanted,) if wanted else ()
    else:
        again = (shown,) if not allowed and await host_keys.accept_new(login.host, login.port, shown) else ()
    if not again:
        raise _not_trusted(login, allowed, shown)
    try:
        return await _open(login, keys, frozenset(map(fingerprint, again)), again)
    except _OtherKeyError as other:
        raise _not_trusted(login, frozenset(map(fingerprint, again)), other.shown) from None


async def _key_behind(login: Login, wanted: str, timeout_seconds: float) -> str | None:
    try:
        lines = await scan(login.host, login.port, timeout_seconds)
    except TargetError:
        return None
    return next((line for line in lines if fingerprint(line) == wanted), None)


async def _open(login: Login, keys: _Keys | None, allowed: frozenset[str], lines: tuple[str, ...]) -> Session:
    client = _Client(allowed, login)
    options = _prepared(login, keys, client, lines)
    try:
        connection = await asyncssh.connect(login.host, login.port, config=None, options=options)
    except asyncssh.HostKeyNotVerifiable:
        if client.shown is None:
            raise LoginError(
                ErrorCode.NO_COMMON_ALGORITHM, f"{server_name(login.host, login.port)} shows a host key that cannot be read"
            ) from None
        raise _OtherKeyError(client.shown) from None
    except Exception as error:  # noqa: BLE001 - the driver hands on whatever a strange peer made it trip over
        code, sentence = explained(error, login.host, login.port, 0, logging_in=client.logging_in)
        if isinstance(error, asyncssh.PermissionDenied):
            sentence = _refusal(login, keys)
        raise LoginError(code, sentence) from None
    return Session(connection, client.shown or "")


def _prepared(login: Login, keys: _Keys | None, client: _Client, lines: tuple[str, ...]) -> asyncssh.SSHClientConnectionOptions:
    try:
        return asyncssh.SSHClientConnectionOptions(
            client_factory=lambda: client, server_host_key_algs=algorithms(lines), **_options(login, keys)
        )
    except ValueError:
        raise LoginError(ErrorCode.INVALID_VALUE, "the input 'username' has characters that no SSH server takes") from None


def _options(login: Login, keys: _Keys | None) -> dict[str, Any]:
    """Return what keeps the driver from looking for anything on this machine."""
    _name_the_account()
    return {
        "config": None,
        "username": login.username,
        "password": login.password,
        "client_keys": keys or None,
        "agent_path": None,
        "known_hosts": _NO_KNOWN_HOSTS,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": None,
        "gss_host": None,
        "host_based_auth": False,
        "login_timeout": 0,
        "keepalive_interval": _KEEP_ALIVE_SECONDS,
        "keepalive_count_max": _KEEP_ALIVES_UNANSWERED,
        "utf8_decode_errors": "replace",
    }


def _name_the_account() -> None:
    """Let the driver find a name for our own account, which it insists on, in a container whose user id has none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = "stepswitch"


async def _client_keys(login: Login) -> _Keys | None:
    if login.private_key is None:
        return None
    try:
        # A protected key takes a good part of a second to open, on purpose.
        key = await asyncio.to_thread(asyncssh.import_private_key, login.private_key, login.passphrase)
    except asyncssh.KeyEncryptionError:
        raise LoginError(ErrorCode.BAD_KEY, "the passphrase does not open the private key") from None
    except Exception:  # noqa: BLE001 - a damaged key makes the driver's parsers raise whatever they like
        raise LoginError(ErrorCode.BAD_KEY, _bad_key(login.private_key, login.passphrase)) from None
    return [key] if login.certificate is None else [(key, certificate_for(key, login.certificate))]


def _bad_key(text: str, passphrase: str | None) -> str:
    protected = "ENCRYPTED" in text or _is_protected(text)
    if protected and not passphrase:
        return "the private key is protected; give its passphrase as the input 'passphrase'"
    if protected:
        return "the private key cannot be opened with this passphrase"
    return "the private key is none that can be read: it must be a whole one in OpenSSH or PEM form"


def _is_protected(text: str) -> bool:
    try:
        asyncssh.import_private_key(text)
    except asyncssh.KeyImportError as error:
        return "assphrase" in str(error)
    except Exception:  # noqa: BLE001 - see above
        return False
    return False


def _refusal(login: Login, keys: _Keys | None) -> str:
    key = "key" if login.certificate is None else "key and its certificate"
    tried = [name for name, given in ((key, bool(keys)), ("password", login.password is not None)) if given]
    shown = f"with the {' and the '.join(tried)} that it was given" if tried else "without password or key"
    return f"{server_name(login.host, login.port)} refused the login of {harmless(login.username)!r} {shown}"


def _not_trusted(login: Login, allowed: frozenset[str], shown: str) -> LoginError:
    server = server_name(login.host, login.port)
    kind, found = shown.split(maxsplit=1)[0], fingerprint(shown)
    if allowed:
        wanted = " or ".join(sorted(allowed))
        return LoginError(
            ErrorCode.WRONG_HOST_KEY,
            f"{server} shows the host key {found} ({kind}), but {wanted} is expected: somebody may be in between, or the server was reinstalled",
        )
    return LoginError(
        ErrorCode.UNKNOWN_HOST_KEY,
        f"{server} shows the host key {found} ({kind}), which is not trusted yet; if it is the server's own, run: "
        f"stepswitch host-key trust {harmless(login.host)} --port {login.port} '{shown}'",
    )
