"""VRO_SSH, VRO_SCP and VRO_EXEC against a vRO on a real TLS socket. Risk: an input that vRO does not heed is taken as heeded; an exit code is not seen."""

from typing import Any

import pytest

from stepswitch.plugin import VRO_RUN_ID, Device, ErrorCode, KnownDevice, Login, Outcome, Reference, Result, Value
from stepswitch.steps.vro import VroStep
from stepswitch.steps.vro_errands import LIBRARY_SSH, VroExecStep, VroScpStep, VroSshStep
from stepswitch.steps.vro_runs import Pauses
from tests.steps.contexts import RecordingContext
from tests.steps.vro_contexts import VIM, context_with, inventory_with
from tests.steps.vro_server import PASSWORD, FakeRun, FakeVro, given

QUICK = Pauses(first=0.01, longest=0.02)
LIBRARY = {
    "hostNameOrIP": "string", "port": "number", "cmd": "string", "encoding": "string", "username": "string",
    "passwordAuthentication": "boolean", "password": "SecureString", "path": "Path", "passphrase": "SecureString",
}  # fmt: skip
COMMAND = {"virtualMachine": "string", "username": "string", "password": "SecureString", "cmd": "string", "workingDirectory": "string"}
SSH: dict[str, Value] = {"vimLocation": VIM, "hostNameOrIP": "192.0.2.7", "username": "ann", "password": "word", "cmd": "show version"}
SECRETS = {"paris vro": PASSWORD, "core": "password-of-the-core", "smf": "password-of-the-smf"}


def context_for(vro: FakeVro, **more: Any) -> RecordingContext:
    device = Device("192.0.2.7")
    entry = KnownDevice("core-7", (device,), login=Login("operator", Reference("core")))
    return context_with(inventory_with(vro, vro.certificate, devices={"core-7": entry}, by_address={device: entry}), SECRETS, **more)


def prints(**outputs: tuple[str, Any]) -> Any:
    """Return work that ends a run with these outputs, each a kind and a value."""

    def work(run: FakeRun) -> None:
        for name, (kind, value) in outputs.items():
            run.gives(name, kind, given(kind, value))
        run.state = "completed"

    return work


def ssh_at(vro: FakeVro, **outputs: tuple[str, Any]) -> VroSshStep:
    """Return the step, and have the library's workflow give these outputs."""
    vro.workflow("Run SSH command", LIBRARY_SSH.id, inputs=LIBRARY, work=prints(**outputs))
    return VroSshStep(pauses=QUICK)


async def outcome_of(step: VroStep, inputs: dict[str, Value], context: RecordingContext) -> tuple[Result, ErrorCode | None, Outcome]:
    outcome = await step.run(inputs, context)
    return outcome.result, None if outcome.error is None else outcome.error.code, outcome


async def test_the_workflow_of_the_library_is_given_what_its_inputs_are_called(vro: FakeVro) -> None:
    step = ssh_at(vro, outputText=("string", "up\n"), errorText=("string", ""), result=("string", "0"))
    _, _, outcome = await outcome_of(step, SSH, context_for(vro))
    run = vro.runs[0]
    assert {name: run.value(name) for name in run.parameters} == {
        "hostNameOrIP": "192.0.2.7", "port": 22, "username": "ann", "password": "word", "passwordAuthentication": True,
        "cmd": "show version", "encoding": "utf-8",
    }  # fmt: skip
    assert run.parameters["password"]["type"] == "SecureString"
    assert outcome.outputs == {"outputText": "up\n", "result": "up\n", "errorText": "", "exitCode": 0, VRO_RUN_ID: run.id}


async def test_the_library_is_found_by_the_name_of_its_workflow_too(vro: FakeVro) -> None:
    vro.workflow("Run SSH command", "another-id", inputs=LIBRARY, work=prints())
    assert (await outcome_of(VroSshStep(pauses=QUICK), SSH, context_for(vro)))[0] is Result.SUCCEEDED


@pytest.mark.parametrize(
    ("outputs", "code", "exit_code"),
    [
        ({"outputText": ("string", "no"), "exitCode": ("number", 3.0)}, ErrorCode.NON_ZERO_EXIT, 3),
        ({"outputText": ("string", "no"), "result": ("string", "2")}, ErrorCode.NON_ZERO_EXIT, 2),
        ({"outputText": ("string", "7"), "exitCode": ("string", "0"), "result": ("string", "7")}, None, 0),
        ({"result": ("string", "7")}, None, None),
        ({"outputText": ("string", "up"), "result": ("string", "fine")}, None, None),
        ({"outputText": ("string", "% Invalid input"), "exitCode": ("number", 0)}, ErrorCode.PATTERN_FAILED, 0),
        ({}, None, None),
    ],
)
async def test_the_exit_code_decides_wherever_it_stands(
    vro: FakeVro, outputs: dict[str, tuple[str, Any]], code: ErrorCode | None, exit_code: int | None
) -> None:
    _, found, outcome = await outcome_of(ssh_at(vro, **outputs), {**SSH, "failPattern": "^%"}, context_for(vro))
    assert (found, outcome.outputs.get("exitCode")) == (code, exit_code)


@pytest.mark.parametrize(
    "more", [{"hostKey": "SHA256:" + "A" * 43}, {"privateKey": "a-key"}, {"stdin": "yes"}, {"shell": True}, {"platform": "ios"}]
)
async def test_what_vro_would_not_heed_is_refused_before_anything_is_sent(vro: FakeVro, more: dict[str, Value]) -> None:
    context = context_for(vro)
    result, code, outcome = await outcome_of(ssh_at(vro), {**SSH, **more}, context)
    assert (result, code, context.sent, vro.runs) == (Result.FAILED, ErrorCode.INVALID_VALUE, False, [])
    assert outcome.error is not None
    assert f"'{next(iter(more))}'" in outcome.error.message


async def test_a_workflow_of_ones_own_takes_whatever_it_declares(vro: FakeVro) -> None:
    kinds = {**LIBRARY, "hostKey": "string", "script": "string"}
    vro.workflow("Checked SSH", inputs=kinds, work=prints(outputText=("string", "up")))
    inputs = {**SSH, "hostKey": "SHA256:abc", "script": "probe"}
    del inputs["cmd"]
    context = context_for(vro, attachments={"probe": b"show clock"}, files={"script"})
    result, _, _ = await outcome_of(VroSshStep(workflow="Checked SSH", pauses=QUICK), inputs, context)
    assert (result, vro.runs[0].value("hostKey"), vro.runs[0].value("script")) == (Result.SUCCEEDED, "SHA256:abc", "show clock")


async def test_what_a_login_leaves_out_is_the_inventorys(vro: FakeVro) -> None:
    step = ssh_at(vro)
    context = context_for(vro)
    await step.run({name: value for name, value in SSH.items() if name not in {"username", "password"}}, context)
    assert [vro.runs[0].value(name) for name in ("username", "password")] == ["operator", SECRETS["core"]]
    assert ("core", Device("192.0.2.7", 22)) in context.opened_for
    elsewhere: dict[str, Value] = {"vimLocation": VIM, "hostNameOrIP": "192.0.2.8", "cmd": "x"}
    assert (await outcome_of(step, elsewhere, context_for(vro)))[1] is ErrorCode.MISSING_INPUT


async def test_another_user_is_not_given_the_password_of_the_entrys_own(vro: FakeVro) -> None:
    context = context_for(vro)
    await ssh_at(vro).run({name: value for name, value in SSH.items() if name != "password"}, context)
    assert ("password" in vro.runs[0].parameters, [name for name, _ in context.opened_for]) == (False, ["paris vro"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cmd": None}, ErrorCode.MISSING_INPUT), ({"script": "x"}, ErrorCode.INVALID_VALUE), ({"hostNameOrIP": None}, ErrorCode.MISSING_INPUT),
        ({"port": 70_000}, ErrorCode.INVALID_VALUE), ({"failPattern": "("}, ErrorCode.INVALID_VALUE),
    ],
)  # fmt: skip
async def test_bad_inputs_ask_nobody(vro: FakeVro, change: dict[str, Value | None], code: ErrorCode) -> None:
    inputs = {name: value for name, value in {**SSH, **change}.items() if value is not None}
    assert ((await outcome_of(ssh_at(vro), inputs, context_for(vro)))[1], vro.connections) == (code, 0)


@pytest.mark.parametrize("step", [VroScpStep(), VroExecStep()])
async def test_a_step_whose_workflow_no_setting_names_says_which(vro: FakeVro, step: VroStep) -> None:
    inputs: dict[str, Value] = {**SSH, "sourcePath": "/etc/motd", "virtualMachine": "smf-1"}
    _, _, outcome = await outcome_of(step, inputs, context_for(vro))
    assert outcome.error is not None
    assert ("setting vro_" in outcome.error.message, vro.connections) == (True, 0)


def scp_at(vro: FakeVro, work: Any) -> VroScpStep:
    kinds = {**LIBRARY, "inFile": "MimeAttachment", "destinationPath": "string", "sourcePath": "string"}
    del kinds["cmd"]
    vro.workflow("SCP", inputs=kinds, work=work)
    return VroScpStep(workflow="SCP", pauses=QUICK)


COPY: dict[str, Value] = {name: value for name, value in SSH.items() if name != "cmd"}


async def test_a_file_is_handed_to_vro_to_be_sent(vro: FakeVro) -> None:
    context = context_for(vro, attachments={"image": b"\x00content"}, files={"inFile"})
    inputs: dict[str, Value] = {**COPY, "inFile": "image", "destinationPath": "/tmp/image"}
    result, _, outcome = await outcome_of(scp_at(vro, prints()), inputs, context)
    attached = vro.runs[0].parameters["inFile"]["value"]["mime-attachment"]
    assert (result, attached["name"], attached["content"]) == (Result.SUCCEEDED, "image", "AGNvbnRlbnQ=")
    assert (outcome.outputs["result"], outcome.outputs["bytes"], len(str(outcome.outputs["sha256"]))) == ("/tmp/image", 8, 64)


@pytest.mark.parametrize(("more", "key"), [({}, "motd"), ({"outFile": "kept"}, "kept")])
async def test_a_file_that_vro_has_fetched_is_the_executions(vro: FakeVro, more: dict[str, Value], key: str) -> None:
    def work(run: FakeRun) -> None:
        run.gives("content", "MimeAttachment", {"mime-attachment": {"name": "x", "mime-type": "text/plain", "content": "aGVsbG8="}})
        run.state = "completed"

    context = context_for(vro)
    result, _, outcome = await outcome_of(scp_at(vro, work), {**COPY, "sourcePath": "/etc/motd", **more}, context)
    assert (result, context.made, outcome.files, outcome.outputs["result"]) == (
        Result.SUCCEEDED,
        {key: b"hello"},
        {key: f"id-of-{key}"},
        key,
    )
    assert "outFile" not in vro.runs[0].parameters


async def test_a_fetch_without_a_file_is_no_success(vro: FakeVro) -> None:
    result, code, _ = await outcome_of(scp_at(vro, prints()), {**COPY, "sourcePath": "/etc/motd"}, context_for(vro))
    assert (result, code) == (Result.FAILED, ErrorCode.OUTPUT_MISFIT)


@pytest.mark.parametrize("more", [{}, {"inFile": "a", "sourcePath": "b"}, {"inFile": "a"}, {"inFile": "a", "destinationPath": "b"}])
async def test_a_copy_that_says_not_what_is_copied_asks_nobody(vro: FakeVro, more: dict[str, Value]) -> None:
    result, _, _ = await outcome_of(scp_at(vro, prints()), {**COPY, **more}, context_for(vro, files={"inFile"}))
    assert (result, vro.connections) == (Result.FAILED, 0)


@pytest.mark.parametrize(
    ("machine", "wanted", "login"), [("smf-1", "vm-1042", ("root", SECRETS["smf"])), ("vm-7", "vm-7", ("ann", "word"))]
)
async def test_a_virtual_machine_is_named_as_its_vcenter_does(vro: FakeVro, machine: str, wanted: str, login: tuple[str, str]) -> None:
    vro.workflow("Exec", inputs=COMMAND, work=prints(outputText=("string", "up"), exitCode=("number", 0)))
    inputs: dict[str, Value] = {"virtualMachine": machine, "cmd": "uptime", "workingDirectory": "/"}
    if machine == "vm-7":
        inputs |= {"vimLocation": VIM, "username": "ann", "password": "word"}
    result, _, outcome = await outcome_of(VroExecStep(workflow="Exec", pauses=QUICK), inputs, context_for(vro))
    run = vro.runs[0]
    assert (result, run.value("virtualMachine"), (run.value("username"), run.value("password"))) == (Result.SUCCEEDED, wanted, login)
    assert outcome.outputs["exitCode"] == 0


async def test_a_machine_that_the_inventory_knows_is_not_looked_for_at_another_vim(vro: FakeVro) -> None:
    inputs: dict[str, Value] = {"vimLocation": "elsewhere", "virtualMachine": "smf-1", "cmd": "uptime"}
    _, code, outcome = await outcome_of(VroExecStep(workflow="Exec", pauses=QUICK), inputs, context_for(vro))
    assert outcome.error is not None
    assert (code, vro.connections) == (ErrorCode.INVALID_VALUE, 0)
    assert "is at the VIM location 'paris'" in outcome.error.message


async def test_what_is_left_of_a_command_is_cleaned_up_at_the_vim_of_its_machine(vro: FakeVro) -> None:
    workflow = vro.workflow("Exec", inputs={**COMMAND, "stepswitchAttempt": "string"})
    marked = {"stepswitchAttempt": {"name": "stepswitchAttempt", "value": given("string", "execution-1-0-1")}}
    run = workflow.runs["left"] = FakeRun("left", marked)
    await VroExecStep(workflow="Exec", pauses=QUICK).clean_up({"virtualMachine": "smf-1", "cmd": "uptime"}, context_for(vro))
    assert run.state == "canceled"
