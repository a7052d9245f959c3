"""Risk: one tenant learns anything of another one, or changes anything of it: by an id, a name, a count, a place in line, or the words of an error."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from stepswitch.bootstrap.server import application
from tests.api.tenants import NAMES, SERVED, WAYS, Act, Playing, as_told, inspection, is_known, planting
from tests.clocks import FakeClock
from tests.engine.scripted import House


class Stage:
    """One service on which many plays are played, each by tenants of its own."""

    def __init__(self, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self.house = House(directory, FakeClock(), vro_login_details=True)
        self.runner.run(self.house.open(start=False))
        self.app: ASGIApp = application(self.house.service)
        self.numbers = itertools.count()

    def played(self, acts: Sequence[Act], present: Sequence[str]) -> dict[str, list[str]]:
        """Return what each tenant that is present was told."""
        return self.runner.run(self._played(acts, present))

    async def _played(self, acts: Sequence[Act], present: Sequence[str]) -> dict[str, list[str]]:
        await self.house.service.audit.settle(at_once=True)
        playing = await Playing.open(self.house, self.app, present, next(self.numbers))
        await playing.play(acts)
        return {name: as_told(playing.parties[name]) for name in present}

    def compare(self, acts: Sequence[Act]) -> None:
        """Play with both tenants, and with each alone; what each is told has to be the same."""
        everything = [*planting("north"), *planting("south"), *acts, *inspection("north"), *inspection("south")]
        together = self.played(everything, NAMES)
        planted = [text for told in together.values() for text in told[: len(planting("north"))]]
        assert not [text for text in planted if ": 20" not in text], "what is to be planted is not there"
        told: list[str] = []
        for name in NAMES:
            alone = self.played(everything, [name])[name]
            told += [_difference(*both) for both in zip(together[name], alone, strict=True) if both[0] != both[1]]
        assert not told, "what is answered shows that there is another tenant:\n" + "\n".join(told[:20])

    def close(self) -> None:
        self.runner.run(self.house.stop())
        self.runner.close()


def _difference(beside: str, alone: str) -> str:
    """Return where two answers begin to differ."""
    place = next(
        (place for place, (one, other) in enumerate(zip(beside, alone, strict=False)) if one != other), min(len(beside), len(alone))
    )
    way = beside.partition(": ")[0]
    return f"{way}: …{beside[max(0, place - 60) : place + 60]!r}, alone …{alone[max(0, place - 60) : place + 60]!r}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("tenants"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stepswitch.engine.audit_trail.MOST_CALLERS", 10_000)  # so that every refusal is a record of its own
        yield stage
    stage.close()


def test_every_operation_can_be_asked_for_here() -> None:
    assert [operation.id for _, operation in SERVED if not is_known(operation)] == []


def test_what_is_anothers_is_answered_as_what_does_not_exist_by_every_operation(stage: Stage) -> None:
    foreign = [Act(who, way, of_other=True, pick=pick) for way in WAYS for pick in range(3) for who in NAMES]
    under_its_root = [Act(who, way, of_other=True, in_other_root=True) for way in WAYS if "{tenantId}" in way for who in NAMES]
    stage.compare([*foreign, *under_its_root])


def test_what_is_ones_own_is_the_same_whoever_else_is_there(stage: Stage) -> None:
    stage.compare([Act(who, way, pick=pick) for pick in (1, 0) for way in WAYS for who in NAMES])


ACTS = st.builds(
    Act,
    who=st.sampled_from(NAMES),
    way=st.sampled_from(sorted(WAYS)),
    of_other=st.booleans(),
    pick=st.integers(0, 2),
    in_other_root=st.sampled_from((False, False, False, True)),
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(acts=st.lists(ACTS, min_size=5, max_size=40))
def test_whatever_two_tenants_do_none_is_told_anything_of_the_other(stage: Stage, acts: list[Act]) -> None:
    stage.compare(acts)
