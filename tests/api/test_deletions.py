"""Risk: an execution is deleted while something is left behind at its target, and nobody knows of it any more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from stepswitch.api.steering import CLEANUP_SECONDS, LOGGED_REASON
from tests.api.steered import Desk, open_desk, refused, shown
from tests.engine.rig import PATIENCE
from tests.engine.scripted import ANN, Clinging


@pytest_asyncio.fixture
async def session() -> Clinging:
    return Clinging()


@pytest_asyncio.fixture
async def desk(tmp_path: Path, session: Clinging, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        monkeypatch.setattr(opened.act, "run", session.run)
        yield opened
        session.may_close.set()


async def aborted(desk: Desk, session: Clinging) -> tuple[str, str]:
    """Return an execution that was aborted while its session was open, and the tag of how it stood then."""
    execution = await desk.queue("a")
    await asyncio.wait_for(session.begun.wait(), PATIENCE)
    answer = await desk.ask(execution, "abort")
    assert shown(answer)["stepExecutions"][0]["cleanupPending"]
    await asyncio.wait_for(session.closing.wait(), PATIENCE)
    return execution, answer.headers["etag"]


async def test_a_deletion_waits_until_nothing_is_left_behind(desk: Desk, session: Clinging) -> None:
    execution, _ = await aborted(desk, session)
    deleting = asyncio.ensure_future(desk.client.delete(desk.place(execution)))
    await desk.house.clock.settle()
    assert (await desk.read(execution))["stepExecutions"][0]["cleanupPending"]
    assert not deleting.done()
    session.may_close.set()
    assert (await asyncio.wait_for(deleting, PATIENCE)).status_code == 204
    assert (await desk.client.get(desk.place(execution))).status_code == 404
    assert desk.house.service.watchers._of_execution == {}


async def test_what_does_not_let_go_is_not_forgotten_and_can_be_deleted_after_a_start(desk: Desk, session: Clinging) -> None:
    execution, _ = await aborted(desk, session)
    deleting = asyncio.ensure_future(desk.client.delete(desk.place(execution)))
    await desk.house.clock.settle()
    await desk.house.clock.advance(CLEANUP_SECONDS)
    assert refused(await asyncio.wait_for(deleting, PATIENCE)) == ["CLEANUP_PENDING"]
    assert (await desk.read(execution))["stepExecutions"][0]["cleanupPending"]

    await desk.house.stop()
    await desk.house.open()
    await desk.house.watch.until(desk.house.service, execution, lambda view: not view.head.left_behind)
    await desk.house.service.steering.delete(ANN, execution)


async def test_what_lets_go_late_can_be_deleted_from_then_on(desk: Desk, session: Clinging) -> None:
    execution, _ = await aborted(desk, session)
    deleting = asyncio.ensure_future(desk.client.delete(desk.place(execution)))
    await desk.house.clock.settle()
    await desk.house.clock.advance(CLEANUP_SECONDS)
    assert refused(await asyncio.wait_for(deleting, PATIENCE)) == ["CLEANUP_PENDING"]
    session.may_close.set()
    await desk.house.watch.until(desk.house.service, execution, lambda view: not view.head.left_behind)
    assert (await desk.client.delete(desk.place(execution))).status_code == 204


async def test_who_means_one_state_alone_hears_of_it_at_once(desk: Desk, session: Clinging) -> None:
    execution, tag = await aborted(desk, session)
    assert refused(await desk.client.delete(desk.place(execution), headers={"if-match": tag})) == ["CLEANUP_PENDING"]


async def test_a_long_reason_of_a_deletion_is_shortened_in_the_log_of_the_service(desk: Desk, session: Clinging) -> None:
    execution, _ = await aborted(desk, session)
    session.may_close.set()
    with structlog.testing.capture_logs() as lines:
        deleted = await desk.client.delete(desk.place(execution), headers={"x-stepswitch-reason": "y" * 1_000})
    assert deleted.status_code == 204
    (line,) = [line for line in lines if line["event"] == "an execution was deleted"]
    assert (line["user"], line["execution"]) == ("admin", execution)
    assert line["reason"] == "y" * LOGGED_REASON + "… (1000 characters)"
