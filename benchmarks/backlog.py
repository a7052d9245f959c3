"""Measures the service with a long queue, and its start on one. `python -m benchmarks.backlog [--executions N] [--json FILE]`.

All that is queued wants one of fifty devices, which take a connection and then say nothing.
"""

import argparse
import asyncio
import itertools
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import PASSWORD, ROOT, Measured, chain
from benchmarks.load import Connection, request, run
from benchmarks.servers import Server, free_port, server

EXECUTIONS: Final = 5_000
DEVICES: Final = 50
CONNECTIONS: Final = 16
READS: Final = 50
PATIENCE_SECONDS: Final = 60.0


@dataclass
class SilentDevices:
    """Every address of this machine on one port; `met` are the moments at which somebody connected."""

    port: int
    met: list[float] = field(default_factory=list)

    def first_after(self, moment: float) -> float:
        """Return when somebody connected first after that moment; raises RuntimeError where nobody does."""
        while time.perf_counter() < moment + PATIENCE_SECONDS:
            if found := [each for each in self.met if each > moment]:
                return found[0]
            time.sleep(0.01)
        raise RuntimeError("no step was carried out")


@contextmanager
def silent_devices() -> Iterator[SilentDevices]:
    """Listen, accept, and never say anything."""
    with socket.create_server(("", 0), backlog=128) as listener:
        devices = SilentDevices(int(listener.getsockname()[1]))
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return
                devices.met.append(time.perf_counter())

        threading.Thread(target=accept, daemon=True).start()
        yield devices
        listener.shutdown(socket.SHUT_RDWR)
        for each in held:
            each.close()


def workflow(port: int) -> dict[str, Any]:
    """Return a workflow of one step, which talks to the device that the caller names."""
    bindings: dict[str, Any] = {
        "hostNameOrIP": {"type": "string", "exportName": "device"},
        "port": {"type": "number", "defaultValue": port},
        "username": {"type": "string", "defaultValue": "nobody"},
        "password": {"type": "password", "defaultValue": "none-needed"},
        "cmd": {"type": "string", "defaultValue": "reload"},
    }
    step = {"type": "TCA_SSH", "inBindings": bindings}
    return {
        **chain(1),
        "name": "hanging",
        "inputs": {"device": {"type": "string", "required": True}},
        "startStepId": "a",
        "steps": {"a": step},
    }


class Caller:
    """Somebody who is logged in, and the workflows that he has."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token
        self.hanging = self.quick = ""

    @classmethod
    async def log_in(cls, port: int) -> "Caller":
        connection = await Connection.open(port)
        _, headers, _ = await connection.send(request("POST", "/hybridity/api/sessions", {"username": "admin", "password": PASSWORD}))
        await connection.close()
        return cls(port, headers["x-hm-authorization"])

    async def ask(self, method: str, path: str, body: object | None = None) -> Any:
        """Return an answer, which has to be a 200."""
        connection = await Connection.open(self.port)
        status, _, answer = await connection.send(request(method, path, body, self.token))
        await connection.close()
        if status != 200:
            raise RuntimeError(f"answered {status}: {answer[:300]!r}")
        return orjson.loads(answer)

    async def store(self, devices: SilentDevices) -> None:
        """Store the workflows."""
        self.hanging = (await self.ask("PUT", f"{ROOT}/workflow", workflow(devices.port)))["id"]
        self.quick = (await self.ask("PUT", f"{ROOT}/workflow", chain(1)))["id"]

    def order(self, number: int) -> bytes:
        """Return a request for one more execution that will have to wait."""
        body = {"workflowId": self.hanging, "contextType": "NONE", "assignments": {"device": f"127.0.1.{1 + number % DEVICES}"}}
        return request("PUT", f"{ROOT}/workflowExecution", body, self.token)

    async def queue(self, numbers: range) -> tuple[float, str]:
        """Queue so many executions; return how many a second were accepted, and the id of one of the last."""
        load = await run(self.port, map(self.order, numbers), CONNECTIONS)
        return load.per_second, orjson.loads(load.bodies[-1])["id"]

    async def read(self, execution_id: str) -> tuple[float, int]:
        """Return the milliseconds that it takes to read an execution that waits, and its place in the queue."""
        connection, took = await Connection.open(self.port), []
        message = request("GET", f"{ROOT}/workflowExecution/{execution_id}", token=self.token)
        for _ in range(READS):
            begun = time.perf_counter()
            _, _, body = await connection.send(message)
            took.append((time.perf_counter() - begun) * 1000)
        await connection.close()
        return statistics.median(took), int(orjson.loads(body).get("queuePosition", 0))

    async def run_one(self) -> None:
        """Queue an execution that waits for nobody, and return when it has ended."""
        made = await self.ask("PUT", f"{ROOT}/workflowExecution", {"workflowId": self.quick, "contextType": "NONE"})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while made["status"] != "COMPLETED":
                await asyncio.sleep(0.005)
                made = await self.ask("GET", f"{ROOT}/workflowExecution/{made['id']}")


@contextmanager
def service(folder: str, port: int) -> Iterator[Server]:
    """Run the service on a directory until the block ends."""
    arguments = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", folder]
    settings = {"ADMIN_PASSWORD": PASSWORD, "LOG_LEVEL": "error", "GRACE_SECONDS": "0", "MAX_QUEUED_EXECUTIONS": str(10**7)}
    with server(arguments, port, **{f"STEPSWITCH_{name}": value for name, value in settings.items()}) as process:
        yield process


async def until_ready(port: int) -> None:
    """Return when the service says that it is well."""
    while True:
        connection = await Connection.open(port)
        status, _, _ = await connection.send(request("GET", "/stepswitch/api/v1/health"))
        await connection.close()
        if status == 200:
            return
        await asyncio.sleep(0.01)


def started(begun: float, process: Server, unfinished: str) -> list[Measured]:
    """Wait until a service is ready that was started at `begun`; return how long that took."""
    uvloop.run(until_ready(process.port))
    return [
        Measured(f"start until ready, with {unfinished} unfinished", time.perf_counter() - begun, "s", "2"),
        Measured("of that, its own CPU", process.cpu_seconds(), "s"),
    ]


async def grow(caller: Caller, process: Server, executions: int) -> tuple[list[Measured], str]:
    """Let the queue grow; return what was measured, and an execution that stands at its end."""
    rates, marks, last = [], {executions // 10, executions}, ""
    measured = []
    for start, stop in itertools.pairwise(sorted({*range(0, executions, max(1, executions // 10)), executions})):
        rate, last = await caller.queue(range(start, stop))
        rates.append(rate)
        if stop in marks:
            measured.append(Measured(f"peak memory with {stop:,} queued", process.peak_mib(), "MiB"))
    measured.insert(0, Measured("accepted, the first tenth of them", rates[0], "/s"))
    measured.insert(1, Measured("accepted, the last tenth of them", rates[-1], "/s"))
    return measured, last


async def look(caller: Caller, last: str) -> list[Measured]:
    """Read the queue at its end, and run something beside it."""
    milliseconds, place = await caller.read(last)
    begun = time.perf_counter()
    await caller.run_one()
    beside = (time.perf_counter() - begun) * 1000
    return [
        Measured(f"GET of an execution at place {place:,}{' or behind' if place > 10_000 else ''}", milliseconds, "ms"),
        Measured("one NOOP step beside the queue, from PUT to its end", beside, "ms"),
    ]


def measure(executions: int) -> list[Measured]:
    """Queue so many executions, read them, stop the service, and start it again."""
    with tempfile.TemporaryDirectory() as folder, silent_devices() as devices:
        begun = time.perf_counter()
        with service(folder, port := free_port()) as process:
            measured = started(begun, process, "nothing")
            caller = uvloop.run(Caller.log_in(port))
            uvloop.run(caller.store(devices))
            grown, last = uvloop.run(grow(caller, process, executions))
            measured += [*grown, *uvloop.run(look(caller, last))]
        begun = time.perf_counter()
        caller.port = free_port()
        with service(folder, caller.port) as process:
            measured += started(begun, process, f"{executions:,}")
            measured.append(Measured("start until the first device of the queue is spoken to", devices.first_after(begun) - begun, "s"))
            uvloop.run(caller.run_one())
            measured.append(Measured("start until an execution that was queued then has ended", time.perf_counter() - begun, "s"))
            measured += uvloop.run(look(caller, last))
            measured.append(Measured("peak memory after the start", process.peak_mib(), "MiB"))
    return measured


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=EXECUTIONS)
    parser.add_argument("--json", dest="file", type=Path)
    arguments = parser.parse_args()
    measured = measure(arguments.executions)
    table = Table("what", "measured", "unit", "aim")
    for each in measured:
        table.add_row(each.name, f"{each.value:,.2f}", each.unit, each.aim)
    Console(file=sys.stdout, width=120).print(table)
    if arguments.file:
        arguments.file.write_bytes(orjson.dumps(measured, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
