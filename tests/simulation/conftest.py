"""Where schedules run, and how many of them."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.encounters import EXPECTED
from tests.simulation.schedule import Run
from tests.simulation.simulate import in_memory, prepared, simulate

MANY: Final = "STEPSWITCH_SIMULATION_SCHEDULES" in os.environ
SCHEDULES: Final = int(os.environ.get("STEPSWITCH_SIMULATION_SCHEDULES", "200"))
"""How many schedules are run; `make simulate SCHEDULES=…` sets it."""
SEED: Final = os.environ.get("STEPSWITCH_SIMULATION_SEED")
"""The only one to run, where somebody wants to see it again."""
Simulate = Callable[..., Run]


@pytest.fixture(scope="session")
def empty() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=in_memory()) as directory:
        yield prepared(Path(directory))


@pytest.fixture
def run_schedule(empty: Path) -> Simulate:
    """Run the schedule of a seed, in a weather of which some may be given."""
    return lambda seed, **weather_is: simulate(seed, empty, empty.parent / f"{seed}", **weather_is)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often schedules have met what they have to meet, at the end of a long run."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, ())]
    runs = [value for each in reports for name, value in getattr(each, "user_properties", ()) if name == "simulated"]
    if MANY and runs:
        met = Counter[str]()
        for _, _, found in runs:
            met.update(found)
        schedules, seconds = (sum(each) for each in list(zip(*runs, strict=True))[:2])
        terminalreporter.section(f"{schedules} schedules in {seconds:.0f} s of one process")
        for name in EXPECTED:
            terminalreporter.write_line(f"{met[name]:10,} {name}")
