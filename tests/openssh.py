"""A real OpenSSH server on a high port of 127.0.0.1, with a user of its own. Used by every test that needs a device to log in to.

The user's login shell writes down each command before it runs it, so that tests can count what was really done. A forced
command would do that too, but OpenSSH then refuses to pass on signals, and so would not be the server that people have.
"""

import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
import pytest

from stepswitch.plugin import Value

_SEARCHED: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
_USER_PREFIX: Final = "ssw"
_DIRECTORY_PREFIX: Final = "stepswitch-sshd-"
_SHELL: Final = """#!/bin/sh
[ "$1" = -c ] && printf '%s\\0' "$2" >> '{log}'
exec /bin/sh "$@"
"""
_SETTINGS: Final = """
Port {port}
ListenAddress 127.0.0.1
{host_keys}
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication {passwords}
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
MaxStartups 500
MaxAuthTries 20
LogLevel VERBOSE
{more}
"""


def missing() -> str | None:
    """Return what this machine lacks for a real OpenSSH server, as a sentence; None where it has all."""
    if shutil.which("sshd", path=_SEARCHED) is None or shutil.which("ssh-keygen") is None:
        return "there is no OpenSSH server here; install it (Debian: apt-get install openssh-server openssh-client)"
    if os.geteuid() != 0:
        return "an OpenSSH server with a user of its own needs root; run the tests as root, for instance in a container"
    if shutil.which("useradd", path=_SEARCHED) is None:
        return "there is no useradd here to make a user for the test; install it (Debian: apt-get install passwd)"
    return None


class OpenSshServer:
    """An sshd with fresh keys and a fresh user. `start` skips the test where the machine has no OpenSSH.

    `sftp` is what serves SFTP; None is a server without it, which has the SCP protocol alone.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self,
        *,
        host_key_types: tuple[str, ...] = ("ed25519",),
        passwords: bool = True,
        sftp: str | None = "internal-sftp",
        more_settings: str = "",
    ) -> None:
        self.port = 0
        self.user = f"{_USER_PREFIX}{os.getpid()}x{secrets.token_hex(4)}"
        self.password = f"pw-{secrets.token_hex(8)}"
        self.passphrase = f"pp-{secrets.token_hex(8)}"
        self.private_key = ""
        self.protected_private_key = ""
        self.host_public_key = ""
        self.host_public_keys: list[str] = []
        self.directory = Path()
        self._host_key_types = host_key_types
        self._passwords = passwords
        self._more_settings = more_settings if sftp is None else f"Subsystem sftp {sftp}\n{more_settings}"
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Make user and keys, and start; returns when the port is open."""
        reason = missing()
        if reason is not None:
            pytest.skip(reason)
        self.directory = Path(tempfile.mkdtemp(prefix=_DIRECTORY_PREFIX))
        self.directory.chmod(0o755)
        try:
            self._make_keys()
            self._make_user()
            self.come_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop, and remove the user with all that it runs and has."""
        self.go_down()
        if self.directory.name.startswith(_DIRECTORY_PREFIX):  # it was started: else the directory is where we are
            with _user_database():
                _remove_user(self.user)
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = Path()

    def come_up(self) -> None:
        """Start the server after `go_down`, on the same port and with the same keys."""
        Path("/run/sshd").mkdir(exist_ok=True)
        for _ in range(20):
            port = self.port or _free_port()
            if self._come_up_at(port):
                self.port = port
                return
        raise AssertionError("sshd does not start: " + "\n".join(self._lines[-10:]))

    def go_down(self) -> None:
        """Stop the server and every session at once."""
        if self._process is None:
            return
        self.cut_sessions()
        self._process.kill()
        self._process.wait()
        self.cut_sessions()
        if self._reader is not None:
            self._reader.join(timeout=10)
        if self._process.stderr is not None and not (self._reader and self._reader.is_alive()):
            self._process.stderr.close()
        self._process = None

    def cut_sessions(self) -> None:
        """Kill the processes of sshd that serve sessions; what the sessions run goes on for itself."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if process.name().startswith("sshd"):
                        process.kill()

    @property
    def pid(self) -> int:
        """The process that listens; each session has one below it."""
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the server take connections and say nothing to those that are new, as long as the block lasts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def commands(self) -> list[str]:
        """Return every command that the user's shell was asked to run, in their order."""
        return (self.directory / "commands").read_text(encoding="utf-8", errors="replace").split("\0")[:-1]

    def logins(self) -> int:
        """Return how many logins succeeded since the start."""
        with self._news:
            return sum(line.startswith("Accepted ") for line in self._lines)

    def wait_for_log(self, text: str, *, timeout_seconds: float = 10.0) -> str:
        """Return the first line of sshd's log that holds `text`, when it is there; raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: any(text in line for line in self._lines), timeout_seconds):
                raise TimeoutError(f"sshd never said {text!r}")
            return next(line for line in self._lines if text in line)

    def inputs(self, **more: Value) -> dict[str, Value]:
        """Return the inputs of a step that logs in here with the password, with `more` over them."""
        return {"hostNameOrIP": self.host, "port": self.port, "username": self.user, "password": self.password, **more}

    def trusted(self) -> dict[tuple[str, int], list[str]]:
        """Return the server's keys in the form that contexts of tests take."""
        return {(self.host, self.port): self.host_public_keys}

    @property
    def work(self) -> Path:
        """A directory that the user may write to."""
        return self.directory / "work"

    def _come_up_at(self, port: int) -> bool:
        program = shutil.which("sshd", path=_SEARCHED)
        assert program is not None
        settings = self.directory / "sshd_config"
        text = _SETTINGS.format(
            port=port,
            directory=self.directory,
            host_keys="\n".join(f"HostKey {self.directory}/host_{kind}" for kind in self._host_key_types),
            passwords="yes" if self._passwords else "no",
            more=self._more_settings,
        )
        # Since 9.8 a few wrong passwords shut the door to the whole address; older ones do not know the setting.
        for choice in (text + "PerSourcePenalties no\n", text):
            settings.write_text(choice)
            if subprocess.run([program, "-t", "-f", settings], capture_output=True, check=False).returncode == 0:
                break
        self._process = subprocess.Popen([program, "-D", "-e", "-f", settings], stderr=subprocess.PIPE, text=True, errors="replace")
        started = len(self._lines)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        with self._news:
            self._news.wait_for(lambda: any("listening on" in line or line == "" for line in self._lines[started:]), 10)
            listens = any("listening on" in line for line in self._lines[started:])
        if not listens:
            self.go_down()
        return listens

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._note(line.rstrip("\r\n") or " ")
        self._note("")

    def _note(self, line: str) -> None:
        with self._news:
            self._lines.append(line)
            self._news.notify_all()

    def _make_keys(self) -> None:
        for kind in self._host_key_types:
            _run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(self.directory / f"host_{kind}"))
            self.host_public_keys.append(" ".join((self.directory / f"host_{kind}.pub").read_text().split()[:2]))
        self.host_public_key = self.host_public_keys[0]
        for name, passphrase in (("user", ""), ("protected", self.passphrase)):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(self.directory / name))
        self.private_key = (self.directory / "user").read_text()
        self.protected_private_key = (self.directory / "protected").read_text()
        authorized = self.directory / "authorized_keys"
        authorized.write_text("".join((self.directory / f"{name}.pub").read_text() for name in ("user", "protected")))
        authorized.chmod(0o644)

    def _make_user(self) -> None:
        shell = self.directory / "shell"
        shell.write_text(_SHELL.format(log=self.directory / "commands"))
        shell.chmod(0o755)
        with _user_database():
            _remove_leftovers()
            _run("useradd", "--no-create-home", "--home-dir", str(self.work), "--shell", str(shell), self.user)
            _run("chpasswd", given=f"{self.user}:{self.password}\n")
        self.work.mkdir()
        (self.directory / "commands").touch()
        for path in (self.work, self.directory / "commands"):
            shutil.chown(path, self.user)


@contextmanager
def _user_database() -> Iterator[None]:
    """Let one test process at a time change the machine's users."""
    with (Path(tempfile.gettempdir()) / "stepswitch-test-users.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_leftovers() -> None:
    """Remove the users of test processes that died before they could."""
    for line in Path("/etc/passwd").read_text().splitlines():
        found = re.match(rf"({_USER_PREFIX}(\d+)x[0-9a-f]{{8}}):", line)
        if found and not psutil.pid_exists(int(found[2])):
            _remove_user(found[1])


def _remove_user(name: str) -> None:
    entry = next((line for line in Path("/etc/passwd").read_text().splitlines() if line.startswith(f"{name}:")), None)
    if entry is None:
        return
    uid = int(entry.split(":")[2])
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if process.uids().real == uid:
                process.send_signal(signal.SIGKILL)
    _run("userdel", "--force", name)


def _run(program: str, *arguments: str, given: str = "") -> None:
    path = shutil.which(program, path=_SEARCHED)
    assert path is not None, f"{program} is missing"
    ran = subprocess.run([path, *arguments], input=given, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, f"{program} failed: {ran.stderr}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
