"""An execution that costs more than it did, or the more the longer it runs, is seen here and not by whoever has to wait for it."""

import platform

import orjson

from benchmarks.cost import BASELINE, EARLY, LATE, measure

TOLERANCE = 0.06 if platform.python_version_tuple()[:2] == ("3", "11") else 0.3
"""The counts are those of Python 3.11; another one calls other functions of its own library."""


async def test_no_path_has_become_dearer_than_the_baseline_says() -> None:
    found = await measure()
    known = orjson.loads(BASELINE.read_bytes())
    assert found.keys() == known.keys()
    dearer = {
        name: f"{calls:,.0f} calls, and {known[name]:,} before" for name, calls in found.items() if calls > known[name] * (1 + TOLERANCE)
    }
    assert not dearer, f"find out why; where it is worth it: python -m benchmarks.cost --write. {dearer}"
    cheaper = {name: f"{calls:,.0f} calls, and {known[name]:,} before" for name, calls in found.items() if calls < known[name] * 0.8}
    assert not cheaper, f"well done; so that it stays: python -m benchmarks.cost --write. {cheaper}"
    assert found[LATE] < found[EARLY] * 1.02, "the cost of an event must not depend on how long the execution has run"
