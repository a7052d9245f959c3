"""Starts a server as a process of its own and watches what it takes. Used by the measurements only."""

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil


@dataclass(frozen=True)
class Server:
    """A process that listens on a port of this machine."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the CPU that it and its children have used, with those that have ended."""
        return sum(sum(each.cpu_times()[:4]) for each in (self.process, *self.process.children(recursive=True)))

    def peak_mib(self) -> float:
        """Return the most memory that it ever had at once, in MiB."""
        line = next(line for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        """Let `peak_mib` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def resident_mib(self) -> float:
        """Return the memory that it has now, its children not counted, in MiB."""
        resident: int = self.process.memory_info().rss
        return resident / 2**20


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def server(arguments: Sequence[str], port: int, **variables: str) -> Iterator[Server]:
    """Run a Python module or script until the block ends; raises RuntimeError where it does not listen within 30 s."""
    with program([sys.executable, *arguments], port, variables) as started:
        yield started


@contextmanager
def program(
    command: Sequence[str | Path],
    port: int,
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    user: str | None = None,
    log: Path | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[Server]:
    """Run a program until the block ends: as this user, with all that it says going to `log`, where they are given; `stop` ends it.

    Raises RuntimeError where it does not listen within 30 s.
    """
    with log.open("ab") if log else nullcontext() as said:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=said, stderr=said, **as_user(user))
        try:
            asyncio.run(_listens(port, process))
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.send_signal(stop)
            process.wait(60)


def as_user(name: str | None) -> dict[str, Any]:
    """Return what `subprocess` has to be told so that a program runs as this user; nothing where there is none."""
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []} if name else {}


async def _listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError("the server does not listen")
