"""One device in a running service, with a real OpenSSH server. Risk: two executions, or two step types, act on it at once, or hold it for ever."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest_asyncio

from stepswitch.bootstrap import Service, open_service
from stepswitch.cli.loading import load_settings
from stepswitch.domain.execution import ContextType, Status
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.records import TrustedKey
from stepswitch.engine.views import ExecutionView
from tests.engine.scripted import Watch
from tests.openssh import OpenSshServer
from tests.proxies import Proxy

ANN = administrator("ann")
Json = dict[str, Any]


class Network:
    """A service, and a device that is called by two ports, behind proxies that count its connections."""

    def __init__(self, service: Service, server: OpenSshServer, watch: Watch, proxies: tuple[Proxy, Proxy]) -> None:
        self.service = service
        self.server = server
        self.proxies = proxies
        self._watch = watch

    def gate(self) -> Path:
        path = self.server.work / f"gate{len(list(self.server.work.iterdir()))}"
        os.mkfifo(path)
        path.chmod(0o666)
        return path

    def ssh(self, port: int, cmd: str, **more: Any) -> Json:
        return {"type": "TCA_SSH", "inBindings": self._inputs(port, cmd=cmd), **more}

    def scp(self, port: int, to: str, **more: Any) -> Json:
        inputs = {**self._inputs(port, destinationPath=to), "inFile": {"type": "file", "defaultValue": "f"}}
        return {"type": "TCA_SCP", "inBindings": inputs, **more}

    def _inputs(self, port: int, **more: str) -> Json:
        given = {"hostNameOrIP": self.server.host, "username": self.server.user, **more}
        return {
            **{name: {"type": "string", "defaultValue": value} for name, value in given.items()},
            "port": {"type": "number", "defaultValue": port},
            "privateKey": {"type": "password", "defaultValue": self.server.private_key},
        }

    async def queue(self, steps: Mapping[str, Json]) -> str:
        async def content() -> AsyncIterator[bytes]:
            yield b"content"

        file = await self.service.files.put("default", "f", content())
        document = {
            "name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": next(iter(steps)), "steps": steps,
            "attachments": {"f": {"id": file.id, "reference": "f"}},
        }  # fmt: skip
        checked = await self.service.catalogue.create(ANN, document)
        return (await self.service.executions.create(ANN, ExecutionRequest(checked.workflow.id, ContextType.NONE))).head.id

    async def until(self, execution_id: str, *, status: Status | None = None, at: str = "") -> ExecutionView:
        """Return the execution once it has a status, or a step is being carried out."""

        def holds(view: ExecutionView) -> bool:
            last = view.steps[-1][0]
            return view.head.status is status if status is not None else last.step_id == at and last.state == "executing"

        return await self._watch.until(self.service, execution_id, holds)


async def open_gate(gate: Path) -> None:
    """Let the command go on that waits there, once it does; the service is in this process, so nothing here may block."""
    async with asyncio.timeout(20):
        await asyncio.to_thread(gate.write_text, "go on")


@pytest_asyncio.fixture
async def network(tmp_path: Path, server: OpenSshServer) -> AsyncIterator[Network]:
    async with AsyncExitStack() as closing:
        one, two = [await closing.enter_async_context(Proxy(server.host, server.port)) for _ in range(2)]
        service = await open_service(load_settings({"data_dir": tmp_path / "data"}))
        for port in (one.port, two.port, server.port):
            for key in server.host_public_keys:
                await service.host_keys.trust(TrustedKey(server.host, port, key, "tester", 0))
        device = {"addresses": [f"{server.host}:{one.port}", f"{server.host}:{two.port}"]}
        await service.inventories.replace(ANN, {"devices": {"core-7": device}})
        watch = Watch()
        service.observe(watch)
        await service.start()
        closing.push_async_callback(service.stop, 0)
        yield Network(service, server, watch, (one, two))


async def test_two_step_types_of_two_executions_act_on_it_one_after_the_other_whatever_it_is_called(network: Network) -> None:
    one, two = network.proxies
    gate, target = network.gate(), network.server.work / "copied"
    holder = await network.queue({"hold": network.ssh(one.port, f"cat < {gate}")})
    await network.until(holder, at="hold")
    waiting = await network.queue({"copy": network.scp(two.port, str(target))})
    view = await network.service.views.execution(ANN, waiting)
    assert [(each.kind, each.name) for each in view.waiting_for] == [("device", "core-7")]
    assert view.queue_position == 1
    assert two.connections == 0
    await open_gate(gate)
    await network.until(holder, status=Status.COMPLETED)
    await network.until(waiting, status=Status.COMPLETED)
    assert target.read_bytes() == b"content"


async def test_what_one_execution_keeps_between_two_steps_makes_room_for_another(network: Network) -> None:
    """The keeper goes on elsewhere meanwhile: its session at the device is closed, and not one too many."""
    one, two = network.proxies
    gates = network.gate(), network.gate()
    first = network.ssh(one.port, "true", nextStepId="elsewhere")
    keeper = await network.queue({"first": first, "elsewhere": network.ssh(network.server.port, f"cat < {gates[0]}")})
    await network.until(keeper, at="elsewhere")
    assert one.open_connections == 1, "it is kept for the execution"
    other = await network.queue({"act": network.ssh(two.port, f"cat < {gates[1]}")})
    await two.wait_until(connections=1)
    await one.wait_until(open_connections=0)
    for gate in gates:
        await open_gate(gate)
    for each in (keeper, other):
        await network.until(each, status=Status.COMPLETED)


async def test_as_many_act_on_it_at_once_as_the_inventory_says(network: Network) -> None:
    one, two = network.proxies
    device: Json = {"addresses": [f"{network.server.host}:{each.port}" for each in (one, two)], "sessionsAtOnce": 2}
    await network.service.inventories.replace(ANN, {"devices": {"core-7": device}})
    gates = [network.gate() for _ in range(3)]
    ports = (one.port, two.port, one.port)
    made = [await network.queue({"hold": network.ssh(port, f"cat < {gate}")}) for port, gate in zip(ports, gates, strict=True)]
    for each in made[:2]:
        await network.until(each, at="hold")
    view = await network.service.views.execution(ANN, made[2])
    assert [(each.kind, each.name) for each in view.waiting_for] == [("device", "core-7")]
    for gate in gates[:2]:
        await open_gate(gate)
    for each in made[:2]:
        await network.until(each, status=Status.COMPLETED)
    await open_gate(gates[2])
    await network.until(made[2], status=Status.COMPLETED)
