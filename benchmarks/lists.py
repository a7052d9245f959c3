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


def selections(rows: int) -> dict[str, Selection]:
    """Return what is measured, by its name."""
    middle, eq = BEGIN + rows * 15, Operator.EQ
    failed, completed = Condition("status", eq, ("FAILED",)), Condition("status", eq, ("COMPLETED",))
    named = Condition("workflow/name", eq, ("Register gNB 3",))
    since, until = Condition("endTime", Operator.GTE, (middle,)), Condition("endTime", Operator.LT, (middle + rows,))
    kept = middle + RETENTION_MS
    early, late = Condition("retainedTil", Operator.LT, (kept,)), Condition("retainedTil", Operator.GTE, (kept,))
    some = Condition("workflow/name", Operator.IN, ("Register gNB 1", "Register gNB 20", "Register gNB 100"))
    return {
        "newest first": Selection(NEWEST),
        "sorted by workflow/name": Selection(Order("workflow/name")),
        "status = FAILED, newest first": Selection(NEWEST, (failed,)),
        "status = COMPLETED, by endTime": Selection(Order("endTime", descending=True), (completed,)),
        "workflow/name = …, newest first": Selection(NEWEST, (named,)),
        "workflow/name = … and status = FAILED": Selection(NEWEST, (named, failed)),
        "status in FAILED, ABORTED, by name": Selection(Order("workflow/name"), (Condition("status", Operator.IN, ("FAILED", "ABORTED")),)),
        "endTime in a narrow range, newest first": Selection(NEWEST, (since, until)),
        "endTime since the middle, by creationUser": Selection(Order("creationUser"), (since,)),
        "FAILED or workflow/id = …": Selection(NEWEST, (failed, Condition("workflow/id", eq, (str(UUID(int=150)),))), any_match=True),
        "status = COMPLETED, page 100": Selection(NEWEST, (completed,), skip=9_900),
        "aborted, by retainedTil": Selection(Order("retainedTil"), (Condition("aborted", eq, (True,)),)),
        "retainedTil in the first half, newest first": Selection(NEWEST, (early,)),
        "retainedTil in the second half, by endTime": Selection(Order("endTime"), (late,)),
        "endTime in the first half, by retainedTil, latest first": Selection(
            Order("retainedTil", descending=True), (Condition("endTime", Operator.LT, (middle,)),)
        ),
        "three workflows, retainedTil in the first half, by id, last first": Selection(Order("id", descending=True), (early, some)),
        "two in three users, endTime since the middle, by contextType": Selection(
            Order("contextType", descending=True), (since, Condition("creationUser", Operator.LTE, ("user4",)))
        ),
        "retainedTil in the second half or aborted, by creationUser": Selection(
            Order("creationUser"), (late, Condition("aborted", eq, (True,))), any_match=True
        ),
        "workflow/name contains, newest first": Selection(NEWEST, (Condition("workflow/name", Operator.CONT, ("gNB 19",)),)),
        "creationUser contains what nobody has, by endTime": Selection(
            Order("endTime"), (Condition("creationUser", Operator.CONT, ("nobody",)),)
        ),
        "status is not COMPLETED, by workflow/name": Selection(
            Order("workflow/name"), (Condition("status", Operator.NEQ, ("COMPLETED",)),)
        ),
        "retainedTil in the second half, by creationUser, page 100, counted": Selection(
            Order("creationUser"), (late,), skip=9_900, is_counted=True
        ),
        "workflow/name does not contain, by id, last first, page 100, counted": Selection(
            Order("id", descending=True), (Condition("workflow/name", Operator.NCONT, ("gNB 0",)),), skip=9_900, is_counted=True
        ),
        "id does not contain, by creationUser, page 100, counted": Selection(
            Order("creationUser", descending=True), (Condition("id", Operator.NCONT, ("fff",)),), skip=9_900, is_counted=True
        ),
        "creationUser contains, by endTime, counted": Selection(
            Order("endTime"), (Condition("creationUser", Operator.CONT, ("user49",)),), is_counted=True
        ),
        "retainedTil in the second half, created in the first, newest first, counted": Selection(
            NEWEST, (late, Condition("creationTime", Operator.LT, (middle,))), is_counted=True
        ),
        "200 names and 100 users not, by endTime, latest first, counted": Selection(
            Order("endTime", descending=True),
            (
                Condition("workflow/name", Operator.IN, tuple(f"Register gNB {number}" for number in range(200))),
                Condition("creationUser", Operator.NIN, tuple(f"user{number}" for number in range(45, 145))),
            ),
            is_counted=True,
        ),
        "five conditions, by workflow/id, counted": Selection(
            Order("workflow/id"),
            (
                early,
                Condition("status", Operator.NEQ, ("FAILED",)),
                Condition("creationUser", Operator.NCONT, ("user9",)),
                Condition("contextType", Operator.IN, ("NONE", "VNF", "CNF")),
                Condition("workflow/name", Operator.GT, ("Register gNB 1",)),
            ),
            is_counted=True,
        ),
        "aborted or not, early or late, by aborted, counted": Selection(
            Order("aborted"), (Condition("aborted", Operator.NEQ, (True,)), early, since), any_match=True, is_counted=True
        ),
        "one's own and others' by name, by retainedTil, latest first, counted": Selection(
            Order("retainedTil", descending=True), (since,), is_counted=True, reach=Reach("user3", ("Register gNB 1*", "Register gNB 2"))
        ),
        "what one may see, counted": Selection(NEWEST, is_counted=True, reach=Reach("user3", ("Register gNB 1*", "Register gNB 2"))),
        "status = COMPLETED, what one may see, newest first, counted": Selection(
            NEWEST, (completed,), is_counted=True, reach=Reach("nobody", ("Register gNB 150",))
        ),
        "workflow/name = …, not by some users, by endTime, counted": Selection(
            Order("endTime"), (named, Condition("creationUser", Operator.NIN, ("user1", "user2"))), is_counted=True
        ),
        "status = COMPLETED, counted": Selection(NEWEST, (completed,), is_counted=True),
        "context/vnfId contains, no index": Selection(NEWEST, (Condition("context", Operator.CONT, ("-4242",), "vnfId"),)),
        "all FAILED counted": Selection(NEWEST, (failed,), is_counted=True),
        "all counted": Selection(NEWEST, is_counted=True),
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
