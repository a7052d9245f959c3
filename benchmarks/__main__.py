"""The measurements themselves. `python -m benchmarks [--executions N] [--json FILE]`."""

import argparse
import asyncio
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.load import Connection, Load, request, run
from benchmarks.servers import Server, free_port, server

ROOT = "/telco/api/workflows"
PASSWORD = "benchmark-only"
BODY = {"contextType": "NONE", "workflowId": "0" * 36, "assignments": {}, "pauseAtFailure": False}
ROUNDS = 25
"""In which what is compared takes turns. Few long ones say what the disk did meanwhile."""


@dataclass(frozen=True)
class Measured:
    """One line of the report."""

    name: str
    value: float
    unit: str
    aim: str = ""


def chain(steps: int) -> dict[str, Any]:
    """Return a workflow of `steps` NOOP steps in a row."""
    made = {f"s{number}": {"type": "NOOP", "nextStepId": f"s{number + 1}"} for number in range(steps - 1)}
    made[f"s{steps - 1}"] = {"type": "NOOP"}
    return {"name": f"{steps} steps", "version": "1", "schemaVersion": "3.0", "startStepId": "s0", "steps": made}


def repeat(message: bytes, times: int) -> Iterator[bytes]:
    """Return an iterator that many coroutines can share."""
    return itertools.repeat(message, times)


@contextmanager
def baselines() -> Iterator[int]:
    """Run the applications to compare with until the block ends; give the port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, server(["-m", "benchmarks.baselines", str(port), f"{folder}/rows.db"], port):
        yield port


async def prepare(port: int) -> tuple[str, dict[int, str]]:
    """Log in and store the workflows; return the token and their ids by number of steps."""
    connection = await Connection.open(port)
    _, headers, _ = await connection.send(request("POST", "/hybridity/api/sessions", {"username": "admin", "password": PASSWORD}))
    token = headers["x-hm-authorization"]
    ids = {}
    for steps in (1, 10):
        status, _, body = await connection.send(request("PUT", f"{ROOT}/workflow", chain(steps), token))
        if status != 200:
            raise RuntimeError(body.decode())
        ids[steps] = orjson.loads(body)["id"]
    await connection.close()
    return token, ids


async def _ended(port: int, execution_ids: list[str], token: str) -> None:
    """Return when each of these executions has ended."""
    connection = await Connection.open(port)
    for execution_id in execution_ids:
        while True:
            _, _, body = await connection.send(request("GET", f"{ROOT}/workflowExecution/{execution_id}", token=token))
            if orjson.loads(body)["status"] == "COMPLETED":
                break
            await asyncio.sleep(0.002)
    await connection.close()


async def throughput(port: int, create: bytes, token: str, times: int, connections: int) -> tuple[Load, float]:
    """Return the load of the creates, and executions per second until the last one has ended."""
    begun = time.perf_counter()
    load = await run(port, repeat(create, times), connections)
    last = [orjson.loads(body)["id"] for body in load.bodies[-connections:]]
    await _ended(port, last, token)
    return load, times / (time.perf_counter() - begun)


async def _idle(port: int, create: bytes, token: str, times: int) -> float:
    """Return the median of milliseconds from PUT to the end of one execution on an idle service."""
    connection = await Connection.open(port)
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        _, _, body = await connection.send(create)
        path = f"{ROOT}/workflowExecution/{orjson.loads(body)['id']}"
        while True:
            _, _, body = await connection.send(request("GET", path, token=token))
            if orjson.loads(body)["status"] == "COMPLETED":
                break
        taken.append((time.perf_counter() - begun) * 1000)
    await connection.close()
    return statistics.median(taken)


async def _awaited(port: int, create: bytes, times: int) -> float:
    """Return the same where the PUT itself waits for the end; raises RuntimeError where it was answered before."""
    load = await run(port, repeat(create, times), 1)
    if any(orjson.loads(body)["status"] != "COMPLETED" for body in load.bodies):
        raise RuntimeError("an answer came before the end")
    return load.percentile(0.5)


def measure_stepswitch(times: int, connections: int, baseline: int) -> list[Measured]:
    """Return what the service does, counted afterwards in its database; `baseline` is the port of what it is compared with."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", folder]
        with server(arguments, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error") as process:
            lines, expected = _measure(process, times, connections, baseline)
        database = sqlite3.connect(f"{folder}/stepswitch.db")
        (count,) = database.execute("SELECT count(*) FROM executions WHERE status = 'COMPLETED'").fetchone()
        database.close()
        if count != expected:
            raise RuntimeError(f"{expected} executions were accepted and {count} have completed")
    return lines


def _measure(process: Server, times: int, connections: int, baseline: int) -> tuple[list[Measured], int]:
    token, ids = uvloop.run(prepare(process.port))
    create = {steps: request("PUT", f"{ROOT}/workflowExecution", {**BODY, "workflowId": ids[steps]}, token) for steps in ids}
    uvloop.run(throughput(process.port, create[10], token, times // 4, connections))
    idle = uvloop.run(_idle(process.port, create[10], token, 100))
    waiting = request("PUT", f"{ROOT}/workflowExecution", {**BODY, "workflowId": ids[10]}, token, {"Prefer": "wait=10"})
    awaited = uvloop.run(_awaited(process.port, waiting, 100))
    before = process.cpu_seconds()
    load, ten = uvloop.run(throughput(process.port, create[10], token, times, connections))
    cpu = (process.cpu_seconds() - before) / times * 1000
    _, one = uvloop.run(throughput(process.port, create[1], token, times, connections))
    held = request("PUT", f"{ROOT}/workflowExecution", {**BODY, "workflowId": ids[10], "debugStepIds": ["s0"]}, token)
    lines = [
        *uvloop.run(_compared(baseline, process.port, held, times, connections)),
        Measured("create calls while executing", load.per_second, "/s"),
        Measured("create calls while executing, 99th percentile", load.percentile(0.99), "ms"),
        Measured("executions of ten NOOP steps", ten, "/s", "800"),
        Measured("executions of one NOOP step", one, "/s", "1,200"),
        Measured("one execution on an idle service, PUT to end", idle, "ms", "5"),
        Measured("the same, the PUT waiting for the end", awaited, "ms"),
        Measured("CPU of a ten-step execution", cpu, "ms", "1.2"),
        Measured("peak memory", process.peak_mib(), "MiB"),
    ]
    return lines, times // 4 + 200 + 2 * times


async def _compared(baseline: int, port: int, held: bytes, times: int, connections: int) -> list[Measured]:
    """Return what creates do beside what the machine gives to others, measured in turn: it may be twice as quick a minute later."""
    asked = ((baseline, request("PUT", "/empty", BODY)), (baseline, request("PUT", "/commit", BODY)), (port, held))
    for where, message in asked:
        await run(where, repeat(message, times // 4), connections)
    rounds = [[(await run(where, repeat(message, times // 5), connections)).per_second for where, message in asked] for _ in range(ROUNDS)]
    empty, commit, create = (statistics.harmonic_mean(each) for each in zip(*rounds, strict=True))
    return [
        Measured("empty FastAPI PUT", empty, "/s"),
        Measured("FastAPI PUT with one SQLite commit", commit, "/s"),
        Measured("create calls, held at a breakpoint", create, "/s"),
        Measured("create calls / PUT with one SQLite commit", create / commit, "×", "0.8"),
    ]


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=5_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with baselines() as port:
        lines = measure_stepswitch(arguments.executions, arguments.connections, port)
    table = Table("measured", "value", "aim", title=f"{arguments.executions} executions, {arguments.connections} connections")
    for line in lines:
        table.add_row(line.name, f"{line.value:,.2f} {line.unit}", line.aim)
    Console(file=sys.stdout).print(table)
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps({line.name: line.value for line in lines}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
