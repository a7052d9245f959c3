"""The worker's side: a claim before anything is sent where that matters, none where it does not, and the truth about what is still open."""

from dataclasses import replace

from stepswitch.domain.errors import StoreError
from stepswitch.domain.events import Abort, Lost, Pause, Reply, Resume
from stepswitch.domain.execution import LogEntry, LogLevel, Outcome, Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.claims import Grant
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.rig import Rig

ACT = document(steps=steps("a", "b", a={"policy": {"timeoutSeconds": 7, "safeToRerun": True}}))
LOOK = document(
    inputs={"x": {"type": "string", "defaultValue": "old"}},
    steps=steps("a", "b", of="LOOK", a={"inBindings": {"text": {"type": "string", "exportName": "x"}}}),
)


async def granted(rig: Rig, place: int = -1) -> Grant:
    grant = await rig.claims.claim(rig.dispatcher.tasks[place], "w1")
    assert isinstance(grant, Grant)
    return grant


async def test_a_claim_is_stored_before_it_is_granted(rig: Rig) -> None:
    execution = await rig.create(ACT)
    grant = await granted(rig)
    stored = (await rig.stored(execution)).current
    assert stored is not None
    assert stored.state is StepState.EXECUTING
    assert stored.claim is not None
    assert (stored.claim.nonce, stored.claim.instance) == (grant.nonce, "w1")
    assert (grant.time_limit_seconds, grant.safe, grant.step_type, grant.tenant) == (7, True, "ACT", "default")


async def test_a_step_that_is_safe_by_its_type_costs_no_save(rig: Rig) -> None:
    execution = await rig.create(LOOK)
    rig.notes.clear()
    grant = await granted(rig)
    assert grant.nonce is None
    assert grant.safe
    assert rig.notes == []
    assert await rig.claims.report(grant, Outcome(Result.SUCCEEDED)) is Reply.STORED
    head = await rig.stored(execution)
    assert head.current is not None
    assert head.current.step_id == "b"


async def test_a_second_copy_of_a_task_is_busy_or_stale(rig: Rig) -> None:
    await rig.create(ACT)
    first = await granted(rig)
    task = rig.dispatcher.tasks[0]
    assert await rig.claims.claim(task, "w2") is Reply.BUSY
    await rig.claims.report(first, Outcome(Result.SUCCEEDED))
    assert await rig.claims.claim(task, "w2") is Reply.STALE
    await rig.create(LOOK)
    task = rig.dispatcher.tasks[-1]
    await rig.claims.report(await granted(rig), Outcome(Result.SUCCEEDED))
    assert await rig.claims.claim(task, "w2") is Reply.STALE


async def test_a_task_of_an_execution_that_is_gone_is_stale(rig: Rig) -> None:
    execution = await rig.create(LOOK)
    await rig.store.delete(execution)
    rig.conductor.forget(execution)
    assert await rig.claims.claim(rig.dispatcher.tasks[0], "w1") is Reply.STALE


async def test_a_safe_step_that_is_held_or_not_due_is_not_begun(rig: Rig) -> None:
    execution = await rig.create(document(steps=steps("a", of="LOOK", a={"policy": {"delaySeconds": 5}})))
    task = rig.dispatcher.tasks[0]
    assert await rig.claims.claim(task, "w1") is Reply.STALE
    await rig.clock.advance(5)
    await rig.apply(execution, Pause("p", "ann", None))
    assert await rig.claims.claim(task, "w1") is Reply.STALE


async def test_what_a_safe_step_made_of_old_inputs_does_not_count(rig: Rig) -> None:
    execution = await rig.create(LOOK)
    old = await granted(rig)
    await rig.clock.advance(1)
    await rig.apply(execution, Pause("p", "ann", None))
    await rig.apply(execution, Resume("r", "ann", None))
    assert await rig.claims.report(old, Outcome(Result.SUCCEEDED)) is Reply.STALE
    assert await rig.claims.report(await granted(rig), Outcome(Result.SUCCEEDED)) is Reply.STORED


async def test_who_asks_again_after_a_fault_of_the_store_gets_its_own_claim(rig: Rig) -> None:
    await rig.create(ACT)
    task = rig.dispatcher.tasks[0]
    rig.store.doubt(stored=True)
    rig.store.fail_loads.append(StoreError("gone for a moment"))
    try:
        await rig.claims.claim(task, "w1", "mine")
    except StoreError:
        grant = await rig.claims.claim(task, "w1", "mine")
    assert isinstance(grant, Grant)
    assert grant.nonce == "mine"
    assert await rig.claims.claim(task, "w1", "another") is Reply.BUSY


async def test_a_report_is_stored_once_and_repeated_as_often_as_needed(rig: Rig) -> None:
    execution = await rig.create(ACT)
    grant = await granted(rig)
    for _ in range(3):
        assert await rig.claims.report(grant, Outcome(Result.SUCCEEDED)) is Reply.STORED
    assert (await rig.stored(execution)).version == 3


async def test_a_repeat_that_comes_long_after_is_answered_as_stored_and_leaves_no_line(rig: Rig) -> None:
    """The head remembers the last few events only; a doubled message may be older than those."""
    names = ["a", *(f"s{number}" for number in range(11))]
    execution = await rig.create(document(steps=steps(*names)))
    first = await granted(rig)
    assert await rig.claims.report(first, Outcome(Result.SUCCEEDED)) is Reply.STORED
    for _ in names[1:]:
        assert await rig.claims.report(await granted(rig), Outcome(Result.SUCCEEDED)) is Reply.STORED
    head = await rig.stored(execution)
    assert head.status is Status.COMPLETED
    assert f"report:{first.nonce}" not in head.applied, "it is not long ago"
    lines, _ = await rig.store.logs(execution)
    assert await rig.claims.report(first, Outcome(Result.SUCCEEDED)) is Reply.STORED
    assert (await rig.store.logs(execution))[0] == lines
    forged = replace(first, nonce="of nobody")
    assert await rig.claims.report(forged, Outcome(Result.SUCCEEDED)) is Reply.STALE


async def test_who_was_given_up_long_ago_is_told_that_nothing_follows(rig: Rig) -> None:
    execution = await rig.create(ACT)
    lost = await granted(rig)
    assert lost.nonce is not None
    await rig.conductor.apply(execution, Lost("lost", 0, 1, lost.nonce, "silent"))
    for _ in range(2):
        assert await rig.claims.report(await granted(rig), Outcome(Result.SUCCEEDED)) is Reply.STORED
    assert await rig.claims.report(lost, Outcome(Result.SUCCEEDED)) is Reply.STALE
    lines, _ = await rig.store.logs(execution)
    assert sum("too late" in line.message for line in lines) == 1


async def test_signs_of_life_are_stored_and_tell_what_is_still_open(rig: Rig) -> None:
    await rig.create(ACT)
    grant = await granted(rig)
    assert grant.nonce is not None
    await rig.clock.advance(20)
    assert list(await rig.claims.sign([grant.nonce, "unknown"])) == [grant.nonce]
    (claim,) = await rig.store.open_claims(2**62, rig.clock.now())
    assert claim.last_sign == rig.clock.now()
    await rig.claims.report(grant, Outcome(Result.SUCCEEDED))
    assert list(await rig.claims.sign([grant.nonce])) == []


async def test_log_lines_touch_no_version_and_are_told_after_they_are_stored(rig: Rig) -> None:
    execution = await rig.create(ACT)
    rig.claims.observe(rig.observer)
    await granted(rig)
    version = (await rig.stored(execution)).version
    line = LogEntry(rig.clock.now(), LogLevel.INFO, "hello", 0)
    await rig.claims.log(execution, [line])
    entries, _ = await rig.store.logs(execution)
    assert entries[-1] == line
    assert rig.observer.changes[-1].logs == (line,)
    assert (await rig.stored(execution)).version == version


async def test_a_confirmed_cleanup_is_stored(rig: Rig) -> None:
    execution = await rig.create(ACT)
    grant = await granted(rig)
    assert grant.nonce is not None
    await rig.apply(execution, Abort("x", "ann", None))
    assert await rig.store.cleanups(10) == [execution]
    await rig.claims.cleaned_up(execution, grant.nonce)
    assert await rig.store.cleanups(10) == []
    assert (await rig.stored(execution)).status is Status.ABORTED
