"""The inside of a virtual machine for tests: a folder for its `/tmp`, and programs that really run. Used by `tests.vcenter`.

It leaves out: users (whoever has the password runs programs as whoever runs the tests), a file system of its own (a program sees this machine's),
and Windows, of which only the files are kept and what `on_windows` makes of them.
"""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

USER: Final = "operator"
PASSWORD: Final = "password-of-the-guest"
_MARK: Final = "STEPSWITCH_TEST_GUEST"
_KILLED_AFTER_SECONDS: Final = 5.0
_WINDOWS: Final = "C:\\Windows\\Temp"
Windows = Callable[[Mapping[str, bytes]], tuple[bytes, bytes, int] | None]


class GuestFaultError(Exception):
    """What a vCenter answers in place of a result: `kind` is the name of its fault."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Guest:
    """A machine that is on. What is told of `power` and `tools` decides whether anything can be done in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mark = secrets.token_hex(8)
        (root / "tmp").mkdir(parents=True)
        (root / "windows").mkdir()
        self.power, self.tools, self.family = "poweredOn", "guestToolsRunning", "linuxGuest"
        self.password = PASSWORD
        self.on_windows: Windows = lambda files: (b"", b"", 0)
        self.started: list[str] = []
        """The command lines of all programs that were started."""
        self._programs: dict[int, tuple[subprocess.Popen[bytes] | None, str, list[str | int | None]]] = {}
        self._seen: dict[int, psutil.Process] = {}

    def let_in(self, user: str, password: str) -> None:
        """Raise GuestFaultError where nothing can be done in it, or not by this user."""
        if self.power != "poweredOn":
            raise GuestFaultError("InvalidPowerState")
        if self.tools != "guestToolsRunning":
            raise GuestFaultError("GuestOperationsUnavailable")
        if (user, password) != (USER, self.password):
            raise GuestFaultError("InvalidGuestLogin")

    def place(self, path: str) -> Path:
        """Return where a path in the machine really is."""
        if path.startswith(_WINDOWS):
            return self.root / "windows" / path.removeprefix(_WINDOWS).strip("\\").replace("\\", "/")
        return Path(f"{self.root}{path}")

    def left(self) -> list[str]:
        """Return what stands in the directories in which attempts make theirs."""
        return sorted(each.name for folder in ("tmp", "windows") for each in (self.root / folder).iterdir())

    def running(self) -> list[psutil.Process]:
        """Return every process that was begun in the machine and runs, wherever it has gone."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def make_directory(self, parent: str, prefix: str) -> str:
        """Make a new directory; return its path."""
        separator = "\\" if "\\" in parent else "/"
        path = f"{parent}{separator}{prefix}{secrets.token_hex(4)}"
        self.place(path).mkdir()
        return path

    def protect(self, path: str, permissions: int) -> None:
        """Give a file or a directory its permissions."""
        self._existing(path).chmod(permissions)

    def files_in(self, path: str) -> Iterator[tuple[str, str, int]]:
        """Yield name, kind and size of what is in a directory, as VMware Tools do: the directory itself and the one above among them."""
        place = self._existing(path)
        yield from ((".", "directory", 0), ("..", "directory", 0))
        for each in sorted(place.iterdir()):
            yield each.name, "directory" if each.is_dir() else "file", each.stat().st_size

    def size_of(self, path: str) -> int:
        """Return how long a file is."""
        return self._existing(path).stat().st_size

    def read(self, path: str) -> bytes:
        """Return what a file holds."""
        return self._existing(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        self.place(path).write_bytes(content)

    def remove(self, path: str) -> None:
        """Remove a directory with all in it."""
        shutil.rmtree(self._existing(path))

    def start(self, program: str | None, arguments: str | None, directory: str | None) -> int:
        """Start a program; return its process."""
        line = f'"{program}" {arguments or ""}'
        self.started.append(line)
        if program is not None and program.endswith(".exe"):
            return self._start_on_windows(line)
        if directory is not None and not Path(directory).is_dir():
            raise GuestFaultError("FileNotFound")
        really = line.replace(" /tmp/", f" {self.root}/tmp/")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), _MARK: self.mark}
        process = subprocess.Popen(
            ["/bin/bash", "-c", really], cwd=directory or self.root, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._programs[process.pid] = (process, line, [None, None])
        return process.pid

    def processes(self) -> Iterator[tuple[int, str, str | None, int | None]]:
        """Yield what runs, and what was started here and has ended: process, command line, time of the end, exit code."""
        for pid, (process, line, end) in self._programs.items():
            if process is not None and end[0] is None and process.poll() is not None:
                code = process.returncode
                end[:] = [_now(), code if code >= 0 else 128 - code]
            yield pid, line, end[0], end[1]  # type: ignore[misc]
        for pid, child in self._children().items():
            with suppress(psutil.Error):
                yield pid, " ".join(child.cmdline()).replace(f"{self.root}/tmp/", "/tmp/"), None, None

    def forget(self) -> None:
        """Know nothing any more of programs that have ended, as after a while, or when VMware Tools were restarted."""
        self._programs = {pid: each for pid, each in self._programs.items() if each[0] is not None and each[0].poll() is None}

    async def end(self, pid: int) -> None:
        """End one process as VMware Tools do: kindly first, and by force after five seconds. Whatever it has begun goes on."""
        if pid not in self._programs and pid not in self._children():
            raise GuestFaultError("GuestProcessNotFound")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not await asyncio.to_thread(self._is_gone, pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(self._is_gone, pid)

    async def restart(self) -> None:
        """Lose whatever runs, and know nothing of it."""
        self.kill()
        await asyncio.to_thread(self._reap)
        self._programs.clear()
        self._seen.clear()

    async def destroy(self) -> None:
        """End whatever runs."""
        self.kill()
        await asyncio.to_thread(self._reap)

    def kill(self) -> None:
        """Kill whatever runs."""
        for process in self.running():
            with suppress(psutil.Error):
                process.kill()

    def _start_on_windows(self, line: str) -> int:
        """Play a program: what `on_windows` returns is what it printed and its exit code, and None a program that goes on."""
        pid = 4_000_000 + len(self._programs)
        end: list[str | int | None] = [_now(), 0]
        if "run.cmd" in line:
            place = self.place(line.partition('/d /c "')[2].rpartition("\\")[0])
            played = self.on_windows({each.name: each.read_bytes() for each in place.iterdir()})
            if played is None:
                end = [None, None]
            else:
                out, err, code = played
                for name, content in (("out", out), ("err", err), ("code", f"{code}\r\n".encode())):
                    (place / name).write_bytes(content)
                end = [_now(), code]
        elif "taskkill" in line:
            self._programs[int(line.rpartition(" ")[2])][2][:] = [_now(), 1]
        self._programs[pid] = (None, line, end)
        return pid

    def _children(self) -> dict[int, psutil.Process]:
        """Return the processes that run and were begun by those that were started, also where these have ended."""
        for process, _, _ in self._programs.values():
            if process is not None:
                with suppress(psutil.Error):
                    self._seen |= {each.pid: each for each in psutil.Process(process.pid).children(recursive=True)}
        for each in list(self._seen.values()):
            with suppress(psutil.Error):
                self._seen |= {child.pid: child for child in each.children(recursive=True)}
        self._seen = {pid: each for pid, each in self._seen.items() if each.is_running() and each.status() != psutil.STATUS_ZOMBIE}
        return self._seen

    def _is_gone(self, pid: int) -> bool:
        process = self._programs.get(pid, (None,))[0]
        with suppress(psutil.NoSuchProcess):
            try:
                if process is not None:
                    process.wait(_KILLED_AFTER_SECONDS)
                else:
                    psutil.Process(pid).wait(_KILLED_AFTER_SECONDS)
            except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
                return False
        return True

    def _reap(self) -> None:
        for process, _, _ in self._programs.values():
            if process is not None:
                process.wait(_KILLED_AFTER_SECONDS)

    def _existing(self, path: str) -> Path:
        place = self.place(path)
        if not place.exists():
            raise GuestFaultError("FileNotFound")
        return place


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
