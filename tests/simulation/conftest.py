"""Where schedules run, and how many of them."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.schedule import Run
from tests.simulation.simulate import in_memory, prepared, simulate

SCHEDULES: Final = 200
"""How many schedules run with the tests; `many` runs more of them."""
AGAIN: Final = os.environ.get("STEPSWITCH_SIMULATION_AGAIN")
"""How many seeds that are drawn are run in two processes, where somebody has the time; `make simulate` sets it."""
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
