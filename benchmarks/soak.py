"""Measures whether memory stays flat under hours of mixed load. `python -m benchmarks.soak [--minutes N] [--per-second N]`.

Executions are made, read, waited for, paused, resumed, aborted, retried, followed and removed, workflows made and deleted, people
log in and out; every minute a line says what the service has. The end is 1 where memory grew after the warm-up: until retention
begins, ten minutes after the start, it has reason to grow. Of each minute the least counts: while a password is checked it is 64 MiB
more, and two are checked at a time.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.__main__ import PASSWORD
from benchmarks.mixed_load import Caller, Documents, MixedLoad
from benchmarks.servers import Server, free_port, server
from tests.openssh import OpenSshServer, missing

CALLERS: Final = 16
SAMPLE_SECONDS: Final = 5.0
WARM_UP_MINUTES: Final = 12.0
FLAT_MIB_PER_HOUR: Final = 10.0


@dataclass(frozen=True)
class Sample:
    """What the service had at one moment, minutes after the load began."""

    minutes: float
    resident_mib: float
    files: int
    threads: int
    stored_mib: float


def slope_per_hour(samples: list[Sample]) -> float:
    """Return how many MiB an hour of such load adds to the least that is needed, by the line that fits best."""
    least: dict[int, float] = {}
    for each in samples:
        minute = int(each.minutes)
        least[minute] = min(least.get(minute, each.resident_mib), each.resident_mib)
    return statistics.linear_regression(list(least), list(least.values())).slope * 60 if len(least) > 1 else 0.0


def device_workflow(device: OpenSshServer, command: str) -> dict[str, Any]:
    """Return a workflow that runs one command at a device."""
    inputs = {
        "hostNameOrIP": ("string", device.host),
        "port": ("number", device.port),
        "username": ("string", device.user),
        "privateKey": ("password", device.private_key),
        "hostKey": ("string", device.host_public_key),
        "cmd": ("string", command),
    }
    bound = {name: {"type": kind, "defaultValue": value} for name, (kind, value) in inputs.items()}
    steps = {"ask": {"type": "TCA_SSH", "inBindings": bound}}
    return {"name": "Ask", "version": "1", "schemaVersion": "3.0", "startStepId": "ask", "steps": steps}


class Watch:
    """Looks at the service every few seconds, and says how it is every minute."""

    def __init__(self, process: Server, folder: Path, load: MixedLoad) -> None:
        self._process = process
        self._folder = folder
        self._load = load
        self._begun = time.monotonic()
        self.samples: list[Sample] = []

    async def run(self, minutes: float) -> None:
        """Look until the time is over."""
        told = 0
        while (passed := (time.monotonic() - self._begun) / 60) < minutes:
            self.samples.append(self._look(passed))
            if int(passed) > told:
                told = int(passed)
                self._tell(told)
            await asyncio.sleep(SAMPLE_SECONDS)

    def _look(self, passed: float) -> Sample:
        process = self._process.process
        stored = sum(each.stat().st_size for each in self._folder.glob("stepswitch.db*")) / 2**20
        return Sample(passed, self._process.resident_mib(), process.num_fds(), process.num_threads(), stored)

    def _tell(self, minute: int) -> None:
        of_minute = [each for each in self.samples if minute - 1 <= each.minutes < minute]
        least, most = (pick(each.resident_mib for each in of_minute) for pick in (min, max))
        last = of_minute[-1]
        sys.stdout.write(
            f"minute {minute}: {least:.1f} to {most:.1f} MiB, {last.files} open files, {last.threads} threads, "
            f"{last.stored_mib:.0f} MiB stored, {self._load.lived.total():,} lives\n"
        )
        sys.stdout.flush()


async def _load(process: Server, folder: Path, device: OpenSshServer | None, arguments: argparse.Namespace) -> Watch:
    caller = await Caller.login(process.port)
    documents = await Documents.store(caller, device_workflow(device, "seq 20") if device else None)
    load = MixedLoad(process.port, arguments.per_second, documents)
    watch = Watch(process, folder, load)
    living = asyncio.ensure_future(load.run(CALLERS))
    watching = asyncio.ensure_future(watch.run(arguments.minutes))
    await asyncio.wait({living, watching}, return_when=asyncio.FIRST_COMPLETED)
    living.cancel()
    if not watching.done():
        watching.cancel()
        await living  # raises what went wrong
    return watch


def main() -> None:
    """Load, print a line a minute, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--per-second", type=float, default=50, help="executions")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        device = None if missing() else stack.enter_context(OpenSshServer())
        port = free_port()
        command = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", str(folder)]
        settings = {"STEPSWITCH_ADMIN_PASSWORD": PASSWORD, "STEPSWITCH_LOG_LEVEL": "error", "STEPSWITCH_SESSIONS_PER_DEVICE": "4"}
        process = stack.enter_context(server(command, port, **settings))
        watch = uvloop.run(_load(process, folder, device, arguments))
    sys.exit(judge(watch.samples))


def judge(samples: list[Sample]) -> int:
    """Say what memory did after the warm-up; return 0 where it stayed flat, else 1."""
    warm = [each for each in samples if each.minutes >= min(WARM_UP_MINUTES, samples[-1].minutes / 2)]
    slope = slope_per_hour(warm)
    late = slope_per_hour([each for each in samples if each.minutes >= samples[-1].minutes / 2])
    lowest, highest = (pick(each.resident_mib for each in warm) for pick in (min, max))
    is_flat = slope < FLAT_MIB_PER_HOUR
    sys.stdout.write(
        f"after the first {warm[0].minutes:.0f} minutes: {lowest:.1f} to {highest:.1f} MiB, {slope:+.1f} MiB per hour "
        f"({'flat' if is_flat else f'that is more than {FLAT_MIB_PER_HOUR:g}'}), {late:+.1f} over the last half\n"
    )
    return 0 if is_flat else 1


if __name__ == "__main__":
    main()
