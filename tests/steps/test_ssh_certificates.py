"""Logging in with an OpenSSH certificate, against a real OpenSSH server. Risks: it is not shown, or the wrong cause is named."""

import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from stepswitch.plugin import ErrorCode, Outcome, Result, Value
from stepswitch.steps.ssh import SshStep
from tests.openssh import OpenSshServer
from tests.steps.test_ssh import context_for, error_of

AUTHORITY = asyncssh.generate_private_key("ssh-ed25519")
KEY = asyncssh.generate_private_key("ssh-ed25519")
HOUR = 3600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSshServer]:
    trusted = Path(tmp_path_factory.mktemp("authority")) / "authority.pub"
    trusted.write_bytes(AUTHORITY.export_public_key())
    with OpenSshServer(passwords=False, more_settings=f"TrustedUserCAKeys {trusted}") as server:
        yield server


def certificate(
    server: OpenSshServer, key: asyncssh.SSHKey = KEY, *, begins: int = -HOUR, ends: int = HOUR, signed_by: asyncssh.SSHKey = AUTHORITY
) -> str:
    now = int(time.time())
    made = signed_by.generate_user_certificate(key, "a-test", principals=[server.user], valid_after=now + begins, valid_before=now + ends)
    return made.export_certificate().decode()


async def log_in(ssh: SshStep, server: OpenSshServer, given: str, **more: Value) -> Outcome:
    inputs: dict[str, Value] = {"privateKey": KEY.export_private_key().decode(), "certificate": given, "passwordAuthentication": False}
    return await ssh.run(server.inputs(cmd="echo in", **{**inputs, **more}), context_for(server))


async def test_a_certificate_lets_in_where_the_key_alone_does_not(ssh: SshStep, server: OpenSshServer) -> None:
    assert (await log_in(ssh, server, certificate(server))).outputs["outputText"] == "in\n"
    assert error_of(await log_in(ssh, server, "")) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)


async def test_a_certificate_may_be_a_file(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server, files={"certificate"}, attachments={"id-cert.pub": certificate(server).encode()})
    inputs = server.inputs(
        privateKey=KEY.export_private_key().decode(), certificate="id-cert.pub", passwordAuthentication=False, cmd="echo in"
    )
    assert (await ssh.run(inputs, context)).result is Result.SUCCEEDED


async def test_a_certificate_of_another_authority_is_refused_and_said(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await log_in(ssh, server, certificate(server, signed_by=asyncssh.generate_private_key("ssh-ed25519")))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
    assert outcome.error is not None
    assert "with the key and its certificate that it was given" in outcome.error.message


async def test_a_certificate_that_does_not_fit_is_said(ssh: SshStep, server: OpenSshServer) -> None:
    host = AUTHORITY.generate_host_certificate(KEY, "a-host", principals=["edge-1"]).export_certificate().decode()
    for given, said in (
        (certificate(server, ends=-1), "the certificate has expired"),
        (certificate(server, begins=HOUR, ends=2 * HOUR), "the certificate is not valid yet"),
        (certificate(server, asyncssh.generate_private_key("ssh-ed25519")), "belongs to another key"),
        (host, "the certificate is a host's"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "none that can be read"),
        (KEY.export_public_key().decode(), "none that can be read"),
        ("rubbish", "none that can be read"),
    ):
        outcome = await log_in(ssh, server, given)
        assert error_of(outcome) == (Result.FAILED, ErrorCode.BAD_KEY), said
        assert outcome.error is not None
        assert said in outcome.error.message


async def test_a_certificate_without_its_key_is_said(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await log_in(ssh, server, certificate(server), privateKey="")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.MISSING_INPUT)
