"""Risk: some order of crashes, lost messages, failing commits, frozen workers and people's wishes breaks a promise.

A seed that does is named, and happens again exactly: `STEPSWITCH_SIMULATION_SEED=… pytest tests/simulation/test_schedules.py`. The same
200 run always, so that nobody's change fails by chance; `make simulate SCHEDULES=10000` runs others, drawn anew each time.
"""

import os
import subprocess
import sys
from random import SystemRandom
from typing import Final

import pytest

from tests.architecture.source_tree import ROOT
from tests.simulation.conftest import AGAIN, SCHEDULES, SEED, Simulate
from tests.simulation.watch import BrokenPromiseError

TIME_LIMIT: Final = pytest.mark.timeout(24 * 3600 if AGAIN else 600)
AT_MOST: Final = 10
"""How many broken promises are told of at once."""
CHUNKS: Final = 4
"""The schedules are spread over so many tests, and so over the workers of pytest."""


def seeds(chunk: int) -> range:
    if SEED is not None:
        return range(int(SEED), int(SEED) + 1) if chunk == 0 else range(0)
    first = chunk * (SCHEDULES // CHUNKS)
    return range(first, first + SCHEDULES // CHUNKS)


@TIME_LIMIT
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_schedule_breaks_a_promise(chunk: int, run_schedule: Simulate) -> None:
    broken = list[str]()
    for seed in seeds(chunk):
        try:
            run_schedule(seed)
        except BrokenPromiseError as error:
            broken.append(str(error))
            if len(broken) == AT_MOST:
                break
    assert not broken, "\n".join(broken)


@TIME_LIMIT
def test_a_seed_makes_the_same_happen_again_in_every_process(run_schedule: Simulate) -> None:
    first = SystemRandom().randrange(10**6) if AGAIN else 0
    chosen = [677053, *range(first, first + int(AGAIN or 9))]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}  # the order of sets and of addresses may be another there, and nothing else
    command = [sys.executable, "-m", "tests.simulation.tell", *map(str, chosen)]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    traces = dict(zip(chosen, ran.stdout.split(), strict=True))
    assert traces == {seed: run_schedule(seed).trace for seed in chosen}, "some seed does not replay"
