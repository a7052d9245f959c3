"""TCA_SSH against a real OpenSSH server. Risks: a wrong result, a command sent twice, a process left behind, memory eaten, a key not checked.

Logging in and host keys: `test_ssh_login`. Strange servers: `test_ssh_strange_servers`. Sessions that are kept: `test_connections`.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncssh
import psutil
import pytest

from stepswitch.bootstrap import installed_types
from stepswitch.domain.validation import check
from stepswitch.plugin import CUT, ErrorCode, LogLevel, Outcome, Result, TargetError, Value
from stepswitch.steps.output import Output
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.ssh_command import End, Run
from stepswitch.steps.ssh_inputs import Command
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext

MEBIBYTE = 1024 * 1024


def context_for(server: OpenSshServer, **more: object) -> RecordingContext:
    return RecordingContext(host_keys=server.trusted(), **more)  # type: ignore[arg-type]


async def run(ssh: SshStep, server: OpenSshServer, context: RecordingContext | None = None, /, **inputs: Value) -> Outcome:
    return await ssh.run(server.inputs(**inputs), context or context_for(server))


def error_of(outcome: Outcome) -> tuple[Result, ErrorCode]:
    assert outcome.error is not None
    return outcome.result, outcome.error.code


# --- commands --------------------------------------------------------------------------------------------------------


def test_signature_says_what_the_specification_says() -> None:
    signature = SshStep().signature
    assert (signature.name, signature.time_limit_seconds) == ("TCA_SSH", 14_400)
    assert (signature.device_input, signature.port_input) == ("hostNameOrIP", "port")
    assert [spec.name for spec in signature.inputs if spec.required] == ["hostNameOrIP"]
    assert [spec.name for spec in signature.inputs if spec.one_of == "command"] == ["cmd", "script"]
    assert [spec.name for spec in signature.outputs] == ["outputText", "result", "errorText", "exitCode"]
    assert not signature.always_safe


@pytest.mark.parametrize(
    ("step_type", "name"),
    [
        ("TCA_SSH", "failPattern"),
        ("TCA_SSH", "successPattern"),
        ("TCA_SSH", "prompt"),
        ("VRO_SSH", "failPattern"),
        ("VRO_SSH", "successPattern"),
    ],
)
def test_a_pattern_that_is_none_is_a_fault_of_validation(step_type: str, name: str) -> None:
    def faults(pattern: str) -> list[str]:
        text = {"type": "string", "defaultValue": "a"}
        inputs = {"hostNameOrIP": text, "cmd": text, name: {**text, "defaultValue": pattern}}
        step = {"type": step_type, "inBindings": inputs}
        document = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": step}}
        return [fault.path for fault in check(document, installed_types()).faults]

    assert faults("a(b") == [f"steps.a.inBindings.{name}.defaultValue"]
    assert not faults("a(b)?")


def test_a_device_at_an_address_with_colons_is_told_from_its_port() -> None:
    target = SshStep().signature.target
    assert [str(target({"hostNameOrIP": host})) for host in ("2001:db8::7", "192.0.2.7")] == ["[2001:db8::7]:22", "192.0.2.7:22"]


def test_constructing_the_step_does_not_import_the_driver() -> None:
    program = "import sys; from stepswitch.steps.ssh import SshStep; SshStep(); sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


async def test_a_command_gives_its_output_and_its_exit_code(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server)
    outcome = await run(ssh, server, context, cmd="echo out; echo err >&2")
    assert outcome == Outcome(Result.SUCCEEDED, {"outputText": "out\n", "result": "out\n", "errorText": "err\n", "exitCode": 0})
    assert (LogLevel.INFO, "out") in context.lines
    assert (LogLevel.WARN, "err") in context.lines
    assert context.sent


async def test_a_command_arrives_once_and_as_it_was_written(ssh: SshStep, server: OpenSshServer) -> None:
    command = "printf '%s' \"a  b\" 'ü' $((1+1)) # once-and-as-written"
    outcome = await run(ssh, server, cmd=command)
    assert outcome.outputs["outputText"] == "a  bü2"
    assert server.commands().count(command) == 1


async def test_an_exit_code_fails_the_step_and_is_said_with_the_last_line(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, cmd="echo before; echo 'no such slot' >&2; exit 7")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NON_ZERO_EXIT)
    assert outcome.error is not None
    assert outcome.error.message == f"the command at 127.0.0.1:{server.port} ended with exit code 7: no such slot"
    assert outcome.outputs["exitCode"] == 7
    assert outcome.outputs["outputText"] == "before\n"


async def test_a_signal_fails_the_step(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, cmd="kill -SEGV $$")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.KILLED_BY_SIGNAL)
    assert outcome.error is not None
    assert "SEGV" in outcome.error.message
    assert "exitCode" not in outcome.outputs


async def test_what_a_background_process_still_prints_is_not_waited_for(server: OpenSshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.steps.ssh_command._LINGER_SECONDS", 0.2)
    ssh, context = SshStep(), context_for(server)
    pid = server.work / "background"
    outcome = await run(ssh, server, context, cmd=f"sleep 100 & echo $! > {pid}; echo done")
    assert outcome.result is Result.SUCCEEDED
    assert outcome.outputs["outputText"] == "done\n"
    assert any("something that it started" in message for message in context.messages)
    psutil.Process(int(pid.read_text())).kill()
    await ssh.close()


# --- input -----------------------------------------------------------------------------------------------------------


async def test_standard_input_is_handed_over_and_ended(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, cmd="cat; echo end", stdin="line one\nünd")
    assert outcome.outputs["outputText"] == "line one\nündend\n"


async def test_without_input_a_command_that_reads_gets_the_end_at_once(ssh: SshStep, server: OpenSshServer) -> None:
    assert (await run(ssh, server, cmd="cat; echo end")).outputs["outputText"] == "end\n"


async def test_a_large_input_to_a_command_that_does_not_read_does_no_harm(ssh: SshStep, server: OpenSshServer) -> None:
    assert (await run(ssh, server, cmd="exit 0", stdin="x" * 8 * MEBIBYTE)).result is Result.SUCCEEDED


async def run_script(ssh: SshStep, server: OpenSshServer, script: bytes, **inputs: Value) -> Outcome:
    return await run(ssh, server, context_for(server, attachments={"a.sh": script}, files={"script"}), script="a.sh", **inputs)


async def test_a_script_runs_as_a_whole(ssh: SshStep, server: OpenSshServer) -> None:
    script = b'#!/bin/sh\ngreet() {\n  echo "hello $1"\n}\ngreet you\ncat <<END\nhere\nEND\ncat\necho end\nexit 4 # done'
    outcome = await run_script(ssh, server, script)
    assert outcome.outputs["outputText"] == "hello you\nhere\nend\n"
    assert outcome.outputs["exitCode"] == 4


async def test_a_script_that_arrives_in_part_runs_not_at_all(ssh: SshStep, server: OpenSshServer) -> None:
    touched = server.work / "touched"
    outcome = await run_script(ssh, server, f"touch {touched}\nif true; then\n".encode())
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NON_ZERO_EXIT)
    assert not touched.exists()


async def test_an_empty_script_succeeds(ssh: SshStep, server: OpenSshServer) -> None:
    assert (await run_script(ssh, server, b"")).result is Result.SUCCEEDED


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({}, ErrorCode.MISSING_INPUT, "no command"),
        ({"cmd": "  "}, ErrorCode.MISSING_INPUT, "no command"),
        ({"cmd": "id", "hostNameOrIP": " "}, ErrorCode.MISSING_INPUT, "hostNameOrIP"),
        ({"cmd": "id", "username": ""}, ErrorCode.MISSING_INPUT, "username"),
        ({"cmd": "id", "port": 70_000}, ErrorCode.INVALID_VALUE, "port"),
        ({"cmd": "id", "port": 22.5}, ErrorCode.INVALID_VALUE, "port"),
        ({"cmd": "id", "port": float("inf")}, ErrorCode.INVALID_VALUE, "port"),
        ({"cmd": "id", "encoding": "klingon"}, ErrorCode.INVALID_VALUE, "encoding"),
        ({"cmd": "id", "encoding": "zlib"}, ErrorCode.INVALID_VALUE, "encoding"),
        ({"cmd": "echo €", "encoding": "latin-1"}, ErrorCode.INVALID_VALUE, "'cmd'"),
        ({"cmd": "a\0b"}, ErrorCode.INVALID_VALUE, "zero byte"),
        ({"cmd": "id", "failPattern": "("}, ErrorCode.INVALID_VALUE, "failPattern"),
        ({"cmd": "id", "successPattern": "(?=x)"}, ErrorCode.INVALID_VALUE, "successPattern"),
        ({"cmd": "id", "hostKey": "ssh-ed25519 AAAA"}, ErrorCode.INVALID_VALUE, "host key"),
        ({"cmd": "id", "hostKey": "none"}, ErrorCode.INVALID_VALUE, "the input 'hostKey' cannot be used: a host key is a line such as"),
        ({"cmd": "id", "hostKey": "none"}, ErrorCode.INVALID_VALUE, "its fingerprint, 'SHA256:…', will do as well"),
        ({"cmd": "id", "script": "a.sh"}, ErrorCode.INVALID_VALUE, "not both"),
        ({"script": "a.sh", "stdin": "x"}, ErrorCode.INVALID_VALUE, "'stdin'"),
        ({"script": "missing.sh"}, ErrorCode.UNKNOWN_ATTACHMENT, "missing.sh"),
        ({"cmd": "id", "hostNameOrIP": "a b"}, ErrorCode.INVALID_VALUE, "hostNameOrIP"),
        ({"cmd": "id", "hostNameOrIP": "a\0b"}, ErrorCode.INVALID_VALUE, "hostNameOrIP"),
        ({"cmd": "id", "username": "a\u0007"}, ErrorCode.INVALID_VALUE, "username"),
    ],
)
async def test_inputs_that_cannot_be_used_are_said_and_nothing_is_sent(
    ssh: SshStep, server: OpenSshServer, inputs: dict[str, Value], code: ErrorCode, said: str
) -> None:
    context = context_for(server, files={"script"})
    outcome = await run(ssh, server, context, **inputs)
    assert error_of(outcome) == (Result.FAILED, code)
    assert outcome.error is not None
    assert said in outcome.error.message
    assert not context.sent


async def test_a_script_must_be_a_file(ssh: SshStep, server: OpenSshServer) -> None:
    assert error_of(await run(ssh, server, script="rm -rf x")) == (Result.FAILED, ErrorCode.INVALID_VALUE)


# --- output ----------------------------------------------------------------------------------------------------------


async def test_a_line_is_in_the_log_before_the_command_ends(ssh: SshStep, server: OpenSshServer) -> None:
    fifo = server.work / "live"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    context = context_for(server)
    running = asyncio.create_task(run(ssh, server, context, cmd=f"echo first; read word < {fifo}; echo $word"))
    await context.wait_for_line("first")
    assert not running.done()
    await asyncio.to_thread(fifo.write_text, "second\n")
    assert (await running).outputs["outputText"] == "first\nsecond\n"


async def test_another_encoding_is_spoken_both_ways(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, cmd="printf 'ü'; cat", stdin="ß", encoding="latin-1")
    assert outcome.outputs["outputText"] == "üß"
    assert (await run(ssh, server, cmd="printf '\\374'", encoding="latin-1")).outputs["outputText"] == "ü"


async def test_invalid_utf8_is_replaced_and_does_no_harm(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, cmd="printf 'a\\377\\376b\\303'")
    assert outcome.outputs["outputText"] == "a\ufffd\ufffdb\ufffd"


async def test_a_character_that_comes_in_two_pieces_stays_whole(ssh: SshStep, server: OpenSshServer) -> None:
    fifo = server.work / "halves"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    context = context_for(server)
    running = asyncio.create_task(run(ssh, server, context, cmd=f"printf 'x\\n\\303'; read w < {fifo}; printf '\\274\\n'"))
    await context.wait_for_line("x")
    await asyncio.to_thread(fifo.write_text, "go\n")
    assert (await running).outputs["outputText"] == "x\nü\n"
    assert "ü" in context.messages


async def test_nothing_in_the_log_acts_on_a_terminal(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server)
    sequences = r"\033[31mred\033[0m \033]0;title\007tab\there\001\177 \033[2J\r\n10%%\r20%%\r\nwindows\r\n"
    outcome = await run(ssh, server, context, cmd=f"printf '{sequences}'; printf '\\342\\200\\256turned\\n'")
    assert context.messages[1:] == ["red tab\there ", "10%", "20%", "windows", "turned"]
    assert "\x1b[31m" in str(outcome.outputs["outputText"])


async def test_a_very_long_line_is_broken_in_the_log_only_and_at_a_blank(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server)
    outcome = await run(ssh, server, context, cmd="i=0; while [ $i -lt 9000 ]; do printf 'word%04d ' $i; i=$((i+1)); done")
    assert len(str(outcome.outputs["outputText"])) == 81_000
    parts = context.messages[1:]
    assert len(parts) == 5
    assert all(len(part) <= 16_384 for part in parts)
    assert all(part.removeprefix(CUT).startswith("word") and part.removesuffix(CUT).endswith(" ") for part in parts)
    assert "".join(parts).replace(CUT, "") == outcome.outputs["outputText"]


class _CountingContext(RecordingContext):
    """Keeps no lines, and looks at the memory of this process instead."""

    most_memory = 0
    characters = 0

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        self.characters += len(message)
        self.most_memory = max(self.most_memory, psutil.Process().memory_info().rss)


async def test_memory_stays_flat_whatever_is_printed(ssh: SshStep, server: OpenSshServer) -> None:
    context = _CountingContext(host_keys=server.trusted())
    await ssh.run(server.inputs(cmd="echo warm"), context)
    before = psutil.Process().memory_info().rss
    amount = 96 * MEBIBYTE
    outcome = await ssh.run(server.inputs(cmd=f"head -c {amount} /dev/zero | tr '\\0' x | fold -w 8192"), context)
    assert outcome.result is Result.SUCCEEDED
    assert len(str(outcome.outputs["outputText"])) == MEBIBYTE
    assert outcome.truncated == ("outputText", "result")
    assert context.characters > amount
    assert context.most_memory - before < 32 * MEBIBYTE


async def test_each_output_is_kept_up_to_the_limit_and_never_half_a_character(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, context_for(server, output_limit_bytes=4), cmd="printf abcd; printf 'abcü' >&2")
    assert (outcome.outputs["outputText"], outcome.outputs["errorText"]) == ("abcd", "abc")
    assert outcome.truncated == ("errorText",)


class _HeldContext(RecordingContext):
    """A log that takes nothing until it is told to."""

    held = False

    def hold(self) -> None:
        self.held, self.opened = True, asyncio.Event()

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        if self.held:
            await self.opened.wait()
        await super().log(message, level)


async def test_a_slow_log_slows_the_target_down_instead_of_filling_memory(ssh: SshStep, server: OpenSshServer) -> None:
    async with Proxy(server.host, server.port) as proxy:
        context = _HeldContext(host_keys={(proxy.host, proxy.port): server.host_public_keys})
        inputs = server.inputs(port=proxy.port)
        await ssh.run({**inputs, "cmd": "true"}, context)
        context.hold()
        context.opened.set()
        running = asyncio.create_task(
            ssh.run({**inputs, "cmd": "echo go; head -c 16777216 /dev/zero | tr '\\0' x | fold -w 1000"}, context)
        )
        await context.wait_for_line("go")
        context.opened.clear()
        seen = -1
        while seen != proxy.from_target:  # it comes to rest when every buffer on the way is full
            seen = proxy.from_target
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asyncio.shield(running)
        assert seen < 8 * MEBIBYTE
        context.opened.set()
        assert (await running).outputs["exitCode"] == 0


# --- patterns --------------------------------------------------------------------------------------------------------


async def test_a_fail_pattern_names_the_line(ssh: SshStep, server: OpenSshServer) -> None:
    outcome = await run(ssh, server, cmd="echo ok; echo '% Invalid input at 3'; echo ok", failPattern="^% Invalid")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.PATTERN_FAILED)
    assert outcome.error is not None
    assert outcome.error.message.endswith("% Invalid input at 3")
    assert outcome.outputs["exitCode"] == 0


async def test_a_fail_pattern_is_looked_for_in_the_error_output_too(ssh: SshStep, server: OpenSshServer) -> None:
    assert error_of(await run(ssh, server, cmd="echo oops >&2", failPattern="o+ps$"))[1] is ErrorCode.PATTERN_FAILED


async def test_a_fail_pattern_sees_what_is_too_much_to_keep(ssh: SshStep, server: OpenSshServer) -> None:
    context = context_for(server, output_limit_bytes=100)
    outcome = await run(ssh, server, context, cmd="seq 1 1000; echo BROKEN; seq 1 1000", failPattern="BROKEN")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.PATTERN_FAILED)


async def test_a_success_pattern_decides(ssh: SshStep, server: OpenSshServer) -> None:
    assert (await run(ssh, server, cmd="printf 'a\\nREADY\\n'", successPattern="^READY$")).result is Result.SUCCEEDED
    assert (await run(ssh, server, cmd="printf 'BEGIN\\nEND'", successPattern="(?s)BEGIN.END")).result is Result.SUCCEEDED
    assert error_of(await run(ssh, server, cmd="echo no", successPattern="READY")) == (Result.FAILED, ErrorCode.PATTERN_FAILED)
    context = context_for(server, output_limit_bytes=10)
    assert (await run(ssh, server, context, cmd="seq 1 1000; echo READY", successPattern="READY")).result is Result.SUCCEEDED


# --- ends that nobody wanted -----------------------------------------------------------------------------------------


async def test_a_connection_that_is_cut_leaves_unknown(ssh: SshStep, server: OpenSshServer) -> None:
    async with Proxy(server.host, server.port) as proxy:
        context = RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys})
        running = asyncio.create_task(ssh.run(server.inputs(port=proxy.port, cmd="echo begun; exec sleep 100"), context))
        await context.wait_for_line("begun")
        proxy.cut()
        outcome = await running
    assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert outcome.outputs["outputText"] == "begun\n"
    assert outcome.error is not None
    assert f"127.0.0.1:{proxy.port}" in outcome.error.message


async def test_a_server_that_dies_leaves_unknown() -> None:
    with OpenSshServer() as server:
        ssh, context = SshStep(), context_for(server)
        running = asyncio.create_task(run(ssh, server, context, cmd="echo begun; exec sleep 100"))
        await context.wait_for_line("begun")
        await asyncio.to_thread(server.go_down)
        assert error_of(await running) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
        await ssh.close()


async def test_silence_leaves_unknown_and_ends_the_remote_process(server: OpenSshServer) -> None:
    ssh, context = SshStep(silence_seconds=0.3), context_for(server)
    pid = server.work / "silent"
    outcome = await run(ssh, server, context, cmd=f"echo $$ > {pid}; echo begun; exec sleep 100")
    assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.TIMEOUT)
    assert outcome.outputs["outputText"] == "begun\n"
    assert not is_alive(pid)
    await ssh.close()


async def test_output_now_and_then_is_no_silence(server: OpenSshServer) -> None:
    ssh = SshStep(silence_seconds=2.0)
    outcome = await run(ssh, server, cmd="for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done")
    assert outcome.result is Result.SUCCEEDED
    await ssh.close()


async def test_a_server_that_thinks_before_it_begins_has_the_patience_that_a_command_has(server: OpenSshServer) -> None:
    loop = asyncio.get_running_loop()
    async with (
        Proxy(server.host, server.port) as proxy,
        asyncssh.connect(
            proxy.host, proxy.port, username=server.user, password=server.password, known_hosts=None, config=None
        ) as connection,
    ):

        def mark_sent() -> None:
            proxy.stall()
            loop.call_later(2.5, proxy.resume)

        output, errors = (
            Output(RecordingContext(), level, encoding="utf-8", limit_bytes=1_000) for level in (LogLevel.INFO, LogLevel.WARN)
        )
        ending = await Run(connection, mark_sent, open_seconds=2.0, silence_seconds=60.0).follow(
            Command(b"echo begun", b""), output, errors
        )
    assert (ending.end, ending.status, output.text) == (End.ENDED, 0, "begun\n")


async def test_cancelling_ends_the_remote_process(ssh: SshStep, server: OpenSshServer) -> None:
    context, pid = context_for(server), server.work / "cancelled"
    running = asyncio.create_task(run(ssh, server, context, cmd=f"echo $$ > {pid}; echo begun; exec sleep 100"))
    await context.wait_for_line("begun")
    assert is_alive(pid)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)


async def test_cancelling_ends_a_process_that_does_not_mind_polite_signals(ssh: SshStep, server: OpenSshServer) -> None:
    context, pid = context_for(server), server.work / "stubborn"
    running = asyncio.create_task(run(ssh, server, context, cmd=f"trap '' TERM; echo $$ > {pid}; echo begun; sleep 100; sleep 100"))
    await context.wait_for_line("begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)


async def test_cancelling_takes_a_few_seconds_at_most_even_where_the_target_hangs(ssh: SshStep, server: OpenSshServer) -> None:
    async with Proxy(server.host, server.port) as proxy:
        context = RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys})
        running = asyncio.create_task(ssh.run(server.inputs(port=proxy.port, cmd="echo begun; exec sleep 5"), context))
        await context.wait_for_line("begun")
        proxy.stall()
        running.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await running
        assert any("may still run there" in message for message in context.messages)


async def test_cancelling_a_login_that_hangs_is_instant(ssh: SshStep, server: OpenSshServer) -> None:
    async with Proxy(server.host, server.port) as proxy:
        proxy.stall()
        context = RecordingContext(host_keys={(proxy.host, proxy.port): server.host_public_keys})
        running = asyncio.create_task(ssh.run(server.inputs(port=proxy.port, cmd="true"), context))
        await proxy.wait_until(connections=1)
        running.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await running
    assert not context.sent


async def test_a_login_as_root_that_does_not_obey_is_told_of(ssh: SshStep, server: OpenSshServer) -> None:
    pid = server.work / "root"
    context = context_for(server)
    inputs = server.inputs(username="root", privateKey=server.private_key, cmd=f"echo $$ > {pid}; echo begun; exec sleep 100")
    running = asyncio.create_task(ssh.run(inputs, context))
    await context.wait_for_line("begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid) or any("may still run there" in message for message in context.messages)
    if is_alive(pid):
        psutil.Process(int(pid.read_text())).kill()


def is_alive(pid_file: Path) -> bool:
    return Path(f"/proc/{pid_file.read_text().strip()}").exists()


# --- a worker that may not send any more ------------------------------------------------------------------------------


class FencedContext(RecordingContext):
    """A worker that is taken for dead since it logged in."""

    def mark_sent(self) -> None:
        raise TargetError("this worker is too silent to send anything")


@pytest.mark.parametrize("is_kept", [False, True], ids=["in a new session", "in a kept session"])
async def test_who_may_not_send_any_more_while_a_channel_opens_has_sent_nothing_and_says_so(
    ssh: SshStep, server: OpenSshServer, tmp_path: Path, is_kept: bool
) -> None:
    if is_kept:
        assert (await run(ssh, server, cmd="true")).result is Result.SUCCEEDED
    file = tmp_path / "made"
    with pytest.raises(TargetError, match="too silent"):
        await run(ssh, server, FencedContext(host_keys=server.trusted()), cmd=f"touch {file}")
    assert (await run(ssh, server, cmd="sync")).result is Result.SUCCEEDED, "another attempt cannot log in"
    assert not file.exists()
