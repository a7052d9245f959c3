"""Risk: a record of the audit trail is changed, removed, moved or doubled and nobody sees it; or there is a change without its record."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.errors import CallerError, StoreError, VersionConflictError
from stepswitch.engine.audit import LARGEST_CHANGE_BYTES, LONGEST_TEXT, MOST_ITEMS, Actor, Entry, Judgement, Thing, written_time
from stepswitch.engine.audit_chain import BEGINNING, Break, ChainCheck, chained
from stepswitch.engine.audit_ports import PRUNE, Wanted
from stepswitch.engine.audit_pruning import Pruning, checked, declare, finish, to_prune
from stepswitch.engine.audit_trail import check_chain
from stepswitch.engine.records import Account, TrustedKey
from stepswitch.storage import audit as audit_module
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.audit import SqlAuditStore
from stepswitch.storage.audit_rows import written
from stepswitch.storage.database import Database
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.storage.values import NOW, STRANGE_TEXTS

PAGE: Final = Path(__file__).parents[2] / "docs" / "how-to" / "audit.md"
VERIFIER: Final = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
"""What the page shows to whoever wants to check an export without this service."""


def entry(number: int = 0, **fields: Any) -> Entry:
    return replace(Entry("createUser", NOW + number, "default", "ann", Actor.SESSION, thing=Thing("user", f"u{number}", "n")), **fields)


@pytest.fixture
def trail(database: Database) -> SqlAuditStore:
    return SqlAuditStore(database)


async def ten(trail: SqlAuditStore) -> str:
    """Record ten acts and return the hash of the last record."""
    for number in range(10):
        await trail.append(entry(number))
    check = await check_chain(trail)
    assert (check.finding, check.count) == (None, 10)
    return check.head


# --- the chain ---


async def test_records_are_numbered_without_gaps_and_bound_to_the_one_before(trail: SqlAuditStore) -> None:
    head = await ten(trail)
    records = [each.record for each in await trail.behind(0, 100)]
    assert [record.number for record in records] == list(range(1, 11))
    assert [record.previous for record in records] == [BEGINNING, *(record.hash for record in records[:-1])]
    assert records[-1].hash == head
    assert await trail.newest() == 10


async def test_many_writers_in_two_processes_make_one_chain(path: Path) -> None:
    databases = [SqliteDatabase(path) for _ in range(2)]
    try:
        trails = [SqlAuditStore(database) for database in databases]
        await asyncio.gather(*(trails[number % 2].append(entry(number)) for number in range(400)))
        check = await check_chain(trails[0])
    finally:
        for database in databases:
            await database.close()
    assert (check.finding, check.count) == (None, 400)


@pytest.mark.parametrize("text", [*STRANGE_TEXTS, "line\nfeed\r\x1b[31m\x7f\x85\u2028", "\ud800", "\0"], ids=ascii)
async def test_an_export_is_checked_without_this_service_whatever_stands_in_it(trail: SqlAuditStore, text: str) -> None:
    strange = {"user": text, "address": text, "tenant": text, "thing": Thing("user", text, text), "after": {"name": [text]}}
    await trail.append(entry(1, **strange))
    await trail.append(entry(2))
    records, _ = await trail.page(Wanted(), 0, 10, 10)
    lines = [record.line for record in records]
    assert all(line.isascii() and line.isprintable() for line in lines)
    checked = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", VERIFIER], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=30
    )
    assert checked.stdout.split() == ["2", records[-1].hash]
    assert (await check_chain(trail)).finding is None


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers(-(2**63), 2**63) | some.text(),
        lambda each: some.lists(each, max_size=3) | some.dictionaries(some.text(), each, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_written_fast_is_what_is_written_by_the_book(value: Any) -> None:
    record = entry(after={"value": value}).record()
    kept, text = written(record)
    assert text.encode() == canonical_json(kept)


async def test_a_record_takes_no_more_room_than_one_may(trail: SqlAuditStore) -> None:
    huge = {"roles": ["r" * 10_000] * 1_000, "deep": {str(number): "x" * 1_000 for number in range(1_000)}}
    await trail.append(entry(user="u" * 100_000, after=huge, before={"roles": ["r" * 100] * 60}))
    (stored,) = await trail.behind(0, 10)
    record = json.loads(stored.record.text)
    assert len(record["actor"]["user"]) == LONGEST_TEXT + 1
    assert record["after"]["tooLarge"] > LARGEST_CHANGE_BYTES
    assert record["before"]["roles"][MOST_ITEMS:] == ["and 10 more"]
    assert len(stored.record.text) < 2 * LARGEST_CHANGE_BYTES


# --- with its change, or not at all ---


async def test_a_change_that_is_refused_leaves_no_record(database: Database, trail: SqlAuditStore) -> None:
    accounts = SqlAccountStore(database)
    ann = Account("ann", "default", "hash", ())
    outcomes = await asyncio.gather(*(accounts.add_account(ann, entry(number)) for number in range(5)), return_exceptions=True)
    assert sum(isinstance(each, VersionConflictError) for each in outcomes) == 4
    assert await trail.newest() == 1
    for refused in (accounts.remove_role("default", "none", entry()), accounts.end_session("none", entry())):
        with pytest.raises(VersionConflictError):
            await refused
    assert await SqlHostKeyStore(database).forget("192.0.2.1", 22, entry()) == 0
    assert await trail.newest() == 1


async def test_a_change_whose_record_cannot_be_written_is_not_made(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more'); END")
    connection.commit()
    database = SqliteDatabase(path)
    try:
        keys = SqlHostKeyStore(database)
        with pytest.raises(StoreError):
            await keys.trust(TrustedKey("192.0.2.1", 22, "ssh-ed25519 AAAA", "ann", NOW), entry())
        assert await keys.all() == []
        await keys.trust(TrustedKey("192.0.2.1", 22, "ssh-ed25519 AAAA", "ann", NOW))
    finally:
        await database.close()
    connection.close()


# --- tampering ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET record = '{}' WHERE number = 1",
        "UPDATE audit SET user = 'eve'",
        "DELETE FROM audit WHERE number = 10",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 12, previous, hash, tenant, time, user, operation, object, outcome, record FROM audit WHERE number = 1",
        "INSERT OR REPLACE INTO audit SELECT 1, previous, hash, tenant, time, user, operation, object, outcome, record FROM audit WHERE number = 2",
    ],
)
async def test_the_database_itself_refuses_to_change_the_past(trail: SqlAuditStore, path: Path, statement: str) -> None:
    head = await ten(trail)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="audit trail"):
        connection.execute(statement)
    connection.close()
    assert (await check_chain(trail, head)).finding is None


def _rewritten(path: Path, *statements: str) -> None:
    """Do what somebody does who owns the file: take the triggers away first."""
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


_SWAP: Final = (
    "UPDATE audit SET number = 100 WHERE number = {0}",
    "UPDATE audit SET number = {0} WHERE number = {1}",
    "UPDATE audit SET number = {1} WHERE number = 100",
)


@pytest.mark.parametrize(
    ("statements", "number", "kind"),
    [
        (["UPDATE audit SET record = replace(record, 'allowed', 'refused') WHERE number = 4"], 4, Break.CHANGED),
        (["UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE number = 4"], 4, Break.CHANGED),
        (["UPDATE audit SET user = 'eve' WHERE number = 7"], 7, Break.CHANGED),
        (["UPDATE audit SET time = '2020-01-01T00:00:00.000Z' WHERE number = 7"], 7, Break.CHANGED),
        (["UPDATE audit SET record = 'no JSON' WHERE number = 10"], 10, Break.CHANGED),
        (["DELETE FROM audit WHERE number = 5"], 5, Break.MISSING),
        (["DELETE FROM audit WHERE number <= 3"], 1, Break.MISSING),
        (["DELETE FROM audit WHERE number = 5", "UPDATE audit SET number = number - 1 WHERE number > 5"], 5, Break.OUT_OF_ORDER),
        ([each.format(3, 4) for each in _SWAP], 3, Break.OUT_OF_ORDER),
        ([each.format(2, 9) for each in _SWAP], 2, Break.OUT_OF_ORDER),
    ],
)
async def test_whatever_is_touched_is_found_where_it_is(
    trail: SqlAuditStore, path: Path, statements: list[str], number: int, kind: Break
) -> None:
    await ten(trail)
    _rewritten(path, *statements)
    finding = (await check_chain(trail)).finding
    assert finding is not None
    assert (finding.number, finding.kind) == (number, kind)


async def test_a_record_that_was_written_anew_breaks_the_one_that_follows(trail: SqlAuditStore, path: Path) -> None:
    """Whoever knows how hashes are made can make the one of a record fit, and then the next record's does not follow it."""
    await ten(trail)
    (stored,) = await trail.behind(3, 1)
    text = stored.record.text.replace('"ann"', '"eve"')
    forged = chained(4, stored.record.previous, text)
    _rewritten(path, f"UPDATE audit SET record = '{text}', user = 'eve', hash = '{forged}' WHERE number = 4")
    finding = (await check_chain(trail)).finding
    assert finding is not None
    assert (finding.number, finding.kind) == (5, Break.OUT_OF_ORDER)


async def test_a_truncated_end_is_found_by_a_hash_that_was_noted_and_by_nothing_else(trail: SqlAuditStore, path: Path) -> None:
    head = await ten(trail)
    assert (await check_chain(trail, head)).finding is None
    _rewritten(path, "DELETE FROM audit WHERE number > 8")
    assert (await check_chain(trail)).finding is None
    finding = (await check_chain(trail, head)).finding
    assert finding is not None
    assert (finding.number, finding.kind) == (8, Break.HEAD_UNKNOWN)


async def test_a_check_that_begins_later_takes_what_is_before_on_trust(trail: SqlAuditStore, path: Path) -> None:
    head = await ten(trail)
    _rewritten(path, "UPDATE audit SET record = '{}' WHERE number = 2")
    check = await check_chain(trail, head, since=4)
    assert (check.finding, check.count, check.number) == (None, 7, 10)
    assert (await check_chain(trail, since=2)).finding is not None


async def test_a_check_goes_page_by_page(trail: SqlAuditStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.engine.audit_trail.PAGE", 3)
    await ten(trail)


# --- searching ---


def _all(number: int) -> bool:
    return number >= 0


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), _all),
        (Wanted(user="ben"), lambda number: number % 3 == 0),
        (Wanted(thing="u4"), lambda number: number == 4),
        (Wanted(operation="login", outcome="refused"), lambda number: number % 4 == 0),
        (Wanted(tenant="other"), lambda number: number % 5 == 0),
        (Wanted(tenant="other", user="ben"), lambda number: number % 15 == 0),
        (Wanted(user="nobody"), lambda _: False),
    ],
)
@pytest.mark.parametrize("window", [3, 5_000])
async def test_pages_show_all_that_is_wanted_once_and_in_order(
    trail: SqlAuditStore, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, fits: Callable[[int], bool], window: int
) -> None:
    monkeypatch.setattr(audit_module, "WINDOW", window)
    for number in range(20):
        fields: dict[str, Any] = {"user": "ben"} if number % 3 == 0 else {}
        fields |= {"operation": "login", "judgement": Judgement.REFUSED} if number % 4 == 0 else {}
        fields |= {"tenant": "other"} if number % 5 == 0 else {}
        await trail.append(entry(number, **fields))
    expected = [number + 1 for number in range(20) if fits(number)]
    found: list[int] = []
    after = 0
    while after < 20:
        records, after = await trail.page(wanted, after, 20, 2)
        found += [record.number for record in records]
    assert found == expected
    found, before = [], 21
    while before:
        records, before = await trail.backwards(wanted, before, 2)
        found += [record.number for record in records]
    assert found == expected[::-1]


async def test_times_cut_the_trail_where_they_say(trail: SqlAuditStore) -> None:
    await ten(trail)
    stored = await trail.behind(0, 10)
    times = [str(each.searched[1]) for each in stored]
    records, _ = await trail.page(Wanted(since=times[3], until=times[6]), 0, 10, 100)
    assert [record.number for record in records] == [4, 5, 6]
    records, _ = await trail.backwards(Wanted(since=times[3], until=times[6]), 11, 100)
    assert [record.number for record in records] == [6, 5, 4]
    assert (await trail.page(Wanted(since="2999"), 0, 10, 100))[0] == []
    assert (await trail.backwards(Wanted(until="1999"), 11, 100))[0] == []


async def test_where_the_trail_was_sent_to_is_remembered(trail: SqlAuditStore) -> None:
    assert await trail.sent("udp://loghost:514") is None
    for number in (3, 7):
        await trail.note_sent("udp://loghost:514", number)
        assert await trail.sent("udp://loghost:514") == number


def test_nothing_is_a_whole_chain() -> None:
    check = ChainCheck()
    assert check.end() is None
    assert (check.count, check.head) == (0, BEGINNING)
    assert ChainCheck("f" * 64).end() is not None


# --- pruning ---


async def pruned_to(trail: SqlAuditStore, last: int) -> None:
    """Declare that the records up to one are to go, as the command does."""
    pruning = Pruning(await trail.oldest(), last)
    await declare(trail, pruning, await checked(trail, pruning), entry(99, operation=PRUNE))


async def test_what_is_left_after_a_pruning_is_proven_by_its_record(trail: SqlAuditStore) -> None:
    head = await ten(trail)
    noted = (await trail.behind(6, 1))[0].record.hash
    await pruned_to(trail, 7)
    assert await finish(trail) == 7
    check = await check_chain(trail, head)
    assert (check.finding, check.missing, check.count, check.number) == (None, 7, 4, 11)
    assert (await check_chain(trail, noted)).finding is None, "it is the hash that the record says"
    said = json.loads((await trail.behind(10, 1))[0].record.text)
    assert said["object"] == {"id": "records up to 7", "kind": "audit trail", "name": ""}
    assert (said["after"]["first"], said["after"]["number"], said["after"]["hash"]) == (1, 7, noted)


async def test_a_pruning_that_is_interrupted_anywhere_leaves_what_is_whole_and_goes_on(trail: SqlAuditStore) -> None:
    await ten(trail)
    await pruned_to(trail, 7)
    for gone in range(8):
        check = await check_chain(trail)
        assert (check.finding, check.missing, check.count) == (None, gone, 11 - gone)
        assert await trail.remove(1) == (gone < 7)
    await pruned_to(trail, 9)
    assert await finish(trail) == 2
    check = await check_chain(trail)
    assert (check.finding, check.missing, check.count) == (None, 9, 3)


async def test_a_smaller_pruning_beside_a_larger_one_takes_nothing_back(trail: SqlAuditStore) -> None:
    await ten(trail)
    first, second = Pruning(1, 7), Pruning(1, 3)
    heads = [await checked(trail, each) for each in (first, second)]
    for each, head in zip((first, second), heads, strict=True):
        await declare(trail, each, head, entry(99, operation=PRUNE))
    assert await finish(trail) == 7
    assert (await check_chain(trail)).finding is None


@pytest.mark.parametrize("number", [8, 10, 11])
async def test_nothing_that_was_not_pruned_can_be_removed(trail: SqlAuditStore, path: Path, number: int) -> None:
    await ten(trail)
    await pruned_to(trail, 7)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="audit trail"):
        connection.execute(f"DELETE FROM audit WHERE number = {number}")
    connection.close()


@pytest.mark.parametrize(
    ("statements", "number", "kind"),
    [
        (["DELETE FROM audit WHERE number <= 8"], 1, Break.MISSING),
        (["UPDATE audit_start SET number = 8", "DELETE FROM audit WHERE number <= 8"], 1, Break.MISSING),
        (["DELETE FROM audit_start"], 1, Break.MISSING),
        (["DELETE FROM audit WHERE number = 11"], 1, Break.MISSING),
        (["UPDATE audit SET record = replace(record, '\"number\":7', '\"number\":6') WHERE number = 11"], 1, Break.MISSING),
        (["UPDATE audit SET user = 'eve' WHERE number = 9"], 9, Break.CHANGED),
        (["UPDATE audit SET previous = hash WHERE number = 8"], 8, Break.CHANGED),
        (["UPDATE audit SET record = replace(record, 'before', 'behind') WHERE number = 11"], 11, Break.CHANGED),
    ],
)
async def test_whatever_is_touched_after_a_pruning_is_found(
    trail: SqlAuditStore, path: Path, statements: list[str], number: int, kind: Break
) -> None:
    await ten(trail)
    await pruned_to(trail, 7)
    await finish(trail)
    _rewritten(path, *statements)
    finding = (await check_chain(trail)).finding
    assert finding is not None
    assert (finding.number, finding.kind) == (number, kind)


async def test_a_trail_that_is_broken_is_not_pruned(trail: SqlAuditStore, path: Path) -> None:
    await ten(trail)
    _rewritten(path, "UPDATE audit SET user = 'eve' WHERE number = 4")
    with pytest.raises(CallerError, match="broken, and nothing was removed: record 4 was changed"):
        await pruned_to(trail, 7)
    assert (await trail.oldest(), await trail.newest()) == (1, 10)


async def test_lists_begin_where_the_trail_does(trail: SqlAuditStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "WINDOW", 2)
    await ten(trail)
    await pruned_to(trail, 7)
    await finish(trail)
    found, on = await trail.page(Wanted(outcome="allowed"), 0, 11, 10)
    assert ([record.number for record in found], on) == ([8, 9], 9)
    found, before = await trail.backwards(Wanted(outcome="allowed"), 10, 10)
    assert ([record.number for record in found], before) == ([9, 8], 0)


async def test_only_what_is_older_goes_and_what_is_still_to_be_sent_stays(trail: SqlAuditStore) -> None:
    assert (await to_prune(trail, written_time(NOW), None)).count == 0, "there is no record yet"
    await ten(trail)
    cut = written_time(NOW + 5)
    assert await to_prune(trail, cut, None) == Pruning(1, 5)
    assert await to_prune(trail, cut, "syslog") == Pruning(1, 0, 5)
    await trail.note_sent("syslog", 3)
    assert await to_prune(trail, cut, "syslog") == Pruning(1, 3, 2)
    assert (await to_prune(trail, written_time(NOW - 5), None)).count == 0
    assert await to_prune(trail, written_time(NOW + 500), None) == Pruning(1, 10)
