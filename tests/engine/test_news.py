"""What followers are told is masked by all that the commit itself knew, whatever is at hand of the execution."""

from typing import Any

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Change, Pause, Reported, SetValues
from stepswitch.domain.execution import LogEntry, LogLevel, Outcome, Result, StepError, StepExecution
from stepswitch.engine.commits import Commit
from stepswitch.engine.news import Happened, Newsroom, Removed, Standing
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import Snapshots, compile_snapshot
from stepswitch.engine.views import Views
from stepswitch.secrets.masking import Masking
from stepswitch.storage.commits import SqlCommitLog
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.rig import Rig

HELD: dict[str, Any] = {"debug_step_ids": ("a",)}
PASSWORDS = document(variables={"pw": {"type": "password"}}, steps=steps("a"))


def newsroom(rig: Rig) -> Newsroom:
    snapshots = Snapshots(rig.store)
    views = Views(
        store=rig.store,
        queue=rig.queue,
        snapshots=snapshots,
        conductor=rig.conductor,
        dispatcher=rig.dispatcher,
        secrets=Masking(),
    )
    return Newsroom(store=rig.store, snapshots=snapshots, conductor=rig.conductor, views=views, secrets=Masking())


async def commits(rig: Rig) -> list[Commit]:
    log = SqlCommitLog(rig.database)
    return list(await log.read((await log.page(0, 2**62)).rows))


def lines(happened: Happened | None) -> list[str]:
    assert happened is not None
    return [news.message for news in happened.news if isinstance(news, LogEntry)]


async def test_a_head_that_is_older_than_the_commit_is_not_gone_by(rig: Rig) -> None:
    execution = await rig.create(PASSWORDS)
    room = newsroom(rig)
    room.note(Committed(execution, await rig.stored(execution)))
    elsewhere = rig.another()  # so that the conductor here knows nothing of it either
    await elsewhere.apply(execution, Pause("p", "ann", None))
    reason = "because planted-secret is right"
    await elsewhere.apply(execution, SetValues("s", "ann", None, reason, values={"pw": "planted-secret"}))
    known = await rig.conductor.head(execution)
    assert known is not None
    assert known.version == 1
    changed = (await commits(rig))[-1]
    assert lines(await room.happened(changed, 1)) == ["value pw changed from none to ******** by ann: because ******** is right"]


async def test_an_error_is_masked_by_what_is_known_to_be_secret_now(rig: Rig) -> None:
    execution = await rig.create(PASSWORDS, pause_at_failure=True)
    await rig.claim(execution)
    failure = Outcome(Result.FAILED, error=StepError(ErrorCode.NON_ZERO_EXIT, "no such user planted-secret"))
    await rig.apply(execution, Reported("r", 0, 1, f"{execution}.0", failure))
    await rig.apply(execution, SetValues("s", "ann", None, values={"pw": "planted-secret"}))
    room = newsroom(rig)
    told = [await room.happened(each, 1) for each in await commits(rig)]
    assert "planted-secret" not in str([news for each in told if each for news in each.news if not isinstance(news, Standing)])
    errors = [news.error.message for each in told if each for news in each.news if isinstance(news, StepExecution) and news.error]
    assert set(errors) == {"no such user ********"}


async def test_a_secret_that_was_edited_away_stays_one(rig: Rig) -> None:
    left = {"inBindings": {"left": {"type": "password", "defaultValue": "planted-secret"}}}
    execution = await rig.create(document(steps=steps("a", "b", b=left)), pause_at_failure=True)
    await rig.claim(execution)
    await rig.report(execution, result=Result.FAILED)
    before = await rig.stored(execution)
    edited = compile_snapshot("default", document(steps=steps("a", "b")))
    rig.conductor.snapshots.keep(edited)
    change = Change(
        "c", "ann", None, workflow=edited.workflow, snapshot_id=edited.snapshot.id, base_snapshot_id=before.snapshot_id,
    )  # fmt: skip
    await rig.apply(execution, change)
    await rig.store.append_logs(execution, [LogEntry(1, LogLevel.INFO, "it is planted-secret", 0)])
    assert lines(await newsroom(rig).happened((await commits(rig))[-1], 1)) == ["it is ********"]


async def test_an_older_commit_is_told_as_it_was_and_not_as_it_is(rig: Rig) -> None:
    execution = await rig.create(document(steps=steps("a")), **HELD)
    await rig.apply(execution, SetValues("s", "ann", None, values={}))
    room = newsroom(rig)
    (created, *_) = await commits(rig)
    happened = await room.happened(created, 7)
    assert happened is not None
    standing = happened.news[0]
    assert isinstance(standing, Standing)
    assert [each.kind for each in standing.waiting_for] == ["person"]
    assert (happened.has_ended, happened.size) == (False, 7)


async def test_of_what_was_removed_since_nothing_is_told_but_that(rig: Rig) -> None:
    execution = await rig.create(document(steps=steps("a")))
    created = await commits(rig)
    await rig.store.delete(execution)
    rig.conductor.forget(execution)
    room = newsroom(rig)
    assert [await room.happened(each, 1) for each in created] == [None]
    emptied, removed = await commits(rig)
    assert await room.happened(emptied, 1) is None
    happened = await room.happened(removed, 1)
    assert happened is not None
    assert (happened.news, happened.has_ended) == ((Removed(),), True)


async def test_what_is_kept_goes_when_nobody_follows(rig: Rig) -> None:
    execution = await rig.create(PASSWORDS)
    room = newsroom(rig)
    for each in await commits(rig):
        await room.happened(each, 1)
    assert execution in room._heads
    assert execution in room._known
    room.clear()
    assert (len(room._heads), len(room._known)) == (0, 0)
