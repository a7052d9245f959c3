"""Runs one schedule in a process of its own and prints its trace: `python -m tests.simulation.tell SEED`."""

import sys
import tempfile
from pathlib import Path

from tests.simulation.simulate import prepared, simulate


def main(seed: int) -> None:
    """Print the trace of a seed."""
    with tempfile.TemporaryDirectory() as directory:
        run = simulate(seed, prepared(Path(directory)), Path(directory) / "schedule")
    sys.stdout.write(f"{run.trace}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
