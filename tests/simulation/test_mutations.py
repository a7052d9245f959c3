"""Risk: the simulation finds nothing because it cannot: a fault that is built in on purpose has to be found."""

import pytest

from tests.simulation.conftest import Simulate
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.waiting_mutations import WAITING
from tests.simulation.watch import BrokenPromiseError

ENOUGH = 100
"""Schedules after which a fault counts as not found; nearly all are found in the first few."""

ALL = {**MUTATIONS, **WAITING}


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: str(mutation.__name__))
def test_the_simulation_finds_what_is_broken_on_purpose(
    mutation: Mutation, run_schedule: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)

    def run_all() -> None:
        for seed in range(ENOUGH):
            run_schedule(seed, **ALL[mutation])

    with pytest.raises(BrokenPromiseError, match=r"^STEPSWITCH_SIMULATION_SEED=\d+ breaks a promise") as found:
        run_all()
    assert not isinstance(found.value.__cause__, TypeError | NameError | AttributeError), "the fault does not fit the code any more"
