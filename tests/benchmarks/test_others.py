"""Risk: the service is called better than others are by a figure that was formed wrongly, or an engine that was not measured is passed over in silence."""

import asyncio
import sys
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from benchmarks.engines.engine import DBOS, RESTATE, STEPSWITCH
from benchmarks.others import AIMS, ALONE, CPU, FIGURES, TEN, Comparison, Figure, Round, compare, ratios, values


def rounds(figure: Figure, ours: list[float], theirs: list[float], other: str = RESTATE) -> list[Round]:
    return [{STEPSWITCH: {figure: mine}, other: {figure: its}} for mine, its in zip(ours, theirs, strict=True)]


def told(*printed: object) -> str:
    out = StringIO()
    Console(file=out, width=200).print(*printed)
    return out.getvalue()


def test_a_ratio_is_formed_within_a_round_and_not_of_medians() -> None:
    found = compare(rounds(TEN, ours=[100, 200, 900], theirs=[100, 20, 300]), TEN, RESTATE)
    assert (found.median, found.least, found.most) == (3, 1, 10)


@pytest.mark.parametrize("figure", [ALONE, CPU])
def test_of_what_is_better_the_less_it_is_the_ratio_is_turned_round(figure: Figure) -> None:
    assert compare(rounds(figure, ours=[5], theirs=[40]), figure, RESTATE).median == 8


@pytest.mark.parametrize(("ours", "verdict"), [(380, "met"), (379, "missed")])
def test_an_aim_is_met_from_its_value_on(ours: float, verdict: str) -> None:
    assert AIMS[TEN, RESTATE] == 3.8
    assert compare(rounds(TEN, [ours], [100]), TEN, RESTATE).verdict == verdict


def test_what_has_no_aim_has_no_verdict() -> None:
    assert (CPU, DBOS) not in AIMS
    assert compare(rounds(CPU, [1], [9], DBOS), CPU, DBOS) == Comparison(9, 9, 9, None)
    assert compare(rounds(CPU, [1], [9], DBOS), CPU, DBOS).verdict == ""


def test_the_tables_tell_an_engine_that_was_not_measured_from_one_that_was() -> None:
    measured: list[Round] = [{STEPSWITCH: dict.fromkeys(FIGURES, 20.0), DBOS: dict.fromkeys(FIGURES, 10.0)}]
    versions = {STEPSWITCH: "1", DBOS: "2"}
    lines = told(values(versions, measured)).splitlines()
    for figure in FIGURES:
        line = next(line for line in lines if figure.name in line)
        assert [each.strip() for each in line.strip("│").split("│")] == [
            figure.name,
            f"20 {figure.unit}",
            "not measured",
            f"10 {figure.unit}",
        ]
    beside = told(ratios(versions, measured))
    assert DBOS in beside
    assert RESTATE not in beside


async def test_an_engine_that_is_not_installed_is_said_and_the_rest_is_measured(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    few = ("--rounds", "1", "--seconds", "0.2", "--connections", "4", "--installed", str(tmp_path), "--json", str(written))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.others", *few, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    for name in (RESTATE, DBOS):
        (sentence,) = [line for line in printed.decode().splitlines() if line.startswith(f"{name} was not measured: ")]
        assert sentence.endswith(f"is not installed in {tmp_path}; make compare installs it.")
    figures = orjson.loads(written.read_bytes())
    assert all(value > 0 for value in figures["rounds"][0][STEPSWITCH].values())
    assert (set(figures["rounds"][0]), set(figures["missing"]), figures["timesAsGood"]) == ({STEPSWITCH}, {RESTATE, DBOS}, {})
