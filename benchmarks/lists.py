"""Measures pages of lists over many executions. `python -m benchmarks.lists [--rows N] [--json FILE]`."""

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from stepswitch.domain.errors import QueryTooSlowError
from stepswitch.domain.execution import ContextType, Head, Status
from stepswitch.domain.filters import Operator
from stepswitch.engine.records import Save, Snapshot
from stepswitch.engine.selection import Condition, Order, Page, Selection
from stepswitch.storage.data_dir import migrate
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.sqlite import SqliteDatabase

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
        id=f"{created:012x}-7{number:08x}",
        tenant=TENANT,
        snapshot_id=SNAPSHOT.id,
        workflow_id=f"workflow-{workflow:032d}",
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
        "FAILED or workflow/id = …": Selection(NEWEST, (failed, Condition("workflow/id", eq, (f"workflow-{150:032d}",))), any_match=True),
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
        "context/vnfId contains, no index": Selection(NEWEST, (Condition("context", Operator.CONT, ("-4242",), "vnfId"),)),
        "all FAILED counted": Selection(NEWEST, (failed,), is_counted=True),
        "all counted": Selection(NEWEST, is_counted=True),
    }


async def measure(lists: SqlListStore, selection: Selection) -> tuple[float, float, int]:
    """Return the slowest and the middle time of five tries, in milliseconds, each with the page behind it; and the rows of the first."""
    times: list[float] = []
    shown = 0
    for _ in range(5):
        begun = time.perf_counter()
        try:
            page = await lists.execution_page(TENANT, selection)
        except QueryTooSlowError:
            print("given up, as documented:", selection.conditions)
            page = Page(())
        await lists.heads(page.items)
        times.append((time.perf_counter() - begun) * 1000)
        shown = len(page.items)
        if page.last is not None and not selection.skip:
            begun = time.perf_counter()
            await lists.execution_page(TENANT, replace(selection, after=page.last))
            times.append((time.perf_counter() - begun) * 1000)
    return max(times), sorted(times)[len(times) // 2], shown


async def run(rows: int) -> Sequence[tuple[str, float, float, int]]:
    """Fill a store and measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stepswitch.db"
        migrate(path)
        database = SqliteDatabase(path)
        try:
            store = SqlExecutionStore(database)
            begun = time.perf_counter()
            await fill(store, rows)
            seconds = time.perf_counter() - begun
            print(f"{rows} executions stored in {seconds:.0f} s, {rows / seconds:,.0f}/s, {path.stat().st_size / 2**20:,.0f} MiB")
            lists = SqlListStore(database, store)
            return [(name, *await measure(lists, selection)) for name, selection in selections(rows).items()]
        finally:
            await database.close()


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    measured = asyncio.run(run(arguments.rows))
    table = Table("page of 100", "slowest, ms", "median, ms", "rows", title=f"{arguments.rows} executions; aim {AIM_MS} ms")
    for name, slowest, median, shown in measured:
        table.add_row(name, f"{slowest:,.1f}", f"{median:,.1f}", str(shown))
    Console(file=sys.stdout).print(table)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps({name: slowest for name, slowest, _, _ in measured}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
