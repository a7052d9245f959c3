"""A real NETCONF server, Debian's netconfd behind an OpenSSH server of its own, on a high port of 127.0.0.1. Used by tests of NETCONF steps.

It has candidate, confirmed commit (base 1.0 and 1.1), validate, xpath and access control. Nothing of the system's own server is used or
touched: socket, configuration and log are in a folder of the test. Where the machine has none, the test is skipped.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from stepswitch.plugin import Value
from tests.openssh import OpenSshServer

_SEARCHED: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
_MODULES: Final = ("iana-if-type", "ietf-interfaces", "toaster")
_SUBSYSTEM: Final = """#!/bin/sh
exec {program} --ncxserver-sockname=${{SSH_CONNECTION##* }}@{socket}
"""


def missing() -> str | None:
    """Return what this machine lacks for a NETCONF server, as a sentence; None where it has all (but for OpenSSH, which says so itself)."""
    if any(shutil.which(program, path=_SEARCHED) is None for program in ("netconfd", "netconf-subsystem")):
        return "there is no NETCONF server here; install it (Debian: apt-get install netconfd)"
    return None


class Netconfd:
    """One netconfd with an sshd in front of it, whose one user may do anything. `target` is the datastore that can be edited, `options` are further words of its command line."""

    def __init__(self, *options: str, target: str = "candidate") -> None:
        self.directory = Path()
        self.ssh = OpenSshServer()
        self._options = (f"--target={target}", *options)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        reason = missing()
        if reason is not None:
            pytest.skip(reason)
        # Not pytest's own directory: the user who logs in could not look into that one.
        self.directory = Path(tempfile.mkdtemp(prefix="stepswitch-netconfd-"))
        self.directory.chmod(0o755)
        script = self.directory / "subsystem"
        program = shutil.which("netconf-subsystem", path=_SEARCHED)
        script.write_text(_SUBSYSTEM.format(program=program, socket=self._socket))
        script.chmod(0o755)
        self.ssh = OpenSshServer(more_settings=f"Subsystem netconf {script}")
        try:
            self.ssh.start()
            shutil.chown(self.directory, self.ssh.user)
            self.come_up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ssh.stop()
        self.go_down()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def lines(self) -> list[str]:
        """What it logged."""
        return list(self._lines)

    def inputs(self, **more: Value) -> dict[str, Value]:
        """Return the inputs of a step that logs in here, and `more`."""
        return self.ssh.inputs(**more)

    def come_up(self) -> None:
        """Start with nothing configured; returns when it listens."""
        program = shutil.which("netconfd", path=_SEARCHED)
        assert program is not None
        words = [
            program,
            "--no-startup",
            f"--superuser={self.ssh.user}",
            f"--port={self.ssh.port}",
            f"--ncxserver-sockname={self._socket}",
            *(f"--module={name}" for name in _MODULES),
            *self._options,
        ]
        # As the user who logs in: it keeps files in the home of whoever runs it.
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=self.directory, user=self.ssh.user
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        assert self._listens(), "netconfd does not start: " + "\n".join(self._lines[-20:])

    def go_down(self) -> None:
        """Stop at once."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        assert self._reader is not None
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        self._socket.unlink(missing_ok=True)

    @property
    def _socket(self) -> Path:
        return self.directory / "socket"

    def _listens(self) -> bool:
        assert self._reader is not None
        while self._reader.is_alive():
            with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self._socket))
                return True
            self._reader.join(0.01)
        return False

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.append(line.rstrip())
