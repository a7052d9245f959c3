"""Risk: a device that hangs, drips or floods holds up those who want something else of the service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.real import PLAIN, Real, real_service
from tests.domain.documents import document
from tests.openssh import OpenSshServer

BAD = {
    "127.0.0.2": "sleep 600",
    "127.0.0.3": "while :; do printf x; sleep 0.05; done",
    "127.0.0.4": "yes flood",
}
"""A device that hangs, one that drips, and one that floods."""
EACH = 3
GOOD = 6


@pytest.fixture(scope="module")
def server() -> Iterator[OpenSshServer]:
    """One server, at as many addresses as there are devices."""
    listens = "\n".join(f"ListenAddress {address}" for address in BAD)
    with OpenSshServer(more_settings=listens) as running:
        yield running


def talking(server: OpenSshServer, address: str, command: str) -> dict[str, Any]:
    given = {"hostNameOrIP": address, "username": server.user, "cmd": command}
    bindings: dict[str, Any] = {name: {"type": "string", "defaultValue": value} for name, value in given.items()}
    bindings["port"] = {"type": "number", "defaultValue": server.port}
    bindings["password"] = {"type": "password", "defaultValue": server.password}
    return document(startStepId="a", steps={"a": {"type": "TCA_SSH", "inBindings": bindings}})


async def queue(real: Real, source: dict[str, Any]) -> str:
    order = {"workflowId": (await real.create(source))["id"], "contextType": "NONE"}
    return str((await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"])


async def read(real: Real, execution: str) -> dict[str, Any]:
    found: dict[str, Any] = (
        await real.client.get(f"{PLAIN}/workflowExecution/{execution}", params={"exclude_fields": "stepExecutions/logs"})
    ).json()
    return found


async def until_running(real: Real, execution: str) -> None:
    """Return when a step of the execution is carried out, or has been."""
    async with asyncio.timeout(30):
        while (await read(real, execution))["status"] == "QUEUED":
            await real.client.get(f"{PLAIN}/workflowExecution/{execution}", headers={"Prefer": "wait=5"})


async def test_devices_that_hang_drip_or_flood_hold_up_nobody_else(server: OpenSshServer, tmp_path: Path) -> None:
    async with real_service(tmp_path, host_keys="accept-new", steps_at_once=4, grace_seconds=0) as real:
        bad = {address: [await queue(real, talking(server, address, command)) for _ in range(EACH)] for address, command in BAD.items()}
        for first, *_ in bad.values():
            await until_running(real, first)
        good = [await queue(real, talking(server, server.host, "echo well")) for _ in range(GOOD)]
        good += [await queue(real, document(startStepId="a", steps={"a": {"type": "NOOP"}})) for _ in range(GOOD)]
        for each in good:
            await real.ended.wait_for(each)
            assert (await read(real, each))["status"] == "COMPLETED"
        for address, (first, *others) in bad.items():
            assert (await read(real, first))["status"] == "RUNNING"
            for place, each in enumerate(others):
                waiting = await read(real, each)
                assert waiting["status"] == "QUEUED", place
                assert [(one["kind"], one["name"]) for one in waiting["waitingFor"]] == [("device", address)]
        for each in (execution for line in bad.values() for execution in reversed(line)):
            assert (await real.client.post(f"{PLAIN}/workflowExecution/{each}/abort")).status_code == 200
            await real.ended.wait_for(each)
