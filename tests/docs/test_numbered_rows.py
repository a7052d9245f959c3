"""Risk: a page promises something that nobody has tried, or names a test that is gone."""

import re
from typing import Final

import pytest

from tests.architecture.source_tree import ROOT

NUMBERED: Final = re.compile(r"^\| (\d+\.\d+) \| (.+) \|$", re.MULTILINE)
PAGES: Final = {"failures.md": 30, "threat-model.md": 20}
"""With the number of rows that each has at least."""


def parts(page: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the rows of a page, and those that say which tests show them."""
    rows, tests = (ROOT / "docs" / "explanation" / page).read_text(encoding="utf-8").split("## How each row is shown")
    return NUMBERED.findall(rows), NUMBERED.findall(tests)


@pytest.mark.parametrize("page", PAGES)
def test_every_row_is_shown_by_tests_that_are_there(page: str) -> None:
    shown = {number: re.findall(r"`(test_\w+)`", names) for number, names in parts(page)[1]}
    assert all(shown.values())
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert not sorted({name for names in shown.values() for name in names} - there)


@pytest.mark.parametrize(("page", "least"), PAGES.items())
def test_every_row_has_its_line_of_tests_and_none_is_left_over(page: str, least: int) -> None:
    rows, tests = parts(page)
    numbers = [number for number, _ in rows]
    assert len(numbers) >= least
    assert numbers == [number for number, _ in tests]
    assert len(set(numbers)) == len(numbers)
