"""The dispatchers that the conformance suite runs over."""

from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import pytest_asyncio

from stepswitch.dispatch.places import Places
from tests.dispatch.workplace import OPENERS, Workplace

Open = Callable[..., Workplace]


@pytest_asyncio.fixture(params=sorted(OPENERS))
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """A function that opens a workplace with so many places; it is closed at the end."""
    made: list[Workplace] = []

    def open_(
        steps: int = 2,
        per_device: int = 1,
        *,
        started: bool = True,
        by_type: Mapping[str, int] | None = None,
        of_tenant: Mapping[str, int] | None = None,
    ) -> Workplace:
        workplace = Workplace(OPENERS[request.param], Places(steps, per_device, by_type or {}, (of_tenant or {}).get))
        made.append(workplace)
        if started:
            workplace.start()
        return workplace

    yield open_
    for each in made:
        await each.dispatcher.stop(0)
