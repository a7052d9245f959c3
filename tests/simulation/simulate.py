"""Runs schedules: from a seed to what came of it. Called by the tests and by `make simulate`."""

import asyncio
import gc
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog
import structlog.testing

from stepswitch.engine.crash_points import listening
from stepswitch.engine.inventory_ports import StoredInventory
from stepswitch.storage.data_dir import migrate
from stepswitch.storage.inventories import SqlInventoryStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.sealing import sealing_for_tests
from tests.simulation.devices import INVENTORIES
from tests.simulation.loop import SimulatedLoop
from tests.simulation.promises import check
from tests.simulation.schedule import KilledError, Run, Schedule
from tests.simulation.watch import BrokenPromiseError
from tests.simulation.weather import draw

PAGE_BYTES: Final = 1_024
"""Smaller than the service's own: a commit then copies less, and the same happens."""


def in_memory() -> str | None:
    """Return where a directory is made that is in memory; None where this machine has no such place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def prepared(directory: Path) -> Path:
    """Return a database with inventories and nothing else, to be copied for each schedule."""
    path = directory / "empty.db"
    migrate(path)
    asyncio.run(_know_devices(path))
    connection = sqlite3.connect(path)
    for statement in ("PRAGMA journal_mode=DELETE", f"PRAGMA page_size={PAGE_BYTES}", "VACUUM", "PRAGMA journal_mode=WAL"):
        connection.execute(statement)
    connection.close()
    return path


async def _know_devices(path: Path) -> None:
    database = SqliteDatabase(path, sealer=sealing_for_tests())
    for tenant, document in INVENTORIES.items():
        await SqlInventoryStore(database).put(StoredInventory(tenant, document, revision=1))
    await database.close()


def simulate(seed: int, empty: Path, directory: Path, **weather_is: Any) -> Run:
    """Run a schedule in a directory of its own; raises BrokenPromiseError, which names the seed. `weather_is` says what is not drawn."""
    gc.disable()  # nothing is collected at a moment of Python's own choice
    try:
        return _run_alone(seed, empty, directory, weather_is)
    finally:
        gc.collect(0)
        gc.enable()


def _run_alone(seed: int, empty: Path, directory: Path, weather_is: Mapping[str, Any]) -> Run:
    directory.mkdir()
    for each in empty.parent.glob(f"{empty.name}*"):
        shutil.copy(each, directory / f"stepswitch.db{each.name.removeprefix(empty.name)}")
    random = Random(seed)
    weather = replace(draw(random), **weather_is)
    loop = SimulatedLoop(random, weather.disorder)
    faults: list[Any] = []
    loop.set_exception_handler(lambda _, context: faults.append(context.get("exception")) if "callback" in context["message"] else None)
    schedule = Schedule(directory, loop, random, weather)
    try:
        with _quiet(schedule), listening(schedule.reach):
            loop.run_until_complete(_run(schedule))
            faults += loop.bury()
        _refuse([fault for fault in faults if not isinstance(fault, KilledError)])
        told = len(schedule.city.told)
        return Run(seed, loop.turns, schedule.lives, len(schedule.memory.all_accepted), told, schedule.trace(), schedule.city.met)
    except Exception as error:
        raise BrokenPromiseError(f"STEPSWITCH_SIMULATION_SEED={seed} breaks a promise: {error}\nin {weather}") from error
    finally:
        if not loop.is_closed():
            loop.bury()
        shutil.rmtree(directory)


async def _run(schedule: Schedule) -> None:
    await schedule.run()
    await check(schedule)


@contextmanager
def _quiet(schedule: Schedule) -> Iterator[None]:
    """Keep what the service logs."""
    before = structlog.get_config()
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture])
    schedule.said = capture.entries
    try:
        yield
    finally:
        structlog.configure(**before)


def _refuse(unseen: Sequence[object]) -> None:
    if unseen:
        cause = unseen[0] if isinstance(unseen[0], Exception) else None
        raise BrokenPromiseError(f"something was raised that nobody took note of: {unseen}") from cause
