"""TCA_SSH in an interactive shell. Risks: a hang without a reason, an answer to the wrong question, a secret shown, a doubt called a failure.

What differs between the platforms: `test_shell_platforms`. The terminal and the echo: `test_ssh_terminal`.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest

from stepswitch.domain.step_types import collect
from stepswitch.domain.validation import check
from stepswitch.plugin import ErrorCode, LogLevel, Result, Value
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.ssh_inputs import SIGNATURE
from tests.openssh import OpenSshServer
from tests.routers.ios import IosShell, PrivilegedIosShell
from tests.routers.iosxr import IosXrShell
from tests.routers.scripted import ENABLE, Device, RouterServer
from tests.routers.sros import MdShell
from tests.routers.vrp import VrpShell
from tests.steps.contexts import RecordingContext
from tests.steps.shells import Talk, said, talking

pytestmark = pytest.mark.usefixtures("quickly_settled")
SECRET = "a-word-that-nobody-may-read"


def everything_said(talk: Talk, *outcomes: Any) -> str:
    return "\n".join([*talk.context.messages, *map(str, outcomes)])


# --- lines and their output --------------------------------------------------------------------------------------------


async def test_the_output_is_what_the_lines_print_and_the_log_says_which_line() -> None:
    async with talking(PrivilegedIosShell) as talk:
        outcome = await talk.say("show version", "", "  show running-config  ")
        assert outcome.outputs == {
            "outputText": "Cisco IOS Software, Version 17.9.4a\n\nedge-1 uptime is 11 weeks\nBuilding configuration...\n\nend\n",
            "result": outcome.outputs["outputText"],
            "errorText": "",
        }
        assert (LogLevel.DEBUG, "edge-1# show version") in talk.context.lines
        assert (LogLevel.INFO, "edge-1 uptime is 11 weeks") in talk.context.lines


async def test_the_lines_may_come_from_a_file() -> None:
    async with talking(PrivilegedIosShell) as talk:
        talk.context = RecordingContext(
            accept_new=True, attachments={"lines": b"configure terminal\r\n\thostname edge-2\r\nend\r\n"}, files={"script"}
        )
        assert said(await talk.say(cmd=None, script="lines"))[0] == "SUCCEEDED"
        assert talk.device.received[2:] == ["configure terminal", "hostname edge-2", "end"]


async def test_escape_sequences_are_taken_out_and_lines_that_look_like_prompts_stay_in() -> None:
    async with talking(PrivilegedIosShell) as talk:
        outcome = await talk.say("show colours", "show tricks")
        assert outcome.outputs["outputText"] == "red and plain\nrouter bgp 1\nno-such#\nother>\n"


async def test_patterns_of_the_workflow_count_line_by_line() -> None:
    async with talking(PrivilegedIosShell) as talk:
        result, code, sentence = said(await talk.say("configure terminal", "end", "show version", "show log", failPattern="^edge-. uptime"))
        assert (result, code) == ("FAILED", ErrorCode.PATTERN_FAILED)
        assert "line 3 of 4 (show version): the answer has a line that failPattern matches: edge-1 uptime is 11 weeks" in sentence
        assert "show log" not in talk.device.received
        assert said(await talk.say("show version", successPattern="Version 17"))[0] == "SUCCEEDED"
        assert said(await talk.say("show version", successPattern="Version 16"))[1] is ErrorCode.PATTERN_FAILED


async def test_a_second_step_goes_on_in_the_same_connection() -> None:
    async with talking(PrivilegedIosShell) as talk:
        for _ in range(2):
            assert said(await talk.say("show version"))[0] == "SUCCEEDED"
        assert sum("goes on in the session" in message for message in talk.context.messages) == 1


async def test_a_kept_connection_that_the_router_closed_is_made_anew() -> None:
    class OnceOnly(PrivilegedIosShell):
        async def serve(self) -> None:
            connection = self._process.channel.get_connection()
            if connection.get_extra_info("seen"):
                self.cut()
            connection.set_extra_info(seen=True)
            await super().serve()

    async with talking(OnceOnly) as talk:
        for _ in range(2):
            assert said(await talk.say("show version"))[0] == "SUCCEEDED"
        assert talk.device.received.count("show version") == 2


async def test_a_last_line_that_takes_leave_succeeds() -> None:
    async with talking(PrivilegedIosShell) as talk:
        assert said(await talk.say("show version", "exit")) == ("SUCCEEDED", None, "")
        result, code, sentence = said(await talk.say("exit", "show version"))
        assert (result, code) == ("UNKNOWN", ErrorCode.CONNECTION_CUT)
        assert "closed the session, at line 1 of 2 (exit)" in sentence


# --- a prompt that never comes -----------------------------------------------------------------------------------------


async def test_a_prompt_that_does_not_come_back_leaves_unknown_and_names_the_line_and_the_last_text() -> None:
    async with talking(PrivilegedIosShell, silence=0.5, hangs_at="show log") as talk:
        result, code, sentence = said(await talk.say("show version", "show log", "show version"))
        assert (result, code) == ("UNKNOWN", ErrorCode.TIMEOUT)
        assert "did not come back to its prompt: it printed nothing for 0.5 seconds, at line 2 of 3 (show log)" in sentence
        assert sentence.endswith("; the line after it was not sent; the last that it showed: working on it")


async def test_a_router_that_never_prompts_is_a_failure_and_nothing_was_sent() -> None:
    async with talking(PrivilegedIosShell, silence=0.5, never_prompts=True, motd="maintenance\n") as talk:
        result, code, sentence = said(await talk.say("show version"))
        assert (result, code) == ("FAILED", ErrorCode.TIMEOUT)
        assert sentence.endswith("before a line was typed; nothing was sent; the last that it showed: maintenance")
        assert not talk.context.sent


async def test_a_connection_that_breaks_in_the_middle_leaves_unknown() -> None:
    async with talking(PrivilegedIosShell) as talk:
        result, code, _ = said(await talk.say("reload", "show version", answers='{"\\\\[confirm\\\\]": ""}'))
        assert (result, code) == ("UNKNOWN", ErrorCode.CONNECTION_CUT)
        assert talk.device.received.count("reload") == 1


async def test_cancelling_closes_the_session_at_once() -> None:
    async with talking(PrivilegedIosShell, hangs_at="show log") as talk:
        running = asyncio.create_task(talk.step.run(talk.inputs("configure terminal", "end", "show log", "show version"), talk.context))
        await talk.device.hung.wait()
        running.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await running
            await talk.device.gone.wait()
        assert "show version" not in talk.device.received
        assert any("was closed before the prompt was back" in message for message in talk.context.messages)


async def test_a_server_without_a_shell_is_a_failure() -> None:
    class NoShell(asyncssh.SSHServerSession[str]):
        def pty_requested(self, *_: Any) -> bool:
            return False

        def shell_requested(self) -> bool:
            return False

    class Door(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

        def session_requested(self) -> Any:
            return NoShell()

    key = asyncssh.generate_private_key("ssh-ed25519")
    step, context = SshStep(), RecordingContext(accept_new=True)
    async with asyncssh.listen("127.0.0.1", 0, server_factory=Door, server_host_keys=[key], config=None) as acceptor:
        inputs: dict[str, Value] = {"hostNameOrIP": "127.0.0.1", "port": acceptor.get_port(), "username": "admin", "password": "pw"}
        result, code, sentence = said(await step.run({**inputs, "shell": True, "platform": "ios", "cmd": "show"}, context))
        await step.close()
    assert (result, code) == ("FAILED", ErrorCode.CONNECTION_REFUSED)
    assert "opens no shell with a terminal; nothing was sent" in sentence
    assert not context.sent


# --- questions ---------------------------------------------------------------------------------------------------------


async def test_questions_are_answered_in_the_way_that_the_workflow_says() -> None:
    async with talking(PrivilegedIosShell) as talk:
        answers = json.dumps({"Destination filename": "backup-1", r"counters .*\[confirm\]": "", "never asked": "x"})
        outcome = await talk.say("copy running-config startup-config", "clear counters", answers=answers)
        assert said(outcome)[0] == "SUCCEEDED"
        assert talk.device.replies == ["backup-1", ""]
        assert "backup-1 is written\n" in str(outcome.outputs["outputText"])
        assert "Destination filename [startup-config]?\n" in str(outcome.outputs["outputText"])


async def test_a_question_in_two_lines_is_answered() -> None:
    async with talking(VrpShell, "vrp") as talk:
        outcome = await talk.say("reset saved-configuration", answers=r'{"\\(y/n\\)": "y"}')
        assert said(outcome)[0] == "SUCCEEDED"
        assert "Info: Erased." in str(outcome.outputs["outputText"])


@pytest.mark.parametrize(
    ("shell", "platform", "lines", "question"),
    [
        (PrivilegedIosShell, "ios", ("clear counters", "show version"), 'Clear "show interface" counters on all interfaces [confirm]'),
        (PrivilegedIosShell, "ios", ("copy running-config startup-config", "show version"), "Destination filename [startup-config]?"),
        (VrpShell, "vrp", ("reset saved-configuration", "display version"), "Are you sure? (y/n)[n]:"),
        (IosXrShell, "iosxr", ("configure", "hostname edge-2", "end", "show version"), "before exiting(yes/no/cancel)? [cancel]:"),
    ],
)
async def test_a_question_without_an_answer_leaves_unknown_and_is_shown(
    shell: Callable[..., Any], platform: str, lines: tuple[str, ...], question: str
) -> None:
    async with talking(shell, platform) as talk:
        result, code, sentence = said(await talk.say(*lines, answers='{"something else": "y"}'))
        assert (result, code) == ("UNKNOWN", ErrorCode.UNANSWERED)
        assert f"waits for an answer that 'answers' does not have, at line {len(lines) - 1} of {len(lines)} ({lines[-2]})" in sentence
        assert sentence.endswith(question)
        assert talk.device.replies == []
        assert lines[-1] not in talk.device.received


async def test_a_question_that_comes_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(PrivilegedIosShell):
        async def carry_out(self, line: str) -> None:
            while line:
                await self.ask("Really? [confirm]")

    monkeypatch.setattr("stepswitch.steps.ssh_dialogue._MOST_REPLIES", 3)
    async with talking(Stubborn) as talk:
        result, code, _ = said(await talk.say("reload", answers=r'{"\\[confirm\\]": ""}'))
        assert (result, code) == ("UNKNOWN", ErrorCode.UNANSWERED)
        assert talk.device.replies == [""] * 3


async def test_an_answer_at_the_login_counts_as_sent() -> None:
    class Expired(PrivilegedIosShell):
        async def serve(self) -> None:
            await self.ask("The password has to be changed. Change now? [Y/N]:")
            self.cut()

    async with talking(Expired) as talk:
        result, code, sentence = said(await talk.say("show version", answers=r'{"Change now": "N"}'))
        assert (result, code) == ("UNKNOWN", ErrorCode.CONNECTION_CUT)
        assert "after it was answered as 'answers' says and before a line was typed" in sentence
        assert talk.device.replies == ["N"]


# --- the privileged mode -----------------------------------------------------------------------------------------------


async def test_enabling_is_done_before_the_first_line() -> None:
    async with talking(IosShell) as talk:
        assert said(await talk.say("show running-config"))[1] is ErrorCode.LINE_REFUSED
        outcome = await talk.say("show running-config", enablePassword=ENABLE)
        assert said(outcome)[0] == "SUCCEEDED"
        assert talk.device.received[3:] == ["enable", "terminal length 0", "terminal width 511", "show running-config"]
        assert ENABLE not in everything_said(talk, outcome)


@pytest.mark.parametrize(("shell", "platform"), [(IosShell, "ios"), (VrpShell, "vrp"), (MdShell, "sros")])
async def test_a_wrong_enable_password_is_a_failure_and_nothing_was_sent(shell: Callable[..., Any], platform: str) -> None:
    async with talking(shell, platform) as talk:
        outcome = await talk.say("show version", enablePassword=SECRET)
        result, code, sentence = said(outcome)
        assert (result, code) == ("FAILED", ErrorCode.LOGIN_REFUSED)
        assert "refused the privileged mode; nothing was sent" in sentence
        assert not talk.context.sent
        assert talk.device.replies == [SECRET], "it is tried once: an account must not be locked by guesses"
        assert SECRET not in everything_said(talk, outcome)


@pytest.mark.parametrize(("shell", "platform", "line"), [(VrpShell, "vrp", "display version"), (MdShell, "sros", "show version")])
async def test_enabling_that_does_not_show_in_the_prompt_is_done_all_the_same(shell: Callable[..., Any], platform: str, line: str) -> None:
    async with talking(shell, platform) as talk:
        assert said(await talk.say(line, enablePassword=ENABLE))[0] == "SUCCEEDED"
        assert talk.device.replies == [ENABLE]


# --- secrets -----------------------------------------------------------------------------------------------------------


async def test_a_reply_to_a_question_for_a_password_is_never_shown() -> None:
    """The router echoes the reply, and prints it once more."""
    async with talking(PrivilegedIosShell) as talk:
        outcome = await talk.say("copy running-config scp:", "colour the sky", answers=json.dumps({"Password:": SECRET}))
        assert talk.device.replies == [SECRET]
        assert "sent with ********\n" in str(outcome.outputs["outputText"])
        assert SECRET not in everything_said(talk, outcome)


async def test_a_fault_in_the_answers_shows_no_reply() -> None:
    async with talking(PrivilegedIosShell) as talk:
        outcome = await talk.say("show version", answers=json.dumps({"(": SECRET, "b": SECRET + "\n"}))
        assert said(outcome)[1] is ErrorCode.INVALID_VALUE
        assert SECRET not in everything_said(talk, outcome)


# --- bad inputs --------------------------------------------------------------------------------------------------------


async def test_every_fault_is_said_at_once_and_nobody_is_connected_to() -> None:
    async with talking(PrivilegedIosShell) as talk:
        more: dict[str, Value | None] = {
            "platform": "toaster", "prompt": "(", "answers": '{"(": "a", "b": 3, "": "c", "d": "e\\nf"}', "stdin": "text", "port": 0,
        }  # fmt: skip
        result, code, sentence = said(await talk.say("show\tversion", **more))
        assert (result, code) == ("FAILED", ErrorCode.INVALID_VALUE)
        for part in (
            "'port' must be a whole number",
            "'platform' must be one of ios, iosxr, nxos, junos, sros, vrp",
            "prompt is no regular expression",
            "the pattern 1 of 'answers' ('(') is no regular expression",
            "the reply to the pattern 2 of 'answers' ('b') must be a string",
            "the pattern 3 of 'answers' ('') is empty",
            "the reply to the pattern 4 of 'answers' ('d') must be one line",
            "'stdin' does not go with 'shell'",
            "line 1 to type has a tab",
        ):
            assert part in sentence
        assert talk.device.terminals == []


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({"platform": None}, "give 'platform' or 'prompt'"),
        ({"cmd": "\n \n"}, "there is no line to type"),
        ({"platform": "junos", "enablePassword": "secret"}, "'enablePassword' does not go with the platform junos"),
        ({"platform": None, "prompt": "x", "enablePassword": "secret"}, "'enablePassword' does not go with a device without 'platform'"),
        ({"answers": "no json"}, "the input 'answers' is no JSON: Expecting value at line 1, column 1"),
        ({"answers": "[]"}, "'answers' must be a JSON object"),
        ({"answers": '{"a": "b", "a": "c"}'}, "stands there twice"),
        ({"answers": json.dumps({str(number): "" for number in range(101)})}, "at most 100 are taken"),
        ({"cmd": "x\n" * 10_001}, "at most 10000 are taken"),
        ({"encoding": "ascii", "cmd": "ü"}, "the encoding ascii lacks"),
        ({"script": "a", "cmd": "b"}, "give 'cmd' or 'script', not both"),
        ({"cmd": "show \x03"}, "another control character"),
    ],
)
async def test_a_fault_is_said(inputs: dict[str, Value | None], fault: str) -> None:
    router = RouterServer(PrivilegedIosShell, Device())
    talk = Talk(router, "ios", SshStep())
    router.port = 1
    result, _, sentence = said(await talk.say(**{"cmd": "show version", **inputs}))
    assert result == "FAILED"
    assert fault in sentence
    assert not talk.context.sent


def test_a_fault_in_what_stands_in_the_document_is_found_when_it_is_validated() -> None:
    def bound(**inputs: Any) -> dict[str, Any]:
        texts = {"hostNameOrIP": "192.0.2.1", "username": "admin", "cmd": "show version", **inputs}
        bindings: dict[str, Any] = {name: {"type": "string", "defaultValue": value} for name, value in texts.items()}
        step = {"type": "TCA_SSH", "inBindings": {**bindings, "shell": {"type": "boolean", "defaultValue": True}}}
        return {"name": "x", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": step}}

    wrong = check(bound(answers='{"(": 1}', prompt="[", platform="toaster"), collect((SIGNATURE,))).faults
    assert {(fault.code, fault.path) for fault in wrong} == {
        (ErrorCode.INVALID_VALUE, f"steps.a.inBindings.{name}.defaultValue") for name in ("answers", "prompt", "platform")
    }
    right = bound(answers=r'{"\\[confirm\\]": ""}', prompt="edge-[0-9]+#", platform="ios")
    assert check(right, collect((SIGNATURE,))).faults == ()
    right["steps"]["a"]["inBindings"]["answers"] = {"type": "password", "defaultValue": "********"}
    assert not [fault for fault in check(right, collect((SIGNATURE,))).faults if "JSON" in fault.message]


# --- a server that is no router ----------------------------------------------------------------------------------------


async def test_a_real_shell_of_openssh_is_talked_to_by_its_prompt(server: OpenSshServer) -> None:
    ssh = SshStep(silence_seconds=10.0)
    context = RecordingContext(host_keys=server.trusted(), time_limit_seconds=30.0)
    lines = "PS1='ready> '\necho one two | tr a-z A-Z\nread -p 'sure? ' answer; echo \"said $answer\""
    inputs = server.inputs(shell=True, prompt=r"ready>|.*[$#]", cmd=lines, answers='{"sure": "quite"}')
    outcome = await ssh.run(inputs, context)
    await ssh.close()
    assert outcome.result is Result.SUCCEEDED, outcome
    assert "ONE TWO\n" in str(outcome.outputs["outputText"])
    assert "said quite\n" in str(outcome.outputs["outputText"])
