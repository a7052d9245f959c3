"""Risk: the service can stop at a place of which nobody has said what follows, or a case is said to have a test that is gone."""

import re

from stepswitch.engine.crash_points import CrashPoint
from tests.architecture.source_tree import ROOT

PAGE = (ROOT / "docs" / "explanation" / "how-it-is-proven.md").read_text(encoding="utf-8")


def test_every_case_has_a_test_of_its_own_that_is_there() -> None:
    named = re.findall(r"^\| [A-Z`].* \| `(test_\w+)` \|$", PAGE, re.MULTILINE)
    there = {
        name
        for path in (ROOT / "tests" / "api").glob("test_*.py")
        for name in re.findall(r"^async def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) == PAGE.count("`test_") > 10
    assert not sorted(set(named) - there)
    assert len(set(named)) == len(named)


def test_what_follows_from_a_stop_is_said_of_every_crash_point_once() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z]+\.[a-z]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(CrashPoint)
