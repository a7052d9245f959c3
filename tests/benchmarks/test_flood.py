"""Risk: a device that prints without end, or a script that fills its console, takes the memory of the service, or its log grows with it."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.__main__ import PASSWORD
from benchmarks.flood import COST_MIB, floods, measure
from benchmarks.mixed_load import Caller
from benchmarks.servers import Server, free_port, server
from tests.openssh import OpenSshServer

WARM = "SSH, lines of 52 bytes", 2
"""More than is kept of what a step prints, in its output and in its log: it loads the driver, and all that writes the one and the other."""
WARM_ROUNDS = 3
"""By then the memory that each such step takes and gives back is there to be taken again."""
LOG_BYTES = 1_048_576
PRINTED = {"SSH, lines of 52 bytes": 16, "SSH, lines of 2 bytes": 4, "SSH, zeros": 4}
"""MiB. What is kept of each short line, or of a zero as JSON has it, is many times what was printed; of a long line it is little more."""
LINES = "SSH, lines of 52 bytes", "SSH, lines of 2 bytes"


async def flooded(process: Server, device: OpenSshServer) -> None:
    """Let one step after the other print, and hold against what it may take what it takes."""
    caller = await Caller.login(process.port)
    try:
        for _ in range(WARM_ROUNDS):
            await measure(process, caller, floods(device, WARM[1])[WARM[0]])
        for name, mib in PRINTED.items():
            found = await measure(process, caller, floods(device, mib)[name])
            assert found.memory_mib <= COST_MIB, name
            if name in LINES:
                log = await logged(caller, found.path)
                assert sum(max(64, len(line) + 1) for line in log[:-1]) <= LOG_BYTES + 64, name
                assert log[-1] == f"the log of this step was cut here, at {LOG_BYTES} bytes"
    finally:
        await caller.logout()


async def logged(caller: Caller, path: str) -> list[str]:
    """Return the log of an execution's one step, as somebody reads it."""
    (step,) = (await caller.ask("GET", f"{path}?fields=stepExecutions/logs"))["stepExecutions"]
    return [line["msg"] for line in step["logs"]]


@pytest.mark.timeout(300)
def test_what_is_printed_beyond_what_is_kept_costs_no_memory(tmp_path: Path) -> None:
    port = free_port()
    command = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", str(tmp_path)]
    with (
        OpenSshServer() as device,
        server(command, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error") as process,
    ):
        asyncio.run(flooded(process, device))
