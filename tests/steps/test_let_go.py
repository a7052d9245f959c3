"""What a step printed and was given is gone when its attempt is over. Risk: objects that keep each other wait for the collector, which comes
seldom: a service that prints a MiB in each step grows by hundreds of them first, and passwords stay as long.

The collector is kept away while one execution of each type runs in each situation; what it finds then has kept itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from stepswitch.domain.execution import ENDED, Status
from stepswitch.plugin import Outcome, StepContext, Values
from stepswitch.worker.attempt import PAUSE_SECONDS
from tests.collector import collector_kept_away, ours
from tests.engine.scripted import ANN, House, open_house
from tests.steps.at_target import AtTarget, one_step
from tests.steps.suite import CASES, names_with

SITUATIONS: Final = ("succeeds", "is_refused", "times_out", "is_cut", "goes_on", "prints_much", "prints_invalid_text")
ASYNCSSH: Final = frozenset({"LoginClient", "Login", "TimeLimits"})
KEPT_BY_DRIVERS: Final = {
    "TCA_SSH": ASYNCSSH,
    "TCA_SCP": ASYNCSSH,
    "NETCONF": ASYNCSSH | {"Framer"},  # that of the device, which these tests play
    "TCA_EXEC": {"Line"},  # a set of weak references leads to itself
    "HTTP": {"Url"},  # asyncio's own, where a certificate is refused
}
"""What a connection of a driver, which holds itself, holds of ours: how it was made, and nothing of what came over it."""


class Raising(AtTarget):
    """A step type with a bug."""

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        raise RuntimeError("a bug")


@asynccontextmanager
async def house_with(directory: Path, at_target: AtTarget) -> AsyncIterator[House]:
    """Give a service in which the step type is the situation's."""
    async with open_house(directory, start=False) as house:
        await house.stop()
        house.more = {at_target.signature.name: at_target}
        await house.open()
        yield house


async def ended(house: House, execution: str) -> None:
    await house.watch.until(house.service, execution, lambda view: view.head.status in {*ENDED, Status.PAUSED})


async def logs_are_written(house: House) -> None:
    """Let the pauses pass that are made between writing one piece of a log and the next."""
    while True:
        await house.clock.until_sleeping_for(PAUSE_SECONDS)
        await house.clock.advance(PAUSE_SECONDS)


@pytest.mark.parametrize(
    ("name", "situation"), [(name, each) for each in SITUATIONS for name in sorted(names_with(each)) if name != "NOOP"]
)
async def test_nothing_of_an_attempt_waits_for_the_collector(
    name: str, situation: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with CASES[name](lambda: request.getfixturevalue("server")) as case:
        at_target = AtTarget(case, getattr(case, situation)())
        async with house_with(tmp_path, at_target) as house:
            with collector_kept_away() as garbage:
                execution = await house.queue(one_step(case.name))
                if situation in {"is_cut", "goes_on"}:
                    await at_target.seen.wait_for_line(case.begun)
                if situation == "is_cut":
                    case.cut()
                if situation == "goes_on":
                    await house.service.steering.abort(ANN, execution)
                writing = asyncio.create_task(logs_are_written(house))
                await ended(house, execution)
                writing.cancel()
                await at_target.over.wait()
                await house.stop()
            kept = sorted(set(ours(garbage)) - KEPT_BY_DRIVERS.get(case.name, set()))
            assert not kept, " ".join(kept)


async def test_nothing_of_an_attempt_whose_step_type_raised_waits_for_the_collector(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    async with (
        CASES["HTTP"](lambda: request.getfixturevalue("server")) as case,
        house_with(tmp_path, Raising(case, case.succeeds())) as house,
    ):
        with collector_kept_away() as garbage:
            await ended(house, await house.queue(one_step("HTTP")))
            await house.stop()
        assert ours(garbage) == []
