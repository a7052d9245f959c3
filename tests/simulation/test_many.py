"""Risk: of many schedules some are not run, or one that breaks a promise stops the others or is not told of, and nobody notices."""

from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import many
from tests.simulation.conftest import Simulate
from tests.simulation.encounters import ENOUGH, EXPECTED
from tests.simulation.many import Found, run_all, run_some, summary
from tests.simulation.watch import BrokenPromiseError


def test_several_processes_meet_together_what_one_meets(run_schedule: Simulate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "AT_ONCE", 2)
    said: list[str] = []
    found = run_all(range(5), 2, said.append)
    alone = Found()
    for seed in range(5):
        alone.add(Found(1, run_schedule(seed).met))
    assert (found.schedules, found.met, found.broken) == (5, alone.met, {})
    assert said[-1].startswith("5 of 5 schedules in ")


@pytest.mark.parametrize("error", [BrokenPromiseError("seed 8 did it twice"), KeyError("seed 8")], ids=["promise", "error"])
def test_a_seed_that_breaks_a_promise_is_told_and_the_others_go_on(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def simulate(seed: int, empty: Path, directory: Path) -> None:  # the signature is the real one's
        ran.append(seed)
        raise error

    monkeypatch.setattr(many, "simulate", simulate)
    found = run_some(range(7, 10), Path("empty.db"))
    assert ran == [7, 8, 9]
    assert all("seed 8" in told for told in found.broken.values())
    assert [line for line in summary(found) if line.startswith("8 breaks a promise; to see it again: STEPSWITCH_SIMULATION_SEED=8 ")]


@pytest.mark.parametrize("broken", [{}, {3: "it broke"}], ids=["none", "one"])
def test_the_end_says_whether_one_broke_a_promise(broken: dict[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "run_all", lambda seeds, processes, say: Found(len(seeds), broken=broken))
    assert many.main(["--schedules", "5", "--processes", "1"]) == len(broken)


def test_so_many_that_have_not_met_everything_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(many, "run_all", lambda seeds, processes, say: Found(len(seeds)))
    assert many.main(["--schedules", str(ENOUGH), "--processes", "1"]) == 1
    assert f"in {ENOUGH:,} schedules these were never met: {EXPECTED[0]}" in capsys.readouterr().out


def test_who_stops_it_is_told_what_it_has_found_until_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    waits = iter((wait, None))

    def wait_once(*arguments: Any) -> Any:
        real = next(waits)
        if real is None:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(many, "AT_ONCE", 1)
    monkeypatch.setattr(many, "wait", wait_once)
    assert many.main(["--schedules", "4", "--processes", "1", "--first", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("stopped; ") and not line.startswith("stopped; 0 of") for line in lines)
    assert lines[-1].endswith(EXPECTED[-1])
