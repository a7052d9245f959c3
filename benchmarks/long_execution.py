"""Measures what it costs to read one execution of ten thousand steps. `python -m benchmarks.long_execution [--json FILE]`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.servers import Server, free_port, server

ROOT = "/telco/api/workflows"
PASSWORD = "benchmark-only"
TEXT_BYTES = 2_000
"""What every step execution shows as an input."""
TRIES = 5
PARTS = ("fields=status", "exclude_fields=stepExecutions,logs", "fields=stepExecutions/state")


def loop(text_bytes: int) -> dict[str, Any]:
    """Return a workflow whose one step goes back to itself, until the limit of step executions pauses it."""
    note = {"type": "string", "defaultValue": "x" * text_bytes}
    steps = {"a": {"type": "NOOP", "nextStepId": "a", "inBindings": {"note": note}}}
    return {"name": "Loop", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": steps}


def execute(client: httpx.Client, document: dict[str, Any]) -> str:
    """Return the path of an execution that has come to its limit."""
    workflow = client.put(f"{ROOT}/workflow", json=document).raise_for_status().json()
    order = {"workflowId": workflow["id"], "contextType": "NONE"}
    path = f"{ROOT}/workflowExecution/{client.put(f'{ROOT}/workflowExecution', json=order).raise_for_status().json()['id']}"
    while client.get(f"{path}?fields=status").json()["status"] != "PAUSED":
        time.sleep(0.05)
    return path


def read(client: httpx.Client, path: str) -> tuple[float, float, int]:
    """Return milliseconds to the first bytes and to the last ones, and how many there were."""
    begun, first, total = time.perf_counter(), 0.0, 0
    with client.stream("GET", path) as answer:
        for piece in answer.raise_for_status().iter_raw():
            first = first or time.perf_counter() - begun
            total += len(piece)
    return first * 1000, (time.perf_counter() - begun) * 1000, total


def measure(process: Server, client: httpx.Client) -> dict[str, float]:
    """Return the figures by name."""
    path = execute(client, loop(TEXT_BYTES))
    parts = {each: min(read(client, f"{path}?{each}")[1] for _ in range(TRIES)) for each in PARTS}
    before = process.peak_mib()
    whole = min(read(client, path) for _ in range(TRIES))
    memory = process.peak_mib() - before
    return {
        "step executions": len(client.get(f"{path}?fields=stepExecutions/state").json()["stepExecutions"]),
        "answer, MiB": whole[2] / 2**20,
        "first bytes of it, ms": whole[0],
        "all of it, ms": whole[1],
        "memory that it adds to the peak, MiB": memory,
        **{f"with {each}, ms": milliseconds for each, milliseconds in parts.items()},
    }


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", folder]
        with (
            server(command, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error") as process,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
        ):
            login = client.post("/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD}).raise_for_status()
            client.headers["x-hm-authorization"] = login.headers["x-hm-authorization"]
            found = measure(process, client)
    table = Table("measured", "value", title="one long execution, read as a whole and in part")
    for name, value in found.items():
        table.add_row(name, f"{value:,.1f}")
    Console(file=sys.stdout).print(table)
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
