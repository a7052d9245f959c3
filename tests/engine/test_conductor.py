"""The four verbs: nothing leaves before the commit, nothing is applied to a state that nobody read, and nothing saved is forgotten."""

import asyncio

import pytest

from stepswitch.domain.errors import CommitInDoubtError, NotFoundError, StateConflictError, StoreError, VersionConflictError
from stepswitch.domain.events import Abort, Claimed, Lost, Pause, Reply, Resume, Retry, Turn
from stepswitch.domain.execution import Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.conductor import TRIES
from stepswitch.engine.records import Committed
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.rig import PATIENCE, Rig

ONE = document(steps=steps("a"))
TWO = document(steps=steps("a", "b"))
SAFE = document(steps=steps("a", a={"policy": {"safeToRerun": True}}))


async def test_an_accepted_execution_is_on_disk_before_anybody_is_told(rig: Rig) -> None:
    execution = await rig.create(ONE)
    assert rig.notes == [("committed", 1), ("submitted", 0), ("told", 1)]
    assert (await rig.stored(execution)).status is Status.QUEUED


async def test_nothing_leaves_before_the_commit(rig: Rig) -> None:
    execution = await rig.create(TWO)
    await rig.claim(execution)
    rig.notes.clear()
    rig.store.gate.clear()
    rig.store.arrived.clear()
    reporting = asyncio.create_task(rig.report(execution))
    await asyncio.wait_for(rig.store.arrived.wait(), PATIENCE)
    await rig.clock.settle()
    assert rig.notes == [], "something was dispatched or told before the commit"
    assert not reporting.done()
    seen = await rig.conductor.head(execution)
    assert seen is not None
    assert seen.current is not None
    assert seen.current.state is StepState.EXECUTING
    rig.store.gate.set()
    assert await reporting is Reply.STORED
    assert rig.notes == [("committed", 3), ("submitted", 1), ("told", 3)]


async def test_a_cancel_leaves_after_the_commit(rig: Rig) -> None:
    execution = await rig.create(ONE)
    await rig.claim(execution)
    rig.notes.clear()
    await rig.apply(execution, Abort("x", "ann", None))
    assert rig.notes == [("committed", 3), ("cancelled", 0), ("told", 3)]


async def test_a_failed_save_tells_nobody_and_is_forgotten(rig: Rig) -> None:
    execution = await rig.create(ONE)
    rig.notes.clear()
    loads = rig.store.loads
    rig.store.fail_before = StoreError("the disk is full")
    with pytest.raises(StoreError, match="the disk is full"):
        await rig.claim(execution)
    assert rig.notes == []
    assert await rig.claim(execution) is Reply.GRANTED
    assert rig.store.loads == loads + 1


async def test_what_was_saved_by_somebody_else_is_read_and_decided_again(rig: Rig) -> None:
    execution = await rig.create(ONE)
    other = rig.another()

    async def claim_elsewhere() -> None:
        await other.apply(execution, Claimed("claim:other", 0, 1, "other", "w2"))

    rig.store.before_next_save = claim_elsewhere
    assert await rig.claim(execution, nonce="mine") is Reply.BUSY
    stored = await rig.stored(execution)
    assert stored.current is not None
    assert stored.current.claim is not None
    assert stored.current.claim.nonce == "other"
    assert stored.version == 2


async def test_a_will_is_not_applied_to_a_state_that_was_saved_meanwhile(rig: Rig) -> None:
    execution = await rig.create(TWO, debug_step_ids=("a",))
    other = rig.another()

    async def resume_elsewhere() -> None:
        await other.apply(execution, Resume("other", "bob", 1))

    rig.store.before_next_save = resume_elsewhere
    with pytest.raises(StateConflictError):
        await rig.apply(execution, Resume("mine", "ann", 1))
    assert (await rig.stored(execution)).version == 2


async def test_whoever_never_gets_through_is_told_to_come_back(rig: Rig) -> None:
    execution = await rig.create(ONE)

    async def conflict() -> None:
        rig.store.before_next_save = conflict
        raise VersionConflictError("somebody saved first")

    rig.store.before_next_save = conflict
    with pytest.raises(StoreError, match=f"{TRIES} times in a row"):
        await rig.claim(execution)
    rig.store.before_next_save = None
    assert await rig.claim(execution) is Reply.GRANTED


@pytest.mark.parametrize("stored", [True, False])
async def test_a_commit_in_doubt_is_applied_once(rig: Rig, *, stored: bool) -> None:
    execution = await rig.create(TWO)
    await rig.claim(execution)
    rig.notes.clear()
    rig.store.doubt(stored=stored)
    assert await rig.report(execution) is Reply.STORED
    assert rig.notes == [("committed", 3), ("submitted", 1), ("told", 3)]
    assert len(await rig.store.steps(execution)) == 1


async def test_an_execution_whose_creation_is_in_doubt_and_is_there_goes_on(rig: Rig) -> None:
    rig.store.doubt(stored=True)
    execution = await rig.create(ONE)
    assert [task.execution_id for task in rig.dispatcher.tasks] == [execution]
    rig.store.doubt(stored=False)
    with pytest.raises(CommitInDoubtError):
        await rig.create(ONE)
    assert len(rig.dispatcher.tasks) == 1


async def test_what_was_stored_and_not_followed_up_is_taken_up_by_the_repeat(rig: Rig) -> None:
    execution = await rig.create(TWO)
    await rig.claim(execution)
    rig.store.doubt(stored=True)
    rig.store.fail_loads.append(StoreError("the disk is gone"))
    with pytest.raises(StoreError, match="the disk is gone"):
        await rig.report(execution)
    assert [task.number for task in rig.dispatcher.tasks] == [0]
    assert await rig.report(execution) is Reply.STORED
    assert [task.number for task in rig.dispatcher.tasks] == [0, 1]


async def test_a_caller_who_goes_away_does_not_take_the_follow_up_along(rig: Rig) -> None:
    execution = await rig.create(TWO)
    await rig.claim(execution)
    rig.store.gate.clear()
    rig.store.arrived.clear()
    reporting = asyncio.create_task(rig.report(execution))
    await asyncio.wait_for(rig.store.arrived.wait(), PATIENCE)
    reporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reporting
    rig.store.gate.set()
    await asyncio.wait_for(rig.conductor.drain(), PATIENCE)
    assert rig.notes[-3:] == [("committed", 3), ("submitted", 1), ("told", 3)]


async def test_a_caller_who_goes_away_from_a_save_that_fails_disturbs_nobody(rig: Rig) -> None:
    execution = await rig.create(ONE)
    rig.store.gate.clear()
    rig.store.arrived.clear()
    rig.store.fail_before = StoreError("no")
    claiming = asyncio.create_task(rig.claim(execution))
    await asyncio.wait_for(rig.store.arrived.wait(), PATIENCE)
    claiming.cancel()
    rig.store.gate.set()
    await asyncio.wait_for(rig.conductor.drain(), PATIENCE)
    assert await rig.claim(execution) is Reply.GRANTED


async def test_one_save_of_an_execution_is_in_flight_and_many_of_different_ones(rig: Rig) -> None:
    execution, other = await rig.create(ONE), await rig.create(ONE)
    rig.store.gate.clear()
    asked = [asyncio.create_task(rig.claim(execution, nonce=f"n{place}")) for place in range(5)]
    await rig.clock.settle()
    assert rig.store.saving == 1
    asked.append(asyncio.create_task(rig.claim(other)))
    await rig.clock.settle()
    assert rig.store.saving == 2
    rig.store.gate.set()
    replies = await asyncio.gather(*asked)
    assert sorted(replies) == sorted([Reply.GRANTED, Reply.GRANTED, *[Reply.BUSY] * 4])
    assert not rig.conductor._locks


async def test_reads_see_the_committed_state_only(rig: Rig) -> None:
    execution = await rig.create(ONE)
    rig.store.gate.clear()
    claiming = asyncio.create_task(rig.claim(execution))
    await rig.clock.settle()
    head = await rig.conductor.head(execution)
    assert head is not None
    assert head.status is Status.QUEUED
    rig.store.gate.set()
    await claiming


async def test_an_observer_that_fails_takes_nothing_with_it(rig: Rig) -> None:
    class Broken:
        def committed(self, change: Committed) -> None:
            raise ValueError("no")

    conductor = rig.another()
    conductor.observe(Broken())
    conductor.observe(rig.observer)
    execution = await rig.create(TWO)
    await conductor.apply(execution, Claimed("c", 0, 1, "n", "w"))
    assert rig.notes[-1] == ("told", 2)


async def test_an_event_for_nothing_is_refused(rig: Rig) -> None:
    with pytest.raises(NotFoundError):
        await rig.apply("nothing", Turn("t", 0, 1))
    assert await rig.conductor.head("nothing") is None


async def test_a_stale_event_is_answered_without_a_save(rig: Rig) -> None:
    execution = await rig.create(ONE)
    rig.notes.clear()
    assert (await rig.apply(execution, Turn("t", 7, 1))).reply is Reply.STALE
    assert rig.notes == []


async def test_what_waits_is_known_as_it_is_now_and_not_as_it_was_read(rig: Rig) -> None:
    execution = await rig.create(TWO)
    (first,) = rig.dispatcher.tasks
    read = await rig.stored(execution)
    assert await rig.conductor.pending(read) == first
    await rig.claim(execution)
    assert await rig.conductor.pending(read) is None
    await rig.report(execution)
    assert await rig.conductor.pending(read) == rig.dispatcher.tasks[-1]


async def test_what_the_dispatcher_leaves_in_the_store_takes_no_memory(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.dispatcher, "submit", lambda _: False)
    left = await rig.create(ONE)
    assert left not in rig.conductor._heads
    ((each,),) = [await rig.queue.runnable(None, 10)]
    assert (each.execution_id, each.lane) == (left, "type ACT")


async def test_an_ended_execution_takes_no_memory(rig: Rig) -> None:
    execution = await rig.create(ONE)
    await rig.claim(execution)
    await rig.report(execution)
    assert execution not in rig.conductor._heads
    head = await rig.conductor.head(execution)
    assert head is not None
    assert head.status is Status.COMPLETED


async def test_a_retry_after_a_loss_cancels_the_old_attempt_before_the_new_one_begins(rig: Rig) -> None:

    execution = await rig.create(SAFE)
    await rig.claim(execution)
    rig.notes.clear()
    await rig.apply(execution, Lost("l", 0, 1, f"{execution}.0", "silence"))
    assert rig.notes == [("committed", 3), ("cancelled", 0), ("submitted", 1), ("told", 3)]


async def test_what_is_reopened_or_kept_longer_is_not_removed(rig: Rig) -> None:
    execution = await rig.create(ONE, retained_til=rig.clock.now() + 1)
    await rig.claim(execution)
    await rig.report(execution, result=Result.FAILED)
    await rig.clock.advance(5)
    assert await rig.store.expired(rig.clock.now(), 10) == [execution]

    await rig.apply(execution, Retry("r", "ann", None))
    await rig.conductor.remove_expired(execution)
    assert (await rig.stored(execution)).status is Status.RUNNING
    await rig.apply(execution, Pause("p", "ann", None))
    await rig.apply(execution, Abort("x", "ann", None))
    assert not any(change.is_gone for change in rig.observer.changes)
    await rig.conductor.remove_expired(execution)
    assert await rig.store.load(execution) is None
    assert rig.observer.changes[-1] == Committed(execution, is_gone=True)


async def test_observers_are_told_that_an_execution_was_removed_only_where_it_was(rig: Rig) -> None:
    execution = await rig.create(ONE)
    with pytest.raises(StateConflictError):
        await rig.conductor.remove(execution)
    assert not any(change.is_gone for change in rig.observer.changes)
    await rig.apply(execution, Abort("x", "ann", None))
    await rig.conductor.remove(execution)
    assert rig.observer.changes[-1] == Committed(execution, is_gone=True)
