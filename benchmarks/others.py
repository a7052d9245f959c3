"""The service beside other engines of durable execution, in one run. `python -m benchmarks.others`; `make compare` installs them before.

Compared: Stepswitch, Restate (its server, and a service in Python that it calls) and DBOS (a library for Python, with PostgreSQL). Each runs
a workflow of steps that do nothing, is asked over HTTP by the same client over as many connections, and stores below the same folder (TMPDIR, which
has to be on a disk). All are up during the whole run and are measured in turn, each round in another order, so that a minute in which the
machine is slower is one for all of them. How many times as good the service is, is formed in each round; the median is held against the aim.

All are as durable as they are set up by default: Stepswitch syncs each commit (SQLite, `synchronous=FULL`), Restate syncs its log, PostgreSQL
syncs its own. What differs, and whom it favours:

- Restate and DBOS run code of their user at each step and store what it gave before the next step begins. Stepswitch runs NOOP steps, of which
  it knows that they touch nothing: ten of them are one save. This is what the aims are about, and it favours Stepswitch; a step that acts on a
  target is claimed and reported, with a commit each.
- Restate and DBOS answer when the execution has ended, so as many are under way as there are connections. Stepswitch answers when the execution
  is on disk, so more can wait; its time goes until the last has ended. This favours Stepswitch, too. One execution
  alone is asked for with `Prefer: wait`, and answered when it has ended.
- Stepswitch checks a session in each request. The others are asked without any login. This favours them.
- DBOS has no HTTP: a bare server stands before it, and counts as DBOS's, as PostgreSQL does. Of Restate both the server and the service count, of
  Stepswitch its one process. The client takes from the same cores.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.engines.engine import DBOS, RESTATE, STEPSWITCH, Engine, Starter, dbos, restate, stepswitch

STARTERS: Mapping[str, Starter] = {STEPSWITCH: stepswitch, RESTATE: restate, DBOS: dbos}
LEAST = 10
"""Executions at least in one figure, however slow an engine is."""


@dataclass(frozen=True)
class Figure:
    """What is measured of each engine."""

    name: str
    unit: str

    @property
    def more_is_better(self) -> bool:
        return self.unit == "/s"


TEN = Figure("executions of ten steps", "/s")
ONE = Figure("executions of one step", "/s")
ALONE = Figure("ten steps alone, request to end", "ms")
CPU = Figure("CPU of an execution of ten steps", "ms")
FIGURES = (TEN, ONE, ALONE, CPU)
AIMS: Mapping[tuple[Figure, str], float] = {
    (TEN, RESTATE): 3.8,
    (TEN, DBOS): 17.8,
    (ONE, RESTATE): 2.3,
    (ALONE, RESTATE): 5.6,
    (ALONE, DBOS): 11.8,
    (CPU, RESTATE): 6.25,
}
"""How many times as good the service is meant to be."""

Round = Mapping[str, Mapping[Figure, float]]
"""What one round gave for each engine."""


@dataclass(frozen=True)
class Comparison:
    """How many times as good the service was as another engine, over all rounds."""

    median: float
    least: float
    most: float
    aim: float | None

    @property
    def verdict(self) -> str:
        """Return whether the aim is met; nothing where there is none."""
        if self.aim is None:
            return ""
        return "met" if self.median >= self.aim else "missed"


def compare(rounds: Sequence[Round], figure: Figure, other: str) -> Comparison:
    """Return how the service stands beside another engine; a ratio is formed within each round, where both had the same machine."""
    found = [_times_as_good(figure, each[STEPSWITCH][figure], each[other][figure]) for each in rounds]
    return Comparison(statistics.median(found), min(found), max(found), AIMS.get((figure, other)))


def _times_as_good(figure: Figure, ours: float, theirs: float) -> float:
    return ours / theirs if figure.more_is_better else theirs / ours


@dataclass(frozen=True)
class Pace:
    """How an engine is measured: executions for each figure."""

    ten: int
    one: int
    alone: int


async def warm(engine: Engine, seconds: float, connections: int) -> Pace:
    """Let an engine work for a while; return how many executions fit into so many seconds of each figure."""
    rates = {}
    for steps in engine.messages:
        rate = await engine.per_second(steps, 4 * connections, connections)
        rates[steps] = await engine.per_second(steps, _fit(rate * seconds / 2, connections), connections)
    alone = await engine.alone(10, LEAST)
    return Pace(_fit(rates[10] * seconds, connections), _fit(rates[1] * seconds, connections), _fit(seconds * 1000 / alone / 2))


def _fit(times: float, least: int = LEAST) -> int:
    return max(least, int(times))


async def measure(engines: Sequence[Engine], paces: Mapping[str, Pace], connections: int) -> Round:
    """Return one round: each figure of all engines before the next figure."""
    found: dict[str, dict[Figure, float]] = {engine.name: {} for engine in engines}
    for engine in engines:
        pace, before = paces[engine.name], engine.cpu_seconds()
        found[engine.name][TEN] = await engine.per_second(10, pace.ten, connections)
        found[engine.name][CPU] = (engine.cpu_seconds() - before) / pace.ten * 1000
    for engine in engines:
        found[engine.name][ONE] = await engine.per_second(1, paces[engine.name].one, connections)
    for engine in engines:
        found[engine.name][ALONE] = await engine.alone(10, paces[engine.name].alone)
    return found


async def measure_all(engines: Sequence[Engine], rounds: int, seconds: float, connections: int) -> list[Round]:
    """Warm every engine, then return the rounds; each begins with another engine."""
    paces = {engine.name: await warm(engine, seconds, connections) for engine in engines}
    found = []
    for number in range(rounds):
        first = number % len(engines)
        found.append(await measure([*engines[first:], *engines[:first]], paces, connections))
    return found


def start(stack: ExitStack, installed: Path, connections: int) -> tuple[list[Engine], dict[str, str]]:
    """Start every engine until the stack is closed; return those that run, and a sentence for each that cannot be measured.

    Raises RuntimeError where the service itself does not start.
    """
    engines, missing = [], {}
    for name, starter in STARTERS.items():
        try:
            engines.append(stack.enter_context(starter(installed, connections)))
        except (RuntimeError, OSError) as error:
            if name == STEPSWITCH:
                raise
            missing[name] = f"{name} was not measured: {error}."
    return engines, missing


def values(versions: Mapping[str, str], rounds: Sequence[Round]) -> Table:
    """Return what was measured: a line for each figure, and a column for each engine that was meant to be."""
    made = Table("measured, medians", *(f"{name}\n{versions.get(name, '')}".strip() for name in STARTERS))
    for figure in FIGURES:
        made.add_row(figure.name, *(_value(rounds, figure, name) if name in versions else "not measured" for name in STARTERS))
    return made


def _value(rounds: Sequence[Round], figure: Figure, name: str) -> str:
    value = statistics.median(each[name][figure] for each in rounds)
    return f"{value:,.0f} {figure.unit}" if value >= 100 else f"{value:.3g} {figure.unit}"


def ratios(versions: Mapping[str, str], rounds: Sequence[Round]) -> Table:
    """Return how many times as good the service was as each other engine that was measured, and whether that meets the aim."""
    made = Table("Stepswitch beside", "measured", "times as good", "in the rounds", "aim", "")
    for name in versions:
        for figure in FIGURES if name != STEPSWITCH else ():
            found = compare(rounds, figure, name)
            aim = "" if found.aim is None else f"{found.aim:g}"
            made.add_row(name, figure.name, f"{found.median:.2f}", f"{found.least:.2f} to {found.most:.2f}", aim, found.verdict)
    return made


def _report(versions: Mapping[str, str], missing: Mapping[str, str], rounds: Sequence[Round]) -> dict[str, object]:
    compared = {name: {figure.name: asdict(compare(rounds, figure, name)) for figure in FIGURES} for name in versions if name != STEPSWITCH}
    plain = [{name: {figure.name: value for figure, value in each.items()} for name, each in found.items()} for found in rounds]
    return {"versions": versions, "missing": missing, "rounds": plain, "timesAsGood": compared}


def main() -> None:
    """Measure, print, and write the figures where told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="that each figure of each engine takes, about, in each round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--installed", type=Path, default=Path(".compare"), help="the folder that make compare installs the engines into")
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    with ExitStack() as stack:
        engines, missing = start(stack, told.installed, told.connections)
        rounds = uvloop.run(measure_all(engines, told.rounds, told.seconds, told.connections))
    versions = {engine.name: engine.version for engine in engines}
    console = Console(file=sys.stdout)
    console.print(f"{told.rounds} rounds of about {told.seconds:g} s for each figure, {told.connections} connections")
    compared = [ratios(versions, rounds)] if len(engines) > 1 else []
    console.print(values(versions, rounds), *compared, *missing.values(), sep="\n", soft_wrap=True, markup=False)
    if told.json:
        told.json.write_bytes(orjson.dumps(_report(versions, missing, rounds), option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
