"""Risk: whoever asks again and again how much there is keeps the database busy, or somebody is told of a tenant that is not his."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places
from stepswitch.domain.errors import ElsewhereError, NotFoundError, NotPermittedError
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.privileges import ROLES
from stepswitch.engine.quotas import Quota, Quotas
from stepswitch.engine.usage import FRESH_SECONDS, Stored, Usage, Usages
from tests.clocks import FakeClock

ROOT, ANN = administrator("root"), administrator("ann", "north")
QUOTAS = Quotas(Quota(stored_executions=100), {"north": Quota(executions_at_once=2)})


class Counting:
    """A store that says how often, and of whom, it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.has = {"north": Stored(1, 2, 3)}

    async def tenants(self) -> Collection[str]:
        return {"default", "north", "south"}

    async def stored(self, tenant: str | None) -> Mapping[str, Stored]:
        self.asked.append(tenant)
        await asyncio.sleep(0)
        return {name: each for name, each in self.has.items() if tenant in (None, name)}


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def usages(store: Counting, clock: FakeClock) -> Usages:
    return Usages(store, LocalDispatcher(Places(), clock), QUOTAS, clock)


async def test_a_tenant_is_told_of_itself_and_nothing_else_is_counted(usages: Usages, store: Counting) -> None:
    own = [Usage("north", 0, Stored(1, 2, 3), Quota(executions_at_once=2))]
    assert await usages.of(ANN) == own
    assert await usages.of(ANN, "north") == own
    assert store.asked == ["north"]


@pytest.mark.parametrize(
    ("tenant", "error"), [("south", ElsewhereError), ("default", ElsewhereError), ("west", NotFoundError), ("", NotFoundError)]
)
async def test_another_tenant_is_not_there(usages: Usages, store: Counting, tenant: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await usages.of(ANN, tenant)
    assert not store.asked


async def test_administrators_of_the_installation_are_told_of_everybody_or_of_whom_they_name(usages: Usages, store: Counting) -> None:
    nothing, of_all = Stored(), QUOTAS.of_all
    others = {name: Usage(name, 0, nothing, of_all) for name in ("default", "south")}
    north = Usage("north", 0, Stored(1, 2, 3), QUOTAS.own["north"])
    assert await usages.of(ROOT) == [others["default"], north, others["south"]]
    assert await usages.of(ROOT, "north") == [north]
    assert await usages.of(ROOT, "south") == [others["south"]]
    with pytest.raises(NotFoundError):
        await usages.of(ROOT, "west")
    assert store.asked == [None, "north", "south"]


@pytest.mark.parametrize("role", sorted(ROLES.keys() - {"System Administrator"}))
async def test_nobody_else_is_told_anything(usages: Usages, role: str) -> None:
    with pytest.raises(NotPermittedError):
        await usages.of(Caller("ann", "north", (ROLES[role].grant,)))


async def test_however_many_ask_it_is_counted_once_in_a_while(usages: Usages, store: Counting, clock: FakeClock) -> None:
    await asyncio.gather(*(usages.of(ANN) for _ in range(20)))
    assert store.asked == ["north"]
    store.has["north"] = Stored(2, 3, 4)
    await clock.advance(FRESH_SECONDS - 0.1)
    assert (await usages.of(ANN))[0].stored == Stored(1, 2, 3)
    await clock.advance(0.2)
    assert (await usages.of(ANN))[0].stored == Stored(2, 3, 4)
    assert store.asked == ["north", "north"]
