"""Inputs of which two are wrong, for every step type. Risk: a step is repaired for one of them, begun again, and fails for the other."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from stepswitch.plugin import (
    AttachmentError,
    Device,
    ErrorCode,
    Inventory,
    KnownDevice,
    Login,
    Outcome,
    Reference,
    Result,
    StepType,
    Value,
    VirtualMachine,
)
from stepswitch.steps.guest import GuestStep
from stepswitch.steps.http import HttpStep
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.kubernetes import KubernetesStep
from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.registry import installed
from stepswitch.steps.scp import ScpStep
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.vro import VroCustomStep
from stepswitch.steps.vro_errands import VroExecStep, VroScpStep, VroSshStep
from tests.steps.contexts import RecordingContext

SECRET: Final = "a-word-that-nobody-may-read"
ONE_INPUT_AT_MOST: Final = {
    "NOOP": "takes anything and drops it",
    "JS": "`script` is the one input that can be wrong: all others are the script's own",
    "WORKFLOW": "is carried out by no worker; see `test_every_fault_of_what_is_given_is_said_and_nothing_is_begun`",
}
Row = tuple[str, Callable[[], StepType], Mapping[str, Value], tuple[str, ...]]
KNOWN: Final = {"hostNameOrIP": "core-7"}
"""A server of which the inventory knows who logs in, and by which password."""
ROWS: Final[tuple[Row, ...]] = (
    ("TCA_SSH", SshStep, {**KNOWN, "port": 70_000, "cmd": "x", "failPattern": "(", "encoding": "no-such"}, ("'port'", "failPattern", "'encoding'")),
    ("TCA_SSH", SshStep, {"cmd": "a\0b", "successPattern": ")", "failPattern": "("}, ("'hostNameOrIP'", "'username'", "zero byte", "successPattern", "failPattern")),
    ("TCA_SSH", SshStep, {**KNOWN, "script": "gone", "cmd": "x", "hostKey": "none"}, ("'cmd' or 'script'", "'hostKey'", "bound as type file")),
    ("TCA_SSH", SshStep, {**KNOWN, "shell": True, "cmd": "x", "successPattern": "(", "answers": "[]", "port": "x"}, ("'port'", "successPattern", "answers", "'platform' or 'prompt'")),
    ("TCA_SCP", ScpStep, {**KNOWN, "inFile": "gone", "destinationPath": "a/", "mode": "9", "port": 0}, ("'gone'", "'destinationPath'", "'mode'", "'port'")),
    ("TCA_SCP", ScpStep, {"sourcePath": " ", "hostKey": "none"}, ("'sourcePath'", "'hostNameOrIP'", "'username'", "'hostKey'")),
    ("NETCONF", NetconfStep, {**KNOWN, "action": "merge", "payload": "<a>", "port": 0, "lockTimeout": -1}, ("'payload'", "'port'", "'lockTimeout'")),
    ("NETCONF", NetconfStep, {**KNOWN, "action": "merge", "payload": "<a/>", "datastore": "running", "dryRun": True, "confirmedTimeout": 1}, ("a dry run", "needs the candidate", "from 5 to")),
    ("NETCONF", NetconfStep, {"action": "destroy", "datastore": "mine"}, ("'action'", "'datastore'", "'hostNameOrIP'")),
    ("NETCONF", NetconfStep, {**KNOWN, "action": "get", "datastore": "mine", "hostKey": "none"}, ("'datastore'", "'hostKey'")),
    ("HTTP", HttpStep, {"url": "ftp://x", "method": "FETCH", "json": "{", "expectedStatus": "9", "password": SECRET}, ("'url'", "'method'", "'json'", "'expectedStatus'", "'username'")),
    ("HTTP", HttpStep, {"headers": '{"Host": "a", "A B": "c", "D": 1}', "clientKey": SECRET, "bodyFile": "gone"}, ("'url'", "'Host'", "number 2", "'D'", "'clientCertificate'", "'gone'")),
    ("K8S", KubernetesStep, {"namespace": "A B", "timeout": -1, "A-B": "x", "vimLocation": "nowhere"}, ("'script'", "'timeout'", "'A-B'", "'namespace'", "'nowhere'")),
    ("K8S", KubernetesStep, {"script": "gone", "image": "tools:1", "kind": "cow"}, ("'gone'", "'kind'", "'vimLocation'")),
    ("TCA_EXEC", GuestStep, {"env": "[]", "cmd": "a\0", "workingDirectory": "\n"}, ("'virtualMachine'", "'env'", "'cmd'", "'workingDirectory'")),
    ("TCA_EXEC", GuestStep, {"virtualMachine": "vm-7", "script": "gone", "vimLocation": "nowhere"}, ("'script'", "'nowhere'", "'username' and 'password'")),
    ("VRO_CUSTOM", VroCustomStep, {"vroWorkflowId": "a", "vroWorkflowName": "b", "vimLocation": "nowhere"}, ("'vroWorkflowId' or 'vroWorkflowName'", "'nowhere'")),
    ("VRO_SSH", VroSshStep, {"failPattern": "(", "port": 0}, ("'vimLocation'", "failPattern", "'cmd'", "'port'", "'hostNameOrIP'", "'username'")),
    ("VRO_SCP", VroScpStep, {"inFile": "gone", "vimLocation": "nowhere"}, ("'gone'", "'destinationPath'", "vro_scp_workflow", "'hostNameOrIP'", "'nowhere'")),
    ("VRO_EXEC", VroExecStep, {"virtualMachine": "smf-1", "vimLocation": "nowhere"}, ("'cmd' and 'script'", "vro_exec_workflow", "'nowhere'", "'username'")),
)  # fmt: skip


def context() -> RecordingContext:
    """Return a context that knows a device and a machine, and none of the files that a step names."""
    device = Device("core-7")
    entry = KnownDevice("core", (device,), login=Login("ann", Reference("core")))
    known = Inventory(devices={"core": entry}, virtual_machines={"smf-1": VirtualMachine("smf-1", "paris")}, by_address={device: entry})
    return RecordingContext(inventory=known, credentials={"core": SECRET}, files={"inFile", "bodyFile"})


async def outcome_of(make: Callable[[], StepType], inputs: Mapping[str, Value], given: RecordingContext) -> Outcome:
    step = make()
    try:
        return await step.run(inputs, given)
    finally:
        await step.close()


@pytest.mark.parametrize(("name", "make", "inputs", "parts"), ROWS, ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)])
async def test_every_fault_of_the_inputs_is_told_at_once_and_no_credential_is_opened(
    name: str, make: Callable[[], StepType], inputs: Mapping[str, Value], parts: tuple[str, ...]
) -> None:
    given = context()
    if name == "K8S":
        given.files = frozenset({"script"})
    outcome = await outcome_of(make, inputs, given)
    assert outcome.error is not None
    assert (outcome.result, given.sent, given.opened_for) == (Result.FAILED, False, [])
    assert [part for part in parts if part not in outcome.error.message] == [], outcome.error.message
    assert SECRET not in outcome.error.message
    assert not ("hostNameOrIP" in inputs and "'username'" in outcome.error.message), "the inventory says who logs in there"
    sentences = outcome.error.message.split("; ")
    assert len(sentences) == len(set(sentences)), "nothing is told twice"


def test_every_registered_type_has_a_row_or_it_is_said_why_not() -> None:
    registered = {name for name, step_type in installed().items() if name == step_type.signature.name}
    assert registered == {row[0] for row in ROWS} | ONE_INPUT_AT_MOST.keys()
    assert all(make().signature.name == name for name, make, _, _ in ROWS)
    assert all(len(parts) >= 2 for _, _, _, parts in ROWS)


async def test_what_is_missing_gives_the_code_whatever_was_found_first() -> None:
    async def gone() -> bytes:
        raise AttachmentError(ErrorCode.UNKNOWN_ATTACHMENT, "there is no file")

    faults = Faults()
    assert await faults.attempted(gone()) is None
    with pytest.raises(InputFaultError, match=r"^there is no file$") as raised:
        faults.refuse()
    assert raised.value.code is ErrorCode.UNKNOWN_ATTACHMENT
    faults.add(ErrorCode.MISSING_INPUT, "something is missing", "there is no file")
    with pytest.raises(InputFaultError, match=r"^there is no file; something is missing$") as raised:
        faults.settled(None)
    assert raised.value.code is ErrorCode.MISSING_INPUT
