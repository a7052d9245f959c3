"""Risk: whoever is refused because the disk is full is told that nothing was stored and something was, or is left in doubt of what is certain."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from stepswitch.bootstrap import wiring
from stepswitch.config.settings import Settings
from stepswitch.storage.database import Row
from stepswitch.storage.sqlite import SqliteDatabase
from tests.api.house import messages
from tests.api.logged_in import PASSWORD, logged_in
from tests.storage.connections import Commits
from tests.storage.rows import everything

ROOT = "/telco/api/workflows"
EMPTY = {"name": "n", "version": "1", "schemaVersion": "3.0"}
ONE_STEP = {**EMPTY, "startStepId": "a", "steps": {"a": {"type": "NOOP"}}}
DRAFT = '{"name":"n","version":"1","schemaVersion":"3.0"}'
NOTHING, DOUBT = "nothing was stored", "it may have been stored, or not: read before you send it again"


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
async def client(tmp_path: Path, commits: Commits, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A service over its real store, whose steps nobody carries out."""
    monkeypatch.setattr(wiring, "SqliteDatabase", lambda path, sealer: SqliteDatabase(path, commits.connect, sealer=sealer))
    service = await wiring.open_service(Settings.model_validate({"data_dir": tmp_path, "admin_password": PASSWORD}))
    async with logged_in(service) as client:
        yield client


def told(answer: httpx.Response) -> str:
    """Return what a refused request is told of what became of it."""
    assert (answer.status_code, answer.headers["x-error-code"]) == (503, "STORE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    (message,) = messages(answer)
    (found,) = [each for each in (NOTHING, DOUBT) if f"; {each}." in message]
    return found


async def stored(path: Path) -> dict[str, list[Row]]:
    database = SqliteDatabase(path)
    try:
        return await everything(database)
    finally:
        await database.close()


async def test_who_could_store_nothing_is_told_so_and_nothing_is_there(client: httpx.AsyncClient, commits: Commits, tmp_path: Path) -> None:
    workflow_id = (await client.put(f"{ROOT}/workflow", json=ONE_STEP)).json()["id"]
    before = await stored(tmp_path / "stepswitch.db")
    order = {"workflowId": workflow_id, "contextType": "NONE"}
    for path, body in (("workflow", EMPTY), ("workflowExecution", order)):
        commits.failures = ["full"]
        assert told(await client.put(f"{ROOT}/{path}", json=body)) == NOTHING
    assert await stored(tmp_path / "stepswitch.db") == before
    commits.failures = []
    assert (await client.put(f"{ROOT}/workflowExecution", json=order)).status_code == 200


async def test_a_commit_of_which_nobody_knows_stays_a_doubt(client: httpx.AsyncClient, commits: Commits) -> None:
    commits.failures = ["before"]
    assert told(await client.put(f"{ROOT}/workflow", json=EMPTY)) == DOUBT


async def test_a_request_that_had_stored_something_before_the_disk_was_full_is_not_told_that_nothing_was(
    client: httpx.AsyncClient, commits: Commits
) -> None:
    commits.failures = ["", "full"]  # the file, and the workflow that brings it
    files = {"files": ("f.bin", b"content")}
    assert told(await client.post(f"{ROOT}/workflow", data={"workflow": DRAFT}, files=files)) == DOUBT
    commits.failures = ["full"]
    assert told(await client.post(f"{ROOT}/workflow", data={"workflow": DRAFT}, files=files)) == NOTHING
