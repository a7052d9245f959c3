"""The databases that the conformance suite runs over. A further implementation is one more entry in `OPENERS` and in `FAILING_OPENERS`."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.data_dir import migrate
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.sealing import sealing_for_tests
from tests.storage.connections import Commits

Opener = Callable[[Path], Awaitable[Database]]


async def _open_sqlite(migrated: Path) -> Database:
    return SqliteDatabase(migrated, sealer=sealing_for_tests())


async def _open_failing_sqlite(migrated: Path, commits: Commits) -> Database:
    return SqliteDatabase(migrated, commits.connect, sealer=sealing_for_tests())


OPENERS: Final[dict[str, Opener]] = {"sqlite": _open_sqlite}
FAILING_OPENERS: Final[dict[str, Callable[[Path, Commits], Awaitable[Database]]]] = {"sqlite": _open_failing_sqlite}
"""Those whose next COMMITs fail as `Commits.failures` says."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the current schema, made once: what it is copied from."""
    path = tmp_path_factory.mktemp("template") / "stepswitch.db"
    migrate(path)
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A SQLite file of this test alone."""
    return Path(shutil.copy(template, tmp_path / "stepswitch.db"))


@pytest_asyncio.fixture(params=sorted(OPENERS))
async def database(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Database]:
    opened = await OPENERS[request.param](path)
    yield opened
    await opened.close()


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest_asyncio.fixture(params=sorted(FAILING_OPENERS))
async def failing(request: pytest.FixtureRequest, path: Path, commits: Commits) -> AsyncIterator[Database]:
    opened = await FAILING_OPENERS[request.param](path, commits)
    yield opened
    await opened.close()


@pytest.fixture
def executions(database: Database) -> SqlExecutionStore:
    return SqlExecutionStore(database)


@pytest.fixture
def catalogue(database: Database) -> SqlCatalogueStore:
    return SqlCatalogueStore(database)


@pytest.fixture
def accounts(database: Database) -> SqlAccountStore:
    return SqlAccountStore(database)


@pytest.fixture
def host_keys(database: Database) -> SqlHostKeyStore:
    return SqlHostKeyStore(database)
