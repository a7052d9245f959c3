"""What the tests of step types share: one real OpenSSH server for all of them, and a step that is closed after each."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from stepswitch.steps.ssh import SshStep
from tests.openssh import OpenSshServer


@pytest.fixture(scope="session")
def server() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest_asyncio.fixture
async def ssh() -> AsyncIterator[SshStep]:
    step = SshStep()
    yield step
    await step.close()
