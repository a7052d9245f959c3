"""Risk: an event whose COMMIT failed is applied twice, or not at all, or somebody is told that it happened when it did not."""

import asyncio
from pathlib import Path

import pytest

from stepswitch.domain.errors import CommitInDoubtError
from stepswitch.domain.events import Abort, Claimed, Pause, Reply, Reported
from stepswitch.domain.execution import Outcome, Result, Status
from stepswitch.storage.database import Database
from stepswitch.storage.queue import SqlQueueStore
from tests.storage.connections import Commits
from tests.worker.house import House

FAILURES = pytest.mark.parametrize("failure", ["before", "after"])


@pytest.fixture
def house(failing: Database, path: Path) -> House:
    return House(failing, path.parent)


@FAILURES
async def test_an_event_is_applied_once_whatever_became_of_its_commit(house: House, commits: Commits, failure: str) -> None:
    task = await house.begin()
    claim = Claimed("claim:1", task.number, task.attempt, "nonce", "here")
    commits.failures = [failure]
    granted = await house.conductor.apply(task.execution_id, claim)
    assert granted.reply is Reply.GRANTED
    commits.failures = [failure]
    report = Reported("report:1", task.number, task.attempt, "nonce", Outcome(Result.SUCCEEDED))
    assert (await house.conductor.apply(task.execution_id, report)).reply is Reply.STORED
    head = await house.store.load(task.execution_id)
    assert head is not None
    assert (head.status, head.version, head.applied) == (Status.COMPLETED, 3, ("claim:1", "report:1"))
    messages = [each.message for each in (await house.store.logs(task.execution_id))[0]]
    assert len(messages) == len(set(messages))


@FAILURES
async def test_an_event_sent_again_after_a_doubtful_commit_is_recognised(house: House, commits: Commits, failure: str) -> None:
    task = await house.begin()
    commits.failures = [failure]
    event = Pause("pause:1", "admin", None)
    await house.conductor.apply(task.execution_id, event)
    again = await house.conductor.apply(task.execution_id, event)
    head = await house.store.load(task.execution_id)
    assert head is not None
    assert again.head == head
    assert (head.status, head.version) == (Status.PAUSED, 2)
    assert sum("pause" in each.message for each in (await house.store.logs(task.execution_id))[0]) == 2  # asked for, and then paused


async def test_an_execution_whose_creation_was_committed_after_all_goes_on(house: House, commits: Commits) -> None:
    commits.failures = ["after"]
    task = await house.begin()
    assert await house.store.load(task.execution_id) is not None
    assert house.dispatcher.holds(task.execution_id)


async def test_nobody_is_told_that_an_execution_exists_which_does_not(house: House, commits: Commits) -> None:
    commits.failures = ["before"]
    with pytest.raises(CommitInDoubtError):
        await house.begin()
    assert await SqlQueueStore(house.database).runnable(None, 10) == []
    assert not house.dispatcher.holds("e1")
    await house.begin()


async def test_many_events_share_a_commit_that_fails_and_all_happen_once(house: House, commits: Commits) -> None:
    tasks = [await house.begin() for _ in range(20)]
    commits.failures = ["before", "after", "before"]
    await asyncio.gather(*(house.conductor.apply(task.execution_id, Abort(f"abort:{task.execution_id}", "admin", None)) for task in tasks))
    for task in tasks:
        head = await house.store.load(task.execution_id)
        assert head is not None
        assert (head.status, head.version) == (Status.ABORTED, 2)
