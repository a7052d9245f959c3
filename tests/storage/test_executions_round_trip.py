"""Risk: a value comes back from the store as something else, or a later release's word is lost on the way."""

import itertools
import tracemalloc
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, update

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import StoreError
from stepswitch.domain.execution import HEAD_FORMAT, Head, LogEntry, Probe, StepExecution
from stepswitch.engine.records import Snapshot
from stepswitch.storage import encoding
from stepswitch.storage.database import Database, Op, Statement
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.tables import executions as heads_table
from stepswitch.storage.tables import large_values, logs, step_executions
from tests.storage.rows import bodies_of, count
from tests.storage.values import (
    HEADS,
    LOGS,
    NOW,
    PROBES,
    SNAPSHOT,
    STEPS,
    STRANGE_TEXTS,
    entry,
    finished,
    head,
    look,
    next_of,
    save_of,
    step,
)

NUMBERS = itertools.count()
ANY_NUMBER_OF_TIMES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MIB = 1024 * 1024


def same(one: object, other: object) -> bool:
    """Whether two values are equal to the last type: 1, 1.0 and True are three."""
    return repr(one) == repr(other)


@ANY_NUMBER_OF_TIMES
@given(made=HEADS)
async def test_every_field_of_a_head_comes_back(executions: SqlExecutionStore, made: Head) -> None:
    made = replace(made, id=f"head-{next(NUMBERS)}")
    await executions.create(save_of(made), SNAPSHOT)
    assert same(await executions.load(made.id), made)
    later = next_of(made, last_time=NOW + 1)
    await executions.save(save_of(later))
    assert same(await executions.load(made.id), later)


@ANY_NUMBER_OF_TIMES
@given(made=st.lists(STEPS, min_size=1, max_size=5), logged=st.lists(LOGS, min_size=1, max_size=5))
async def test_every_field_of_a_step_and_a_log_entry_comes_back(
    executions: SqlExecutionStore, made: list[StepExecution], logged: list[LogEntry]
) -> None:
    execution_id = f"rows-{next(NUMBERS)}"
    rows = tuple(replace(each, number=number) for number, each in enumerate(made))
    await executions.create(save_of(head(execution_id), rows, tuple(logged)), SNAPSHOT)
    assert same(list(await executions.steps(execution_id)), list(rows))
    assert await executions.logs(execution_id) == (logged, None)


def test_the_strategies_know_every_field() -> None:
    assert {each.name for each in fields(Head)} - {"format"} == _drawn(HEADS)
    assert {each.name for each in fields(StepExecution)} == _drawn(STEPS)
    assert {each.name for each in fields(Probe)} == _drawn(PROBES)


def _drawn(strategy: st.SearchStrategy[Any]) -> set[str]:
    return set(strategy.wrapped_strategy.kwargs)  # type: ignore[attr-defined] # the lazy strategy's own


@pytest.mark.parametrize("text", STRANGE_TEXTS, ids=ascii)
async def test_a_strange_text_comes_back_wherever_it_stands(executions: SqlExecutionStore, text: str) -> None:
    values = {"v": text, f"name {text}": "v"}
    looked = look(inputs=values, outputs=values, device=DeviceLane(text, text), extra={"later": [text]})
    current = step(3, inputs=values, outputs=values, variables=values, device=DeviceLane(text, text), extra={"later": [text]}, probe=looked)
    made = head(values=values, context=values, assignments=values, attachments={"k": text}, current=current, applied=(text,))
    await executions.create(save_of(made, (step(2, outputs=values),), (entry(text),)), SNAPSHOT)
    assert await executions.load("e1") == made
    assert [each.outputs for each in await executions.steps("e1")] == [values]
    assert await executions.logs("e1") == ([entry(text)], None)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**64), 10**100, 1.5e308, 5e-324, -0.0])
async def test_a_number_comes_back_to_its_last_digit(executions: SqlExecutionStore, number: float) -> None:
    made = head(values={"v": number}, current=step(outputs={"v": number}))
    await executions.create(save_of(made), SNAPSHOT)
    assert same(await executions.load("e1"), made)


async def test_deep_documents_and_empty_maps_come_back(executions: SqlExecutionStore) -> None:
    deep: Any = "\ud800"
    for _ in range(120):
        deep = {"a": [deep, {}, []]}
    document = {"deep": deep, "": {}, "none": None, "large": 2**70}
    await executions.create(save_of(head(snapshot_id="deep", current=None, extra={"deep": deep})), Snapshot("deep", "default", document))
    assert await executions.snapshot("deep") == Snapshot("deep", "default", document)
    found = await executions.load("e1")
    assert found is not None
    assert (found.values, found.current, found.extra) == ({}, None, {"deep": deep})


async def test_what_nobody_can_store_is_refused_whole(executions: SqlExecutionStore, database: Database) -> None:
    bottomless: Any = {}
    for _ in range(100_000):
        bottomless = {"a": bottomless}
    with pytest.raises(StoreError):
        await executions.create(save_of(head(extra=bottomless)), SNAPSHOT)
    assert await count(database, heads_table) == 0
    while bottomless:  # taken apart by hand: nobody frees it in one go
        bottomless = bottomless["a"]


# --- large values ---


@pytest.mark.parametrize("letter", ["x", "ü", "\0", "\udc80"], ids=ascii)
async def test_a_large_value_is_stored_once_however_often_it_is_named(
    executions: SqlExecutionStore, database: Database, letter: str
) -> None:
    large = {"big": letter * MIB}
    looked = look(inputs=large, outputs=large)
    made = head(values=large, context=large, assignments=large, current=step(2, inputs=large, outputs=large, variables=large, probe=looked))
    await executions.create(save_of(made, (step(0, outputs=large), step(1, inputs=large))), SNAPSHOT)
    await executions.save(save_of(next_of(made), (step(3, outputs=large, probe=looked),)))
    assert await count(database, large_values) == 1
    bodies = [*await bodies_of(database, heads_table), *await bodies_of(database, step_executions)]
    assert max(map(len, bodies)) < 10_000
    assert await executions.load("e1") == next_of(made)
    found = await executions.steps("e1", limit_bytes=100 * MIB)
    assert [each.outputs or each.inputs for each in found] == [large] * 3
    assert [each.probe for each in found] == [None, None, looked]


async def test_executions_do_not_share_large_values(executions: SqlExecutionStore, database: Database) -> None:
    large = {"big": "x" * MIB}
    for execution_id in ("e1", "e2"):
        await executions.create(save_of(head(execution_id, values=large)), SNAPSHOT)
    assert await count(database, large_values) == 2
    await executions.delete("e1")
    found = await executions.load("e2")
    assert found is not None
    assert found.values == large


async def test_many_large_values_of_one_execution_come_back(executions: SqlExecutionStore) -> None:
    values = {f"v{place}": chr(0x4E00 + place) * (encoding.LARGE + 1) for place in range(203)}
    await executions.create(save_of(head(values=values)), SNAPSHOT)
    found = await executions.load("e1")
    assert found is not None
    assert found.values == values


async def test_a_value_at_the_limit_stays_in_the_body(executions: SqlExecutionStore, database: Database) -> None:
    await executions.create(save_of(head(values={"v": "x" * encoding.LARGE})), SNAPSHOT)
    assert await count(database, large_values) == 0


async def test_a_large_value_that_is_missing_is_an_error_of_the_store(executions: SqlExecutionStore, database: Database) -> None:
    await executions.create(save_of(head(values={"v": "x" * MIB}), (step(0, outputs={"v": "x" * MIB}),)), SNAPSHOT)
    await database.write([Op(Statement(large_values.delete()), {})])
    with pytest.raises(StoreError, match="cannot be read"):
        await executions.load("e1")
    with pytest.raises(StoreError, match="cannot be read"):
        await executions.steps("e1")


@pytest.mark.parametrize("letter", ["x", "\0"], ids=ascii)
async def test_storing_what_nobody_can_see_takes_no_more_memory_than_storing_letters(executions: SqlExecutionStore, letter: str) -> None:
    text = letter * MIB
    made = head(is_confidential=True, current=step(outputs={"outputText": text, "result": text}))
    tracemalloc.start()
    try:
        await executions.create(save_of(made), SNAPSHOT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * MIB
    assert await executions.load("e1") == made


@pytest.mark.parametrize("body", [b"", b"?x", b'"x"', b"=\xff"])
async def test_a_large_value_in_a_form_that_is_not_known_is_refused(executions: SqlExecutionStore, database: Database, body: bytes) -> None:
    await executions.create(save_of(head(values={"v": "x" * MIB})), SNAPSHOT)
    await database.write([Op(Statement(update(large_values).values(body=bindparam("body"))), {"body": body}, 1)])
    with pytest.raises(StoreError, match="large value"):
        await executions.load("e1")


# --- other releases ---

_PUT_HEAD = Statement(update(heads_table).values(body=bindparam("body")))
_PUT_STEPS = Statement(update(step_executions).values(body=bindparam("body")))
_PUT_LOGS = Statement(update(logs).values(body=bindparam("body")))


async def _later_head(executions: SqlExecutionStore, database: Database, **changes: Any) -> None:
    """Let the stored head be what a later release has written."""
    await executions.create(save_of(head()), SNAPSHOT)
    (body,) = await bodies_of(database, heads_table)
    plain = encoding.load(body)
    plain["current"]["ofStep"] = [1]
    await database.write([Op(_PUT_HEAD, {"body": encoding.dump({**plain, **changes})})])


async def test_fields_of_a_later_release_are_kept_and_written_back(executions: SqlExecutionStore, database: Database) -> None:
    await _later_head(executions, database, ofHead={"a": 1})
    for version in (2, 3):
        found = await executions.load("e1")
        assert found is not None
        assert found.current is not None
        assert (found.extra, found.current.extra) == ({"ofHead": {"a": 1}}, {"ofStep": [1]})
        await executions.save(save_of(replace(found, version=version), (replace(found.current, number=version),)))
    assert [each.extra for each in await executions.steps("e1")] == [{"ofStep": [1]}] * 2


async def test_a_head_of_a_later_format_is_refused_with_a_sentence(executions: SqlExecutionStore, database: Database) -> None:
    await _later_head(executions, database, format=HEAD_FORMAT + 1)
    with pytest.raises(StoreError, match=f"execution e1 was written by a later release .format {HEAD_FORMAT + 1}"):
        await executions.load("e1")


async def test_rows_of_a_later_format_are_refused_with_a_sentence(executions: SqlExecutionStore, database: Database) -> None:
    await executions.create(save_of(head(), finished(range(1)), (entry(),)), SNAPSHOT)
    await database.write([Op(_PUT_STEPS, {"body": b"[99]"}), Op(_PUT_LOGS, {"body": b"[99]"})])
    with pytest.raises(StoreError, match="later release"):
        await executions.steps("e1")
    with pytest.raises(StoreError, match="later release"):
        await executions.logs("e1")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b" \xff", b'{"format":1,"id":"e1"}', b'{"format":1,"id":"e1","current":{}}'])
async def test_a_body_that_is_none_of_ours_is_an_error_of_the_store(executions: SqlExecutionStore, database: Database, body: bytes) -> None:
    await executions.create(save_of(head()), SNAPSHOT)
    await database.write([Op(_PUT_HEAD, {"body": body})])
    with pytest.raises(StoreError):
        await executions.load("e1")
