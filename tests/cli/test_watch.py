"""Risk: who watches sees another story than the one that happens, ends with the wrong code, or takes the execution down with him."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stepswitch.cli.plain_lines import PlainLines
from stepswitch.cli.story import ToldStep
from stepswitch.client import events as events_module
from stepswitch.plugin import Result
from tests.cli.calling import Caller
from tests.cli.distant import Distant
from tests.cli.documents import written
from tests.cli.pseudo_terminal import Terminal
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import Call


def _untimed(text: str) -> list[str]:
    return [line[14:] if line[2:3] == ":" else line for line in text.splitlines()]


def test_an_execution_that_is_over_is_told_from_its_beginning(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.queue("a", "b")
    for _ in range(2):
        desk.do(_say(desk, "working"))
    desk.do(desk.office.until(execution, "COMPLETED"))
    called = stepswitch("execution", "watch", execution)
    lines = _untimed(called.out)
    assert (called.exit, called.err) == (0, "")
    assert [line for line in lines if "begins" in line or "ended:" in line or line.startswith("  ")] == [
        *("step a begins: ACT", "  a | working", "step a ended: SUCCEEDED, 0 ms"),
        *("step b begins: ACT", "  b | working", "step b ended: SUCCEEDED, 0 ms"),
    ]
    assert lines[-1].startswith("COMPLETED after ")
    assert lines[-1].endswith("2 step executions")


async def _say(desk: Distant, text: str, result: Result = Result.SUCCEEDED) -> None:
    call = await desk.office.house.act.next()
    await call.context.log(text)
    call.end(result)


@pytest.mark.parametrize(("end", "code"), [("FAILED", 1), ("PAUSED", 3), ("ABORTED", 4)])
def test_the_exit_code_says_how_it_ended(stepswitch: Caller, desk: Distant, end: str, code: int) -> None:
    execution = desk.failed("a", pause_at_failure=end == "PAUSED") if end != "ABORTED" else desk.queue("a")
    if end == "ABORTED":
        desk.do(desk.office.client.executions.abort(execution))
    called = stepswitch("execution", "watch", execution)
    assert called.exit == code, called.out + called.err
    assert f"\n{end} after " in called.out
    assert ("stepswitch execution resume" in called.out) is (end == "PAUSED")
    as_json = stepswitch("execution", "watch", execution, "--json")
    assert (as_json.exit, json.loads(as_json.out)["status"]) == (code, end)


def test_what_happens_is_told_while_it_happens(desk: Distant) -> None:
    execution = desk.queue("a", "b", debug_step_ids=["b"])
    with _watching(execution, "--through-pauses") as process:
        assert process.stdout is not None
        said = _read_until(process, "step a begins")
        desk.do(_say(desk, "hello"))
        said += _read_until(process, "paused before step b")
        desk.do(desk.office.client.executions.resume(execution, reason="enough seen"))
        said += _read_until(process, "step b begins")
        desk.do(_say(desk, "good bye", Result.FAILED))
        said += process.stdout.read()
        assert process.wait(30) == 1
    assert said.count("begins") == 2
    assert "  a | hello\n" in said
    assert "enough seen" in said
    assert said.count("good bye") == 1
    assert "step b ended: FAILED" in said


def test_what_a_running_step_has_said_before_is_told_as_its_own(desk: Distant) -> None:
    execution = desk.queue("a")
    call = desk.do(desk.office.house.act.next())
    desk.do(call.context.log("hello"))
    with _watching(execution) as process:
        said = _read_until(process, "step a begins")
        assert process.stdout is not None
        said += process.stdout.readline()
        assert "hello" not in said.partition("step a begins")[0]
        assert said.endswith("  a | hello\n"), said
        desk.do(_end(call))
        assert process.communicate(timeout=60)[0].count("hello") == 0
    assert process.returncode == 0


async def _end(call: Call) -> None:
    call.end()


def _watching(execution: str, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-m", "stepswitch", "execution", "watch", execution, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, f"waited for {text!r}, and was told:\n{said}\n{process.stderr.read() if process.stderr else ''}"
        said += line
    return said


def test_who_is_interrupted_leaves_the_execution_alone_and_is_told(desk: Distant) -> None:
    execution = desk.queue("a")
    with _watching(execution) as process:
        _read_until(process, "step a begins")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err == (f"Execution {execution} goes on without you. stepswitch execution watch shows it again, and execution abort stops it.\n")
    assert desk.read(execution).status == "RUNNING"
    desk.do(desk.office.does())
    desk.do(desk.office.until(execution, "COMPLETED"))


def test_a_service_that_goes_away_is_told(stepswitch: Caller, desk: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "AWAY_SECONDS", 0.0)
    told_begun = PlainLines.begun

    def begun(teller: PlainLines, step: ToldStep) -> None:
        told_begun(teller, step)
        desk.do(desk.office.server.stop())

    monkeypatch.setattr(PlainLines, "begun", begun)
    execution = desk.queue("a")
    called = stepswitch("execution", "watch", execution)
    assert called.exit == 5
    assert "begins" in called.out
    assert "goes on without you" in called.err
    assert called.err.count("cannot be reached") == 1
    assert "Traceback" not in called.out + called.err


def test_a_start_can_be_watched(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    file = written(tmp_path, document(name="n1", steps=steps("a")))
    answered = desk.begin(_say(desk, "hello"))
    called = stepswitch("execution", "start", file, "--watch")
    answered.result(30)
    assert called.exit == 0
    assert "  a | hello\n" in called.out
    assert "started as execution " in called.err


def test_what_is_not_there_is_not_watched(stepswitch: Caller, desk: Distant) -> None:
    for options in ([], ["--json"]):
        called = stepswitch("execution", "watch", "no-such-one", *options)
        assert (called.exit, called.out) == (2, "")
        assert called.err.endswith("[NOT_FOUND]\n")


def test_an_execution_that_is_removed_meanwhile_is_told(desk: Distant) -> None:
    execution = desk.queue("a", debug_step_ids=["a"])
    with _watching(execution, "--through-pauses") as process:
        _read_until(process, "paused before step a")
        desk.do(_remove(desk, execution))
        out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 4), out + err  # whether it is seen aborted before it is gone
    assert err == f"execution {execution} was removed\n"


async def _remove(desk: Distant, execution: str) -> None:
    await desk.office.client.executions.abort(execution)
    await desk.office.client.executions.delete(execution)


def test_on_a_terminal_the_last_line_lives(desk: Distant) -> None:
    execution = desk.queue("a")
    with Terminal(["execution", "watch", execution], {}) as terminal:
        terminal.until("▶ a")
        desk.do(_say(desk, "hello"))
        assert terminal.end() == 0
        assert "│ hello" in terminal.said
        assert "✔ a" in terminal.said
        assert "COMPLETED after" in terminal.said


def test_a_password_is_typed_unseen_at_a_terminal(desk: Distant, tmp_path: Path) -> None:
    source: dict[str, Any] = document(name="n2", inputs={"pw": {"type": "password", "required": True}}, steps=steps("a"))
    file = written(tmp_path, source)
    with Terminal(["execution", "start", file], {}) as terminal:
        terminal.until("pw: ")
        terminal.type("hunter22\n")
        assert terminal.end() == 0
        assert "hunter22" not in terminal.said
    (execution,) = desk.do(desk.office.client.executions.list()).items
    assert execution.assignments == {"pw": "********"}


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["lines", "JSON"])
def test_what_happens_everywhere_is_written_line_by_line(desk: Distant, options: list[str]) -> None:
    desk.queue("a")
    command = [sys.executable, "-u", "-m", "stepswitch", "execution", "events", "--after", "0-0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        execution = desk.queue("b")
        seen = _read_until(process, execution)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    last = seen.splitlines()[-1]
    if options:
        assert json.loads(last)["data"]["executionId"] == execution
        assert {"id", "event", "data"} == set(json.loads(first))
    else:
        assert last.split("\t")[2] == execution
        assert len(first.split("\t")) == 4
