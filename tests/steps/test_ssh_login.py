"""Logging in. Risks: somebody in between is not noticed, a key of this machine is offered, a secret is shown, the wrong cause is named."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepswitch.plugin import ErrorCode, Outcome, Result, Value
from stepswitch.steps.host_keys import fingerprint
from stepswitch.steps.ssh import SshStep
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext
from tests.steps.test_ssh import context_for, error_of, run

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


def message_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


@pytest.fixture(scope="module")
def several_keys() -> Iterator[OpenSshServer]:
    with OpenSshServer(host_key_types=("rsa", "ecdsa", "ed25519"), passwords=False) as server:
        yield server


# --- who logs in -----------------------------------------------------------------------------------------------------


async def test_a_password_lets_in(ssh: SshStep, server: OpenSshServer) -> None:
    assert (await run(ssh, server, cmd="id -un")).outputs["outputText"] == f"{server.user}\n"


async def test_a_wrong_password_is_refused(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server)
    outcome = await run(ssh, server, context, password="not-the-password", cmd="id")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
    assert message_of(outcome) == f"127.0.0.1:{server.port} refused the login of '{server.user}' with the password that it was given"
    assert not context.sent


async def test_nothing_given_is_refused_and_said(ssh: SshStep, server: OpenSshServer) -> None:
    inputs = {name: value for name, value in server.inputs(cmd="id").items() if name != "password"}
    outcome = await ssh.run(inputs, context_for(server))
    assert error_of(outcome)[1] is ErrorCode.LOGIN_REFUSED
    assert "without password or key" in message_of(outcome)


@pytest.mark.parametrize("uses_passwords", [False, "false"])
async def test_the_password_stays_at_home_where_it_may_not_be_used(ssh: SshStep, server: OpenSshServer, uses_passwords: Value) -> None:
    outcome = await run(ssh, server, passwordAuthentication=uses_passwords, cmd="id")
    assert error_of(outcome)[1] is ErrorCode.LOGIN_REFUSED
    assert "without password or key" in message_of(outcome)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_a_key_lets_in(ssh: SshStep, server: OpenSshServer, line_end: str) -> None:
    key = server.private_key.replace("\n", line_end)
    outcome = await run(ssh, server, privateKey=key, passwordAuthentication=False, cmd="echo in")
    assert outcome.outputs["outputText"] == "in\n"


async def test_a_key_lets_in_from_a_file(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server, files={"privateKey"}, attachments={"id": server.private_key.encode()})
    assert (await run(ssh, server, context, privateKey="id", password="", cmd="echo in")).result is Result.SUCCEEDED


async def test_a_protected_key_lets_in_with_its_passphrase(ssh: SshStep, server: OpenSshServer) -> None:
    inputs: dict[str, Value] = {"privateKey": server.protected_private_key, "passwordAuthentication": False, "cmd": "echo in"}
    assert (await run(ssh, server, passphrase=server.passphrase, **inputs)).result is Result.SUCCEEDED
    outcome = await run(ssh, server, passphrase="not-the-passphrase", **inputs)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.BAD_KEY)
    assert message_of(outcome) == "the passphrase does not open the private key"
    outcome = await run(ssh, server, **inputs)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.BAD_KEY)
    assert "give its passphrase" in message_of(outcome)


async def test_a_passphrase_that_is_not_needed_does_no_harm(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, privateKey=server.private_key, passphrase="unneeded", passwordAuthentication=False, cmd="true")
    assert outcome.result is Result.SUCCEEDED


@pytest.mark.parametrize("damage", ["half", "public", "prose", "scrambled"])
async def test_a_damaged_key_is_said_and_nobody_is_asked(ssh: SshStep, server: OpenSshServer, damage: str) -> None:
    keys = {
        "half": server.private_key[:200],
        "public": (server.directory / "user.pub").read_text(),
        "prose": "my key",
        "scrambled": server.private_key.replace("\n", "\nAAAA", 2),
    }
    logins = server.logins()
    outcome = await run(ssh, server, privateKey=keys[damage], cmd="id")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.BAD_KEY)
    assert server.logins() == logins


async def test_a_key_that_the_server_does_not_know_is_refused(ssh: SshStep, server: OpenSshServer) -> None:
    strange = (server.directory / "host_ed25519").read_text()
    outcome = await run(ssh, server, privateKey=strange, passwordAuthentication=False, cmd="id")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
    assert "with the key that it was given" in message_of(outcome)


async def test_no_agent_and_nothing_of_the_home_directory_is_used(
    ssh: SshStep, server: OpenSshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("agent")
        writer.close()

    agent = await asyncio.start_unix_server(answer, tmp_path / "agent")
    home = tmp_path / "home" / ".ssh"
    home.mkdir(parents=True)
    (home / "id_ed25519").write_text(server.private_key)
    (home / "id_ed25519").chmod(0o600)
    (home / "config").write_text(f"Host *\n  IdentityFile {home}/id_ed25519\n  Port 1\n  UserKnownHostsFile {home}/known_hosts\n")
    (home / "known_hosts").write_text(f"[{server.host}]:{server.port} {server.host_public_key}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    refused = await run(ssh, server, passwordAuthentication=False, cmd="id")
    untrusted = await run(ssh, server, RecordingContext(), cmd="id")
    wrong_key = await run(ssh, server, privateKey=(server.directory / "host_ed25519").read_text(), passwordAuthentication=False, cmd="id")
    agent.close()
    await agent.wait_closed()
    assert not asked
    assert error_of(refused)[1] is ErrorCode.LOGIN_REFUSED
    assert error_of(wrong_key)[1] is ErrorCode.LOGIN_REFUSED
    assert error_of(untrusted)[1] is ErrorCode.UNKNOWN_HOST_KEY


async def test_an_account_without_a_name_can_log_in(ssh: SshStep, server: OpenSshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert (await run(ssh, server, cmd="true")).result is Result.SUCCEEDED
    monkeypatch.delenv("LOGNAME", raising=False)


# --- who is logged in to ---------------------------------------------------------------------------------------------


async def test_an_unknown_host_key_fails_and_says_how_to_trust_it(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext()
    outcome = await run(ssh, server, context, cmd="id")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.UNKNOWN_HOST_KEY)
    assert fingerprint(server.host_public_key) in message_of(outcome)
    assert f"stepswitch host-key trust 127.0.0.1 --port {server.port} '{server.host_public_key}'" in message_of(outcome)
    assert not context.sent


async def test_an_unknown_host_key_is_accepted_once_where_the_settings_say_so(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(accept_new=True)
    assert (await run(ssh, server, context, cmd="true")).result is Result.SUCCEEDED
    assert context.recorded_host_keys.keys == {(server.host, server.port): [server.host_public_key]}


async def test_another_host_key_than_the_trusted_one_fails(ssh: SshStep, server: OpenSshServer) -> None:
    context = RecordingContext(host_keys={(server.host, server.port): [OTHER_KEY]}, accept_new=True)
    outcome = await run(ssh, server, context, cmd="id")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.WRONG_HOST_KEY)
    assert fingerprint(server.host_public_key) in message_of(outcome)
    assert fingerprint(OTHER_KEY) in message_of(outcome)
    assert context.recorded_host_keys.keys[server.host, server.port] == [OTHER_KEY]


@pytest.mark.parametrize("form", ["line", "fingerprint", "scan"])
async def test_the_input_names_the_host_key(ssh: SshStep, server: OpenSshServer, form: str) -> None:
    forms = {
        "line": f"{server.host_public_key} comment",
        "fingerprint": fingerprint(server.host_public_key),
        "scan": f"[127.0.0.1]:{server.port} {server.host_public_key}",
    }
    assert (await run(ssh, server, RecordingContext(), hostKey=forms[form], cmd="true")).result is Result.SUCCEEDED


@pytest.mark.parametrize("given", [OTHER_KEY, fingerprint(OTHER_KEY)])
async def test_the_input_counts_even_where_another_key_is_trusted(ssh: SshStep, server: OpenSshServer, given: str) -> None:
    outcome = await run(ssh, server, hostKey=given, cmd="id")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.WRONG_HOST_KEY)
    assert fingerprint(OTHER_KEY) in message_of(outcome)


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("way", ["trusted", "line", "fingerprint"])
async def test_a_server_with_several_keys_shows_the_one_that_is_known(
    ssh: SshStep, several_keys: OpenSshServer, kind: int, way: str
) -> None:
    server, line = several_keys, several_keys.host_public_keys[kind]
    inputs = server.inputs(privateKey=server.private_key, cmd="true")
    context = RecordingContext(host_keys={(server.host, server.port): [line]} if way == "trusted" else {})
    if way != "trusted":
        inputs["hostKey"] = line if way == "line" else fingerprint(line)
    assert (await ssh.run(inputs, context)).result is Result.SUCCEEDED


async def test_a_trusted_key_of_another_kind_is_a_wrong_key_and_no_quarrel_over_algorithms(ssh: SshStep, server: OpenSshServer) -> None:
    rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7u2mJqE8o0bGvHxCXnCj3h6p1d4jzvqX4V9Qe3bJ7w2fO0m0O0m0O0m0O0m0O0m0O0m0O0m0O0m0O0m0O0m0O"
    blob_context = RecordingContext(host_keys={(server.host, server.port): [OTHER_KEY, rsa]})
    assert error_of(await run(ssh, server, blob_context, cmd="id"))[1] is ErrorCode.WRONG_HOST_KEY


async def test_a_server_without_common_algorithm_is_told_as_such(ssh: SshStep) -> None:
    with OpenSshServer(
        more_settings="Ciphers 3des-cbc\nKexAlgorithms diffie-hellman-group-exchange-sha256\nMACs umac-64@openssh.com"
    ) as server:
        found = {error_of(await ssh.run(server.inputs(cmd="id"), RecordingContext(host_keys=server.trusted()))) for _ in range(5)}
    cut = (Result.FAILED, ErrorCode.CONNECTION_CUT)  # where the server hangs up before what it offers was read
    assert (Result.FAILED, ErrorCode.NO_COMMON_ALGORITHM) in found
    assert found <= {(Result.FAILED, ErrorCode.NO_COMMON_ALGORITHM), cut}


# --- secrets ---------------------------------------------------------------------------------------------------------


async def test_no_secret_is_in_any_log_or_message(ssh: SshStep, server: OpenSshServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets: dict[str, Value] = {"privateKey": server.protected_private_key, "passphrase": server.passphrase, "password": server.password}
    body = server.protected_private_key.splitlines()[3]
    said = []
    for more in ({}, {"passphrase": "wr0ng-secret"}, {"privateKey": body}, {"username": "nobody"}, {"hostKey": OTHER_KEY}):
        context = context_for(server)
        outcome = await run(ssh, server, context, **{**secrets, "cmd": "exit 1 # cmd-secret", **more})
        said += [*context.messages, message_of(outcome)]
    everything = "\n".join([*said, caplog.text])
    for secret in (server.password, server.passphrase, "wr0ng-secret", body, "cmd-secret"):
        assert secret not in everything
    assert server.password not in repr(ssh.__dict__)


async def test_a_connection_whose_peer_is_gone_without_a_word_is_noticed(server: OpenSshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.steps.ssh_login._KEEP_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr("stepswitch.steps.ssh_login._KEEP_ALIVES_UNANSWERED", 2)
    ssh = SshStep()
    async with Proxy(server.host, server.port) as proxy:
        context = RecordingContext(host_keys={(proxy.host, proxy.port): [server.host_public_key]})
        running = asyncio.create_task(ssh.run(server.inputs(port=proxy.port, cmd="echo begun; exec sleep 100"), context))
        await context.wait_for_line("begun")
        proxy.stall()
        outcome = await running
    assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    await ssh.close()
