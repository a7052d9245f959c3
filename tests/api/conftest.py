"""A house for each test, and both roots."""

from collections.abc import AsyncIterator

import pytest

from tests.api.house import PLAIN, TENANT, House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with house.client:
        yield house
    await house.rehearsals.close()


@pytest.fixture(params=[PLAIN, TENANT], ids=["plain root", "tenant root"])
def root(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found
