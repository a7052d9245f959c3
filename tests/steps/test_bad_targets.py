"""What is wrong with a target, for every step type that has one. Risk: one type goes on, hangs, or says nothing where another one stops with a sentence."""

import asyncio
import base64
import errno
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import asyncssh
import psutil
import pytest

from stepswitch.plugin import (
    Cluster,
    Endpoint,
    ErrorCode,
    Inventory,
    Login,
    LogLevel,
    Networks,
    Outcome,
    Reference,
    Result,
    StepType,
    Value,
    VimLocation,
    VirtualMachine,
)
from stepswitch.steps import kubernetes_api, vro_api
from stepswitch.steps.guest import GuestStep
from stepswitch.steps.guest_connection import SoapResponse
from stepswitch.steps.http import HttpStep
from stepswitch.steps.kubernetes import KubernetesStep
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.vro import VroCustomStep
from stepswitch.steps.vro_errands import LIBRARY_SSH, VroExecStep, VroScpStep, VroSshStep
from stepswitch.steps.vro_runs import Pauses
from tests.certificates import own_certificate
from tests.openssh import OpenSshServer
from tests.steps.clusters import QUICK
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import Asked, HttpServer, reply
from tests.steps.suite import CASES, SECRET
from tests.steps.vro_server import open_vro

OTHER_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
NOWHERE: Final = "no-such-host.invalid"
OVER_SSH: Final = ("NETCONF", "TCA_SCP", "TCA_SSH", "TCA_SSH in a shell")


def assert_said(outcome: Outcome, context: RecordingContext, code: ErrorCode, whom: str) -> None:
    """A failure with a code and a sentence that names whom, before anything was sent, and without the secret."""
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code, context.sent) == (Result.FAILED, code, False), outcome.error
    assert whom in outcome.error.message
    assert SECRET not in "\n".join([outcome.error.message, *context.messages])


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection be made."""

    def nowhere(*_: object, **__: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", nowhere)
    monkeypatch.setattr(socket, "create_connection", nowhere)


# --- over SSH --------------------------------------------------------------------------------------------------------


def expired() -> dict[str, Value]:
    """Return a key with a certificate that is over."""
    key, now = asyncssh.generate_private_key("ssh-ed25519"), int(time.time())
    made = key.generate_user_certificate(key, "a-test", principals=["ann"], valid_after=now - 9, valid_before=now - 1)
    return {"privateKey": key.export_private_key().decode(), "certificate": made.export_certificate().decode()}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: {"hostKey": OTHER_KEY}, ErrorCode.WRONG_HOST_KEY),
        (dict, ErrorCode.UNKNOWN_HOST_KEY),
        (lambda: {"port": free_port()}, ErrorCode.CONNECTION_REFUSED),
        (lambda: {"hostNameOrIP": NOWHERE}, ErrorCode.UNREACHABLE),
        (lambda: {"hostNameOrIP": "192.0.2.1", "no way": True}, ErrorCode.UNREACHABLE),
        (expired, ErrorCode.BAD_KEY),
    ],
    ids=["another host key", "an unknown host key", "nobody listens", "no such name", "no way there", "an expired certificate"],
)
@pytest.mark.parametrize("name", OVER_SSH)
async def test_a_login_that_cannot_be_fails_in_a_sentence_that_says_where(
    server: OpenSshServer, monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[], dict[str, Value]], code: ErrorCode
) -> None:
    async with CASES[name](lambda: server) as case:
        changed = change()
        inputs = {**case.succeeds().inputs, "password": SECRET, **changed}
        context = case.context()
        context.recorded_host_keys.keys.clear()
        context.recorded_host_keys.may_accept = False
        if inputs.pop("no way", None):
            no_way(monkeypatch)
        async with asyncio.timeout(20):
            outcome = await case.step.run(inputs, context)
    whom = "certificate" if code is ErrorCode.BAD_KEY else str(inputs["hostNameOrIP"])
    assert_said(outcome, context, code, whom)


# --- over TLS --------------------------------------------------------------------------------------------------------


VIM: Final[Mapping[str, Value]] = {"vimLocation": "paris"}
AT_DEVICE: Final[Mapping[str, Value]] = {**VIM, "hostNameOrIP": "192.0.2.7", "username": "ann", "password": SECRET}
NOTHING: Final[Mapping[str, Value | None]] = {}
SOON: Final = Pauses(first=0.01, longest=0.02, lost=0.1)
OVER_TLS: Final[Mapping[str, tuple[Callable[[], StepType], Mapping[str, Value]]]] = {
    "HTTP": (lambda: HttpStep(networks=Networks.read(allowed="127.0.0.0/8,::1")), {"username": "ann", "password": SECRET}),
    "K8S": (lambda: KubernetesStep(times=replace(QUICK, patience=0.1)), {**VIM, "image": "tools:1", "script": "id"}),
    "TCA_EXEC": (lambda: GuestStep(patience_seconds=0.1), {"virtualMachine": "smf-1", "cmd": "id"}),
    "VRO_CUSTOM": (lambda: VroCustomStep(pauses=SOON), {**VIM, "vroWorkflowName": "Any"}),
    "VRO_SSH": (lambda: VroSshStep(pauses=SOON), {**AT_DEVICE, "cmd": "id"}),
    "VRO_SCP": (lambda: VroScpStep(workflow="Any", pauses=SOON), {**AT_DEVICE, "sourcePath": "/etc/motd"}),
    "VRO_EXEC": (lambda: VroExecStep(workflow="Any", pauses=SOON), {**AT_DEVICE, "virtualMachine": "vm-7", "cmd": "id"}),
}


async def outcome_at(
    name: str, url: str, authority: str | None, change: Mapping[str, Value | None] = NOTHING
) -> tuple[Outcome, RecordingContext]:
    """Run a step of a type whose target is at `url`, with a certificate that `authority` vouches for. What `change` gives are files; None takes away."""
    login, url = Login("ann", Reference("the login")), url.rstrip("/")
    endpoint = Endpoint(url, login, authority)
    location = VimLocation(
        "paris", vcenter=endpoint, vro=endpoint, kubernetes=Cluster(url, ca_certificates=authority, token=Reference("the login"))
    )
    machine = VirtualMachine("smf-1", "paris", managed_object_id="vm-1", login=login)
    known = Inventory({}, {"paris": location}, {"smf-1": machine})
    context = RecordingContext(inventory=known, credentials={"the login": SECRET}, files=set(change))
    make, usual = OVER_TLS[name]
    inputs = {key: value for key, value in {**usual, **change}.items() if value is not None}
    more: dict[str, Value] = {"url": url} if name == "HTTP" else {}
    if name == "HTTP" and authority is not None:
        more["caCertificate"] = authority
    step = make()
    async with asyncio.timeout(20):
        outcome = await step.run({**inputs, **more}, context)
    await step.close()
    return outcome, context


@pytest.mark.parametrize(
    "shown", [{"days": -1}, {"address": "192.0.2.9"}, None], ids=["expired", "another address's", "another authority's"]
)
@pytest.mark.parametrize("name", sorted(OVER_TLS))
async def test_a_certificate_that_does_not_fit_fails_before_anything_is_said(
    tmp_path: Path, name: str, shown: dict[str, Any] | None
) -> None:
    public, tls = own_certificate(tmp_path, **shown or {})
    async with HttpServer(tls) as server:
        outcome, context = await outcome_at(name, server.url(), None if shown is None else public.read_text())
        assert server.asked == []
    assert_said(outcome, context, ErrorCode.WRONG_CERTIFICATE, f"127.0.0.1:{server.port}")


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("127.0.0.1", ErrorCode.CONNECTION_REFUSED),
        (NOWHERE, ErrorCode.UNREACHABLE),
        ("192.0.2.1", ErrorCode.UNREACHABLE),
    ],
    ids=["nobody listens", "no such name", "no way there"],
)
@pytest.mark.parametrize("name", sorted(OVER_TLS))
async def test_a_target_that_is_not_there_fails_in_a_sentence_that_says_which(
    monkeypatch: pytest.MonkeyPatch, name: str, place: str, code: ErrorCode
) -> None:
    if place == "192.0.2.1":
        no_way(monkeypatch)
    outcome, context = await outcome_at(name, f"https://{place}:{free_port()}", None)
    assert_said(outcome, context, code, place)


LAUGHS: Final = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "body",
    [b"<html>a login page</html>", b"", b"\xff\xfe", b'<?xml version="1.0"?><soapenv:Envelope><soapenv:Body>', b'{"id": ', LAUGHS],
    ids=["a web page", "nothing", "bytes", "half a document", "half an object", "entities"],
)
@pytest.mark.parametrize("name", sorted(OVER_TLS.keys() - {"HTTP"}))
async def test_what_is_no_answer_of_its_api_fails_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: bytes
) -> None:
    public, tls = own_certificate(tmp_path)
    async with HttpServer(tls) as server:
        monkeypatch.setattr(server, "handler_of", lambda asked: reply(200, body, connection="close"))
        outcome, _ = await outcome_at(name, server.url(), public.read_text())
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code) == (Result.FAILED, ErrorCode.MALFORMED_ANSWER)
    assert SECRET not in outcome.error.message
    assert f"127.0.0.1:{server.port}" in outcome.error.message


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("K8S", {"script": "gone"}, ErrorCode.UNKNOWN_ATTACHMENT),
        ("TCA_EXEC", {"cmd": None, "script": "gone"}, ErrorCode.UNKNOWN_ATTACHMENT),
        ("VRO_CUSTOM", {"anything": "gone"}, ErrorCode.INVALID_VALUE),
        ("VRO_SSH", {"cmd": None, "script": "gone"}, ErrorCode.INVALID_VALUE),
        ("VRO_SCP", {"sourcePath": None, "inFile": "gone", "destinationPath": "/tmp/there"}, ErrorCode.UNKNOWN_ATTACHMENT),
        ("VRO_EXEC", {"cmd": None, "script": "gone"}, ErrorCode.INVALID_VALUE),
    ],
)
async def test_a_file_that_the_execution_does_not_have_is_named(
    tmp_path: Path, name: str, change: dict[str, Value | None], code: ErrorCode
) -> None:
    async with open_vro(tmp_path) as vro:
        inputs = ("anything", "hostNameOrIP", "username", "password", "script", "virtualMachine", "inFile", "destinationPath")
        for workflow, more in (("Any", {}), (LIBRARY_SSH.name, {"workflow_id": LIBRARY_SSH.id})):
            vro.workflow(str(workflow), inputs=dict.fromkeys(inputs, "string"), **more)
        vro.authorizations = {f"Basic {base64.b64encode(f'ann:{SECRET}'.encode()).decode()}"}
        outcome, context = await outcome_at(name, vro.url(), vro.authority, change)
        assert vro.runs == []
    assert_said(outcome, context, code, "'gone'")


@pytest.mark.parametrize("name", sorted(OVER_TLS.keys() - {"HTTP"}))
async def test_an_answer_without_end_is_left_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def go_on(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n<a>")
        with suppress(OSError):
            while not writer.transport.is_closing():
                writer.write(b" " * 10_000)
                await writer.drain()
                await asyncio.sleep(0)

    monkeypatch.setattr(kubernetes_api, "LARGEST_ANSWER", 100_000)
    monkeypatch.setattr(vro_api, "LARGEST_ANSWER", 100_000)
    monkeypatch.setattr(SoapResponse, "_left", 100_000)
    public, tls = own_certificate(tmp_path)
    async with HttpServer(tls) as server:
        monkeypatch.setattr(server, "handler_of", lambda asked: go_on)
        outcome, _ = await outcome_at(name, server.url(), public.read_text())
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code) == (Result.FAILED, ErrorCode.MALFORMED_ANSWER)


# --- for ever --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"shell": True, "prompt": ".*[$#]"}], ids=["a command", "a shell"])
async def test_a_device_that_prints_for_ever_is_left_when_the_time_is_over(server: OpenSshServer, more: dict[str, Value]) -> None:
    pid = server.work / f"for-ever-{len(more)}"
    context = _Counting(host_keys=server.trusted(), time_limit_seconds=60.0)
    step = SshStep()
    running = asyncio.create_task(step.run(server.inputs(cmd=f"sh -c 'echo $$ > {pid}; while :; do echo x; done'", **more), context))
    async with asyncio.timeout(20):
        await context.enough.wait()
    running.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await running
        await step.close()
        await asyncio.to_thread(wait_for_end, int(pid.read_text()))


class _Counting(RecordingContext):
    """Says when more lines are logged than anybody reads."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.enough = asyncio.Event()

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        await super().log(message, level)
        if len(self.lines) > 1_000:
            self.enough.set()


def wait_for_end(pid: int) -> None:
    """Return when a process has ended."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=9)
