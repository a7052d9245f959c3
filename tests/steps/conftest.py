"""What the tests of step types share: one real OpenSSH server for all of them, and a step that is closed after each."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.ssh import SshStep
from tests.netconfd import Netconfd
from tests.openssh import OpenSshServer
from tests.steps.vro_server import FakeVro, open_vro
from tests.vcenter import FakeVCenter


@pytest.fixture(scope="session")
def server() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest_asyncio.fixture
async def ssh() -> AsyncIterator[SshStep]:
    step = SshStep()
    yield step
    await step.close()


@pytest.fixture(scope="session")
def netconfd() -> Iterator[Netconfd]:
    with Netconfd() as server:
        yield server


@pytest_asyncio.fixture
async def netconf() -> AsyncIterator[NetconfStep]:
    step = NetconfStep(lock_poll_seconds=0.05)
    yield step
    await step.close()


@pytest_asyncio.fixture
async def center(tmp_path: Path) -> AsyncIterator[FakeVCenter]:
    async with FakeVCenter(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture
async def vro(tmp_path: Path) -> AsyncIterator[FakeVro]:
    async with open_vro(tmp_path) as vro:
        yield vro


@pytest.fixture
def quickly_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let shells take a new prompt sooner than at a router far away."""
    monkeypatch.setattr("stepswitch.steps.ssh_dialogue.SETTLE_SECONDS", 0.1)
    monkeypatch.setattr("stepswitch.steps.ssh_dialogue.QUESTION_SECONDS", 0.3)
