"""Runs schedules in a process of its own and prints the trace of each: `python -m tests.simulation.tell SEED…`."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.simulate import in_memory, prepared, simulate


def main(seeds: Sequence[int]) -> None:
    """Print the trace of each seed, one a line."""
    with tempfile.TemporaryDirectory(dir=in_memory()) as directory:
        empty = prepared(Path(directory))
        for seed in seeds:
            run = simulate(seed, empty, Path(directory) / f"{seed}")
            sys.stdout.write(f"{run.trace}\n")


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]])
