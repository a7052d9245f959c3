"""Risk: the page about failures promises something that nobody has tried, or names a test that is gone."""

import re
from typing import Final

from tests.architecture.source_tree import ROOT

PAGE: Final = (ROOT / "docs" / "explanation" / "failures.md").read_text(encoding="utf-8")
ROWS, TESTS = PAGE.split("## How each row is shown")
NUMBERED: Final = re.compile(r"^\| (\d+\.\d+) \| (.+) \|$", re.MULTILINE)


def test_every_row_is_shown_by_tests_that_are_there() -> None:
    shown = {number: re.findall(r"`(test_\w+)`", names) for number, names in NUMBERED.findall(TESTS)}
    assert all(shown.values())
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert not sorted({name for names in shown.values() for name in names} - there)


def test_every_row_has_its_line_of_tests_and_none_is_left_over() -> None:
    numbers = [number for number, _ in NUMBERED.findall(ROWS)]
    assert len(numbers) > 30
    assert numbers == [number for number, _ in NUMBERED.findall(TESTS)]
    assert len(set(numbers)) == len(numbers)
