"""Risk: a list leaves out what fits, shows what does not fit or is another tenant's, repeats or skips a row, or reads the whole table."""

import asyncio
import itertools
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepswitch.api.markers import Marker, read_marker, write_marker
from stepswitch.domain.errors import QueryTooSlowError, ValueMisfitError
from stepswitch.domain.execution import ContextType, Head, Status
from stepswitch.domain.filters import Operator
from stepswitch.domain.values import parse_number
from stepswitch.engine.audit import Entry
from stepswitch.engine.encryption import Sealer
from stepswitch.engine.records import Save, StoredWorkflow
from stepswitch.engine.selection import EXECUTION_ATTRIBUTES, INDEXED, WORKFLOW_ATTRIBUTES, Condition, Kind, Order, Place, Reach, Selection
from stepswitch.storage import passes, sqlite_readers
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.database import Database, Found, Moment, Op, Query, ReadNow, Row
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.storage.sqlite_connections import DIALECT
from tests.storage.values import NOW, SNAPSHOT, finished, head, next_of, save_of

WORDS: Final = ("a", "b", "ab", "B", "é", "É", "10", "9", "true", "x'y", "%", "_", "*", "\U0001f600")
TIMES: Final = tuple(range(NOW, NOW + 5))
NEWEST: Final = Order("creationTime", descending=True)
Read = Callable[[Any], object]


def some_executions(count: int, seed: int) -> list[Head]:
    chance = random.Random(seed)
    heads = []
    for number in range(count):
        status, created = chance.choice([*Status]), chance.choice(TIMES)
        heads.append(
            head(
                f"e{chance.randrange(10**6):06d}-{number}",
                workflow_id=chance.choice(WORDS),
                workflow_name=chance.choice(WORDS),
                creation_user=chance.choice(WORDS),
                creation_time=created,
                retained_til=chance.choice(TIMES),
                end_time=chance.choice([None, *(each for each in TIMES if each >= created)]),
                status=status,
                context_type=chance.choice([*ContextType]),
                context={
                    name: chance.choice([*WORDS, 9, 10, 10.5, True, False]) for name in chance.sample(["k", "l"], chance.randrange(3))
                },
            )
        )
    return heads


READ_EXECUTION: Final[dict[str, Read]] = {
    "id": lambda each: each.id,
    "status": lambda each: each.status.value,
    "workflow/id": lambda each: each.workflow_id,
    "workflow/name": lambda each: each.workflow_name,
    "creationUser": lambda each: each.creation_user,
    "creationTime": lambda each: each.creation_time,
    "endTime": lambda each: each.end_time,
    "contextType": lambda each: each.context_type.value,
    "aborted": lambda each: each.status is Status.ABORTED,
    "retainedTil": lambda each: each.retained_til,
    "context": lambda each: each.context,
}
READ_WORKFLOW: Final[dict[str, Read]] = {
    "id": lambda each: each.id,
    "name": lambda each: each.document["name"],
    "version": lambda each: each.document["version"],
    "createdAt": lambda each: each.created_at,
    "creationUser": lambda each: each.creation_user,
    "owner/id": lambda each: each.document["owner"]["id"],
    "owner/subId": lambda each: each.document["owner"].get("subId"),
    "owner/type": lambda each: each.document["owner"]["type"],
    "readOnly": lambda each: each.document["readOnly"],
    "hierarchy": lambda each: each.document.get("hierarchy", []),
    "tags/name": lambda each: [tag["name"] for tag in each.document.get("tags", [])],
}
OPPOSITE: Final = {Operator.NEQ: Operator.EQ, Operator.NIN: Operator.IN, Operator.NCONT: Operator.CONT}


def fits(read: Read, each: Any, condition: Condition) -> bool:
    """Say what a condition means, in the plainest way."""
    if condition.operator in OPPOSITE:
        return not fits(read, each, replace(condition, operator=OPPOSITE[condition.operator]))
    found = read(each)
    if isinstance(found, dict):
        return condition.entry in found and fits_any_value(found[condition.entry], condition)
    return any(
        compared(value, condition.operator, condition.values)
        for value in (found if isinstance(found, list) else [found])
        if value is not None
    )


def fits_any_value(value: object, condition: Condition) -> bool:
    if isinstance(value, bool):
        return condition.operator in (Operator.EQ, Operator.IN) and ("true" if value else "false") in condition.values
    if isinstance(value, str):
        return compared(value, condition.operator, condition.values)
    numbers = [number for each in condition.values if (number := as_number(str(each))) is not None]
    return condition.operator is not Operator.CONT and bool(numbers) and compared(value, condition.operator, numbers)


def as_number(text: str) -> int | float | None:
    try:
        return parse_number(text)
    except ValueMisfitError:
        return None


def compared(value: Any, operator: Operator, wanted: Sequence[Any]) -> bool:
    first = wanted[0]
    match operator:
        case Operator.EQ:
            return bool(value == first)
        case Operator.GT:
            return bool(value > first)
        case Operator.GTE:
            return bool(value >= first)
        case Operator.LT:
            return bool(value < first)
        case Operator.LTE:
            return bool(value <= first)
        case Operator.IN:
            return value in wanted
        case _:
            return any(each in value for each in wanted)


def conditions(kinds: Any) -> st.SearchStrategy[Condition]:
    return st.sampled_from(sorted(kinds)).flatmap(lambda name: condition_on(name, kinds[name]))


WANTED: Final = {"status": [*map(str, Status), "ED"], "contextType": [*map(str, ContextType), "NF"], "owner/type": ["USER", "VNF", "S"]}
"""Values to look for where few are there."""


def operators_on(kind: Kind) -> Sequence[Operator]:
    if kind is Kind.FLAG:
        return [Operator.EQ, Operator.NEQ, Operator.IN, Operator.NIN]
    return [each for each in Operator if kind is not Kind.TIME or each not in (Operator.CONT, Operator.NCONT)]


@st.composite
def condition_on(draw: st.DrawFn, name: str, kind: Kind, operator: Operator | None = None) -> Condition:
    values: Sequence[Any] = {Kind.FLAG: [True, False], Kind.TIME: TIMES}.get(kind, WANTED.get(name, WORDS))
    operator = operator or draw(st.sampled_from(operators_on(kind)))
    several = operator in (Operator.IN, Operator.NIN, Operator.CONT, Operator.NCONT)
    chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3 if several else 1))
    return Condition(name, operator, tuple(chosen), draw(st.sampled_from(["k", "l"])) if kind is Kind.ANY else "")


@st.composite
def orders(draw: st.DrawFn, kinds: Any) -> Order:
    name = draw(st.sampled_from(sorted(kinds)))
    return Order(name, draw(st.sampled_from(["k", "l"])) if kinds[name] is Kind.ANY else "", draw(st.booleans()))


@st.composite
def selections(draw: st.DrawFn, kinds: Any) -> Selection:
    """Any list; every other one is sorted by what it is filtered by, with one operator and several values: there the short ways are."""
    order, any_match = draw(orders(kinds)), draw(st.booleans())
    others = draw(st.lists(conditions(kinds), max_size=2))
    if draw(st.booleans()):
        operator = draw(st.sampled_from(operators_on(kinds[order.attribute])))
        same = draw(st.lists(condition_on(order.attribute, kinds[order.attribute], operator), min_size=2, max_size=3))
        chosen = [*same, *others[: draw(st.integers(0, 1))]]
    else:
        chosen = others
    reaches = st.builds(Reach, st.sampled_from(WORDS), st.lists(st.sampled_from([*WORDS, "x*", "1*", "%*"]), max_size=3).map(tuple))
    size = draw(st.sampled_from([1, 2, 7, 30]))
    return Selection(order, tuple(draw(st.permutations(chosen))), any_match, size, is_counted=True, reach=draw(st.none() | reaches))


def from_a_link(selection: Selection, last: Place, kinds: Any, created: str) -> Place:
    """Return a place as the `Link` of a page gives it."""
    marker = Marker(selection.order, selection.size, last, selection.any_match, "filter")
    read = read_marker("list", write_marker("list", marker), "filter", kinds, created)
    assert read == marker
    return read.after


async def all_pages(page_of: Any, selection: Selection) -> list[str]:
    kinds, created = (EXECUTION_ATTRIBUTES, "creationTime") if "execution" in page_of.__name__ else (WORKFLOW_ATTRIBUTES, "createdAt")
    found: list[str] = []
    while True:
        page = await page_of("default", selection)
        found += ids_of(page.items)
        if page.last is None:
            return found
        assert len(page.items) == selection.size
        selection = replace(selection, after=from_a_link(selection, page.last, kinds, created), skip=0)


def ids_of(items: Sequence[Any]) -> list[str]:
    return [each if isinstance(each, str) else each.id for each in items]


def ordered(read: Read, order: Order, all_rows: Sequence[Any], created: Read) -> list[str]:
    """Sort as the documentation says: those without the attribute behind the others, what is equal by creation and id."""

    def key(each: Any) -> tuple[Any, ...]:
        value = read(each)
        if isinstance(value, dict):
            value = value.get(order.entry)
            value = None if value is None else (isinstance(value, str), value)
        elif isinstance(value, list):
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else None
        return (value is None, () if value is None else (value,), created(each), each.id)

    return [each.id for each in sorted(all_rows, key=key, reverse=order.descending)]


@pytest.mark.parametrize("few", [0, 10_000], ids=["walks", "finds"])
@pytest.mark.parametrize("of", ["executions", "workflows"])
async def test_what_names_two_values_comes_in_order_whatever_it_is_sorted_by(
    database: Database, executions: SqlExecutionStore, catalogue: SqlCatalogueStore, of: str, few: int
) -> None:
    heads, made = some_executions(40, 3), some_workflows(40, 3)
    await asyncio.gather(*(executions.create(Save(each, searched_context=each.context), SNAPSHOT) for each in heads))
    await asyncio.gather(*map(catalogue.create, made))
    lists = SqlListStore(database, executions, few=few, moment_seconds=60.0, limit_seconds=60.0)
    is_executions = of == "executions"
    rows: Sequence[Any] = heads if is_executions else made
    kinds, read = (EXECUTION_ATTRIBUTES, READ_EXECUTION) if is_executions else (WORKFLOW_ATTRIBUTES, READ_WORKFLOW)
    page_of: Any = lists.execution_page if is_executions else lists.workflow_page
    created = "creationTime" if is_executions else "createdAt"
    plain = [name for name, kind in kinds.items() if kind in INDEXED]
    for name, other, descending in itertools.product(plain, plain, (False, True)):
        if other not in (name, created, plain[plain.index(name) - 1]):
            continue
        there: set[Any] = {read[name](each) for each in rows} - {None}
        found = sorted(there)[-2:]
        several = tuple(Condition(name, Operator.EQ, (value,)) for value in found)
        for chosen, any_match in ((several, True), (several[::-1], True), ((Condition(name, Operator.IN, tuple(found)),), False)):
            order = Order(other, descending=descending)
            expected = ordered(read[other], order, [each for each in rows if read[name](each) in found], read[created])
            assert await all_pages(page_of, Selection(order, chosen, any_match, size=3)) == expected, (order, chosen)


@pytest.mark.parametrize(
    ("few", "moment", "slices"),
    [(0, 60.0, 16), (7, 60.0, 16), (10_000, 60.0, 16), (0, 0.0, 1), (0, 0.0, 16)],
    ids=["walks", "both", "finds", "reads the whole index", "reads it in slices"],
)
async def test_executions_are_those_that_a_naive_reading_gives(
    database: Database, executions: SqlExecutionStore, few: int, moment: float, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readers, "OPERATIONS_BETWEEN_LOOKS", 1 if moment == 0 else 20_000)
    monkeypatch.setattr(passes, "SLICES", slices)
    monkeypatch.setattr(passes, "ROWS", 1)
    heads = some_executions(60, few)
    await asyncio.gather(*(executions.create(Save(each, searched_context=each.context), SNAPSHOT) for each in heads))
    await executions.create(save_of(head("foreign", tenant="elsewhere")), SNAPSHOT)
    lists = SqlListStore(database, executions, few=few, moment_seconds=moment, limit_seconds=60.0)
    await check(lists.execution_page, heads, READ_EXECUTION, EXECUTION_ATTRIBUTES, "creationTime")


@pytest.mark.parametrize("descending", [False, True])
async def test_a_condition_on_one_entry_of_the_context_hides_no_row_without_the_entry_of_the_order(
    database: Database, executions: SqlExecutionStore, *, descending: bool
) -> None:
    heads = [head("with", context={"k": "a", "l": "b"}), head("without", context={"k": "a"}), head("other", context={"l": "b"})]
    for each in heads:
        await executions.create(Save(each, searched_context=each.context), SNAPSHOT)
    selection = Selection(Order("context", "l", descending), (Condition("context", Operator.EQ, ("a",), "k"),))
    page = await SqlListStore(database, executions).execution_page("default", selection)
    assert page.items == (("without", "with") if descending else ("with", "without"))


@pytest.mark.parametrize("few", [0, 10_000], ids=["walks", "finds"])
async def test_workflows_are_those_that_a_naive_reading_gives(
    database: Database, catalogue: SqlCatalogueStore, executions: SqlExecutionStore, few: int
) -> None:
    rows = some_workflows(40, few)
    await asyncio.gather(*map(catalogue.create, rows))
    await catalogue.create(replace(rows[0], id="foreign", tenant="elsewhere"))
    lists = SqlListStore(database, executions, few=few)
    await check(lists.workflow_page, rows, READ_WORKFLOW, WORKFLOW_ATTRIBUTES, "createdAt")


def some_workflows(count: int, seed: int) -> list[StoredWorkflow]:
    chance = random.Random(seed)
    made = []
    for number in range(count):
        document: dict[str, Any] = {"name": chance.choice(WORDS), "version": chance.choice(WORDS), "readOnly": chance.random() < 0.5}
        document["owner"] = {"id": chance.choice(WORDS), "type": chance.choice(["USER", "VNF"])}
        if chance.random() < 0.5:
            document["owner"]["subId"] = chance.choice(WORDS)
        if chance.random() < 0.7:
            document["hierarchy"] = chance.sample(WORDS, chance.randrange(3))
            document["tags"] = [{"name": name} for name in chance.sample(WORDS, chance.randrange(3))]
        made.append(StoredWorkflow(f"w{number}", "default", chance.choice(TIMES), chance.choice(WORDS), 1, document))
    return made


def may_be_shown(reach: Reach | None, user: str, name: str) -> bool:
    """Say what a reach means, in the plainest way."""
    if reach is None or user == reach.user:
        return True
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in reach.names)


async def check(page_of: Any, rows: Sequence[Any], read: dict[str, Read], kinds: Any, created: str) -> None:
    """Compare many random selections with what is said in plain Python."""
    drawn: list[Selection] = []
    read = {**read, "name": read.get("workflow/name") or read["name"]}

    @settings(max_examples=100, deadline=None, database=None)
    @given(selections(kinds))
    def draw(selection: Selection) -> None:
        drawn.append(selection)

    draw()
    for selection in drawn:
        join = any if selection.any_match and selection.conditions else all
        fitting = [each for each in rows if join(fits(read[one.attribute], each, one) for one in selection.conditions)]
        fitting = [each for each in fitting if may_be_shown(selection.reach, str(read["creationUser"](each)), str(read["name"](each)))]
        expected = ordered(read[selection.order.attribute], selection.order, fitting, read[created])
        assert await all_pages(page_of, selection) == expected, selection
        assert (await page_of("default", selection)).total == len(expected), selection
        skipped = await page_of("default", replace(selection, skip=5))
        assert ids_of(skipped.items) == expected[5 : 5 + selection.size], selection
        assert (await page_of("nobody", selection)).items == ()


@pytest.mark.parametrize(
    "order", [NEWEST, Order("workflow/name"), Order("endTime", descending=True), Order("id")], ids=lambda each: each.attribute
)
async def test_rows_that_were_there_are_neither_repeated_nor_skipped_while_others_come_and_go(
    database: Database, executions: SqlExecutionStore, order: Order
) -> None:
    chance = random.Random(3)
    there, added = some_executions(40, 1), some_executions(60, 2)
    added = [replace(each, id=f"{each.id}-new") for each in added]
    await asyncio.gather(*(executions.create(save_of(each), SNAPSHOT) for each in there))
    gone = {each.id for each in chance.sample(there, 10)}
    going, selection = sorted(gone), Selection(order, size=3)
    lists, found = SqlListStore(database, executions), list[str]()
    while True:
        page = await lists.execution_page("default", selection)
        found += page.items
        for _ in range(3):
            if added:
                await executions.create(save_of(added.pop()), SNAPSHOT)
        if going:
            await executions.delete(going.pop())
        if page.last is None:
            break
        selection = replace(selection, after=page.last)
    assert len(found) == len(set(found))
    assert {each.id for each in there} - gone <= set(found)
    stayed = [each for each in there if each.id in found]
    expected = ordered(READ_EXECUTION[order.attribute], order, stayed, READ_EXECUTION["creationTime"])
    assert [each for each in found if not each.endswith("-new")] == expected


class Explaining:
    """A database that notes how SQLite carries out what it is asked."""

    def __init__(self, inner: Database, path: Path) -> None:
        self._inner = inner
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self.plans: list[str] = []

    @property
    def sealer(self) -> Sealer:
        return self._inner.sealer

    async def write(self, ops: Sequence[Op], entry: Entry | None = None) -> Sequence[int]:
        return await self._inner.write(ops, entry)

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        self.note(queries)
        return await self._inner.read(queries)

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Moment]:
        async with self._inner.moment() as moment:
            yield ExplainingMoment(moment, self.note)

    def note(self, queries: Sequence[Query]) -> None:
        for query in queries:
            statement = query.statement.compiled(DIALECT)
            plan = self._connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.values(query.params)).fetchall()
            self.plans.append("; ".join(row[3] for row in plan))

    async def close(self) -> None:
        self._connection.close()


class ExplainingMoment:
    """A moment of such a database."""

    def __init__(self, inner: Moment, note: Callable[[Sequence[Query]], None]) -> None:
        self._inner = inner
        self._note = note
        self.readers = inner.readers

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        self._note(queries)
        return await self._inner.read(queries)

    async def work(self, task: Callable[[ReadNow], Found]) -> Found:
        return await self._inner.work(lambda read: task(lambda queries: (self._note(queries), read(queries))[1]))


@pytest.mark.parametrize("attribute", [name for name, kind in EXECUTION_ATTRIBUTES.items() if kind is not Kind.ANY])
@pytest.mark.parametrize("operator", [Operator.EQ, Operator.IN, Operator.GTE])
async def test_equality_in_and_ranges_use_an_index(
    database: Database, path: Path, executions: SqlExecutionStore, attribute: str, operator: Operator
) -> None:
    kind = EXECUTION_ATTRIBUTES[attribute]
    if kind is Kind.FLAG and operator is Operator.GTE:
        operator = Operator.EQ
    value: Any = {Kind.TIME: NOW, Kind.FLAG: True}.get(kind, "x")
    explaining = Explaining(database, path)
    lists = SqlListStore(explaining, executions)
    await lists.execution_page("default", Selection(Order("creationUser"), (Condition(attribute, operator, (value,)),)))
    column = {
        "workflow/id": "workflow_id", "workflow/name": "workflow_name", "creationUser": "creation_user", "creationTime": "creation_time",
        "endTime": "end_time", "contextType": "context_type", "aborted": "status", "retainedTil": "retained_til",
    }.get(attribute, attribute)  # fmt: skip
    sign = ">" if operator is Operator.GTE else "="
    for plan in explaining.plans:
        assert f"(tenant=? AND {column}{sign}?" in plan, explaining.plans
        assert "SCAN executions" not in plan
    await explaining.close()


async def test_where_a_walk_does_not_soon_give_a_page_one_index_is_read_and_no_row(
    database: Database, path: Path, executions: SqlExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readers, "OPERATIONS_BETWEEN_LOOKS", 1)
    await asyncio.gather(*(executions.create(save_of(each), SNAPSHOT) for each in some_executions(20, 1)))
    explaining = Explaining(database, path)
    lists = SqlListStore(explaining, executions, few=0, moment_seconds=0.0)
    late = Condition("retainedTil", Operator.GTE, (NOW + 1,))
    ended = Condition("endTime", Operator.LT, (NOW + 4,))
    sliced = "SEARCH executions USING COVERING INDEX executions_by_tenant (tenant=? AND creation_time>? AND creation_time<?)"
    created = Condition("creationTime", Operator.LTE, (NOW + 3,))
    for conditions, any_match in (((late,), False), ((late, ended), False), ((late, created), False), ((late, ended), True)):
        for order in (Order("workflow/name"), Order("workflow/name", descending=True)):
            explaining.plans.clear()
            await lists.execution_page("default", Selection(order, conditions, any_match=any_match))
            walk = max(place for place, plan in enumerate(explaining.plans) if "executions_by_name" in plan)
            assert explaining.plans[-1] == f"{sliced}; USE TEMP B-TREE FOR ORDER BY", explaining.plans
            assert not [plan for plan in explaining.plans[walk + 1 :] if "SCAN" in plan], explaining.plans
            explaining.plans.clear()
            await lists.execution_page("default", Selection(order, conditions, any_match=any_match, is_counted=True))
            assert explaining.plans[-2:] == [f"{sliced}; USE TEMP B-TREE FOR ORDER BY", sliced], explaining.plans
            assert not [plan for plan in explaining.plans if "executions_by_name" in plan], "what is counted is read anyway"
    await explaining.close()


async def test_names_are_told_by_their_index_without_a_look_at_a_row(
    database: Database, path: Path, executions: SqlExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(executions.create(save_of(each), SNAPSHOT) for each in some_executions(60, 1)))
    explaining = Explaining(database, path)
    lists = SqlListStore(explaining, executions)
    nothing = Condition("workflow/name", Operator.CONT, ("nothing",))
    page = await lists.execution_page("default", Selection(Order("endTime"), (nothing,), is_counted=True))
    assert (page.items, page.total) == ((), 0)
    (told,) = [plan for plan in explaining.plans if "executions_by_name" in plan]
    assert told.count("SEARCH executions USING COVERING INDEX executions_by_name (tenant=?") == 2, told
    assert "SCAN executions" not in told
    monkeypatch.setattr(passes, "FEW_VALUES", 3)
    there = Condition("workflow/name", Operator.CONT, ("b",))
    expected = sum("b" in each.workflow_name for each in some_executions(60, 1))
    assert (await lists.execution_page("default", Selection(Order("endTime"), (there,), is_counted=True))).total == expected
    await explaining.close()


@pytest.mark.parametrize("operator", [Operator.EQ, Operator.IN])
async def test_no_page_is_sorted_by_what_is_the_same_in_all_rows(
    database: Database, path: Path, executions: SqlExecutionStore, operator: Operator
) -> None:
    await asyncio.gather(*(executions.create(save_of(each), SNAPSHOT) for each in some_executions(60, 1)))
    explaining = Explaining(database, path)
    lists = SqlListStore(explaining, executions, few=0)
    for descending in (False, True):
        a = Condition("workflow/name", operator, ("a",))
        await all_pages(lists.execution_page, Selection(Order("workflow/name", descending=descending), (a,), size=2))
    pages = [plan for plan in explaining.plans if "anon" not in plan]
    assert len(pages) >= 4
    assert all("(tenant=? AND workflow_name=?" in plan and "TEMP B-TREE" not in plan for plan in pages), pages
    await explaining.close()


async def test_what_had_ended_by_some_time_is_looked_for_among_what_was_there_by_then(
    database: Database, path: Path, executions: SqlExecutionStore
) -> None:
    await asyncio.gather(*(executions.create(save_of(each), SNAPSHOT) for each in some_executions(20, 1)))
    explaining = Explaining(database, path)
    lists = SqlListStore(explaining, executions, few=0)
    for operator in (Operator.LT, Operator.LTE):
        await lists.execution_page("default", Selection(NEWEST, (Condition("endTime", operator, (NOW + 3,)),)))
        assert "(tenant=? AND creation_time<?)" in explaining.plans[-1], explaining.plans
    await lists.execution_page("default", Selection(NEWEST, (Condition("endTime", Operator.GT, (NOW + 3,)),)))
    assert "creation_time<?" not in explaining.plans[-1]
    await explaining.close()


@pytest.mark.parametrize("attribute", [name for name, kind in EXECUTION_ATTRIBUTES.items() if kind is not Kind.ANY])
async def test_a_page_in_any_order_is_read_along_an_index_and_not_sorted(
    database: Database, path: Path, executions: SqlExecutionStore, attribute: str
) -> None:
    await asyncio.gather(*(executions.create(save_of(each), SNAPSHOT) for each in some_executions(20, 1)))
    explaining = Explaining(database, path)
    lists = SqlListStore(explaining, executions)
    for descending in (False, True):
        await all_pages(lists.execution_page, Selection(Order(attribute, descending=descending), size=3))
    assert explaining.plans
    assert not [plan for plan in explaining.plans if "TEMP B-TREE" in plan or "SCAN" in plan]
    await explaining.close()


async def test_a_filter_that_takes_too_long_is_given_up_and_nobody_else_waits(database: Database, executions: SqlExecutionStore) -> None:
    await asyncio.gather(*(executions.create(Save(each, searched_context=each.context), SNAPSHOT) for each in some_executions(3_000, 1)))
    lists = SqlListStore(database, executions, limit_seconds=0.0)
    nothing = Condition("context", Operator.CONT, ("nowhere",), "k")
    with pytest.raises(QueryTooSlowError):
        await lists.execution_page("default", Selection(NEWEST, (nothing,)))
    assert (await lists.heads(["nobody"])) == []
    patient = SqlListStore(database, executions, limit_seconds=60.0)
    assert (await patient.execution_page("default", Selection(NEWEST, (nothing,)))).items == ()


async def test_a_filter_follows_what_changes(database: Database, executions: SqlExecutionStore, catalogue: SqlCatalogueStore) -> None:
    first = head("e1")
    await executions.create(save_of(first), SNAPSHOT)
    ended = next_of(first, status=Status.FAILED, end_time=NOW + 5, retained_til=NOW + 9)
    await executions.save(save_of(ended))
    lists = SqlListStore(database, executions)
    for attribute, old, new in (("status", "QUEUED", "FAILED"), ("endTime", NOW, NOW + 5), ("retainedTil", NOW + 1_000, NOW + 9)):
        for value, expected in ((old, ()), (new, ("e1",))):
            page = await lists.execution_page("default", Selection(NEWEST, (Condition(attribute, Operator.EQ, (value,)),)))
            assert page.items == expected, (attribute, value)
    stored = some_workflows(1, 1)[0]
    await catalogue.create(stored)
    changed = replace(stored, revision=2, document={**stored.document, "tags": [{"name": "new tag"}], "version": "77"})
    await catalogue.replace(changed, NOW, "admin")
    for condition in (Condition("tags/name", Operator.EQ, ("new tag",)), Condition("version", Operator.EQ, ("77",))):
        assert (await lists.workflow_page("default", Selection(Order("id"), (condition,)))).items == (changed,)


async def test_what_is_read_together_is_what_is_read_alone(database: SqliteDatabase, executions: SqlExecutionStore) -> None:
    large = "x" * 70_000
    plain, heavy = head("e1", steps_begun=3), head("e2", values={"v": large}, steps_begun=2)
    await executions.create(save_of(plain, finished(range(2))), SNAPSHOT)
    with_large = (replace(finished(range(1))[0], outputs={"o": large}),)
    await executions.create(save_of(heavy, with_large), SNAPSHOT)
    lists = SqlListStore(database, executions)
    assert await lists.heads(["e2", "gone", "e1"]) == [heavy, plain]
    steps = await lists.steps_of(["e1", "e2", "gone"])
    assert {name: tuple(found) for name, found in steps.items()} == {"e1": finished(range(2))}, "what has large values is read alone"
    assert await lists.snapshots([SNAPSHOT.id, "gone"]) == [SNAPSHOT]
