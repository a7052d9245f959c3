"""Sessions kept for an execution. Risks: one is used by two steps or by strangers, one stays open for ever, a dead one fails a step."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stepswitch.plugin import ErrorCode, Outcome, Result, Value
from stepswitch.steps.connections import Connections, Holder, digest
from stepswitch.steps.ssh import SshStep
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext

DEVICE = ("router", 22)


class FakeSession:
    """A connection that is only a name."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.closed = False
        self.aborted = False
        self.gone = asyncio.Event()
        self.hangs = hangs

    def is_closed(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
        if not self.hangs:
            self.gone.set()

    def abort(self) -> None:
        self.closed = self.aborted = True
        self.gone.set()

    async def wait_closed(self) -> None:
        await self.gone.wait()


class Devices:
    """Uses sessions as steps do, and counts what is open."""

    def __init__(self, **how: float) -> None:
        self.connections: Connections[FakeSession] = Connections(**how)
        self.made: list[FakeSession] = []

    async def connect(self) -> FakeSession:
        self.made.append(FakeSession())
        return self.made[-1]

    async def step(
        self,
        execution: str = "e1",
        credential: str = "admin",
        device: tuple[str, int] = DEVICE,
        *,
        until: asyncio.Event | None = None,
        begun: asyncio.Event | None = None,
    ) -> FakeSession:
        holder = Holder(execution, device, digest(credential))
        async with self.connections.lease(holder, self.connect, accepts=lambda _: True) as lease:
            if begun:
                begun.set()
            if until:
                await until.wait()
            lease.keep()
            return lease.session

    @property
    def open(self) -> int:
        return sum(not session.closed for session in self.made)


# --- the rules, with sessions that are only names --------------------------------------------------------------------


async def test_the_next_step_of_the_same_execution_gets_the_session() -> None:
    devices = Devices()
    assert await devices.step() is await devices.step()
    assert devices.open == devices.connections.count == 1
    await devices.connections.close()
    assert devices.open == devices.connections.count == 0


@pytest.mark.parametrize(("other", "is_closed"), [({"execution": "e2"}, False), ({"credential": "root"}, True)])
async def test_another_execution_or_credential_gets_another_and_nobody_has_two(other: dict[str, str], *, is_closed: bool) -> None:
    devices = Devices()
    first = await devices.step()
    assert await devices.step(**other) is not first  # type: ignore[arg-type]
    assert first.closed is is_closed
    assert devices.open == 2 - is_closed
    await devices.connections.close()
    assert devices.open == 0


async def test_a_session_with_one_device_is_left_alone_while_another_one_is_asked() -> None:
    devices = Devices()
    first = await devices.step()
    assert await devices.step(device=("router", 830)) is not first
    assert devices.open == 2
    await devices.connections.close()


async def test_two_running_steps_of_one_execution_never_share_a_session() -> None:
    devices, finish = Devices(), asyncio.Event()
    begun = [asyncio.Event(), asyncio.Event()]
    running = [asyncio.create_task(devices.step("e1", until=finish, begun=event)) for event in begun]
    for event in begun:
        await event.wait()
    finish.set()
    first, second = await asyncio.gather(*running)
    assert first is not second
    await devices.connections.release("e1")
    assert devices.open == 0


async def test_a_dead_session_of_somebody_else_is_not_kept_any_longer() -> None:
    devices = Devices()
    first, second = await devices.step("e1"), await devices.step("e2")
    second.closed = True
    await devices.step("e3")
    assert not first.closed
    assert (devices.open, devices.connections.count) == (2, 2)
    await devices.connections.close()


async def test_release_closes_the_sessions_of_that_execution_only() -> None:
    devices = Devices()
    first, second = await devices.step("e1"), await devices.step("e2", device=("other", 22))
    await devices.connections.release("e1")
    assert (first.closed, second.closed) == (True, False)
    await devices.connections.close()


async def test_an_idle_session_is_closed_after_a_while() -> None:
    devices = Devices(idle_seconds=0.05)
    session = await devices.step()
    async with asyncio.timeout(5):
        await session.gone.wait()
    assert devices.connections.count == 0


async def test_a_session_of_a_step_that_broke_off_is_not_given_again() -> None:
    devices, begun = Devices(), asyncio.Event()
    running = asyncio.create_task(devices.step(until=asyncio.Event(), begun=begun))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert devices.made[0].aborted
    assert await devices.step() is not devices.made[0]
    await devices.connections.close()


async def test_a_session_that_does_not_go_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.steps.connections.CLOSING_SECONDS", 0.05)
    devices = Devices()
    (await devices.step()).hangs = True
    await devices.connections.close()
    assert devices.made[0].aborted


async def test_a_failed_login_gives_its_place_back() -> None:
    devices = Devices()

    async def refuse() -> FakeSession:
        raise ConnectionRefusedError

    holder = Holder("e1", DEVICE, digest("x"))
    with pytest.raises(ConnectionRefusedError):
        async with devices.connections.lease(holder, refuse, accepts=lambda _: True):
            pass
    assert devices.connections.count == 0
    await devices.step()
    await devices.connections.close()


async def test_after_the_end_nothing_is_kept() -> None:
    devices, finish, begun = Devices(), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(devices.step(until=finish, begun=begun))
    await begun.wait()
    await devices.connections.close()
    finish.set()
    assert (await running).closed
    assert devices.connections.count == 0


def test_a_digest_tells_credentials_apart_and_does_not_show_them() -> None:
    assert digest("a", "bc") != digest("ab", "c")
    assert digest(None) != digest("")
    assert digest("a", None) == digest("a", None)
    assert b"secret" not in digest("secret")


# --- the same with a real server -------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def proxy(server: OpenSshServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.host, server.port) as proxy:
        yield proxy


async def through(
    proxy: Proxy, ssh: SshStep, server: OpenSshServer, context: RecordingContext | None = None, /, execution: str = "e1", **inputs: Value
) -> Outcome:
    context = context or RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys}, execution_id=execution)
    return await ssh.run(server.inputs(port=proxy.port, cmd="echo done", **inputs), context)


async def test_consecutive_steps_share_one_connection(proxy: Proxy, ssh: SshStep, server: OpenSshServer) -> None:
    for _ in range(3):
        assert (await through(proxy, ssh, server)).result is Result.SUCCEEDED
    assert proxy.connections == 1
    await ssh.release("e1")
    await proxy.wait_until(open_connections=0)


async def test_a_failed_command_does_not_cost_the_session(proxy: Proxy, ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys})
    await ssh.run(server.inputs(port=proxy.port, cmd="exit 1"), context)
    await ssh.run(server.inputs(port=proxy.port, cmd="exit 1"), context)
    assert proxy.connections == 1


async def test_executions_and_credentials_do_not_share(proxy: Proxy, ssh: SshStep, server: OpenSshServer) -> None:
    await through(proxy, ssh, server)
    await through(proxy, ssh, server, execution="e2")
    assert proxy.connections == 2
    await ssh.release("e1")
    await through(proxy, ssh, server, execution="e2", privateKey=server.private_key)
    assert proxy.connections == 3
    refused = await through(proxy, ssh, server, execution="e2", password="wrong")
    assert refused.error is not None
    assert refused.error.code is ErrorCode.LOGIN_REFUSED
    await proxy.wait_until(open_connections=0)


async def test_a_key_that_is_no_longer_trusted_ends_the_session(proxy: Proxy, ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys})
    assert (await through(proxy, ssh, server, context)).result is Result.SUCCEEDED
    context.recorded_host_keys.keys.clear()
    outcome = await through(proxy, ssh, server, context)
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.UNKNOWN_HOST_KEY


async def test_a_kept_session_that_died_is_replaced_unseen(proxy: Proxy, ssh: SshStep, server: OpenSshServer) -> None:
    await through(proxy, ssh, server)
    proxy.cut()
    await proxy.wait_until(open_connections=0)
    assert (await through(proxy, ssh, server)).result is Result.SUCCEEDED
    assert proxy.connections == 2


async def test_a_kept_session_that_hangs_is_replaced_before_anything_is_sent(
    server: OpenSshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepswitch.steps.ssh._KEPT_OPEN_SECONDS", 0.3)
    ssh = SshStep()
    async with Proxy(server.host, server.port) as proxy:
        await through(proxy, ssh, server)
        context = RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys}, execution_id="e1")
        before = len(server.commands())
        proxy.stall()
        again = asyncio.create_task(through(proxy, ssh, server, context))
        await proxy.wait_until(connections=2)
        assert not context.sent
        proxy.resume()
        assert (await again).result is Result.SUCCEEDED
        assert len(server.commands()) == before + 1
    await ssh.close()


async def test_an_idle_session_is_closed_at_the_server(proxy: Proxy, server: OpenSshServer) -> None:
    ssh = SshStep(idle_seconds=0.1)
    await through(proxy, ssh, server)
    await proxy.wait_until(connections=1, open_connections=0)
    await ssh.close()
