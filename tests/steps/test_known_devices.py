"""What the inventory adds to a login. Risks: a password goes where it is not meant to, what the step says does not count, a fault is told after a secret was opened."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from stepswitch.plugin import ErrorCode, Result, StepContext, Value, Values
from stepswitch.steps.host_keys import fingerprint
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.known_devices import MOST_JUMPS, known_login
from stepswitch.steps.login_inputs import Login
from stepswitch.steps.netconf_inputs import read_request as read_netconf
from stepswitch.steps.scp_inputs import read_request as read_scp
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.ssh_inputs import read_request
from tests.openssh import OpenSshServer
from tests.steps.contexts import RecordingContext
from tests.steps.inventories import entry_of, known, where
from tests.steps.test_ssh import error_of

KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
OTHER: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
SECRETS: Final = {
    "core": "core's own",
    "key": "a key\r\nof lines",
    "phrase": "a phrase",
    "enable": "an enabling one",
    "jump": "for the jump",
}
LOGIN: Final[dict[str, Any]] = {
    "username": "svc",
    "password": {"credential": "core"},
    "privateKey": {"credential": "key"},
    "passphrase": {"credential": "phrase"},
    "enablePassword": {"credential": "enable"},
}
CORE: Final[dict[str, Any]] = {"addresses": ["core-7", "192.0.2.7"], "platform": "ios", "login": LOGIN, "hostKeys": [KEY]}


def context_with(secrets: dict[str, str] = SECRETS, /, **devices: dict[str, Any]) -> RecordingContext:
    return RecordingContext(inventory=known(**(devices or {"core-7": CORE})), credentials=secrets)


def opened(context: RecordingContext) -> list[tuple[str, str]]:
    return [(name, str(device)) for name, device in context.opened_for]


async def logging_in(context: RecordingContext, **inputs: Value) -> Login:
    return await known_login({"hostNameOrIP": "core-7", **inputs}, context)


async def refused(context: RecordingContext, **inputs: Value) -> InputFaultError:
    with pytest.raises(InputFaultError) as caught:
        await logging_in(context, **inputs)
    return caught.value


# --- what is taken ---------------------------------------------------------------------------------------------------


async def test_an_entry_says_all_that_a_step_leaves_out() -> None:
    context = context_with()
    login = await logging_in(context)
    assert (login.username, login.password, login.private_key, login.passphrase) == ("svc", "core's own", "a key\nof lines\n", "a phrase")
    assert (login.known_keys, login.entry) == ((KEY,), "core-7")
    assert opened(context) == [("core", "core-7:22"), ("key", "core-7:22"), ("phrase", "core-7:22")]


@pytest.mark.parametrize("proof", ["password", "privateKey"])
async def test_whoever_brings_a_proof_of_his_own_is_given_none(proof: str) -> None:
    context = context_with()
    login = await logging_in(context, **{proof: "mine"})
    assert (login.username, login.password, login.private_key) == (
        ("svc", "mine", None) if proof == "password" else ("svc", None, "mine\n")
    )
    assert not context.opened_for


async def test_another_user_is_not_given_the_proofs_of_the_entrys_own() -> None:
    context = context_with()
    login = await logging_in(context, username="root")
    assert (login.username, login.password, login.private_key, login.known_keys) == ("root", None, None, (KEY,))
    assert not context.opened_for


async def test_the_same_user_said_by_the_step_is() -> None:
    assert (await logging_in(context_with(), username=" svc ")).password == "core's own"


async def test_a_password_that_may_not_be_used_is_not_opened() -> None:
    context = context_with()
    assert (await logging_in(context, passwordAuthentication=False)).password is None
    assert [name for name, _ in context.opened_for] == ["key", "phrase"]


async def test_a_passphrase_of_the_step_opens_the_key_of_the_entry() -> None:
    context = context_with()
    assert (await logging_in(context, passphrase="mine")).passphrase == "mine"
    assert "phrase" not in [name for name, _ in context.opened_for]


async def test_a_certificate_goes_with_the_key_of_the_entry() -> None:
    assert (await logging_in(context_with(), certificate="a certificate")).certificate == "a certificate\n"
    without = {**CORE, "login": {"username": "svc", "password": {"credential": "core"}}}
    context = context_with(**{"core-7": without})
    assert (await refused(context, certificate="a certificate")).code is ErrorCode.MISSING_INPUT
    assert not context.opened_for


async def test_an_address_that_a_script_has_made_is_found_in_any_spelling() -> None:
    for host in ("CORE-7.", "::ffff:192.0.2.7", "192.0.2.7"):
        assert (await logging_in(context_with(), hostNameOrIP=host)).entry == "core-7"


async def test_time_limits_and_keys_of_the_step_come_before_those_of_the_entry() -> None:
    context = context_with(**{"core-7": {**CORE, "timeLimits": {"connectSeconds": 3, "silenceSeconds": 4.5}, "login": {"username": "svc"}}})
    login = await logging_in(context, hostKey=OTHER)
    assert (login.known_keys, login.connect_seconds(30.0), login.silence_seconds(300.0)) == ((OTHER,), 3, 4.5)
    assert (Login("a", 22, "b").connect_seconds(30.0), Login("a", 22, "b").silence_seconds(300.0)) == (30.0, 300.0)


# --- what is refused -------------------------------------------------------------------------------------------------


async def test_where_nobody_says_who_logs_in_the_fault_says_so() -> None:
    nothing = await refused(context_with(), hostNameOrIP="core-8", port=2222)
    assert nothing.code is ErrorCode.MISSING_INPUT
    assert (
        str(nothing) == "the input 'username' is without value, and the inventory has no entry for core-8:2222 that would say who logs in"
    )
    unnamed = await refused(context_with(**{"core-7": {"addresses": ["core-7"]}}))
    assert str(unnamed) == "the input 'username' is without value, and the entry 'core-7' of the inventory names no user"


async def test_a_credential_that_may_not_be_used_fails_the_step_in_its_own_words() -> None:
    fault = await refused(context_with({}))
    assert (fault.code, str(fault)) == (ErrorCode.CREDENTIAL_REFUSED, "nothing was sent: no credential called 'core' may be used here")


async def test_a_password_of_the_inventory_does_not_follow_a_key_that_the_step_names() -> None:
    context = context_with()
    fault = await refused(context, hostKey=OTHER)
    assert fault.code is ErrorCode.WRONG_HOST_KEY
    assert fingerprint(OTHER) in str(fault)
    assert fingerprint(KEY) in str(fault)
    assert not context.opened_for
    assert (await logging_in(context_with(), hostKey=fingerprint(KEY))).password == "core's own"


async def test_nor_does_it_where_only_the_trusted_keys_know_the_server() -> None:
    context = RecordingContext(
        inventory=known(**{"core-7": {**CORE, "hostKeys": []}}), credentials=SECRETS, host_keys={("core-7", 22): [KEY]}
    )
    assert (await refused(context, hostKey=OTHER)).code is ErrorCode.WRONG_HOST_KEY


async def test_every_other_fault_is_told_before_a_credential_is_opened() -> None:
    context = context_with()
    where_: dict[str, Value] = {"hostNameOrIP": "core-7"}
    faulty: tuple[tuple[Callable[[Values, StepContext], Awaitable[object]], dict[str, Value]], ...] = (
        (read_request, {"cmd": ""}),
        (read_request, {"cmd": "a", "failPattern": "("}),
        (read_request, {"cmd": "a", "platform": "none"}),
        (read_request, {"cmd": "a", "shell": True, "stdin": "b"}),
        (read_request, {"cmd": "a", "hostKey": "none"}),
        (read_scp, {"sourcePath": ""}),
        (read_netconf, {"action": "none"}),
        (read_netconf, {"action": "merge"}),
        (read_netconf, {"action": "merge", "payload": "<a/>", "lockTimeout": -1}),
    )
    for read, inputs in faulty:
        with pytest.raises(InputFaultError):
            await read({**where_, **inputs}, context)
    assert not context.opened_for


# --- the shell -------------------------------------------------------------------------------------------------------


async def test_the_platform_and_the_way_to_its_privileged_mode_come_from_the_entry() -> None:
    context = context_with()
    request = await read_request({"hostNameOrIP": "core-7", "cmd": "a", "shell": True}, context)
    assert request.shell is not None
    assert (request.shell.manners.platform.name, request.shell.enable_password) == ("ios", "an enabling one")
    assert ("enable", "core-7:22") in opened(context)


async def test_what_the_step_says_of_them_comes_first() -> None:
    context = context_with()
    inputs: dict[str, Value] = {"hostNameOrIP": "core-7", "cmd": "a", "shell": True, "platform": "vrp", "enablePassword": "mine"}
    request = await read_request(inputs, context)
    assert request.shell is not None
    assert (request.shell.manners.platform.name, request.shell.enable_password) == ("vrp", "mine")
    assert "enable" not in [name for name, _ in context.opened_for]


@pytest.mark.parametrize("inputs", [{"cmd": "a"}, {"cmd": "a", "shell": True, "platform": "junos"}])
async def test_nobody_opens_a_way_that_nobody_takes(inputs: dict[str, Value]) -> None:
    context = context_with()
    await read_request({"hostNameOrIP": "core-7", **inputs}, context)
    assert "enable" not in [name for name, _ in context.opened_for]


# --- the way there ---------------------------------------------------------------------------------------------------


async def test_each_jump_host_has_a_login_of_its_own_and_nothing_of_the_targets() -> None:
    bastion = {"addresses": ["bastion:2022"], "login": {"username": "jumper", "password": {"credential": "jump"}}, "hostKeys": [OTHER]}
    gate = {"addresses": ["gate"], "login": {"username": "gatekeeper", "password": {"credential": "jump"}}, "algorithms": "legacy"}
    context = context_with(**{"core-7": {**CORE, "jumpHost": "bastion"}, "bastion": {**bastion, "jumpHost": "gate"}, "gate": gate})
    login = await logging_in(context, answers='{"Token": "4711"}')
    assert [(each.host, each.port, each.username, each.password, each.answers) for each in login.way[1:]] == [
        ("bastion", 2022, "jumper", "for the jump", ()),
        ("gate", 22, "gatekeeper", "for the jump", ()),
    ]
    assert [each.known_keys for each in login.way] == [(KEY,), (OTHER,), ()]
    assert ["ssh-dss" in each.offer.host_keys for each in login.way] == [False, False, True]
    assert login.told_way == " through the jump host 'gate' (gate:22) and the jump host 'bastion' (bastion:2022)"
    assert opened(context)[:2] == [("jump", "gate:22"), ("jump", "bastion:2022")]


async def test_a_jump_host_without_a_user_is_told_before_a_credential_is_opened() -> None:
    context = context_with(**{"core-7": {**CORE, "jumpHost": "bastion"}, "bastion": {"addresses": ["bastion"]}})
    fault = await refused(context)
    assert fault.code is ErrorCode.MISSING_INPUT
    assert "nobody can log in to the jump host 'bastion', on the way to core-7:22" in str(fault)
    assert not context.opened_for


async def test_a_way_has_so_many_jump_hosts_and_no_more() -> None:
    def chain(length: int) -> RecordingContext:
        hops = {
            f"hop-{number}": {"addresses": [f"hop-{number}"], "login": {"username": "a"}, "jumpHost": f"hop-{number + 1}"}
            for number in range(length)
        }
        del hops[f"hop-{length - 1}"]["jumpHost"]
        return context_with(**{"core-7": {**CORE, "jumpHost": "hop-0"}, **hops})

    assert len((await logging_in(chain(MOST_JUMPS))).way) == MOST_JUMPS + 1
    assert (await refused(chain(MOST_JUMPS + 1))).code is ErrorCode.INVALID_VALUE


# --- at a real server ------------------------------------------------------------------------------------------------


async def test_a_command_runs_as_whom_the_inventory_says(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(inventory=known(edge=entry_of(server)), credentials={"pw": server.password})
    outcome = await ssh.run(where(server, cmd="id -un"), context)
    assert outcome.outputs["outputText"] == f"{server.user}\n"
    assert opened(context) == [("pw", f"{server.host}:{server.port}")]


async def test_a_key_that_the_entry_does_not_have_is_a_wrong_one_even_where_it_is_trusted(ssh: SshStep, server: OpenSshServer) -> None:
    for keys in ([OTHER], [fingerprint(OTHER)], [OTHER, fingerprint(KEY)]):
        context = RecordingContext(
            inventory=known(edge=entry_of(server, hostKeys=keys)),
            credentials={"pw": server.password},
            host_keys=server.trusted(),
            accept_new=True,
        )
        logins = server.logins()
        assert error_of(await ssh.run(where(server, cmd="id"), context)) == (Result.FAILED, ErrorCode.WRONG_HOST_KEY)
        assert server.logins() == logins


async def test_a_key_of_a_kind_that_nobody_here_reads_lets_no_other_one_in(ssh: SshStep, server: OpenSshServer) -> None:
    strange = "ssh-ed448 AAAACXNzaC1lZDQ0OAAAADkAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg="
    context = RecordingContext(
        inventory=known(edge=entry_of(server, hostKeys=[strange])), credentials={"pw": server.password}, accept_new=True
    )
    outcome = await ssh.run(where(server, cmd="id"), context)
    assert error_of(outcome)[1] is ErrorCode.WRONG_HOST_KEY
    assert not context.recorded_host_keys.keys


async def test_a_session_is_not_gone_on_with_where_the_inventory_has_changed_since(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(inventory=known(edge=entry_of(server)), credentials={"pw": server.password})
    logins = server.logins()
    for _ in range(2):
        assert (await ssh.run(where(server, cmd="true"), context)).result is Result.SUCCEEDED
    assert server.logins() == logins + 1
    context.known = known(edge=entry_of(server, algorithms={"ciphers": ["aes256-ctr"]}))
    assert (await ssh.run(where(server, cmd="true"), context)).result is Result.SUCCEEDED
    assert server.logins() == logins + 2
    context.known = known(edge=entry_of(server, hostKeys=[OTHER]))
    assert error_of(await ssh.run(where(server, cmd="true"), context))[1] is ErrorCode.WRONG_HOST_KEY


async def test_a_silent_device_is_given_the_time_that_its_entry_says(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(
        inventory=known(edge=entry_of(server, timeLimits={"silenceSeconds": 0.3})), credentials={"pw": server.password}
    )
    outcome = await ssh.run(where(server, cmd="sleep 60"), context)
    assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.TIMEOUT)
    assert outcome.error is not None
    assert "printed nothing for 0.3 seconds" in outcome.error.message


async def test_a_device_that_does_not_let_us_in_is_given_the_time_that_its_entry_says(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(
        inventory=known(edge=entry_of(server, timeLimits={"connectSeconds": 0.3})), credentials={"pw": server.password}
    )
    with server.standing_still():
        outcome = await ssh.run(where(server, cmd="id"), context)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert outcome.error is not None
    assert "did not let us in within 0.3 seconds" in outcome.error.message
