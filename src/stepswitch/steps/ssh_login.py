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
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import asyncssh
from asyncssh.constants import OPEN_CONNECT_FAILED

from stepswitch.plugin import ErrorCode, HostKeys, TargetError, exhausted
from stepswitch.steps.host_keys import FINGERPRINT, fingerprint, line_of, scan
from stepswitch.steps.login_inputs import Login, LoginError, allowed_keys, server_name
from stepswitch.steps.output import harmless
from stepswitch.steps.ssh_algorithms import LEGACY, MODERN
from stepswitch.steps.ssh_certificates import certificate_for
from stepswitch.steps.ssh_login_client import LoginClient
from stepswitch.steps.ssh_spoken import spoken_algorithms

_NO_KNOWN_HOSTS: Final[tuple[list[str], list[str], list[str]]] = ([], [], [])
_REASON_CHARACTERS: Final = 200
_TOO_OLD: Final = "; where it is too old for what is offered, say so in the inventory: algorithms in its entry"
_KEEP_ALIVE_SECONDS: Final = 30.0
_KEEP_ALIVES_UNANSWERED: Final = 9
"""So many without an answer, and nothing else heard, and the connection counts as dead: no sooner than a command that prints nothing."""
_Keys = list[asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]]
_REFUSED: Final = f"[Errno {errno.ECONNREFUSED}]"

# The driver's log shows every command that it sends, and commands carry secrets.
asyncssh.set_log_level(logging.WARNING)
asyncssh.set_sftp_log_level(logging.WARNING)
# The library below the driver would say for each process that devices should speak something newer.
warnings.filterwarnings("ignore", "Diffie-Hellman over finite fields", UserWarning, "asyncssh")


class Session:
    """A logged-in connection, with the host key that it was made with. `behind` is the session with the jump host that it goes through, and ends with it."""

    def __init__(self, connection: asyncssh.SSHClientConnection, host_key: str, behind: "Session | None" = None) -> None:
        self.connection = connection
        self.host_key = host_key
        self.behind = behind

    @property
    def host_keys(self) -> tuple[str, ...]:
        """The host key, and those of the jump hosts on the way, the nearest to us last."""
        return (self.host_key,) if self.behind is None else (self.host_key, *self.behind.host_keys)

    def is_closed(self) -> bool:
        """Return whether the connection, or one on its way, is known to be dead."""
        return self.connection.is_closed() or (self.behind is not None and self.behind.is_closed())

    def close(self) -> None:
        """Take leave and drop the connection."""
        self.connection.close()
        if self.behind is not None:
            self.behind.close()

    def abort(self) -> None:
        """Drop the connection."""
        self.connection.abort()
        if self.behind is not None:
            self.behind.abort()

    async def wait_closed(self) -> None:
        """Return when nothing is left of the connection."""
        await self.connection.wait_closed()
        if self.behind is not None:
            await self.behind.wait_closed()


class _OtherKeyError(Exception):
    """The server showed a host key that is not among the allowed ones."""

    def __init__(self, shown: str) -> None:
        super().__init__("the host key is another one")
        self.shown = shown


async def connect(login: Login, host_keys: HostKeys, timeout_seconds: float) -> Session:
    """Return a session at a server whose host key is the wanted or a trusted one, through the jump hosts on the way; raises LoginError.

    Each server has so many seconds where its login says no other number.
    """
    behind = None if login.through is None else await _connect_on_the_way(login.through, login, host_keys, timeout_seconds)
    seconds = login.connect_seconds(timeout_seconds)
    try:
        async with asyncio.timeout(seconds):
            keys = await _client_keys(login)
            return await _connect_checked(login, keys, host_keys, seconds, behind)
    except BaseException as error:
        if behind is not None:
            behind.abort()
        if not isinstance(error, TimeoutError):
            raise
        code, sentence = explained(error, login.host, login.port, seconds)
        raise LoginError(code, sentence + login.told_way) from error


async def _connect_on_the_way(hop: Login, to: Login, host_keys: HostKeys, timeout_seconds: float) -> Session:
    try:
        return await connect(hop, host_keys, timeout_seconds)
    except LoginError as error:
        message = f"at {hop.jump_host}, on the way to {server_name(to.host, to.port)}: {error}"
        raise LoginError(error.code, message) from None


async def let_through(login: Login, host_keys: HostKeys) -> Callable[[Session], bool]:
    """Return what says of a session that its host key, and those of the jump hosts on its way, are still wanted or trusted."""
    allowed = [(await allowed_keys(each, host_keys))[0] for each in login.way]

    def accepts(session: Session) -> bool:
        shown = session.host_keys
        return len(shown) == len(allowed) and all(fingerprint(key) in keys for key, keys in zip(shown, allowed, strict=True))

    return accepts


async def shown_host_key(host: str, port: int, family: Sequence[str], timeout_seconds: float, behind: Session | None = None) -> str:
    """Return the host key of one kind that a server shows; raises what the driver raises, for `explained` to read."""
    login = Login(host, port, "nobody", offer=replace(LEGACY, host_keys=tuple(family)))
    algorithms = spoken_algorithms(login)
    async with asyncio.timeout(timeout_seconds):
        key = await asyncssh.get_server_host_key(
            host,
            port,
            tunnel=None if behind is None else behind.connection,
            kex_algs=algorithms["kex_algs"],
            server_host_key_algs=algorithms["server_host_key_algs"],
            config=None,
            options=asyncssh.SSHClientConnectionOptions(**algorithms, **_options(login, None)),
        )
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


async def _connect_checked(
    login: Login, keys: _Keys | None, host_keys: HostKeys, timeout_seconds: float, behind: Session | None
) -> Session:
    allowed, lines = await allowed_keys(login, host_keys)
    try:
        return await _open(login, keys, allowed, lines, behind)
    except _OtherKeyError as other:
        shown = other.shown
    if any(key.startswith(FINGERPRINT) for key in login.known_keys):
        # The server may have several keys, and a fingerprint does not tell of which kind the wanted one is.
        again = await _keys_behind(login, allowed, timeout_seconds, behind)
    else:
        is_new = not allowed and not login.known_keys
        again = (shown,) if is_new and await host_keys.accept_new(login.host, login.port, shown) else ()
    if not again:
        raise _not_trusted(login, allowed, shown)
    try:
        return await _open(login, keys, frozenset(map(fingerprint, again)), again, behind)
    except _OtherKeyError as other:
        raise _not_trusted(login, frozenset(map(fingerprint, again)), other.shown) from None


async def _keys_behind(login: Login, wanted: frozenset[str], timeout_seconds: float, behind: Session | None) -> tuple[str, ...]:
    try:
        lines = await scan(login.host, login.port, timeout_seconds, behind)
    except TargetError:
        return ()
    return tuple(line for line in lines if fingerprint(line) in wanted)


async def _open(login: Login, keys: _Keys | None, allowed: frozenset[str], lines: tuple[str, ...], behind: Session | None) -> Session:
    client = LoginClient(allowed, login)
    options = _prepared(login, keys, client, lines)
    tunnel = None if behind is None else behind.connection
    try:
        connection = await asyncssh.connect(login.host, login.port, config=None, options=options, tunnel=tunnel)
    except asyncssh.HostKeyNotVerifiable:
        if client.shown is None:
            raise LoginError(
                ErrorCode.NO_COMMON_ALGORITHM, f"{server_name(login.host, login.port)} shows a host key that cannot be read"
            ) from None
        raise _OtherKeyError(client.shown) from None
    except asyncssh.ChannelOpenError as error:
        raise _not_let_through(login, error) from None
    except Exception as error:  # noqa: BLE001 - the driver hands on whatever a strange peer made it trip over
        raise _unopened(login, keys, client, error) from None
    return Session(connection, client.shown or "", behind)


def _not_let_through(login: Login, error: asyncssh.ChannelOpenError) -> LoginError:
    """Return what follows from the word of a jump host that it makes no connection."""
    hop = "the server" if login.through is None else login.through.jump_host
    reason = harmless(error.reason)[:_REASON_CHARACTERS] or "no reason was given"
    server = server_name(login.host, login.port)
    if error.code == OPEN_CONNECT_FAILED:
        return LoginError(ErrorCode.UNREACHABLE, f"{server} cannot be reached from {hop}: {reason}")
    return LoginError(ErrorCode.CONNECTION_REFUSED, f"{hop} does not let us through to {server}: {reason}")


def _unopened(login: Login, keys: _Keys | None, client: LoginClient, error: Exception) -> LoginError:
    code, sentence = explained(error, login.host, login.port, 0, logging_in=client.logging_in)
    if isinstance(error, asyncssh.PermissionDenied):
        sentence = _refusal(login, keys)
    hung_up = client.shown is None and isinstance(error, asyncssh.ConnectionLost | ConnectionResetError | BrokenPipeError)
    if login.offer is MODERN and (hung_up or code is ErrorCode.NO_COMMON_ALGORITHM):
        sentence += _TOO_OLD  # a server that has nothing of what is offered says so, or hangs up before it shows a host key
    return LoginError(code, sentence)


def _prepared(login: Login, keys: _Keys | None, client: LoginClient, lines: tuple[str, ...]) -> asyncssh.SSHClientConnectionOptions:
    algorithms = spoken_algorithms(login, lines)
    try:
        return asyncssh.SSHClientConnectionOptions(client_factory=lambda: client, **algorithms, **_options(login, keys))
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
    if allowed or login.known_keys:
        wanted = " or ".join(sorted(allowed)) or "a key of a kind that nobody here can read"
        return LoginError(
            ErrorCode.WRONG_HOST_KEY,
            f"{server} shows the host key {found} ({kind}), but {wanted} is expected: somebody may be in between, or the server was reinstalled",
        )
    return LoginError(
        ErrorCode.UNKNOWN_HOST_KEY,
        f"{server} shows the host key {found} ({kind}), which is not trusted yet; if it is the server's own, run: "
        f"stepswitch host-key trust {harmless(login.host)} --port {login.port} '{shown}'",
    )
