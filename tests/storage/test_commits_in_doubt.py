"""Risk: an event whose COMMIT failed is applied twice, or not at all, or somebody is told that it happened when it did not."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from stepswitch.domain.errors import CommitInDoubtError, StoreError, VersionConflictError
from stepswitch.domain.events import Abort, Claimed, Pause, Reply, Reported
from stepswitch.domain.execution import Outcome, Result, Status
from stepswitch.engine.records import Account
from stepswitch.engine.request_writes import NotingWrites
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.queue import SqlQueueStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.storage.connections import Commits
from tests.worker.house import House

FAILURES = pytest.mark.parametrize("failure", ["before", "after"])


@pytest.fixture
def house(failing: SqliteDatabase, path: Path) -> House:
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


async def test_a_commit_for_which_the_disk_had_no_room_is_in_no_doubt_and_whoever_shared_it_is_told_so(
    house: House, commits: Commits, failing: SqliteDatabase
) -> None:
    accounts = SqlAccountStore(failing)
    await accounts.add_account(Account("ann", "default", "hash", ()))
    held = commits.hold()
    first = asyncio.create_task(failing.probe())
    await asyncio.to_thread(commits.reached.wait, 30)
    names = [f"new-{number}" for number in range(3)]
    sharing = [asyncio.create_task(accounts.add_account(Account(name, "default", "hash", ()))) for name in ("ann", *names)]
    await asyncio.sleep(0)  # they wait for the next commit, which is theirs together
    commits.failures = ["", "full"]
    held.set()
    await first
    taken, *others = await asyncio.gather(*sharing, return_exceptions=True)
    assert isinstance(taken, VersionConflictError), "that it was refused for itself is not forgotten"
    for error in others:
        assert isinstance(error, StoreError)
        assert not isinstance(error, CommitInDoubtError)
        assert "the disk is full; make room" in str(error)
    assert "the disk is full" in str(failing.last_failure)
    assert [await accounts.account(name) for name in names] == [None, None, None]
    await accounts.add_account(Account(names[0], "default", "hash", ()))
    assert failing.last_failure is None


async def test_an_event_for_which_the_disk_had_no_room_happens_when_it_is_sent_again(house: House, commits: Commits) -> None:
    task = await house.begin()
    commits.failures = ["full"]
    pause = Pause("pause:1", "admin", None)
    with pytest.raises(StoreError, match="the disk is full") as refused:
        await house.conductor.apply(task.execution_id, pause)
    assert not isinstance(refused.value, CommitInDoubtError)
    before = await house.store.load(task.execution_id)
    assert before is not None
    assert before.version == 1
    assert (await house.conductor.apply(task.execution_id, pause)).head.status is Status.PAUSED


async def test_what_was_written_for_a_request_or_may_have_been_is_noted_and_what_was_not_is_not(
    failing: SqliteDatabase, commits: Commits
) -> None:
    async def is_noted(failure: str) -> bool:
        commits.failures = [failure]
        with NotingWrites() as writes, suppress(StoreError):
            await asyncio.create_task(failing.probe())
        return writes.are_any

    assert [await is_noted(failure) for failure in ("", "before", "after", "full")] == [True, True, True, False]


async def test_many_events_share_a_commit_that_fails_and_all_happen_once(house: House, commits: Commits) -> None:
    tasks = [await house.begin() for _ in range(20)]
    commits.failures = ["before", "after", "before"]
    await asyncio.gather(*(house.conductor.apply(task.execution_id, Abort(f"abort:{task.execution_id}", "admin", None)) for task in tasks))
    for task in tasks:
        head = await house.store.load(task.execution_id)
        assert head is not None
        assert (head.status, head.version) == (Status.ABORTED, 2)
