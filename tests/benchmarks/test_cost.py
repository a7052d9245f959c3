"""An execution that costs more than it did, or the more the longer it runs, is seen here and not by whoever has to wait for it."""

import asyncio
import platform
import sys

import orjson

from benchmarks.cost import BASELINE, EARLY, LATE, SQL, SQL_EARLY, SQL_LATE

TOLERANCE = 0.03 if platform.python_version_tuple()[:2] == ("3", "11") else 0.3
"""The counts are those of Python 3.11; another one calls other functions of its own library."""


async def counted() -> dict[str, float]:
    """Return the counts of a process of its own, which no other test has left anything in."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.cost", "--json", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, float] = orjson.loads(said)
    return found


async def test_no_path_has_become_dearer_than_the_baseline_says() -> None:
    known = orjson.loads(BASELINE.read_bytes())
    found = await counted()
    sql = {name: found.pop(name) for name in SQL}
    if any(calls > known[name] * (1 + TOLERANCE) for name, calls in found.items()):  # what comes between can only add to it
        found = {name: min(calls, found[name]) for name, calls in (await counted()).items() if name in found}
    assert found.keys() == known.keys()
    dearer = {
        name: f"{calls:,.0f} calls, and {known[name]:,} before" for name, calls in found.items() if calls > known[name] * (1 + TOLERANCE)
    }
    assert not dearer, f"find out why; where it is worth it: python -m benchmarks.cost --write. {dearer}"
    cheaper = {name: f"{calls:,.0f} calls, and {known[name]:,} before" for name, calls in found.items() if calls < known[name] * 0.8}
    assert not cheaper, f"well done; so that it stays: python -m benchmarks.cost --write. {cheaper}"
    assert sql[SQL_LATE] < sql[SQL_EARLY] * 1.05, f"what is written must not depend on how long the execution has run: {sql}"
    assert found[LATE] < found[EARLY] * 1.05, "the cost of an event must not depend on how long the execution has run"
