"""Measures what executions that are paused cost the service. `python -m benchmarks.paused [--executions N]`.

As many that run to their end come first, so that pools and the cache of the database are as full before as behind.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import BODY, PASSWORD, ROOT, chain, repeat
from benchmarks.load import request, run
from benchmarks.mixed_load import Caller
from benchmarks.servers import Server, free_port, server

CONNECTIONS: Final = 16
IDLE_SECONDS: Final = 5.0
"""How long the service is watched while nobody asks it for anything."""
Held = dict[str, float]


async def _let_rest(port: int, execution: str, status: str) -> None:
    """Return when the last execution is as it is to stay, and what was open for it is closed."""
    caller = await Caller.login(port)
    await caller.until(f"{ROOT}/workflowExecution/{execution}", status)
    await caller.logout()
    await asyncio.sleep(1)


def held(process: Server) -> Held:
    """Return what the service has."""
    begun, cpu = time.perf_counter(), process.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    share = (process.cpu_seconds() - cpu) / (time.perf_counter() - begun)
    return {
        "threads": process.process.num_threads(),
        "open files": process.process.num_fds(),
        "connections": len(process.process.net_connections()),
        "memory, MiB": process.resident_mib(),
        "CPU while nobody asks, %": share * 100,
    }


async def _make(process: Server, executions: int) -> tuple[Held, Held]:
    caller = await Caller.login(process.port)
    workflow = (await caller.ask("PUT", f"{ROOT}/workflow", chain(10)))["id"]
    found = []
    for status, held_at in (("COMPLETED", []), ("PAUSED", ["s5"])):
        order = request("PUT", f"{ROOT}/workflowExecution", {**BODY, "workflowId": workflow, "debugStepIds": held_at}, caller.token)
        load = await run(process.port, repeat(order, executions), CONNECTIONS)
        await _let_rest(process.port, orjson.loads(load.bodies[-1])["id"], status)
        found.append(held(process))
    before, after = found
    return before, after


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000)
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", str(Path(folder))]
        with server(command, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error") as process:
            before, after = uvloop.run(_make(process, arguments.executions))
    table = Table("the service has", "with none", f"with {arguments.executions:,} paused")
    for name, value in before.items():
        table.add_row(name, f"{value:,.1f}", f"{after[name]:,.1f}")
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
