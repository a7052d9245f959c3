"""Where schedules run, and how many of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.schedule import Run
from tests.simulation.simulate import prepared, simulate

MANY: Final = "STEPSWITCH_SIMULATION_SCHEDULES" in os.environ
SCHEDULES: Final = int(os.environ.get("STEPSWITCH_SIMULATION_SCHEDULES", "100"))
"""How many schedules are run; `make simulate SCHEDULES=…` sets it."""
SEED: Final = os.environ.get("STEPSWITCH_SIMULATION_SEED")
"""The only one to run, where somebody wants to see it again."""
Simulate = Callable[..., Run]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def run_schedule(empty: Path, tmp_path: Path) -> Simulate:
    """Run the schedule of a seed, in a weather of which some may be given."""
    return lambda seed, **weather_is: simulate(seed, empty, tmp_path / f"{seed}", **weather_is)
