"""Risk: a device that prints without end, or a script that fills its console, takes the memory of the service, or its log grows with it."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.__main__ import PASSWORD
from benchmarks.flood import COST_MIB, floods, measure
from benchmarks.mixed_load import Caller
from benchmarks.servers import free_port, server
from tests.openssh import OpenSshServer

WARM_MIB = 2
"""More than is kept of what a step prints, in its output and in its log."""
PRINTED_MIB = 16
LOG_BYTES = 1_048_576
SSH = "SSH, lines of 52 bytes", "SSH, lines of 2 bytes"


async def logged(port: int, path: str) -> list[str]:
    """Return the log of an execution's one step, as somebody reads it."""
    caller = await Caller.login(port)
    (step,) = (await caller.ask("GET", f"{path}?fields=stepExecutions/logs"))["stepExecutions"]
    await caller.logout()
    return [line["msg"] for line in step["logs"]]


@pytest.mark.timeout(300)
def test_what_is_printed_beyond_what_is_kept_costs_no_memory(tmp_path: Path) -> None:
    port = free_port()
    command = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", str(tmp_path)]
    with (
        OpenSshServer() as device,
        server(command, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error") as process,
    ):
        asyncio.run(measure(process, floods(device, WARM_MIB)[SSH[0]]))
        for name in SSH:
            found = asyncio.run(measure(process, floods(device, PRINTED_MIB)[name]))
            assert found.memory_mib <= COST_MIB, name
            log = asyncio.run(logged(port, found.path))
            assert sum(max(64, len(line) + 1) for line in log[:-1]) <= LOG_BYTES + 64, name
            assert log[-1] == f"the log of this step was cut here, at {LOG_BYTES} bytes"
