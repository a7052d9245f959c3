"""Risk: the rehearsal that stands beside an example does not come out as it says, or says nothing of the ways that it can take."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.api.wire.rehearsals import rehearsal_order
from stepswitch.bootstrap import open_rehearsals
from stepswitch.cli.rehearsal_files import read_document
from stepswitch.engine.callers import administrator
from tests.examples.test_examples import DOCUMENTS, EXAMPLES

SOMEBODY: Final = administrator("tester")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
async def test_an_example_is_rehearsed_as_the_file_beside_it_says(path: Path) -> None:
    document, faults = read_document(path.with_suffix(".rehearsal.json"))
    assert not faults
    async with open_rehearsals() as rehearsals:
        reports = await rehearsals.rehearse(SOMEBODY, rehearsal_order(document))
    assert [divergence for report in reports for divergence in report.divergences] == []
    ways = {tuple((taken.step_id, taken.result) for taken in report.way) for report in reports}
    assert len(ways) >= 2, "one way is no rehearsal"
    taken = {step_id for way in ways for step_id, _ in way}
    assert taken == set(document["workflow"]["steps"]), "a step that no rehearsal comes to"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_way_that_an_example_takes_with_a_router_is_rehearsed(path: Path) -> None:
    with_router = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))["runs"]
    rehearsed = json.loads(path.with_suffix(".rehearsal.json").read_text(encoding="utf-8"))["rehearsals"]
    assert {run["status"] for run in with_router} <= {each["expected"]["status"] for each in rehearsed}
    assert not [run["name"] for run in with_router if not any(_is_alike(run, each) for each in rehearsed)]


def test_every_rehearsal_belongs_to_an_example() -> None:
    assert sorted(path.with_suffix("").with_suffix(".json") for path in EXAMPLES.glob("*.rehearsal.json")) == DOCUMENTS


def _is_alike(run: dict[str, Any], rehearsed: dict[str, Any]) -> bool:
    expected = rehearsed["expected"]
    way = [each if isinstance(each, str) else each["stepId"] for each in expected.get("way", [])]
    return expected["status"] == run["status"] and (set(way), way[-1:]) == (set(run["way"]), run["way"][-1:])
