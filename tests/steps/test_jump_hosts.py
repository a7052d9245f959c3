"""Ways through jump hosts, against real OpenSSH servers. Risks: somebody in between is believed, a session stays open there, the wrong hop is named.

What the inventory says of a way is looked at in `test_known_devices`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncssh
import psutil
import pytest

from stepswitch.domain.inventory import Inventory
from stepswitch.plugin import ErrorCode, Outcome, Result, Value
from stepswitch.steps.host_keys import fingerprint
from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.scp import ScpStep
from stepswitch.steps.ssh import SshStep
from tests.netconfd import Netconfd
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext
from tests.steps.inventories import entry_of, known, where
from tests.steps.test_ssh import error_of

OTHER: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


@pytest.fixture(scope="module")
def bastion() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest.fixture(scope="module")
def inner() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


def behind(bastion: OpenSshServer, target: OpenSshServer, *, jump: dict[str, Any] | None = None, **more: Any) -> Inventory:
    """Return an inventory in which `target` is reached through `bastion`; `jump` is what is different about that, `more` about the target."""
    gate = {**entry_of(bastion), "login": {"username": bastion.user, "password": {"credential": "jump"}}, **(jump or {})}
    return known(edge=entry_of(target, jumpHost="gate", **more), gate=gate)


def context_with(inventory: Inventory, bastion: OpenSshServer, target: OpenSshServer, **more: Any) -> RecordingContext:
    return RecordingContext(inventory=inventory, credentials={"pw": target.password, "jump": bastion.password}, **more)


def message_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


def sessions_at(server: OpenSshServer) -> int:
    """Return how many connections are open there."""
    return len(psutil.Process(server.pid).children())


async def nobody_is_left_at(server: OpenSshServer) -> bool:
    """Return whether every session ends there within a while."""
    for _ in range(100):
        if not sessions_at(server):
            return True
        await asyncio.to_thread(psutil.wait_procs, psutil.Process(server.pid).children(), 0.1)
    return False


# --- there ---------------------------------------------------------------------------------------------------------


async def test_a_command_runs_behind_a_jump_host(ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer) -> None:
    context = context_with(behind(bastion, inner), bastion, inner)
    logins, commands = bastion.logins(), bastion.commands()
    outcome = await ssh.run(where(inner, cmd="id -un; echo $SSH_CONNECTION"), context)
    assert str(outcome.outputs["outputText"]).splitlines()[0] == inner.user
    assert (bastion.logins(), bastion.commands()) == (logins + 1, commands)
    assert f"logged in through the jump host 'gate' (127.0.0.1:{bastion.port})" in context.messages[0]


async def test_one_behind_another_is_reached_too_and_each_is_asked_for_its_own_key(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer, server: OpenSshServer
) -> None:
    outer = {**entry_of(server), "login": {"username": server.user, "privateKey": {"credential": "key"}}}
    middle = {**entry_of(bastion, jumpHost="outer"), "login": {"username": bastion.user, "password": {"credential": "jump"}}}
    inventory = known(edge=entry_of(inner, jumpHost="middle"), middle=middle, outer=outer)
    context = context_with(inventory, bastion, inner)
    context.credentials["key"] = server.private_key
    logins = server.logins(), bastion.logins(), inner.logins()
    assert (await ssh.run(where(inner, cmd="echo there"), context)).outputs["outputText"] == "there\n"
    assert all(now > before for now, before in zip((server.logins(), bastion.logins(), inner.logins()), logins, strict=True))
    context.known = known(edge=entry_of(inner, jumpHost="middle"), middle=middle, outer={**outer, "hostKeys": [OTHER]})
    outcome = await ssh.run(where(inner, cmd="echo there"), context)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.WRONG_HOST_KEY)
    assert message_of(outcome).startswith("at the jump host 'middle' (127.0.0.1:")
    assert f"at the jump host 'outer' (127.0.0.1:{server.port}), on the way to 127.0.0.1:{bastion.port}: " in message_of(outcome)


async def test_a_session_behind_a_jump_host_is_gone_on_with_and_both_end_with_the_execution(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer
) -> None:
    context = context_with(behind(bastion, inner), bastion, inner)
    logins = bastion.logins()
    for _ in range(2):
        assert (await ssh.run(where(inner, cmd="true"), context)).result is Result.SUCCEEDED
    assert bastion.logins() == logins + 1
    await ssh.release(context.execution_id)
    assert await nobody_is_left_at(bastion)
    assert await nobody_is_left_at(inner)


async def test_a_file_is_copied_through_a_jump_host(bastion: OpenSshServer, inner: OpenSshServer) -> None:
    context = context_with(behind(bastion, inner), bastion, inner, attachments={"a": b"content"}, files={"inFile"})
    outcome = await ScpStep().run(where(inner, inFile="a", destinationPath=str(inner.work / "copied")), context)
    assert outcome.result is Result.SUCCEEDED, outcome.error
    assert (inner.work / "copied").read_bytes() == b"content"
    assert await nobody_is_left_at(bastion)


async def test_a_configuration_is_changed_through_a_jump_host(netconf: NetconfStep, bastion: OpenSshServer, netconfd: Netconfd) -> None:
    context = context_with(behind(bastion, netconfd.ssh), bastion, netconfd.ssh)
    payload = '<toaster xmlns="http://netconfcentral.org/ns/toaster"/>'
    for action in ("merge", "delete"):
        outcome = await netconf.run(where(netconfd.ssh, action=action, payload=payload), context)
        assert outcome.result is Result.SUCCEEDED, outcome.error
    assert await nobody_is_left_at(bastion)


# --- not there -----------------------------------------------------------------------------------------------------


async def test_a_jump_host_in_the_middle_cannot_stand_for_the_server_behind_it(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer, server: OpenSshServer
) -> None:
    """A hostile jump host connects elsewhere: here to a server of its own, at the address that we asked for."""
    inventory = behind(bastion, server, hostKeys=[inner.host_public_key])
    context = context_with(inventory, bastion, server, accept_new=True, host_keys=server.trusted())
    logins = server.logins()
    outcome = await ssh.run(where(server, cmd="id"), context)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.WRONG_HOST_KEY)
    assert fingerprint(inner.host_public_key) in message_of(outcome)
    assert (server.logins(), context.sent) == (logins, False)
    assert await nobody_is_left_at(bastion)


async def test_an_unknown_key_behind_a_jump_host_is_shown_with_the_way_to_trust_it(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer
) -> None:
    outcome = await ssh.run(where(inner, cmd="id"), context_with(behind(bastion, inner, hostKeys=[]), bastion, inner))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.UNKNOWN_HOST_KEY)
    assert f"host-key trust 127.0.0.1 --port {inner.port} '{inner.host_public_key}'" in message_of(outcome)
    trusted = context_with(behind(bastion, inner, hostKeys=[]), bastion, inner, host_keys=inner.trusted())
    assert (await ssh.run(where(inner, cmd="true"), trusted)).result is Result.SUCCEEDED


@pytest.mark.parametrize("kind", [0, 1])
async def test_a_fingerprint_finds_its_key_behind_a_jump_host_whatever_its_kind(ssh: SshStep, bastion: OpenSshServer, kind: int) -> None:
    with OpenSshServer(host_key_types=("ecdsa", "ed25519")) as target:
        inventory = behind(bastion, target, hostKeys=[fingerprint(target.host_public_keys[kind])])
        assert (await ssh.run(where(target, cmd="true"), context_with(inventory, bastion, target))).result is Result.SUCCEEDED
        await ssh.close()


@pytest.mark.parametrize(
    ("jump", "code"),
    [
        ({"hostKeys": [OTHER]}, ErrorCode.WRONG_HOST_KEY),
        ({"hostKeys": []}, ErrorCode.UNKNOWN_HOST_KEY),
        ({"login": {"username": "nobody", "password": {"credential": "jump"}}}, ErrorCode.LOGIN_REFUSED),
        ({"algorithms": {"ciphers": ["3des-cbc"]}}, ErrorCode.NO_COMMON_ALGORITHM),
        ({"algorithms": {"ciphers": ["caesar"]}}, ErrorCode.NO_COMMON_ALGORITHM),
    ],
)
async def test_what_is_wrong_at_a_jump_host_is_said_to_be_there_and_the_target_is_sent_nothing(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer, jump: dict[str, Any], code: ErrorCode
) -> None:
    context = context_with(behind(bastion, inner, jump=jump), bastion, inner)
    logins = inner.logins()
    outcome = await ssh.run(where(inner, cmd="id"), context)
    assert error_of(outcome) == (Result.FAILED, code)
    assert message_of(outcome).startswith(f"at the jump host 'gate' (127.0.0.1:{bastion.port}), on the way to 127.0.0.1:{inner.port}: ")
    assert (inner.logins(), context.sent) == (logins, False)


async def test_a_jump_host_that_does_not_answer_is_given_the_time_of_its_own_entry(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer
) -> None:
    context = context_with(behind(bastion, inner, jump={"timeLimits": {"connectSeconds": 0.3}}), bastion, inner)
    with bastion.standing_still():
        outcome = await ssh.run(where(inner, cmd="id"), context)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert f"127.0.0.1:{bastion.port} did not let us in within 0.3 seconds" in message_of(outcome)


async def test_a_target_that_does_not_answer_leaves_nobody_at_the_jump_host(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer
) -> None:
    context = context_with(behind(bastion, inner, timeLimits={"connectSeconds": 0.5}), bastion, inner)
    with inner.standing_still():
        outcome = await ssh.run(where(inner, cmd="id"), context)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert f"127.0.0.1:{inner.port} did not let us in within 0.5 seconds through the jump host 'gate'" in message_of(outcome)
    assert await nobody_is_left_at(bastion)


async def test_a_target_where_nothing_listens_is_told_from_a_jump_host_that_forbids_it(ssh: SshStep, inner: OpenSshServer) -> None:
    with OpenSshServer(more_settings=f"PermitOpen 127.0.0.1:{inner.port} 127.0.0.1:1") as strict, OpenSshServer() as other:
        nothing: dict[str, Any] = {"edge": entry_of(inner, addresses=["127.0.0.1:1"], jumpHost="gate")}
        gate = {**entry_of(strict), "login": {"username": strict.user, "password": {"credential": "jump"}}}
        outcome = await ssh.run(
            {"hostNameOrIP": "127.0.0.1", "port": 1, "cmd": "id"}, context_with(known(**nothing, gate=gate), strict, inner)
        )
        assert error_of(outcome) == (Result.FAILED, ErrorCode.UNREACHABLE)
        assert f"127.0.0.1:1 cannot be reached from the jump host 'gate' (127.0.0.1:{strict.port}): " in message_of(outcome)
        outcome = await ssh.run(where(other, cmd="id"), context_with(behind(strict, other), strict, other))
        assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)
        assert "does not let us through to" in message_of(outcome)


async def test_a_jump_host_that_goes_away_in_the_middle_leaves_the_command_in_doubt(
    ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer
) -> None:
    async with Proxy(bastion.host, bastion.port) as proxy:
        context = context_with(behind(bastion, inner, jump={"addresses": [f"{proxy.host}:{proxy.port}"]}), bastion, inner)
        running = asyncio.create_task(ssh.run(where(inner, cmd="echo begun; exec sleep 60"), context))
        await context.wait_for_line("begun")
        proxy.cut()
        outcome = await running
    assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert await nobody_is_left_at(inner)


async def test_a_step_that_is_stopped_leaves_nobody_on_the_way(ssh: SshStep, bastion: OpenSshServer, inner: OpenSshServer) -> None:
    context = context_with(behind(bastion, inner), bastion, inner)
    running = asyncio.create_task(ssh.run(where(inner, cmd="echo begun; exec sleep 60"), context))
    await context.wait_for_line("begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await nobody_is_left_at(bastion)
    assert await nobody_is_left_at(inner)


# --- a jump host that means harm -----------------------------------------------------------------------------------


class _Curious(asyncssh.SSHServer):
    """Lets anybody in who gives it a word, opens channels and agents where it can, and writes down what it was told."""

    def __init__(self, told: list[str], asks: list[str]) -> None:
        self._told = told
        self._asks = asks

    def begin_auth(self, username: str) -> bool:
        self._told.append(username)
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [(question, False) for question in self._asks]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        self._told.extend(responses)
        return True

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._told.append(f"{dest_host}:{dest_port}")
        return True


@asynccontextmanager
async def curious(asks: list[str]) -> AsyncIterator[tuple[int, str, list[str]]]:
    told: list[str] = []
    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: _Curious(told, asks), server_host_keys=[key], agent_forwarding=True, config=None
    )
    yield acceptor.get_port(), key.export_public_key().decode().strip(), told
    acceptor.close()
    await acceptor.wait_closed()


@pytest.mark.parametrize("more", [[], ["Password of the router behind: ", "Token: "]])
async def test_a_curious_jump_host_is_told_nothing_that_is_for_the_device(ssh: SshStep, inner: OpenSshServer, more: list[str]) -> None:
    async with curious(["Password: ", *more]) as (port, key, told):
        login = {"username": "jumper", "password": {"credential": "jump"}}
        gate = {"addresses": [f"127.0.0.1:{port}"], "login": login, "hostKeys": [key]}
        context = RecordingContext(
            inventory=known(edge=entry_of(inner, jumpHost="gate"), gate=gate), credentials={"pw": inner.password, "jump": "for the jump"}
        )
        shell: dict[str, Value] = {"shell": True, "prompt": ".*[$#] ?", "cmd": "true", "answers": '{"Token": "4711"}'}
        outcome = await ssh.run(where(inner, **shell), context)
        await ssh.close()
    if more:  # what has more to ask than a password is not let know anything
        assert (error_of(outcome)[1], told) == (ErrorCode.LOGIN_REFUSED, ["jumper"])
    else:
        assert (outcome.result, told) == (Result.SUCCEEDED, ["jumper", "for the jump", f"127.0.0.1:{inner.port}"])
