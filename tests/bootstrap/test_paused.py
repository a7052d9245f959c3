"""Risk: an execution that waits for a person for days holds something meanwhile: a thread, a task, a file, a session with a device."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psutil
import pytest

from stepswitch.bootstrap import Service, open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.execution import ContextType, Result, Status
from stepswitch.engine.executions import ExecutionRequest
from tests.domain.documents import JsonObject, document
from tests.domain.lives import steps
from tests.engine.rig import PATIENCE
from tests.engine.scripted import ANN, House, Watch, open_house
from tests.openssh import OpenSshServer

PAUSED = 200


def held() -> dict[str, int]:
    """Return what this process has of everything that there is only so much of."""
    return {"tasks": len(asyncio.all_tasks()), "threads": threading.active_count(), "files": psutil.Process().num_fds()}


async def until_held(wanted: dict[str, int]) -> None:
    """Return once nothing more is held than that: a file or a task of what has just paused may go a moment later."""
    async with asyncio.timeout(PATIENCE):
        while any(held()[name] > count for name, count in wanted.items()):  # noqa: ASYNC110 # nobody tells of a file that closes
            await asyncio.sleep(0)


async def begin_all_threads(service: Service) -> None:
    """Let every thread of every pool begin now, and open what it keeps open: they begin when others are busy, so under load much later."""
    loop = asyncio.get_running_loop()
    database = service._database
    for readers in (database._readers, database._scanners):
        await begin_threads(readers._threads, readers._connection)
    await asyncio.to_thread(lambda: None)
    default = cast("ThreadPoolExecutor", loop._default_executor)  # type: ignore[attr-defined] # there is no other way to it
    await begin_threads(default, lambda: None)


async def begin_threads(pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
    together = threading.Barrier(pool._max_workers)

    def begin() -> None:
        work()
        together.wait(PATIENCE)

    await asyncio.gather(*(asyncio.wrap_future(pool.submit(begin)) for _ in range(pool._max_workers)))


async def pause_before(house: House) -> None:
    await house.until(await house.queue(document(steps=steps("a")), debug_step_ids=("a",)), Status.PAUSED)


async def pause_at_a_failure(house: House) -> None:
    execution = await house.queue(document(steps=steps("a")), pause_at_failure=True)
    (await house.act.next()).end(Result.FAILED)
    await house.until(execution, Status.PAUSED)


@pytest.mark.parametrize("pause", [pause_before, pause_at_a_failure])
async def test_paused_executions_hold_no_thread_no_task_and_no_file(tmp_path: Path, pause: Callable[[House], Awaitable[None]]) -> None:
    async with open_house(tmp_path) as house:
        await begin_all_threads(house.service)
        for _ in range(5):
            await pause(house)
        before = held()
        for _ in range(PAUSED):
            await pause(house)
        await until_held(before)


async def test_a_pause_closes_the_session_with_the_device(tmp_path: Path) -> None:
    with OpenSshServer() as device:
        service = await open_service(
            Settings.model_validate({"data_dir": tmp_path, "sessions_per_device": 8, "admin_password": "long enough"})
        )
        watch = Watch()
        service.observe(watch)
        await service.start()
        try:
            await begin_all_threads(service)
            await pause_over_ssh(service, watch, device)
            before = held()
            for _ in range(3):
                await pause_over_ssh(service, watch, device)
            await until_held(before)
        finally:
            await service.stop(grace_seconds=0)
        assert len(device.commands()) == 8


async def pause_over_ssh(service: Service, watch: Watch, device: OpenSshServer) -> None:
    """Pause an execution at a step that failed, behind another one whose session it took over."""
    inputs = {"hostKey": device.host_public_key, **device.inputs()}
    source = document(steps={"a": ssh(inputs, "true") | {"nextStepId": "b"}, "b": ssh(inputs, "false")})
    workflow = (await service.catalogue.create(ANN, source)).workflow
    order = ExecutionRequest(workflow.id, ContextType.NONE, pause_at_failure=True)
    execution = (await service.executions.create(ANN, order)).head.id
    await watch.until(service, execution, lambda view: view.head.status is Status.PAUSED)


def ssh(inputs: JsonObject, command: str) -> JsonObject:
    kinds = {"port": "number", "password": "password"}
    bound = {name: {"type": kinds.get(name, "string"), "defaultValue": value} for name, value in {**inputs, "cmd": command}.items()}
    return {"type": "TCA_SSH", "inBindings": bound}
