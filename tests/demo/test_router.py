"""Risk: the router that everybody meets first does not behave as its demo says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest

from stepswitch.demo.router import Device, Router


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    async with Router() as up:
        yield up


@asynccontextmanager
async def _login(router: Router, password: str | None = None) -> AsyncIterator[asyncssh.SSHClientConnection]:
    keys = asyncssh.import_known_hosts(f"[{router.host}]:{router.port} {router.public_key}\n")
    async with asyncssh.connect(
        router.host,
        router.port,
        username=router.user,
        password=password or router.password,
        known_hosts=keys,
        client_keys=None,
        agent_path=None,
        config=None,
    ) as connection:
        yield connection


async def test_it_answers_commands_over_a_real_session(router: Router) -> None:
    async with _login(router) as connection:
        version = await connection.run("show version")
        refused = await connection.run("show nothing")
    assert "Version 17.9.4a" in str(version.stdout)
    assert (version.exit_status, refused.exit_status) == (0, 1)
    assert router.device.received == ["show version", "show nothing"]


async def test_a_wrong_password_opens_nothing(router: Router) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        async with _login(router, "wrong"):
            pass


async def test_a_reload_takes_the_connection_down_and_is_counted(router: Router) -> None:
    async with _login(router) as connection:
        answer = await connection.run("reload module 2")
        await connection.wait_closed()
    assert answer.exit_status is None
    assert "module 2  up  reloads 1" in router.device.answer("show module").text


async def test_somebody_can_log_in_and_type(router: Router) -> None:
    async with _login(router) as connection:
        answer = await connection.run(input="show module\nexit\n")
    assert str(answer.stdout).startswith("edge-1# module 1  up")


def test_what_is_configured_stays_until_it_is_taken_away() -> None:
    device = Device()
    assert device.answer("configure ntp server 192.0.2.9\nconfigure\nshow version").exit_code == 1
    assert "ntp server 192.0.2.9\n" in device.answer("show running-config").text
    device.answer("configure no ntp server 192.0.2.9")
    assert "192.0.2.9" not in device.answer("show running-config").text


def test_a_cell_comes_up_after_some_questions() -> None:
    device = Device(questions_until_up=2)
    assert [device.answer("show registration active").text.split()[-1] for _ in range(3)] == ["SEARCHING", "ACTIVE", "ACTIVE"]
