"""Measures pages of lists over many executions. `python -m benchmarks.lists [--rows N] [--keep FOLDER] [--only WORDS] [--json FILE]`.

What is stored takes minutes to build and seconds to measure: with `--keep` it stays in a folder, and is built again only where the tables have changed.
"""

import argparse
import asyncio
import inspect
import random
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy.schema import CreateIndex, CreateTable

from stepswitch.domain.errors import QueryTooSlowError
from stepswitch.domain.execution import ContextType, Head, Status
from stepswitch.domain.filters import Operator
from stepswitch.engine.records import Save, Snapshot
from stepswitch.engine.selection import Condition, Order, Page, Reach, Selection
from stepswitch.storage.data_dir import migrate
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.storage.sqlite_connections import DIALECT
from stepswitch.storage.tables import metadata

BEGIN = 1_800_000_000_000
TENANT = "default"
AIM_MS = 200
RETENTION_MS = 30 * 86_400_000
AT_ONCE = 2_000
SNAPSHOT = Snapshot("0" * 64, TENANT, {"name": "n", "version": "1", "schemaVersion": "3.0", "steps": {}})
NEWEST = Order("creationTime", descending=True)


def execution(number: int, chance: random.Random) -> Head:
    """Return an execution of a busy year: most have ended well, one in a thousand has failed."""
    created = BEGIN + number * 30
    status = chance.choices([*Status], [1, 1, 1, 990, 6, 1])[0]
    workflow = min(int(chance.expovariate(0.05)), 199)
    has_ended = status in (Status.COMPLETED, Status.FAILED, Status.ABORTED)
    return Head(
        id=str(UUID(int=created << 80 | 0x7000_8000_0000_0000_0000 | chance.getrandbits(62))),
        tenant=TENANT,
        snapshot_id=SNAPSHOT.id,
        workflow_id=str(UUID(int=workflow)),
        workflow_name=f"Register gNB {workflow}",
        creation_user=f"user{chance.randrange(50)}",
        creation_time=created,
        context_type=chance.choices([*ContextType], [20, 10, 1, 69])[0],
        retained_til=created + RETENTION_MS,
        context={"vnfId": f"vnf-{chance.randrange(100_000)}"},
        status=status,
        end_time=created + chance.randrange(1_000, 600_000) if has_ended else None,
        version=1,
    )


async def fill(store: SqlExecutionStore, rows: int) -> None:
    """Store `rows` executions through the store's own statements, many in one commit."""
    chance = random.Random(1)
    for start in range(0, rows, AT_ONCE):
        heads = [execution(number, chance) for number in range(start, min(start + AT_ONCE, rows))]
        await asyncio.gather(*(store.create(Save(head, searched_context=head.context), SNAPSHOT) for head in heads))


_IS: Final = Operator.EQ
_FAILED, _COMPLETED = (Condition("status", _IS, (status,)) for status in ("FAILED", "COMPLETED"))
_NAMED: Final = Condition("workflow/name", _IS, ("Register gNB 3",))


@dataclass(frozen=True, slots=True)
class Times:
    """Conditions that half of all executions fit, and one that few do."""

    since: Condition
    until: Condition
    soon: Condition
    early: Condition
    late: Condition
    begun: Condition

    @classmethod
    def of(cls, rows: int) -> "Times":
        """Return them for so many executions."""
        middle = BEGIN + rows * 15
        kept = middle + RETENTION_MS
        return cls(
            since=Condition("endTime", Operator.GTE, (middle,)),
            until=Condition("endTime", Operator.LT, (middle,)),
            soon=Condition("endTime", Operator.LT, (middle + rows,)),
            early=Condition("retainedTil", Operator.LT, (kept,)),
            late=Condition("retainedTil", Operator.GTE, (kept,)),
            begun=Condition("creationTime", Operator.LT, (middle,)),
        )


def by_an_index(times: Times) -> dict[str, Selection]:
    """Return pages that an index soon gives."""
    either = Condition("status", Operator.IN, ("FAILED", "ABORTED"))
    of_one = Condition("workflow/id", _IS, (str(UUID(int=150)),))
    return {
        "newest first": Selection(NEWEST),
        "sorted by workflow/name": Selection(Order("workflow/name")),
        "status = FAILED, newest first": Selection(NEWEST, (_FAILED,)),
        "status = COMPLETED, by endTime": Selection(Order("endTime", descending=True), (_COMPLETED,)),
        "workflow/name = …, newest first": Selection(NEWEST, (_NAMED,)),
        "workflow/name = … and status = FAILED": Selection(NEWEST, (_NAMED, _FAILED)),
        "status in FAILED, ABORTED, by name": Selection(Order("workflow/name"), (either,)),
        "endTime in a narrow range, newest first": Selection(NEWEST, (times.since, times.soon)),
        "endTime since the middle, by creationUser": Selection(Order("creationUser"), (times.since,)),
        "FAILED or workflow/id = …": Selection(NEWEST, (_FAILED, of_one), any_match=True),
        "status = COMPLETED, page 100": Selection(NEWEST, (_COMPLETED,), skip=9_900),
        "aborted, by retainedTil": Selection(Order("retainedTil"), (Condition("aborted", _IS, (True,)),)),
        "workflow/name contains, newest first": Selection(NEWEST, (Condition("workflow/name", Operator.CONT, ("gNB 19",)),)),
        "context/vnfId contains, no index": Selection(NEWEST, (Condition("context", Operator.CONT, ("-4242",), "vnfId"),)),
    }


def by_all_of_it(times: Times) -> dict[str, Selection]:
    """Return pages for which the whole index has to be read."""
    some = Condition("workflow/name", Operator.IN, ("Register gNB 1", "Register gNB 20", "Register gNB 100"))
    users, aborted = Condition("creationUser", Operator.LTE, ("user4",)), Condition("aborted", _IS, (True,))
    nobody, other = Condition("creationUser", Operator.CONT, ("nobody",)), Condition("status", Operator.NEQ, ("COMPLETED",))
    last_kept, last_id, last_context = (Order(name, descending=True) for name in ("retainedTil", "id", "contextType"))
    return {
        "retainedTil in the first half, newest first": Selection(NEWEST, (times.early,)),
        "retainedTil in the second half, by endTime": Selection(Order("endTime"), (times.late,)),
        "endTime in the first half, by retainedTil, latest first": Selection(last_kept, (times.until,)),
        "three workflows, retainedTil in the first half, by id, last first": Selection(last_id, (times.early, some)),
        "two in three users, endTime since the middle, by contextType": Selection(last_context, (times.since, users)),
        "retainedTil in the second half or aborted, by creationUser": Selection(
            Order("creationUser"), (times.late, aborted), any_match=True
        ),
        "creationUser contains what nobody has, by endTime": Selection(Order("endTime"), (nobody,)),
        "status is not COMPLETED, by workflow/name": Selection(Order("workflow/name"), (other,)),
    }


def counted(times: Times) -> dict[str, Selection]:
    """Return pages with the number of all that fit."""
    first_user, last_user, by_end = Order("creationUser"), Order("creationUser", descending=True), Order("endTime")
    no_name, no_id = Condition("workflow/name", Operator.NCONT, ("gNB 0",)), Condition("id", Operator.NCONT, ("fff",))
    names = Condition("workflow/name", Operator.IN, tuple(f"Register gNB {number}" for number in range(200)))
    not_users = Condition("creationUser", Operator.NIN, tuple(f"user{number}" for number in range(45, 145)))
    some_users = Condition("creationUser", Operator.CONT, ("user49",))
    not_two = Condition("creationUser", Operator.NIN, ("user1", "user2"))
    five = (
        times.early,
        Condition("status", Operator.NEQ, ("FAILED",)),
        Condition("creationUser", Operator.NCONT, ("user9",)),
        Condition("contextType", Operator.IN, ("NONE", "VNF", "CNF")),
        Condition("workflow/name", Operator.GT, ("Register gNB 1",)),
    )
    not_aborted = Condition("aborted", Operator.NEQ, (True,))
    return {
        "retainedTil in the second half, by creationUser, page 100": Selection(first_user, (times.late,), skip=9_900),
        "workflow/name does not contain, by id, last first, page 100": Selection(Order("id", descending=True), (no_name,), skip=9_900),
        "id does not contain, by creationUser, page 100": Selection(last_user, (no_id,), skip=9_900),
        "creationUser contains, by endTime": Selection(by_end, (some_users,)),
        "retainedTil in the second half, created in the first, newest first": Selection(NEWEST, (times.late, times.begun)),
        "200 names and 100 users not, by endTime, latest first": Selection(Order("endTime", descending=True), (names, not_users)),
        "five conditions, by workflow/id": Selection(Order("workflow/id"), five),
        "aborted or not, early or late, by aborted": Selection(Order("aborted"), (not_aborted, times.early, times.since), any_match=True),
        "workflow/name = …, not by some users, by endTime": Selection(by_end, (_NAMED, not_two)),
        "status = COMPLETED": Selection(NEWEST, (_COMPLETED,)),
        "all FAILED": Selection(NEWEST, (_FAILED,)),
        "all": Selection(NEWEST),
    }


def within_reach(times: Times) -> dict[str, Selection]:
    """Return pages with a number of somebody who may not see everything."""
    few, one = Reach("user3", ("Register gNB 1*", "Register gNB 2")), Reach("nobody", ("Register gNB 150",))
    return {
        "one's own and others' by name, by retainedTil, latest first": Selection(
            Order("retainedTil", descending=True), (times.since,), reach=few
        ),
        "what one may see": Selection(NEWEST, reach=few),
        "status = COMPLETED, what one may see, newest first": Selection(NEWEST, (_COMPLETED,), reach=one),
    }


def selections(rows: int) -> dict[str, Selection]:
    """Return what is measured, by its name."""
    times = Times.of(rows)
    numbered = {**counted(times), **within_reach(times)}
    return {
        **by_an_index(times),
        **by_all_of_it(times),
        **{f"{name}, counted": replace(selection, is_counted=True) for name, selection in numbered.items()},
    }


@dataclass(frozen=True, slots=True)
class Figures:
    """What pages of a kind took, in milliseconds: on a busy machine the CPU says more than the clock. And the rows of the first."""

    slowest: float
    middle: float
    cpu: float
    rows: int


async def measure(lists: SqlListStore, selection: Selection) -> Figures:
    """Return what five tries took, each with the page behind it."""
    times: list[tuple[float, float]] = []

    async def timed(wanted: Selection, *, has_heads: bool) -> Page[str]:
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            page = await lists.execution_page(TENANT, wanted)
        except QueryTooSlowError:
            page = Page(())
            print("given up:", wanted.conditions)
        if has_heads:
            await lists.heads(page.items)
        times.append((time.perf_counter() - begun, time.process_time() - cpu))
        return page

    for _ in range(5):
        page = await timed(selection, has_heads=True)
        if page.last is not None and not selection.skip:
            await timed(replace(selection, after=page.last), has_heads=False)
    clock, cpus = (sorted(each * 1000 for each in several) for several in zip(*times, strict=True))
    return Figures(clock[-1], clock[len(clock) // 2], cpus[len(cpus) // 2], len(page.items))


def schema() -> str:
    """Return what tells one definition of the tables from another, and one way of filling them."""
    tables = "".join(str(CreateTable(table)) for table in metadata.sorted_tables)
    indexes = sorted(str(CreateIndex(index).compile(dialect=DIALECT)) for table in metadata.sorted_tables for index in table.indexes)
    return sha256("".join([tables, *indexes, inspect.getsource(execution)]).encode()).hexdigest()[:12]


async def built(folder: Path, rows: int) -> Path:
    """Return a database of `rows` executions in `folder`: the one that is there already, or a new one."""
    path = folder / f"lists-{rows}-{schema()}.db"
    if path.exists():
        return path
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    migrate(unfinished)
    database = SqliteDatabase(unfinished)
    try:
        begun = time.perf_counter()
        await fill(SqlExecutionStore(database), rows)
        seconds = time.perf_counter() - begun
        print(f"{rows} executions stored in {seconds:.0f} s, {rows / seconds:,.0f}/s, {unfinished.stat().st_size / 2**20:,.0f} MiB")
    finally:
        await database.close()
    return unfinished.rename(path)


async def run(folder: Path, rows: int, only: str) -> Mapping[str, Figures]:
    """Measure the kinds of pages with `only` in their names."""
    database = SqliteDatabase(await built(folder, rows))
    try:
        lists = SqlListStore(database, SqlExecutionStore(database))
        return {name: await measure(lists, each) for name, each in selections(rows).items() if only in name}
    finally:
        await database.close()


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="build what is measured here, or take what was built here before")
    parser.add_argument("--only", default="", metavar="WORDS", help="measure the kinds of pages with these words in their names")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        measured = asyncio.run(run(folder, arguments.rows, arguments.only))
    title = f"{arguments.rows} executions; aim {AIM_MS} ms"
    table = Table("page of 100", "slowest, ms", "median, ms", "CPU, ms", "rows", title=title)
    for name, found in measured.items():
        table.add_row(name, f"{found.slowest:,.1f}", f"{found.middle:,.1f}", f"{found.cpu:,.1f}", str(found.rows))
    Console(file=sys.stdout).print(table)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(measured, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
