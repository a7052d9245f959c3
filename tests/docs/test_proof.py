"""Risk: the service can stop at a place of which nobody has said what follows."""

import re

from stepswitch.engine.crash_points import CrashPoint
from tests.architecture.source_tree import ROOT


def test_what_follows_from_a_stop_is_said_of_every_crash_point_once() -> None:
    page = (ROOT / "docs" / "explanation" / "how-it-is-proven.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z]+\.[a-z]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(CrashPoint)
