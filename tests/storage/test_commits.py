"""Risk: who follows the commits misses one, sees one that never was, or one twice; or the memory of them grows for ever."""

import asyncio
import itertools
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.errors import StoreError, VersionConflictError
from stepswitch.domain.execution import Head, LogEntry, Probe, Result, Status, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.commits import Commit, CommitRow, Outline, Position
from stepswitch.engine.ports import CommitLog
from stepswitch.engine.records import Snapshot
from stepswitch.storage.commits import PAGE, PORTION, WINDOW, SqlCommitLog
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.tables import commits as commits_table
from tests.storage.rows import count, everything, rows_of
from tests.storage.test_executions_round_trip import ANY_NUMBER_OF_TIMES
from tests.storage.values import HEADS, LOGS, NOW, SNAPSHOT, STEPS, entry, finished, head, next_of, save_of, step

NUMBERS = itertools.count()
END = 2**62
EDITED = Snapshot("snapshot-2", "default", {"name": "edited"})


@pytest.fixture
def log(database: Database) -> CommitLog:
    return SqlCommitLog(database)


async def all_rows(log: CommitLog, after: int = 0, **of: str) -> list[CommitRow]:
    """Return every row behind a place, read page by page."""
    until = (await log.newest()).place
    found: list[CommitRow] = []
    while after < until:
        page = await log.page(after, until, **of)
        assert page.is_whole
        assert after < page.reached <= until
        assert all(after < row.place <= page.reached for row in page.rows)
        found += page.rows
        after = page.reached
    return found


async def all_commits(log: CommitLog, after: int = 0, **of: str) -> list[Commit]:
    rows = await all_rows(log, after, **of)
    found = [each for start in range(0, len(rows), PAGE) for each in await log.read(rows[start : start + PAGE])]
    assert [each.place for each in found] == [row.place for row in rows]
    return found


def bare(made: StepExecution) -> StepExecution:
    probe = made.probe and replace(made.probe, inputs={}, outputs={}, claim=None)
    return replace(made, inputs={}, outputs={}, variables={}, claim=None, probe=probe)


STEP_KEPT = ("number", "step_id", "state", "start_time", "since", "attempt", "claimed_time", "end_time", "not_before", "aborted", "result")
PROBE_KEPT = ("attempt", "state", "start_time", "since", "claimed_time", "end_time", "not_before", "result", "error", "verdict")


def outlined(made: Head) -> Outline:
    kept = {each.name for each in fields(Outline)} - {"current"}
    current = made.current
    if current is not None:
        probe = current.probe and Probe(**{name: getattr(current.probe, name) for name in PROBE_KEPT})
        current = StepExecution(
            snapshot_id="", error=current.error, site=current.site, probe=probe, **{name: getattr(current, name) for name in STEP_KEPT}
        )
    return Outline(current=current, **{name: getattr(made, name) for name in kept})


# --- what is told ---


async def test_every_save_and_every_flush_is_one_commit_with_its_own_content(executions: SqlExecutionStore, log: CommitLog) -> None:
    assert await log.newest() == Position(0, 0)
    first = head(last_time=NOW + 1)
    second = next_of(first, status=Status.RUNNING, last_time=NOW + 2, current=step(2))
    third = next_of(second, status=Status.COMPLETED, last_time=NOW + 3, end_time=NOW + 3, current=step(2, state=StepState.FINISHED))
    await executions.create(save_of(first, (), (entry("made"),)), SNAPSHOT)
    await executions.save(save_of(second, finished(range(2))))
    await executions.append_logs("e1", [entry("a", 2), entry("b", 2)])
    await executions.create(save_of(head("e2"), (), (entry("other"), entry("again"))), SNAPSHOT)
    await executions.append_logs("e1", [replace(entry("c", 2), time=NOW + 9)])
    await executions.save(save_of(third, (), (entry("over"),)))
    told = await all_commits(log)
    assert [each.place for each in told] == sorted({each.place for each in told})
    assert [(each.execution_id, each.tenant, each.time) for each in told] == [
        ("e1", "default", NOW + 1), ("e1", "default", NOW + 2), ("e1", "default", NOW), ("e2", "default", NOW), ("e1", "default", NOW + 9),
        ("e1", "default", NOW + 3),
    ]  # fmt: skip
    assert [each.outline for each in told] == [outlined(first), outlined(second), None, outlined(head("e2")), None, outlined(third)]
    assert [[line.message for line in each.logs] for each in told] == [["made"], [], ["a", "b"], ["other", "again"], ["c"], ["over"]]
    assert [each.steps for each in told] == [(), finished(range(2)), (), (), (), ()]
    assert not any(each.is_gone or each.is_edited for each in told)
    assert await log.newest() == Position(told[-1].place, NOW + 3)
    assert [await log.time_at(each.place) for each in told] == [each.time for each in told]
    assert await log.time_at(told[-1].place + 1) is None


@ANY_NUMBER_OF_TIMES
@given(made=HEADS, rows=st.lists(STEPS, max_size=3), logged=st.lists(LOGS, max_size=3))
async def test_any_head_step_and_line_comes_back(
    executions: SqlExecutionStore, log: CommitLog, made: Head, rows: list[StepExecution], logged: list[LogEntry]
) -> None:
    made = replace(made, id=f"any-{next(NUMBERS)}")
    numbered = tuple(replace(each, number=number) for number, each in enumerate(rows))
    before = (await log.newest()).place
    await executions.create(save_of(made, numbered, tuple(logged)), SNAPSHOT)
    (told,) = await all_commits(log, before)
    assert repr(told.outline) == repr(outlined(made))
    assert repr(told.steps) == repr(tuple(map(bare, numbered)))
    assert told.logs == tuple(logged)


def test_an_outline_makes_a_newer_head_what_it_was() -> None:
    then = head(status=Status.PAUSED, last_time=NOW + 5, current=step(3, state=StepState.WAITING_AFTER, result=Result.FAILED))
    now = next_of(then, status=Status.COMPLETED, end_time=NOW + 9, last_time=NOW + 9, current=step(4), accepted_failures=1)
    assert outlined(then).of(now, NOW + 5) == replace(then, current=outlined(then).current)


async def test_what_was_not_stored_is_not_told(executions: SqlExecutionStore, database: Database) -> None:
    await executions.create(save_of(head()), SNAPSHOT)
    before = await everything(database)
    told = await asyncio.gather(
        executions.create(save_of(head()), SNAPSHOT),
        executions.save(save_of(head(version=7))),
        executions.create(save_of(head("unfit", retained_til=2**70)), SNAPSHOT),
        executions.append_logs("nobody", [entry()]),
        executions.delete("nobody"),
        return_exceptions=True,
    )
    assert [type(each) for each in told[:3]] == [VersionConflictError, VersionConflictError, StoreError]
    assert await everything(database) == before


async def test_the_order_is_that_of_the_commits_however_many_write_at_once(executions: SqlExecutionStore, log: CommitLog) -> None:
    """Whoever is told that his commit is stored finds it, and all that was told before, behind what he knew."""
    told: list[tuple[str, int]] = []

    async def live(name: str) -> None:
        at = head(name)
        await executions.create(save_of(at, (), (entry(name),)), SNAPSHOT)
        for _ in range(5):
            at = next_of(at)
            await executions.save(save_of(at, (), (entry(f"{name} {at.version}"),)))
            told.append((name, at.version))
            known = set(told)
            seen = [(each.execution_id, each.outline.version) for each in await all_commits(log) if each.outline is not None]
            assert known <= set(seen)

    await asyncio.gather(*(live(f"e{number}") for number in range(12)))
    commits = await all_commits(log)
    for name in {each.execution_id for each in commits}:
        own = [each for each in commits if each.execution_id == name]
        assert [each.outline.version for each in own if each.outline] == [1, 2, 3, 4, 5, 6]
        assert [line.message for each in own for line in each.logs] == [name, *(f"{name} {version}" for version in range(2, 7))]


async def test_an_edit_is_known_from_then_on(executions: SqlExecutionStore, log: CommitLog) -> None:
    first = head()
    await executions.create(save_of(first), SNAPSHOT)
    await executions.create(save_of(head("e2")), SNAPSHOT)
    await executions.save(save_of(next_of(first, snapshot_id=EDITED.id)), EDITED)
    assert {(each.execution_id, each.is_edited) for each in await all_commits(log)} == {("e1", True), ("e2", False)}


# --- removal ---


async def test_a_removal_is_told_once_and_takes_all_content_with_it(
    executions: SqlExecutionStore, log: CommitLog, database: Database
) -> None:
    first = head(last_time=NOW + 1, current=step(1, state=StepState.FINISHED))
    await executions.create(save_of(first, finished(range(1)), (entry("secret"),)), SNAPSHOT)
    await executions.append_logs("e1", [entry("more", 1)])
    await executions.save(save_of(next_of(first)))
    await executions.create(save_of(head("e2", last_time=NOW + 2)), SNAPSHOT)
    times = [await log.time_at(row.place) for row in await all_rows(log)]
    for _ in range(2):
        await executions.delete("e1")
        told = await all_commits(log)
        assert [(each.execution_id, each.outline is not None, each.logs, each.steps, each.is_gone) for each in told] == [
            *[("e1", False, (), (), False)] * 3, ("e2", True, (), (), False), ("e1", False, (), (), True),
        ]  # fmt: skip
        assert [await log.time_at(each.place) for each in told] == [*times, NOW + 2]
    assert (told[-1].creation_user, told[-1].workflow_name) == (first.creation_user, first.workflow_name)
    assert "finished" not in str(await rows_of(database, commits_table))


# --- pages ---


async def test_pages_lose_nothing_and_hold_no_more_than_they_may(executions: SqlExecutionStore, log: CommitLog) -> None:
    await executions.create(save_of(head("e1")), SNAPSHOT)
    await executions.create(save_of(head("e2", tenant="other")), SNAPSHOT)
    for number in range(PAGE + 30):
        await executions.append_logs("e1" if number % 3 else "e2", [entry(str(number))])
    rows = await all_rows(log)
    assert len(rows) == PAGE + 32
    assert len((await log.page(0, END)).rows) == PAGE
    for after in (0, 1, 2, PAGE - 1, PAGE, PAGE + 31):
        expected = [row for row in rows if row.place > rows[0].place - 1 + after]
        assert await all_rows(log, rows[0].place - 1 + after) == expected
        assert await all_rows(log, rows[0].place - 1 + after, execution_id="e1") == [row for row in expected if row.execution_id == "e1"]
        assert await all_rows(log, rows[0].place - 1 + after, tenant="other") == [row for row in expected if row.tenant == "other"]
    assert await all_rows(log, tenant="nobody") == []
    assert (await log.page(rows[-1].place, END)).rows == []
    assert (await log.page(0, rows[4].place)).rows == rows[:5]


async def test_a_page_of_few_looks_through_so_many_and_says_how_far(log: CommitLog) -> None:
    page = await log.page(10, END, tenant="default")
    assert (page.rows, page.reached) == ([], 10 + WINDOW)
    assert (await log.page(10, END)).reached == END
    assert (await log.page(10, END, execution_id="e1")).reached == END


async def test_the_size_is_that_of_the_content(executions: SqlExecutionStore, log: CommitLog) -> None:
    await executions.create(save_of(head(), finished(range(1)), (entry("x" * 10_000),)), SNAPSHOT)
    await executions.append_logs("e1", [entry("y" * 20_000)])
    first, second = await all_rows(log)
    assert 10_000 < first.size < 12_000
    assert 20_000 < second.size < 20_200


async def test_what_was_forgotten_before_it_was_read_is_left_out(executions: SqlExecutionStore, log: CommitLog) -> None:
    await executions.create(save_of(head(last_time=NOW)), SNAPSHOT)
    await executions.create(save_of(head("e2", last_time=NOW + 1)), SNAPSHOT)
    rows = await all_rows(log)
    await log.forget(NOW + 1)
    assert [each.execution_id for each in await log.read(rows)] == ["e2"]
    assert await log.read([]) == []


# --- forgetting ---


async def test_only_what_is_too_old_is_forgotten_the_oldest_first_and_never_the_last(executions: SqlExecutionStore, log: CommitLog) -> None:
    for number in range(6):
        await executions.create(save_of(head(f"e{number}", last_time=NOW + number)), SNAPSHOT)
    rows = await all_rows(log)
    assert not await log.forget(NOW)
    assert await all_rows(log) == rows
    assert not await log.forget(NOW + 3)
    page = await log.page(rows[2].place, END)
    assert (page.rows, page.is_whole) == (rows[3:], True)
    assert not (await log.page(rows[1].place, END)).is_whole
    assert [await log.time_at(row.place) for row in rows] == [None, None, None, NOW + 3, NOW + 4, NOW + 5]
    await log.forget(END)
    assert await log.newest() == Position(rows[5].place, NOW + 5)
    assert (await log.page(rows[4].place, END)).rows == rows[5:]
    await executions.append_logs("e5", [entry("later")])
    assert (await log.newest()).place > rows[5].place


async def test_a_clock_that_went_back_leaves_no_hole(executions: SqlExecutionStore, log: CommitLog) -> None:
    for number, time in enumerate((NOW, NOW + 100, NOW + 5, NOW + 200)):
        await executions.create(save_of(head(f"e{number}", last_time=time)), SNAPSHOT)
    rows = await all_rows(log)
    await log.forget(NOW + 50)
    assert [await log.time_at(row.place) for row in rows] == [None, None, None, NOW + 200]
    assert not (await log.page(rows[1].place, END)).is_whole


async def test_forgetting_goes_on_in_portions(executions: SqlExecutionStore, log: CommitLog, database: Database) -> None:
    await executions.create(save_of(head(last_time=NOW)), SNAPSHOT)
    await asyncio.gather(*(executions.append_logs("e1", [entry()]) for _ in range(PORTION + 10)))
    before = await count(database, commits_table)
    assert await log.forget(END)
    assert await count(database, commits_table) == before - PORTION
    assert not await log.forget(END)
    assert await count(database, commits_table) == 1
