"""Measures what many SSH sessions at once cost the service, against real OpenSSH servers. `python -m benchmarks.sessions [--sessions N]`.

Every step logs in, runs a command that waits, and holds its session until all are there; then all may end. It needs what the
tests of TCA_SSH need: root, and Debian's openssh-server.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.long_execution import PASSWORD, ROOT
from benchmarks.servers import Server, free_port, server
from benchmarks.soak import device_workflow
from tests.openssh import OpenSshServer, missing

PER_SERVER: Final = 200
"""Sessions at one sshd, which takes 500 logins at once and no more."""
LINE: Final = "GigabitEthernet0/0/0/1 is up, line protocol is up"
PATIENCE_SECONDS: Final = 300.0
Figures = dict[str, float]


def holding(device: OpenSshServer, gate: Path, printed_bytes: int) -> dict[str, Any]:
    """Return a workflow whose one step prints something at `device`, and holds its session until the gate opens."""
    return device_workflow(device, f"yes '{LINE}' | head -c {printed_bytes}; read gone < {gate}; echo done")


class Crowd:
    """Executions that hold sessions at several servers, and the gate that they wait at."""

    def __init__(self, client: httpx.Client, devices: Sequence[OpenSshServer], gate: Path, printed_bytes: int) -> None:
        self._client = client
        self.devices = devices
        self._gate = gate
        self._workflows = [self._put("workflow", holding(device, gate, printed_bytes)) for device in devices]

    def start(self, sessions: int) -> list[str]:
        """Start executions at all servers in turn; return their ids."""
        orders = [{"workflowId": self._workflows[number % len(self._workflows)], "contextType": "NONE"} for number in range(sessions)]
        return [self._put("workflowExecution", order) for order in orders]

    def until_held(self, sessions: int) -> None:
        """Return when so many commands run; raises RuntimeError where they never do."""
        _wait_until(lambda: sum(len(device.commands()) for device in self.devices) >= sessions, f"{sessions} sessions")

    def let_go(self, executions: Sequence[str]) -> None:
        """Open the gate; return when every execution has ended well, raises RuntimeError where one has not."""
        with os.fdopen(os.open(self._gate, os.O_RDWR), "wb") as gate:
            gate.write(b"\n" * len(executions))
            gate.flush()
            for execution in executions:
                _wait_until(partial(self._has_ended, execution), f"the end of {execution}")

    def _has_ended(self, execution: str) -> bool:
        found = self._client.get(f"{ROOT}/workflowExecution/{execution}?fields=status").raise_for_status().json()
        if found["status"] not in {"QUEUED", "RUNNING", "COMPLETED"}:
            raise RuntimeError(f"{execution} is {found['status']}")
        return bool(found["status"] == "COMPLETED")

    def _put(self, path: str, body: dict[str, Any]) -> str:
        answer = self._client.put(f"{ROOT}/{path}", json=body)
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        return str(answer.json()["id"])


def _wait_until(holds: Callable[[], bool], wanted: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"{wanted}: not within {PATIENCE_SECONDS:g} s")
        time.sleep(0.02)


def measure(process: Server, crowd: Crowd, sessions: int) -> Figures:
    """Return the figures by name; a first session at every server comes before, so that what is loaded once is not counted."""
    crowd.let_go(crowd.start(len(crowd.devices)))
    memory, cpu, begun = process.resident_mib(), process.cpu_seconds(), time.perf_counter()
    executions = crowd.start(sessions)
    crowd.until_held(sessions + len(crowd.devices))
    taken, held, worked = time.perf_counter() - begun, process.resident_mib(), process.cpu_seconds() - cpu
    crowd.let_go(executions)
    return {
        "sessions held at once": sessions,
        "memory before, MiB": memory,
        "memory while all are held, MiB": held,
        "memory of a session, MiB": (held - memory) / sessions,
        "peak memory of a session, MiB": (process.peak_mib() - memory) / sessions,
        "logins, /s": sessions / taken,
        "CPU of a login, ms": worked / sessions * 1000,
        "CPU of a session from create to end, ms": (process.cpu_seconds() - cpu) / sessions * 1000,
    }


def run(sessions: int, printed_bytes: int) -> Figures:
    """Start servers and the service, measure, and stop them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gate = folder / "gate"
        folder.chmod(0o755)
        os.mkfifo(gate)
        gate.chmod(0o666)
        devices = [stack.enter_context(OpenSshServer()) for _ in range(-(-sessions // PER_SERVER))]
        port = free_port()
        process = stack.enter_context(
            server(
                ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", str(folder / "data")],
                port,
                STEPSWITCH_ADMIN_PASSWORD=PASSWORD,
                STEPSWITCH_LOG_LEVEL="error",
                STEPSWITCH_STEPS_AT_ONCE=str(sessions),
                STEPSWITCH_SESSIONS_PER_DEVICE=str(sessions),  # all servers are at one address, and so are one device
            )
        )
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120))
        login = client.post("/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD}).raise_for_status()
        client.headers["x-hm-authorization"] = login.headers["x-hm-authorization"]
        return measure(process, Crowd(client, devices, gate, printed_bytes), sessions)


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--printed-bytes", type=int, default=0, help="what every command prints before it waits")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lacking = missing()
    if lacking is not None:
        sys.exit(f"not measured: {lacking}")
    found = run(arguments.sessions, arguments.printed_bytes)
    table = Table("measured", "value", title=f"{arguments.sessions} SSH sessions at once")
    for name, value in found.items():
        table.add_row(name, f"{value:,.2f}")
    Console(file=sys.stdout).print(table)
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
