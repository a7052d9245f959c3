"""What the tests of the worker share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from stepswitch.storage.data_dir import migrate
from stepswitch.storage.sqlite import SqliteDatabase
from tests.sealing import sealing_for_tests
from tests.worker.house import House


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    migrate(tmp_path / "stepswitch.db")
    database = SqliteDatabase(tmp_path / "stepswitch.db", sealer=sealing_for_tests())
    made = House(database, tmp_path)
    yield made
    await made.dispatcher.stop(0)
    await made.conductor.drain()
    await made.cleaner.close()
    await made.pool.close()
    await database.close()
