"""An office for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client.office import Naps, Office, open_office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def naps() -> Naps:
    return Naps()
