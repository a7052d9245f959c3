"""Risk: an operator acts on another execution than he means, is shown another state than the one there is, or is not told why something was refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stepswitch.cli import assignments
from stepswitch.domain.events import Lost
from stepswitch.plugin import ErrorCode, Outcome, Result, StepError
from tests.cli.calling import Caller
from tests.cli.distant import Distant
from tests.cli.documents import written
from tests.cli.pseudo_terminal import Terminal
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import Clinging

LOGIN: dict[str, Any] = {
    "host": {"type": "string", "required": True},
    "count": {"type": "number"},
    "pw": {"type": "password", "required": True},
    "code": {"type": "file"},
    "note": {"type": "string", "defaultValue": "x"},
}


def taking_inputs(stepswitch: Caller, place: Path, name: str = "Takes inputs") -> str:
    called = stepswitch("workflow", "create", written(place, document(name=name, inputs=LOGIN, steps=steps("a"))))
    assert called.exit == 0, called.err
    return called.out.strip()


def test_an_execution_is_started_by_the_name_of_its_workflow(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    taking_inputs(stepswitch, tmp_path)
    script = tmp_path / "say.js"
    script.write_text("return {}")
    called = stepswitch(
        *("execution", "start", "Takes inputs", "-i", "host=192.0.2.1", "-i", "count=5", "-i", "pw=hunter22", "-i", f"code=@{script}"),
        *("--attach", f"other={script}", "--context-type", "VNF", "--context", "vnfId=v1"),
        *("--pause-at-failure", "--debug", "a", "--keep-until", "2099-01-31"),
    )
    assert (called.exit, called.err) == (0, "")
    execution = desk.read(called.out.strip())
    assert execution.assignments == {"host": "192.0.2.1", "count": 5, "pw": "********", "code": "say.js"}
    assert set(execution.attachments) == {"say.js", "other"}
    assert (execution.context_type, execution.context, execution.status) == ("VNF", {"vnfId": "v1"}, "PAUSED")
    assert (execution.pause_at_failure, execution.debug_step_ids) == (True, ("a",))
    assert execution.raw["retainedTil"] == "2099-01-31T00:00:00.000Z"


def test_every_wrong_input_is_told_and_nothing_is_started(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = taking_inputs(stepswitch, tmp_path)
    called = stepswitch("execution", "start", workflow, "-i", "cuont=1", "-i", "count=many", "--debug", "z")
    assert (called.exit, called.out) == (2, "")
    places = [line.split(":")[0] for line in called.err.splitlines()]
    assert sorted(places) == ["assignments.count", "assignments.cuont", "assignments.host", "assignments.pw", "debugStepIds[0]"]
    assert stepswitch("execution", "start", workflow, "-i", "hunter2").err == "--input: is written name=value [INVALID_VALUE]\n"
    assert stepswitch("execution", "list").out == ""


def test_a_password_is_asked_for_at_a_terminal(stepswitch: Caller, desk: Distant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = taking_inputs(stepswitch, tmp_path)
    monkeypatch.setattr(assignments, "is_interactive", lambda: True)
    typed = iter(["first password", "second password"])
    monkeypatch.setattr(assignments, "ask_hidden", lambda _: next(typed))
    called = stepswitch("execution", "start", workflow, "-i", "host=h", "--debug", "a")
    assert called.exit == 0
    execution = called.out.strip()
    assert stepswitch("execution", "set", execution, "pw", "count=7").exit == 0
    changed = [entry.msg for entry in desk.read(execution).logs if entry.msg.startswith("value ")]
    assert {message.split()[1] for message in changed} == {"pw", "count"}


def test_a_document_is_stored_and_started(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    file = written(tmp_path, document(name="From a file", inputs={"host": {"type": "string", "required": True}}, steps=steps("a")))
    missing = stepswitch("execution", "start", file)
    assert (missing.exit, missing.out) == (2, "")
    assert missing.err.startswith("assignments.host: ")
    assert stepswitch("workflow", "list").out == ""  # what would not start is not stored
    called = stepswitch("execution", "start", file, "-i", "host=h")
    assert called.exit == 0
    assert called.err.startswith("stored as workflow ")
    again = stepswitch("execution", "start", file, "-i", "host=h")
    assert (again.exit, again.out) == (2, "")
    assert "there is a workflow 'From a file' already" in again.err
    replaced = stepswitch("execution", "start", file, "-i", "host=h", "--replace")
    assert replaced.err.startswith("stored as the next revision of workflow ")
    assert len(stepswitch("workflow", "list").out.splitlines()) == 1
    assert len(stepswitch("execution", "list").out.splitlines()) == 2


def test_one_key_starts_one_execution(stepswitch: Caller, desk: Distant) -> None:
    workflow = desk.do(desk.office.store("a"))
    started = [stepswitch("execution", "start", workflow, "--idempotency-key", "order-1").out for _ in range(2)]
    assert len(set(started)) == 1


def test_executions_are_listed_as_lines_and_as_json(stepswitch: Caller, desk: Distant) -> None:
    failed, queued = desk.failed("a"), desk.queue("a")
    rows = [line.split("\t") for line in stepswitch("execution", "list").out.splitlines()]
    assert [(row[0], row[4]) for row in rows] == [(queued, "admin"), (failed, "admin")]
    assert all(len(row) == 7 for row in rows)
    assert [
        line.split("\t")[:2] for line in stepswitch("execution", "list", "--status", "FAILED", "--status", "ABORTED").out.splitlines()
    ] == [[failed, "FAILED"]]
    workflow = desk.read(failed).workflow_id
    assert json.loads(stepswitch("execution", "list", "--workflow-id", workflow, "--json").out)[0]["id"] == failed
    assert stepswitch("execution", "list", "--filter", f"(eq,id,{queued})", "--sort", "creationTime", "--desc").out.startswith(queued)
    assert len(stepswitch("execution", "list", "-n", 1).out.splitlines()) == 1
    assert stepswitch("execution", "list", "--user", "nobody").out == ""
    assert stepswitch("execution", "list", "--filter", "nonsense").exit == 2


def test_at_a_terminal_there_are_tables(stepswitch: Caller, desk: Distant) -> None:
    failed = desk.failed("a")
    where = ["--url", desk.url, "--token", desk.token]
    with Terminal(["execution", "list", *where], {}) as terminal:
        assert terminal.end() == 0
    heading, _, row = [line for line in terminal.said.splitlines() if line.strip()][:3]
    assert heading.split()[:4] == ["id", "status", "workflow", "created"]
    assert row.split()[:2] == [failed, "FAILED"]
    assert heading.index("status") == row.index("FAILED")
    assert "\t" not in terminal.said


def test_an_execution_is_shown_with_its_steps_and_their_logs(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.queue("a", "b", debug_step_ids=["b"], context={"site": "paris"})
    call = desk.do(desk.office.house.act.next())
    desk.do(_say(call, "hello\nworld \x1b[2J"))
    desk.do(desk.office.until(execution, "PAUSED"))
    called = stepswitch("execution", "show", execution)
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in called.out.partition("\n\n")[0].splitlines())
    assert (facts["id"], facts["status"], facts["pauses"]) == (execution, "PAUSED", "before b")
    assert facts["waits for"].startswith("somebody who lets it go on")
    assert facts["context"] == "type=NONE, site=paris"
    rows = [line.split("\t") for line in called.out.splitlines() if "\t" in line]
    assert [(row[0], row[1], row[3]) for row in rows] == [("0", "a", "SUCCEEDED"), ("1", "b", "waitingBeforeExecution")]
    with_logs = stepswitch("execution", "show", execution, "--logs").out
    assert " INFO  hello\n" in with_logs
    assert " INFO  world [2J\n" in with_logs
    assert json.loads(stepswitch("execution", "show", execution, "--json").out)["id"] == execution


async def _say(call: Any, text: str) -> None:
    await call.context.log(text)
    call.end()


def test_a_step_in_doubt_is_shown_with_its_reason_and_what_its_probe_does_and_found(
    stepswitch: Caller, desk: Distant, tmp_path: Path
) -> None:
    probe = {
        "inBindings": {"deed": {"type": "string", "defaultValue": "look"}},
        "done": [{"name": "text", "comparator": "equals", "value": "yes"}],
        "notDone": [{"name": "text", "comparator": "equals", "value": "no"}],
    }
    source = document(name="Probed", steps=steps("a", "b", a={"policy": {"probe": probe}}))
    assert stepswitch("workflow", "create", written(tmp_path, source)).exit == 0
    execution = stepswitch("execution", "start", "Probed").out.strip()
    desk.do(_doubt(desk))
    call = desk.do(desk.office.house.act.next())
    assert _rows(stepswitch("execution", "show", execution).out)[0][3:] == [
        "UNKNOWN", "0 ms", "CONNECTION_CUT: the connection was cut; look 1 of its probe is executing",
    ]  # fmt: skip
    desk.do(_end(call, {"text": "yes"}))
    desk.do(desk.office.does())
    desk.do(desk.office.until(execution, "COMPLETED"))
    row = _rows(stepswitch("execution", "show", execution).out)[0]
    assert (row[3], row[5]) == ("SUCCEEDED", "its probe says DONE")


def test_a_step_that_was_lost_is_shown_as_unknown(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.queue("a", pause_at_failure=True)
    desk.do(desk.office.house.act.next())
    desk.do(_lose(desk, execution))
    (row,) = _rows(stepswitch("execution", "show", execution).out)
    assert (row[3], row[5]) == ("UNKNOWN", "LOST: nobody can say whether the target acted: its worker gave no sign of life")


def _rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines() if "\t" in line]


async def _doubt(desk: Distant) -> None:
    error = StepError(ErrorCode.CONNECTION_CUT, "the connection was cut")
    (await desk.office.house.act.next()).ended.set_result(Outcome(Result.UNKNOWN, error=error))


async def _end(call: Any, outputs: dict[str, Any]) -> None:
    call.end(outputs=outputs)


async def _lose(desk: Distant, execution: str) -> None:
    """Declare the claim lost, and return when the worker that had it has closed its session and said so."""
    conductor = desk.office.house.service.conductor
    head = await conductor.head(execution)
    assert head is not None
    assert head.current is not None
    assert head.current.claim is not None
    await conductor.apply(execution, Lost("lost:1", 0, 1, head.current.claim.nonce, "its worker gave no sign of life"))
    await desk.office.house.watch.until(desk.office.house.service, execution, lambda view: not view.head.left_behind)


def test_the_log_is_written_line_by_line(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.failed("a")
    lines = stepswitch("execution", "logs", execution).out.splitlines()
    assert lines[0].endswith("INFO  - queued by admin")
    assert any("FAILED" in line for line in lines)


def test_an_execution_is_steered_and_reasons_are_kept(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.queue("a", "b", "c")
    assert stepswitch("execution", "pause", execution, "--reason", "maintenance").out.startswith(f"{execution} is ")
    assert stepswitch("execution", "pause-at", execution, "c", "--failure", "-r", "careful").exit == 0
    desk.do(desk.office.does())
    desk.do(desk.office.until(execution, "PAUSED"))
    assert stepswitch("execution", "resume", execution, "--start-at", "c", "--reason", "b is not needed").exit == 0
    assert "waits for somebody" in stepswitch("execution", "pause-at", execution, "b").out
    read = desk.read(execution)
    assert (set(read.debug_step_ids), read.pause_at_failure, read.status) == ({"b", "c"}, True, "PAUSED")
    assert stepswitch("execution", "pause-at", execution, "--only", "--no-failure").exit == 0
    assert desk.read(execution).debug_step_ids == ()
    assert stepswitch("execution", "resume", execution).out.startswith(f"{execution} is RUNNING")
    desk.do(desk.office.does(Result.FAILED))
    desk.do(desk.office.until(execution, "FAILED"))
    assert stepswitch("execution", "retry", execution, "-r", "again").exit == 0
    assert stepswitch("execution", "abort", execution, "-r", "enough").out == f"{execution} is ABORTED\n"
    said = " ".join(entry.msg for entry in desk.read(execution).logs)
    assert all(reason in said for reason in ("maintenance", "careful", "b is not needed", "again", "enough"))
    assert stepswitch("execution", "keep", execution, "--until", "2099-01-31T10:00:00+02:00").exit == 0
    assert desk.read(execution).raw["retainedTil"] == "2099-01-31T08:00:00.000Z"
    assert stepswitch("execution", "delete", execution).exit == 1
    assert stepswitch("execution", "delete", execution, "--yes").exit == 0
    assert stepswitch("execution", "show", execution).exit == 2


def test_what_does_not_fit_the_state_is_told(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.queue("a")
    called = stepswitch("execution", "resume", execution)
    assert (called.exit, called.out) == (2, "")
    assert called.err.endswith("[STATE_CONFLICT]\n")
    nowhere = stepswitch("execution", "pause-at", execution)
    assert (nowhere.exit, nowhere.err) == (2, "say where: a step, --failure, or --only for nowhere\n")


def test_values_are_corrected_with_their_types_and_files(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = taking_inputs(stepswitch, tmp_path)
    called = stepswitch("execution", "start", workflow, "-i", "host=h", "-i", "pw=hunter22", "--debug", "a")
    execution = called.out.strip()
    script = tmp_path / "new.js"
    script.write_text("return {}")
    assert stepswitch("execution", "set", execution, "count=7", "host=@@x", f"code=@{script}", "--unset", "note", "-r", "moved").exit == 0
    assert "new.js" in desk.read(execution).attachments
    refused = stepswitch("execution", "set", execution, "cuont=7", "count=many")
    assert refused.exit == 2
    assert len(refused.err.splitlines()) == 2
    bare = stepswitch("execution", "set", execution, "hunter2")
    assert (bare.exit, bare.out) == (2, "")
    assert "hunter2" not in bare.err


def test_what_is_set_is_shown_and_no_password_is(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = taking_inputs(stepswitch, tmp_path)
    execution = stepswitch("execution", "start", workflow, "-i", "host=h", "-i", "pw=hunter22", "--debug", "a").out.strip()
    words = ("execution", "set", execution, "count=7", f"host={'x' * 2_000}", "pw=another one", "--unset", "note")
    called = stepswitch(*words)
    assert called.exit == 0, called.err
    first, *rows = called.out.splitlines()
    assert first.startswith(f"{execution} is PAUSED")
    assert rows == ["count\t7", "host\ta text of 2000 characters", "pw\t********", "note\tnone"]
    as_json = stepswitch(*words, "--json")
    assert json.loads(as_json.out)["values"] == {"count": 7, "host": "x" * 2_000, "pw": "********", "note": None}
    assert "another one" not in called.out + as_json.out
    nothing = stepswitch("execution", "set", execution, "count=7", "cuont=8")
    assert (nothing.exit, nothing.out) == (2, "")


def test_edited_steps_go_back_to_the_catalogue(stepswitch: Caller, desk: Distant) -> None:
    execution = desk.failed("a", "b")
    desk.do(desk.office.client.executions.change(execution, steps={"b": None, "a": {"type": "ACT"}}))
    assert stepswitch("execution", "update-workflow", execution, "-r", "proven").out == f"{desk.read(execution).workflow_id}\n"


def test_files_of_an_execution(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    execution, file = desk.queue("a", debug_step_ids=["a"]), tmp_path / "data.bin"
    file.write_bytes(b"\x00\xff")
    assert stepswitch("execution", "attach", execution, file, "-r", "needed").out == "data.bin\n"
    target = tmp_path / "copy"
    assert stepswitch("execution", "download", execution, "data.bin", "-o", target).out == f"{target} (2 bytes)\n"
    assert target.read_bytes() == b"\x00\xff"
    assert stepswitch("execution", "detach", execution, "data.bin").exit == 0
    assert stepswitch("execution", "download", execution, "data.bin", "-o", tmp_path / "other").exit == 2
    assert not (tmp_path / "other").exists()


def test_what_is_left_at_a_target_that_is_gone_is_given_up(stepswitch: Caller, desk: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Clinging()
    monkeypatch.setattr(desk.office.house.act, "run", device.run)
    execution = desk.queue("a")
    desk.do(until(device))
    assert stepswitch("execution", "abandon-cleanup", execution, "--yes").err.endswith("[STATE_CONFLICT]\n"), "nothing is left behind yet"
    stepswitch("execution", "abort", execution)
    asked: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("stepswitch.cli.prompts.agreed", lambda question, **_: asked.append(question))
        assert stepswitch("execution", "abandon-cleanup", execution).exit == 1
    assert asked[0].startswith(f"Take for gone what a (0) of {execution} of")
    assert "something may be left behind at the target" in stepswitch("execution", "show", execution).out
    other = stepswitch("execution", "abandon-cleanup", execution, "--yes", "--step", "7")
    assert (other.exit, "step execution 7; something may be by 0" in other.err) == (2, True)
    done = stepswitch("execution", "abandon-cleanup", execution, "--yes", "--step", "0", "-r", "the site was closed")
    assert (done.exit, done.err) == (0, "nobody looks any more for what a (0) may have left behind\n")
    assert "is taken for gone by admin: the site was closed" in stepswitch("execution", "logs", execution).out
    assert stepswitch("execution", "delete", execution, "--yes").exit == 0
    desk.do(let_go(device))


async def until(device: Clinging) -> None:
    await device.begun.wait()


async def let_go(device: Clinging) -> None:
    device.may_close.set()


def test_what_is_not_there_is_told(stepswitch: Caller, desk: Distant) -> None:
    commands = [
        *(["show"], ["logs"], ["pause"], ["resume"], ["retry"], ["abort"], ["pause-at", "a"], ["set", "a=1"], ["update-workflow"]),
        ["abandon-cleanup", "--yes"],
        *(["delete", "--yes"], ["keep", "--until", "2099-01-31"], ["download", "k"], ["detach", "k"]),
    ]
    for command, *more in commands:
        called = stepswitch("execution", command, "no-such-one", *more)
        assert (called.exit, called.out) == (2, ""), command
        assert called.err.endswith("[NOT_FOUND]\n"), command


def test_a_service_that_is_away_is_told_apart_from_everything_else(stepswitch: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPSWITCH_URL", "http://127.0.0.1:1")
    called = stepswitch("execution", "list")
    assert (called.exit, called.out, called.err) == (5, "", "http://127.0.0.1:1 cannot be reached: connection refused\n")
