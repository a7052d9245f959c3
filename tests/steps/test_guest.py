"""TCA_EXEC against a vCenter that speaks SOAP over TLS, and a machine in which programs really run. Risk: a command that runs twice, is lost, or is said to have done what it has not."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.plugin import Device, ErrorCode, LogLevel, Outcome, Result, Value
from stepswitch.steps.guest import GuestStep
from tests import guests, vcenter
from tests.steps.contexts import RecordingContext
from tests.steps.guest_context import asking, assert_nothing_left, context_for, failure
from tests.vcenter import FakeVCenter

ASKED: Final = {"vimLocation": "paris", "username": guests.USER, "password": guests.PASSWORD}
FORTY_LINES: Final = "for i in 0 1 2 3; do for j in 0 1 2 3 4 5 6 7 8 9; do echo $i$j; done; done"


async def run(center: FakeVCenter, inputs: dict[str, Value], **more: Any) -> tuple[Outcome, RecordingContext]:
    context = context_for(center, **more)
    return await GuestStep().run(inputs, context), context


async def test_a_command_runs_in_the_machine_and_leaves_nothing_there(center: FakeVCenter) -> None:
    outcome, context = await run(center, asking("echo fine; echo wrong >&2"))
    assert (outcome.result, outcome.error, outcome.truncated) == (Result.SUCCEEDED, None, ())
    assert outcome.outputs == {"outputText": "fine\n", "errorText": "wrong\n", "exitCode": 0}
    assert {(LogLevel.INFO, "fine"), (LogLevel.WARN, "wrong")} <= set(context.lines)
    assert context.sent
    assert_nothing_left(center)


async def test_an_exit_code_fails_the_step_and_says_the_last_line(center: FakeVCenter) -> None:
    outcome, _ = await run(center, asking("echo first; echo no such cell >&2; exit 3"))
    assert failure(outcome) == (Result.FAILED, ErrorCode.NON_ZERO_EXIT)
    assert outcome.error is not None
    assert outcome.error.message == "the command in the machine smf-1 ended with exit code 3: no such cell"
    assert outcome.outputs == {"outputText": "first\n", "errorText": "no such cell\n", "exitCode": 3}
    assert_nothing_left(center)


@pytest.mark.parametrize("machine", ["smf-1", "smf-2", "smf-3"])
async def test_a_machine_of_the_inventory_is_found_however_its_vcenter_calls_it(center: FakeVCenter, machine: str) -> None:
    outcome, context = await run(center, asking("echo fine", virtualMachine=machine))
    assert outcome.result is Result.SUCCEEDED
    assert context.opened_for == [("vcenter", Device("127.0.0.1", center.port)), ("guest", Device(machine))]


@pytest.mark.parametrize("machine", [vcenter.MACHINE, vcenter.UUID, vcenter.UUID.upper().lower(), f"/{vcenter.PATH}", vcenter.PATH])
async def test_a_machine_that_the_inventory_does_not_know_is_called_as_its_vcenter_does(center: FakeVCenter, machine: str) -> None:
    outcome, context = await run(center, asking("echo fine", virtualMachine=machine, **ASKED))
    assert outcome.result is Result.SUCCEEDED
    assert [name for name, _ in context.opened_for] == ["vcenter"]


async def test_what_the_step_says_comes_before_what_the_inventory_says(center: FakeVCenter) -> None:
    center.guest.password = "another-password"
    outcome, context = await run(center, asking("echo fine", username=guests.USER, password="another-password"))
    assert outcome.result is Result.SUCCEEDED
    assert "guest" not in dict(context.opened_for)


async def test_a_script_is_run_by_its_interpreter_with_its_environment_where_it_should(center: FakeVCenter, tmp_path: Path) -> None:
    script = b"#!/usr/bin/env python3\nimport os, sys\nprint(os.getcwd(), os.environ['MODE'], os.environ['dir'], sys.argv[1:])\n"
    environment = json.dumps({"MODE": "a 'quoted' $word \\ \u00e9", "dir": "mine", "N": 4, "YES": True})
    inputs: dict[str, Value] = {"virtualMachine": "smf-1", "script": "s", "env": environment, "workingDirectory": str(tmp_path)}
    outcome, _ = await run(center, inputs, attachments={"s": script}, files={"script"})
    assert outcome.outputs["outputText"] == f"{tmp_path} a 'quoted' $word \\ \u00e9 mine []\n"
    assert outcome.outputs["exitCode"] == 0


async def test_a_script_without_an_interpreter_is_read_by_sh(center: FakeVCenter) -> None:
    inputs: dict[str, Value] = {"virtualMachine": "smf-1", "script": "s"}
    outcome, _ = await run(center, inputs, attachments={"s": b"echo one\r\nexit 4"}, files={"script"})
    assert outcome.outputs["exitCode"] == 4


async def test_nothing_of_a_command_stands_on_a_command_line_and_only_its_user_may_read_it(center: FakeVCenter) -> None:
    shown = "for f in ${0%/*} ${0%/*}/command ${0%/*}/begin; do stat -c %a $f; done; cat >/dev/null && echo closed"
    outcome, _ = await run(center, asking(f"{shown} # a-secret", env='{"TOKEN": "another-secret"}'))
    assert str(outcome.outputs["outputText"]).startswith("700\n")
    assert str(outcome.outputs["outputText"]).endswith("closed\n")
    assert "secret" not in "".join(center.guest.started)


async def test_output_is_shown_while_the_command_runs(center: FakeVCenter, tmp_path: Path) -> None:
    going_on = tmp_path / "going on"
    context = context_for(center)
    running = asyncio.create_task(
        GuestStep().run(asking(f"echo it has begun; until [ -e '{going_on}' ]; do sleep 0.05; done; echo done"), context)
    )
    await context.wait_for_line("it has begun")
    assert not running.done()
    going_on.touch()
    outcome = await running
    assert outcome.outputs["outputText"] == "it has begun\ndone\n"


async def test_output_that_comes_in_parts_is_neither_lost_nor_doubled(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.steps.guest_run.READ_BYTES", 7)
    outcome, context = await run(center, asking(FORTY_LINES))
    expected = [f"{i}{j}" for i in range(4) for j in range(10)]
    assert str(outcome.outputs["outputText"]).split() == expected
    assert [message for level, message in context.lines if level is LogLevel.INFO] == expected


async def test_what_nobody_keeps_is_not_fetched(center: FakeVCenter) -> None:
    context = context_for(center, output_limit_bytes=1000)
    context.log_is_full = True
    outcome = await GuestStep().run(asking("head -c 3000000 /dev/zero | tr '\\0' x"), context)
    assert (outcome.outputs["outputText"], outcome.truncated) == ("x" * 1000, ("outputText",))
    assert center.count("GET") == 2, "one part of the output, and the exit code"


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"virtualMachine": " ", "cmd": "id"}, ErrorCode.MISSING_INPUT, "virtualMachine"),
        (asking("  "), ErrorCode.MISSING_INPUT, "'cmd' and 'script'"),
        (asking("id", script="s"), ErrorCode.INVALID_VALUE, "not both; the input 'script' must be bound as type file"),
        (asking("a\0b"), ErrorCode.INVALID_VALUE, "zero byte"),
        (asking("id", workingDirectory="/a\n/b"), ErrorCode.INVALID_VALUE, "workingDirectory"),
        (asking("id", env="[1]"), ErrorCode.INVALID_VALUE, "JSON object"),
        (asking("id", env='{"a b": "hidden"}'), ErrorCode.INVALID_VALUE, "no variable can have"),
        (asking("id", env='{"A": "hidden\\nb"}'), ErrorCode.INVALID_VALUE, "value for A with a line break"),
        (asking("id", env='{"A": {}}'), ErrorCode.INVALID_VALUE, "neither a text nor"),
        ({**asking("id", vimLocation="berlin", virtualMachine="vm-7"), "username": "ann", "password": "word"}, ErrorCode.INVALID_VALUE, "no VIM location 'berlin'; those with a vCenter are 'paris'"),
        ({**asking("id", vimLocation="cluster", virtualMachine="vm-7"), "username": "ann", "password": "word"}, ErrorCode.INVALID_VALUE, "has no vCenter ('vcenter') in the inventory; those with a vCenter are 'paris'"),
        (asking("id", vimLocation="cluster"), ErrorCode.INVALID_VALUE, "is at the VIM location 'paris', says the inventory"),
        (asking("id", virtualMachine="vm-7"), ErrorCode.MISSING_INPUT, "no VIM location for the machine vm-7"),
        (asking("id", virtualMachine="vm-7", vimLocation="paris"), ErrorCode.MISSING_INPUT, "no 'username' and 'password' for the machine vm-7"),
        (asking("id", username="somebody-else"), ErrorCode.MISSING_INPUT, "no 'password' for the machine smf-1: give it as an input, or as the login of its entry in the inventory, which is that of another user"),
        (asking("id", virtualMachine="vm-7", **ASKED), ErrorCode.NOT_FOUND, "has no such machine"),
        (asking("id", virtualMachine="/Paris/vm/x", **ASKED), ErrorCode.NOT_FOUND, "has no machine that is called /Paris/vm/x"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_said_before_anything_is_sent(
    center: FakeVCenter, inputs: dict[str, Value], code: ErrorCode, said: str
) -> None:
    outcome, context = await run(center, inputs)
    assert failure(outcome) == (Result.FAILED, code)
    assert outcome.error is not None
    assert said in outcome.error.message
    assert "hidden" not in outcome.error.message
    assert not context.sent
    assert_nothing_left(center)


async def test_a_machine_that_is_off_or_without_tools_is_not_waited_for(center: FakeVCenter) -> None:
    for power, tools, said in (
        ("poweredOff", "guestToolsRunning", "is not powered on: it is poweredOff"),
        ("suspended", "guestToolsRunning", "is not powered on: it is suspended"),
        ("poweredOn", "guestToolsNotRunning", "the VMware Tools of the machine smf-1 do not run"),
    ):
        center.guest.power, center.guest.tools = power, tools
        outcome, context = await run(center, asking("id"))
        assert failure(outcome) == (Result.FAILED, ErrorCode.GUEST_UNAVAILABLE)
        assert outcome.error is not None
        assert said in outcome.error.message
        assert not context.sent
    assert not center.count("ValidateCredentialsInGuest"), "a login was tried at a machine that cannot say yes"


async def test_wrong_passwords_are_tried_once(center: FakeVCenter) -> None:
    center.guest.password = "another"
    outcome, context = await run(center, asking("id"))
    assert failure(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
    assert center.count("ValidateCredentialsInGuest") == 1
    center.password = "another"
    outcome, _ = await run(center, asking("id"))
    assert failure(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
    assert outcome.error is not None
    assert outcome.error.message.startswith(f"the vCenter 127.0.0.1:{center.port} refused user or password")
    assert center.count("Login") == 2
    assert not context.sent
    assert_nothing_left(center)


@pytest.mark.parametrize(
    ("method", "fault", "code"),
    [
        ("RetrieveServiceContent", "NotSupported", ErrorCode.VIM_REFUSED),
        ("Login", "NoPermission", ErrorCode.PERMISSION_DENIED),
        ("RetrievePropertiesEx", "ManagedObjectNotFound", ErrorCode.NOT_FOUND),
        ("ValidateCredentialsInGuest", "InvalidGuestLogin", ErrorCode.LOGIN_REFUSED),
        ("ValidateCredentialsInGuest", "NoPermission", ErrorCode.PERMISSION_DENIED),
        ("ValidateCredentialsInGuest", "GuestOperationsUnavailable", ErrorCode.GUEST_UNAVAILABLE),
        ("ValidateCredentialsInGuest", "ToolsUnavailable", ErrorCode.GUEST_UNAVAILABLE),
        ("ValidateCredentialsInGuest", "InvalidPowerState", ErrorCode.GUEST_UNAVAILABLE),
        ("ValidateCredentialsInGuest", "TooManyGuestLogons", ErrorCode.GUEST_UNAVAILABLE),
        ("ValidateCredentialsInGuest", "OperationDisabledByGuest", ErrorCode.GUEST_UNAVAILABLE),
        ("ValidateCredentialsInGuest", "GuestComponentsOutOfDate", ErrorCode.GUEST_UNAVAILABLE),
        ("ValidateCredentialsInGuest", "SystemError", ErrorCode.CONNECTION_CUT),
        ("ValidateCredentialsInGuest", "NoSuchFaultAnywhere", ErrorCode.MALFORMED_ANSWER),
        ("CreateTemporaryDirectoryInGuest", "GuestPermissionDenied", ErrorCode.PERMISSION_DENIED),
        ("CreateTemporaryDirectoryInGuest", "NoDiskSpace", ErrorCode.NO_SPACE),
        ("InitiateFileTransferToGuest", "CannotAccessFile", ErrorCode.PERMISSION_DENIED),
        ("StartProgramInGuest", "GuestPermissionDenied", ErrorCode.PERMISSION_DENIED),
        ("StartProgramInGuest", "FileNotFound", ErrorCode.NO_SUCH_FILE),
        ("StartProgramInGuest", "GuestOperationsUnavailable", ErrorCode.GUEST_UNAVAILABLE),
        ("StartProgramInGuest", "InvalidArgument", ErrorCode.VIM_REFUSED),
    ],
)  # fmt: skip
async def test_a_fault_is_a_failure_with_a_code_and_nothing_is_left(center: FakeVCenter, method: str, fault: str, code: ErrorCode) -> None:
    center.refuses[method].append(fault)
    outcome, context = await run(center, asking("echo ran"))
    assert failure(outcome) == (Result.FAILED, code)
    assert outcome.error is not None
    assert not [word for word in ("Traceback", "vim.fault", "None", vcenter.PASSWORD, guests.PASSWORD) if word in outcome.error.message]
    assert "ran" not in context.messages
    assert not center.guest.started
    assert_nothing_left(center)


async def test_a_privilege_that_is_lacking_is_named(center: FakeVCenter) -> None:
    center.refuses["StartProgramInGuest"].append("NoPermission")
    outcome, _ = await run(center, asking("id"))
    assert outcome.error is not None
    assert "lacks the privilege VirtualMachine.GuestOperations.Execute" in outcome.error.message


async def test_a_working_directory_that_is_not_there_fails_the_step_before_it_runs(center: FakeVCenter) -> None:
    outcome, context = await run(center, asking("echo ran", workingDirectory="/no/such/place"))
    assert failure(outcome) == (Result.FAILED, ErrorCode.NO_SUCH_FILE)
    assert "ran" not in context.messages
    assert_nothing_left(center)


async def test_a_machine_that_is_full_fails_the_step(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, content: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(center.guest, "write", full)
    outcome, _ = await run(center, asking("id"))
    assert failure(outcome) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert_nothing_left(center)


async def test_a_credential_that_may_not_be_used_fails_the_step(center: FakeVCenter) -> None:
    outcome, _ = await run(center, asking("id"), credentials={"vcenter": vcenter.PASSWORD})
    assert failure(outcome) == (Result.FAILED, ErrorCode.CREDENTIAL_REFUSED)
    assert not center.calls


async def test_windows_is_given_a_batch_file_and_its_own_paths(center: FakeVCenter) -> None:
    given: dict[str, bytes] = {}

    def on_windows(files: Mapping[str, bytes]) -> tuple[bytes, bytes, int]:
        given.update(files)
        return b"fine\r\n", b"", 5

    center.guest.family, center.guest.on_windows = "windowsGuest", on_windows
    outcome, context = await run(center, asking("ver\ndir", env='{"SHARE": "100%"}', workingDirectory="C:\\Data"))
    assert failure(outcome) == (Result.FAILED, ErrorCode.NON_ZERO_EXIT)
    assert outcome.outputs == {"outputText": "fine\r\n", "errorText": "", "exitCode": 5}
    assert given["command.cmd"] == b"@echo off\r\nver\r\ndir\r\n"
    assert b'set "SHARE=100%%"\r\n' in given["run.cmd"]
    assert b"\n" not in given["run.cmd"].replace(b"\r\n", b"")
    (started,) = center.guest.started
    assert re.fullmatch(
        rf'"C:\\Windows\\System32\\cmd.exe" /d /c "C:\\Windows\\Temp\\stepswitch-{context.attempt_name}\.\w+\\run.cmd"', started
    )
    assert_nothing_left(center)


async def test_windows_ends_a_command_with_all_that_it_has_begun(center: FakeVCenter) -> None:
    center.guest.family, center.guest.on_windows = "windowsGuest", lambda files: None
    context = context_for(center)
    running = asyncio.create_task(GuestStep().run(asking("ping -t localhost"), context))
    await context.wait_for_line("the command runs")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert center.guest.started[1] == '"C:\\Windows\\System32\\taskkill.exe" /T /F /PID 4000000'
    assert_nothing_left(center)


async def test_windows_cannot_be_given_a_quotation_mark(center: FakeVCenter) -> None:
    center.guest.family = "windowsGuest"
    outcome, _ = await run(center, asking("ver", env='{"A": "hidden\\" & calc"}'))
    assert failure(outcome) == (Result.FAILED, ErrorCode.INVALID_VALUE)
    assert outcome.error is not None
    assert "hidden" not in outcome.error.message
    assert_nothing_left(center)
