"""Runs many schedules, in several processes: `python -m tests.simulation.many --schedules 10000`, which is what `make simulate` does.

What happens under a seed does not depend on the process that runs it, nor on what ran there before. A seed that breaks a promise is told
as soon as its share of ten is through, and the others go on.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import SystemRandom
from traceback import format_exception
from typing import Final

from tests.simulation.encounters import ENOUGH, EXPECTED, missing
from tests.simulation.simulate import in_memory, prepared, simulate
from tests.simulation.watch import BrokenPromiseError

AT_ONCE: Final = 10
"""So many seeds a process is given at a time."""
PROGRESS_SECONDS: Final = 30.0
ERROR_LINES: Final = 6
"""So many places on the way to an error that nobody expected are told."""
REPLAY: Final = "to see it again: STEPSWITCH_SIMULATION_SEED={} .venv/bin/python -m pytest tests/simulation/test_schedules.py"
Say = Callable[[str], object]


@dataclass
class Found:
    """What came of some schedules: how often they have met what, and which have broken a promise, with what was broken."""

    schedules: int = 0
    met: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Count others too."""
        self.schedules += other.schedules
        self.met.update(other.met)
        self.broken |= other.broken


def run_some(seeds: Sequence[int], empty: Path) -> Found:
    """Run schedules one after the other in this process, each from a copy of an empty store and in a directory beside that."""
    found = Found()
    for seed in seeds:
        found.schedules += 1
        try:
            found.met.update(simulate(seed, empty, empty.parent / f"{seed}").met)
        except BrokenPromiseError as error:
            found.broken[seed] = str(error)
        except Exception as error:  # noqa: BLE001 # whatever it is, its seed is told and the others go on
            found.broken[seed] = f"seed {seed} ended with {error!r}\n{''.join(format_exception(error)[-ERROR_LINES:])}"
    return found


def run_all(seeds: range, processes: int, say: Say) -> Found:
    """Run schedules in so many processes; `say` is told of progress, and of each seed that breaks a promise."""
    with (
        tempfile.TemporaryDirectory(dir=in_memory()) as directory,
        ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool,
    ):
        empty = prepared(Path(directory))
        shares = [seeds[place : place + AT_ONCE] for place in range(0, len(seeds), AT_ONCE)]
        found, started = Found(), time.monotonic()
        said = started
        waiting: set[Future[Found]] = {pool.submit(run_some, share, empty) for share in shares}
        try:
            while waiting:
                done, waiting = wait(waiting, PROGRESS_SECONDS, FIRST_COMPLETED)
                for each in done:
                    some = each.result()
                    found.add(some)
                    for seed, why in some.broken.items():
                        say(f"{why}\n{REPLAY.format(seed)}")
                if time.monotonic() - said >= PROGRESS_SECONDS or not waiting:
                    said = time.monotonic()
                    say(_progress(found, len(seeds), said - started))
        except KeyboardInterrupt:
            say(f"stopped; {_progress(found, len(seeds), time.monotonic() - started)}")
            pool.shutdown(wait=False, cancel_futures=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def end_with_parent() -> None:
    """Have this process end when the one that has started it ends, however that is; Ctrl-C is for that one alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_behind, args=(parent,), daemon=True).start()


def _end_behind(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _progress(found: Found, schedules: int, seconds: float) -> str:
    rate = found.schedules / seconds
    return f"{found.schedules:,} of {schedules:,} schedules in {seconds:.0f} s, {rate:.1f} a second; {len(found.broken)} broke a promise"


def summary(found: Found) -> list[str]:
    """Return how often schedules have met what they have to meet, and which seeds have broken a promise, a line each."""
    lines = [f"{found.met[name]:10,} {name}" for name in EXPECTED]
    lines += [f"{seed} breaks a promise; {REPLAY.format(seed)}" for seed in sorted(found.broken)]
    if found.schedules >= ENOUGH and (never := missing(found.met)):
        lines.append(f"in {found.schedules:,} schedules these were never met: {', '.join(never)}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Run them; returns 1 where one broke a promise, so many of them have not met everything, or somebody has stopped it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.many")
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="one for each core, unless it is said")
    parser.add_argument("--first", type=int, help="the first of the seeds, which follow each other; drawn, unless it is said")
    given = parser.parse_args(arguments)
    first = SystemRandom().randrange(10**9) if given.first is None else given.first

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    say(f"seeds {first} to {first + given.schedules - 1}, in {given.processes} processes")
    found = run_all(range(first, first + given.schedules), given.processes, say)
    for line in summary(found):
        say(line)
    is_whole = found.schedules == given.schedules
    return 0 if is_whole and not found.broken and not (found.schedules >= ENOUGH and missing(found.met)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
