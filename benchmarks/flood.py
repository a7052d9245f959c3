"""Measures what a step costs that prints without end. `python -m benchmarks.flood [--mib N] [--in-turn N]`.

A real OpenSSH server prints so much in lines of several lengths, and scripts fill their console. Meanwhile somebody asks the
service for its health again and again: nobody else may be held up. A first step that prints more than is kept comes before: it
loads what is needed, and shows what keeping a MiB of output and one of log costs. With `--in-turn` so many steps come one after another, and the memory
that the service has after each tenth of them is shown: nothing of a step may stay that is over.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import PASSWORD, ROOT
from benchmarks.load import Connection, request
from benchmarks.mixed_load import Caller, scripted
from benchmarks.servers import Server, free_port, server
from benchmarks.soak import device_workflow
from tests.openssh import OpenSshServer, missing

PATIENCE_SECONDS: Final = 1_800.0
SETTLED_SECONDS: Final = 0.1
COST_MIB: Final = 10
"""What such a step may add to the memory of the service, however much it prints."""
_SCRIPT: Final = "for (let i = 0; i < 2000000; i++) { console.log('line ' + i) }"
_HEALTH: Final = request("GET", "/stepswitch/api/v1/health")


def floods(device: OpenSshServer, mib: int) -> Mapping[str, dict[str, Any]]:
    """Return a workflow for each way of printing much."""
    printed = f"head -c {mib}M"
    return {
        "SSH, lines of 52 bytes": device_workflow(device, f"yes 'GigabitEthernet0/0/0/1 is up, line protocol is up' | {printed}"),
        "SSH, lines of 2 bytes": device_workflow(device, f"yes | {printed}"),
        "SSH, one line of letters": device_workflow(device, f"{printed} /dev/zero | tr '\\000' x"),
        "SSH, zeros": device_workflow(device, f"{printed} /dev/zero"),
        "JS, 2,000,000 lines": scripted(_SCRIPT, "floods"),
    }


@dataclass(frozen=True)
class Flood:
    """What one such step did to the service."""

    path: str
    seconds: float
    memory_mib: float
    """How much higher the peak was than what it had before."""
    cpu_seconds: float
    held_up_ms: float
    """The longest that an answer about the health took meanwhile."""


async def _ask_again_and_again(port: int, taken: list[float]) -> None:
    connection = await Connection.open(port)
    try:
        while True:
            begun = time.perf_counter()
            await connection.send(_HEALTH)
            taken.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def measure(process: Server, caller: Caller, document: Mapping[str, Any]) -> Flood:
    """Return what came of one execution; whether it ended well is not asked, but it has to end."""
    workflow = (await caller.ask("PUT", f"{ROOT}/workflow", document))["id"]
    taken: list[float] = []
    asking = asyncio.ensure_future(_ask_again_and_again(process.port, taken))
    await asyncio.sleep(SETTLED_SECONDS)
    process.forget_peak()
    memory, cpu, begun = process.resident_mib(), process.cpu_seconds(), time.perf_counter()
    path = f"{ROOT}/workflowExecution/" + (await caller.ask("PUT", f"{ROOT}/workflowExecution", _order(workflow)))["id"]
    while (await caller.ask("GET", f"{path}?fields=status"))["status"] in {"QUEUED", "RUNNING"}:
        if time.perf_counter() - begun > PATIENCE_SECONDS:
            raise RuntimeError(f"{path} does not end")
        await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.wait({asking})
    return Flood(path, time.perf_counter() - begun, process.peak_mib() - memory, process.cpu_seconds() - cpu, max(taken))


def _order(workflow: str) -> dict[str, Any]:
    return {"contextType": "NONE", "workflowId": workflow}


async def _measure_all(process: Server, documents: Mapping[str, Mapping[str, Any]], table: Table) -> None:
    caller = await Caller.login(process.port)
    await measure(process, caller, scripted("return {}", "warm"))
    for name, document in documents.items():
        found = await measure(process, caller, document)
        table.add_row(name, *(f"{value:,.1f}" for value in (found.seconds, found.cpu_seconds, found.memory_mib, found.held_up_ms)))
    await caller.logout()


async def _measure_in_turn(process: Server, document: Mapping[str, Any], count: int, table: Table) -> None:
    caller = await Caller.login(process.port)
    for number in range(1, count + 1):
        await measure(process, caller, document)
        if number % max(1, count // 10) == 0 or number == 1:
            table.add_row(str(number), f"{process.resident_mib():,.1f}")
    await caller.logout()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1_024)
    parser.add_argument("--in-turn", type=int, default=0)
    arguments = parser.parse_args()
    lacking = missing()
    if lacking is not None:
        sys.exit(f"not measured: {lacking}")
    columns = ("seconds", "CPU, s", f"memory, MiB (aim {COST_MIB})", "longest answer, ms")
    table = Table("a step that prints", *columns, title=f"{arguments.mib} MiB each")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        device = stack.enter_context(OpenSshServer())
        port = free_port()
        command = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", str(folder)]
        process = stack.enter_context(server(command, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error"))
        if arguments.in_turn:
            table = Table("steps", "memory, MiB", title=f"{arguments.mib} MiB each, in turn")
            uvloop.run(_measure_in_turn(process, floods(device, arguments.mib)["SSH, lines of 52 bytes"], arguments.in_turn, table))
            Console(file=sys.stdout).print(table)
            return
        first = {"the first one, 2 MiB": floods(device, 2)["SSH, lines of 52 bytes"]}
        uvloop.run(_measure_all(process, {**first, **floods(device, arguments.mib)}, table))
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
