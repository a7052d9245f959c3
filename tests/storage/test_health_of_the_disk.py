"""Risk: nothing can be written any more and the service says that all is well, or it says so for ever after the disk has room again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from stepswitch.bootstrap import wiring
from stepswitch.bootstrap.service import Service
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import CommitInDoubtError, StoreError
from stepswitch.engine.records import Account
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.storage.connections import Commits


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest_asyncio.fixture
async def service(tmp_path: Path, commits: Commits, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(wiring, "SqliteDatabase", lambda path, sealer: SqliteDatabase(path, commits.connect, sealer=sealer))
    opened = await wiring.open_service(Settings.model_validate({"data_dir": tmp_path, "admin_password": "correct horse"}))
    yield opened
    await opened.stop()


async def test_health_fails_with_the_commits_and_recovers_with_them_although_nobody_writes(service: Service, commits: Commits) -> None:
    assert await service.health() == {"status": "ok"}
    commits.failures = ["before"] * 3
    with pytest.raises(CommitInDoubtError):
        await service._database.probe()
    for _ in range(2):
        state = await service.health()
        assert (state["status"], "disk I/O error" in str(state["reason"])) == ("failing", True)
    assert await service.health() == {"status": "ok"}


async def test_a_full_disk_is_a_failure(service: Service, commits: Commits) -> None:
    connection = service._database._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError):
        await SqlAccountStore(service._database).put_account(Account("x" * 100_000, "default", "hash", ()))
    assert "full" in str(service._database.last_failure)


async def test_a_connection_that_cannot_be_had_is_a_failure(service: Service, commits: Commits) -> None:
    commits.failures, commits.refusals = ["before"], 1
    for error in (CommitInDoubtError, StoreError):
        with pytest.raises(error):
            await service._database.probe()
    assert "unable to open" in str(service._database.last_failure)


async def test_what_changes_nothing_does_not_prove_that_the_disk_works(service: Service, commits: Commits) -> None:
    commits.failures = ["before"]
    with pytest.raises(CommitInDoubtError):
        await service._database.probe()
    failure = service._database.last_failure
    await SqlAccountStore(service._database).end_expired_sessions(0)
    assert service._database.last_failure == failure is not None


async def test_a_reader_that_fails_and_a_writer_that_has_ended_are_said(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreError("the database cannot be read: disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(service.host_keys, "trusted", fail)
        assert await service.health() == {"status": "failing", "reason": "the database cannot be read: disk I/O error"}
    service._database.writer.cancel()
    await asyncio.wait([service._database.writer])
    assert await service.health() == {"status": "failing", "reason": "the database's writer has ended"}
