"""Risk: a page leaves something out, a claim counts as silent that is not, or a deletion takes too much or too little."""

from dataclasses import replace

import pytest

from stepswitch.domain.execution import Claim, Leftover, LogEntry, Result, Status, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.records import LogOrder, LogPage, OpenClaim, Snapshot, Standing
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.logs import LOG_ROWS
from stepswitch.storage.tables import claims, executions, large_values, logs, snapshot_uses, snapshots, step_executions
from tests.storage.rows import count, rows_of
from tests.storage.values import NOW, SNAPSHOT, claimed, entry, finished, head, next_of, save_of, step

OWN_ROWS = (executions, step_executions, logs, claims, large_values, snapshot_uses)


# --- step executions ---


async def _in_chunks(store: SqlExecutionStore, *lengths: int) -> int:
    """Store one execution whose saves finished so many steps each; return how many there are."""
    before = head()
    await store.create(save_of(before), SNAPSHOT)
    first = 0
    for length in lengths:
        before = next_of(before)
        await store.save(save_of(before, finished(range(first, first + length))))
        first += length
    return first


@pytest.mark.parametrize("lengths", [(), (1,), (50,), (1, 1, 1), (3, 50, 1, 7), (50, 50, 50)], ids=str)
async def test_every_page_of_steps_is_cut_where_it_was_asked_for(executions: SqlExecutionStore, lengths: tuple[int, ...]) -> None:
    total = await _in_chunks(executions, *lengths)
    for first in range(total + 2):
        for size in (1, 2, 3, 49, 1_000):
            found = await executions.steps("e1", first, size)
            assert [each.number for each in found] == list(range(first, min(first + size, total)))


async def test_steps_of_neighbours_are_not_shown(executions: SqlExecutionStore) -> None:
    for execution_id in ("e", "e1", "e11"):
        await executions.create(save_of(head(execution_id), (step(0, step_id=execution_id),)), SNAPSHOT)
    assert [each.step_id for each in await executions.steps("e1")] == ["e1"]


async def test_steps_end_at_the_limit_of_bytes_and_one_is_always_there(executions: SqlExecutionStore) -> None:
    before = head()
    await executions.create(save_of(before), SNAPSHOT)
    written = [replace(each, outputs={"o": "x" * 10_000}) for each in finished(range(12))]
    for number in range(0, 12, 2):
        before = next_of(before)
        await executions.save(save_of(before, tuple(written[number : number + 2])))
    for limit, at_most in ((1, 2), (50_000, 6), (8_000_000, 12)):
        found: list[StepExecution] = []
        while page := await executions.steps("e1", len(found), 100, limit):
            assert len(page) <= at_most
            found += page
        assert found == written


async def test_large_values_count_for_the_limit_and_are_in_memory_once(executions: SqlExecutionStore) -> None:
    shared = "x" * 70_000
    written = tuple(
        replace(each, variables={"shared": shared}, outputs={"own": f"{each.number}" * 70_000} if each.number > 5 else {})
        for each in finished(range(10))
    )
    await executions.create(save_of(head(), written), SNAPSHOT)
    first = await executions.steps("e1", 0, 100, 300_000)
    assert len(first) == 4
    assert len({id(each.variables["shared"]) for each in first}) == 1
    assert len(await executions.steps("e1", 6, 100, 1)) == 1
    assert await executions.steps("e1") == list(written)


# --- logs ---


async def test_logs_are_read_by_step_and_apart_from_the_executions_own(executions: SqlExecutionStore) -> None:
    before = head()
    written = (entry("queued"), entry("a", 2), entry("b", 2), entry("c", 0), entry("own"), entry("d", 2))
    await executions.create(save_of(before, (), written), SNAPSHOT)
    await executions.append_logs("e1", [entry("late", 0)])
    standing = await executions.standing("e1")
    assert standing is not None
    await executions.append_logs("e1", [entry("later", 0), entry("own, later")])
    assert [each.message for each in (await executions.logs("e1"))[0]] == [
        *(each.message for each in written), "late", "later", "own, later",
    ]  # fmt: skip
    for limit in (1, 8_000_000):
        own, of_steps = [
            [each.message for each in await _pages_of(executions, LogPage(order, until=standing.log_end, limit_bytes=limit))]
            for order in (LogOrder.OWN, LogOrder.STEPS)
        ]
        assert own == ["queued", "own"]
        assert of_steps == ["c", "late", "a", "b", "d"]


async def test_an_execution_stands_as_it_was_stored_with_the_snapshots_of_its_steps(executions: SqlExecutionStore) -> None:
    assert await executions.standing("e1") is None
    before = head(values={"v": "x" * 70_000})
    await executions.create(save_of(before), SNAPSHOT)
    assert await executions.standing("e1") == Standing(before, frozenset({SNAPSHOT.id}), 0)
    edited = Snapshot("edited", "default", {})
    after = next_of(before, snapshot_id=edited.id)
    await executions.save(save_of(after, (), (entry(),)), edited)
    assert await executions.standing("e1") == Standing(after, frozenset({SNAPSHOT.id, edited.id}), 1)


async def _pages_of(store: SqlExecutionStore, page: LogPage) -> list[LogEntry]:
    found: list[LogEntry] = []
    following: LogPage | None = page
    while following is not None:
        entries, following = await store.logs("e1", following)
        found += entries
    return found


async def _all_logs(store: SqlExecutionStore, limit_bytes: int) -> list[list[LogEntry]]:
    pages: list[list[LogEntry]] = []
    following: LogPage | None = LogPage(limit_bytes=limit_bytes)
    while following is not None:
        page, following = await store.logs("e1", following)
        pages.append(list(page))
    return pages


async def test_log_pages_end_at_the_limit_and_lose_nothing(executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head()), SNAPSHOT)
    written = [entry(f"{number} {'x' * 1_000}") for number in range(40)]
    for start in range(0, 40, 4):
        await executions.append_logs("e1", written[start : start + 4])
    for limit in (1, 5_000, 12_000, 8_000_000):
        pages = await _all_logs(executions, limit)
        assert [each for page in pages for each in page] == written
        assert max(map(len, pages)) <= max(4, limit // 1_000 + 4)
    assert len(await _all_logs(executions, 1)) == 11


async def test_log_pages_end_after_so_many_rows(executions: SqlExecutionStore) -> None:
    await executions.create(save_of(head()), SNAPSHOT)
    for number in range(LOG_ROWS + 1):
        await executions.append_logs("e1", [entry(str(number))])
    assert [len(page) for page in await _all_logs(executions, 8_000_000)] == [LOG_ROWS, 1]


async def test_log_lines_keep_the_order_of_their_commits(executions: SqlExecutionStore) -> None:
    before = head()
    await executions.create(save_of(before, (), (entry("created"),)), SNAPSHOT)
    await executions.append_logs("e1", [entry("a", 0), replace(entry("b", 0), time=0)])
    await executions.save(save_of(next_of(before), (), (entry("saved"),)))
    await executions.append_logs("e1", [entry("c")])
    assert [each.message for each in (await executions.logs("e1"))[0]] == ["created", "a", "b", "saved", "c"]


async def test_log_lines_never_touch_the_version(executions: SqlExecutionStore) -> None:
    before = head()
    await executions.create(save_of(before), SNAPSHOT)
    await executions.append_logs("e1", [entry()])
    await executions.save(save_of(next_of(before)))
    assert await executions.load("e1") == next_of(before)


async def test_log_lines_that_may_be_there_already_are_added_only_where_they_are_not(executions: SqlExecutionStore) -> None:
    for name in ("e1", "e2"):
        await executions.create(save_of(head(name)), SNAPSHOT)
    lines = [replace(entry("a", 0), line=0), replace(entry("a", 0), line=1)]
    await executions.append_logs("e1", lines[:1])
    for name, chunk in (("e1", lines[:1]), ("e1", lines[1:]), ("e1", lines[1:]), ("e2", lines[:1])):
        await executions.append_logs(name, chunk, again=True)
    assert (await executions.logs("e1"))[0] == lines
    assert (await executions.logs("e2"))[0] == lines[:1]
    await executions.append_logs("gone", lines, again=True)
    assert (await executions.logs("gone"))[0] == []


async def test_nothing_is_logged_for_an_execution_that_is_gone(executions: SqlExecutionStore, database: Database) -> None:
    await executions.append_logs("e1", [entry()])
    assert await count(database, logs) == 0


async def test_the_end_of_a_log_moves_with_every_row_of_its_own_and_with_no_other(executions: SqlExecutionStore) -> None:
    before = head()
    assert await executions.log_end("e1") == 0
    await executions.create(save_of(before), SNAPSHOT)
    assert await executions.log_end("e1") == 0
    await executions.append_logs("e1", [entry("a", 0)])
    ends = [await executions.log_end("e1")]
    await executions.save(save_of(next_of(before), (), (entry("b"),)))
    ends.append(await executions.log_end("e1"))
    await executions.append_logs("e1", [entry("c")])
    ends.append(await executions.log_end("e1"))
    await executions.create(save_of(head("e2"), (), (entry(),)), SNAPSHOT)
    assert sorted(set(ends)) == ends
    assert await executions.log_end("e1") == ends[-1]
    await executions.delete("e1")
    assert await executions.log_end("e1") == 0


async def test_no_lines_are_no_row(executions: SqlExecutionStore, database: Database) -> None:
    await executions.create(save_of(head()), SNAPSHOT)
    await executions.append_logs("e1", [])
    assert await count(database, logs) == 0


# --- what has to go on ---


async def test_only_what_has_ended_expires_and_the_oldest_first(executions: SqlExecutionStore) -> None:
    for name, end, til in (("late", NOW, NOW + 5), ("running", None, 1), ("second", NOW, 20), ("first", NOW, 10), ("now", NOW, NOW)):
        await executions.create(save_of(head(name, end_time=end, retained_til=til)), SNAPSHOT)
    assert await executions.expired(NOW, 10) == ["first", "second", "now"]
    assert await executions.expired(NOW, 2) == ["first", "second"]
    assert await executions.expired(9, 10) == []


async def test_a_cleanup_is_listed_until_it_is_confirmed(executions: SqlExecutionStore) -> None:
    before = head(current=step(7, state=StepState.FINISHED), left_behind=(Leftover(6, "n", "here"),), status=Status.ABORTED)
    await executions.create(save_of(before), SNAPSHOT)
    await executions.create(save_of(head("other")), SNAPSHOT)
    assert await executions.cleanups(10) == ["e1"]
    assert await executions.cleanups(0) == []
    await executions.save(save_of(next_of(before, left_behind=())))
    assert await executions.cleanups(10) == []


# --- claims ---


async def _with_claim(
    store: SqlExecutionStore, execution_id: str, nonce: str, deadline: int = NOW + 60_000, instance: str = "here"
) -> None:
    await store.create(save_of(head(execution_id, current=claimed(nonce, instance, deadline))), SNAPSHOT)


async def test_a_claim_is_silent_or_over_by_its_own_times(executions: SqlExecutionStore) -> None:
    await _with_claim(executions, "e1", "n1")
    await _with_claim(executions, "e2", "n2", deadline=NOW + 10)
    assert await executions.open_claims(NOW, NOW) == []
    assert [claim.nonce for claim in await executions.open_claims(NOW, NOW + 10)] == ["n2"]
    assert sorted(claim.nonce for claim in await executions.open_claims(NOW + 1, NOW)) == ["n1", "n2"]
    assert (await executions.open_claims(NOW, NOW + 10))[0] == OpenClaim("e2", 0, 1, "n2", "here", NOW, NOW + 10)


async def test_a_sign_of_life_counts_for_the_claims_that_are_open(executions: SqlExecutionStore) -> None:
    await _with_claim(executions, "e1", "n1")
    await _with_claim(executions, "e2", "n2")
    assert await executions.sign(["n2", "never", "n1", "n2"], NOW + 500) == ["n2", "n1", "n2"]
    assert await executions.sign([], NOW) == []
    assert {claim.last_sign for claim in await executions.open_claims(NOW + 501, NOW)} == {NOW + 500}


async def test_a_save_beside_a_running_step_does_not_take_its_signs_back(executions: SqlExecutionStore) -> None:
    before = head(current=claimed())
    await executions.create(save_of(before), SNAPSHOT)
    await executions.sign(["nonce-1"], NOW + 50_000)
    await executions.save(save_of(next_of(before, pause_requested=True)))
    (claim,) = await executions.open_claims(NOW + 60_000, NOW)
    assert claim.last_sign == NOW + 50_000


async def test_the_claim_ends_with_its_step(executions: SqlExecutionStore) -> None:
    before = head(current=claimed())
    await executions.create(save_of(before), SNAPSHOT)
    behind = replace(claimed(), state=StepState.FINISHED, result=Result.SUCCEEDED)
    await executions.save(save_of(next_of(before, current=step(1)), (behind,)))
    assert await executions.sign(["nonce-1"], NOW) == []
    assert await executions.open_claims(2**62, 2**62) == []


async def test_an_aborted_step_keeps_its_word_and_loses_its_claim(executions: SqlExecutionStore) -> None:
    before = head(current=claimed())
    await executions.create(save_of(before), SNAPSHOT)
    await executions.save(save_of(next_of(before, current=replace(claimed(), state=StepState.FINISHED))))
    assert await executions.sign(["nonce-1"], NOW) == []


async def test_a_new_claim_takes_the_place_of_the_one_before(executions: SqlExecutionStore) -> None:
    before = head(current=claimed("old"))
    await executions.create(save_of(before), SNAPSHOT)
    lost = replace(claimed("old"), state=StepState.RETRY)
    current = replace(step(1, state=StepState.EXECUTING, attempt=2), claimed_time=NOW + 1, claim=Claim("new", "here", NOW + 9))
    await executions.save(save_of(next_of(before, current=current), (lost,)))
    assert await executions.sign(["old", "new"], NOW) == ["new"]


async def test_claims_of_other_instances_are_told_apart(executions: SqlExecutionStore) -> None:
    await _with_claim(executions, "e1", "n1", instance="before the crash")
    await _with_claim(executions, "e2", "n2", instance="now")
    assert [claim.execution_id for claim in await executions.foreign_claims("now")] == ["e1"]


# --- deletion, snapshots ---


async def test_deletion_removes_every_row_of_one_execution_and_none_of_another(executions: SqlExecutionStore, database: Database) -> None:
    for execution_id in ("e1", "e2"):
        before = head(execution_id, current=claimed(f"nonce of {execution_id}"), values={"v": "x" * 100_000})
        await executions.create(save_of(before, finished(range(3)), (entry(),)), SNAPSHOT)
        edited = next_of(before, snapshot_id=f"edit of {execution_id}")
        await executions.save(save_of(edited), Snapshot(edited.snapshot_id, "default", {}))
    await executions.delete("e1")
    await executions.delete("e1")
    assert [await count(database, table, "e1") for table in OWN_ROWS] == [0] * len(OWN_ROWS)
    assert [await count(database, table, "e2") for table in OWN_ROWS] == [1] * len(OWN_ROWS)
    assert await executions.load("e1") is None


async def _snapshot_ids(database: Database) -> set[str]:
    return {row[0] for row in await rows_of(database, snapshots)}


async def test_a_snapshot_goes_with_the_last_execution_that_has_it(executions: SqlExecutionStore, database: Database) -> None:
    for execution_id in ("e1", "e2"):
        await executions.create(save_of(head(execution_id)), SNAPSHOT)
    await executions.delete("e1")
    assert await _snapshot_ids(database) == {SNAPSHOT.id}
    await executions.delete("e2")
    assert await _snapshot_ids(database) == set()


async def test_an_edited_execution_keeps_the_snapshots_of_its_earlier_steps(executions: SqlExecutionStore, database: Database) -> None:
    edited = head()
    await executions.create(save_of(edited), SNAPSHOT)
    await executions.create(save_of(head("e2")), SNAPSHOT)
    for name in ("edit 1", "edit 2"):
        edited = next_of(edited, snapshot_id=name)
        await executions.save(save_of(edited), Snapshot(name, "default", {"name": name}))
    await executions.delete("e2")
    assert await _snapshot_ids(database) == {SNAPSHOT.id, "edit 1", "edit 2"}
    await executions.delete("e1")
    assert await _snapshot_ids(database) == set()


async def test_a_snapshot_that_an_edit_refers_to_outlives_the_execution_it_came_from(
    executions: SqlExecutionStore, database: Database
) -> None:
    first = head()
    await executions.create(save_of(first), SNAPSHOT)
    await executions.save(save_of(next_of(first, snapshot_id="shared")), Snapshot("shared", "default", {}))
    await executions.create(save_of(head("e2", snapshot_id="shared")), Snapshot("shared", "default", {}))
    await executions.delete("e1")
    assert await _snapshot_ids(database) == {"shared"}
