"""Risk: `run` shows another story than the one that happened, ends with the wrong code, or leaves something behind."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stepswitch.cli.alone import interrupts
from tests.cli.calling import Caller
from tests.cli.documents import ADDITION, script, workflow, written


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where data directories of runs are made."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def _untimed(text: str) -> list[str]:
    """Return lines without the clock in front and without how long things took."""
    return [line[14:] if line[2:3] == ":" else line for line in text.splitlines()]


def test_a_run_that_completes_tells_its_steps_its_log_and_its_outputs(stepswitch: Caller, tmp_path: Path, temporary: Path) -> None:
    called = stepswitch("run", written(tmp_path, ADDITION), "--input", "count=2")
    lines = _untimed(called.out)
    assert called.exit == 0
    assert "step add begins: JS" in lines
    assert "  add WARN | adding 2" in lines
    assert "step add (0) was the last" in lines
    assert lines[-1] == "output sum = 3"
    assert lines[-2].startswith("COMPLETED after ")
    assert not list(temporary.iterdir())


def test_a_run_that_fails_says_why_without_the_secret(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("run", written(tmp_path, ADDITION), "--input", "count=20")
    assert called.exit == 1
    assert "SCRIPT_FAILED: Error: too much for ********" in called.out
    assert "s3cret-word" not in called.out + called.err


def test_a_run_before_a_debug_step_is_paused(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("run", written(tmp_path, ADDITION), "--input", "count=2", "--debug-step", "add")
    assert called.exit == 3
    assert "paused before step add: it is one of debugStepIds" in called.out
    assert "nobody can go on with it" in called.out


def test_a_failed_step_pauses_where_that_is_wanted(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("run", written(tmp_path, ADDITION), "-i", "count=20", "--pause-at-failure")
    assert (called.exit, "PAUSED after" in called.out) == (3, True)


def test_for_machines_there_is_the_execution_and_nothing_else(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("run", written(tmp_path, ADDITION), "-i", "count=2", "--json")
    execution = json.loads(called.out)
    assert (called.exit, called.err) == (0, "")
    assert (execution["status"], execution["outputs"]) == ("COMPLETED", {"sum": 3})
    assert [step["stepSnapshot"]["id"] for step in execution["stepExecutions"]] == ["add"]


def test_every_wrong_input_is_told(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("run", written(tmp_path, ADDITION), "-i", "count=many", "-i", "cuont=1", "--debug-step", "ad")
    assert (called.exit, called.out) == (2, "")
    assert [line.split(":")[0] for line in called.err.splitlines()] == ["assignments.count", "assignments.cuont", "debugStepIds[0]"]


def test_a_document_with_faults_is_not_run(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("run", written(tmp_path, workflow({"a": {"type": "NOOP", "nextStepId": "b"}}, "a")))
    assert (called.exit, called.out) == (2, "")
    assert called.err.startswith("steps.a.nextStepId: ")


@pytest.mark.parametrize(
    ("text", "said"), [("{", "is not JSON: line 1, column 2"), ("[]", "holds no JSON object"), (None, "cannot be read")]
)
def test_a_file_that_is_no_document_is_refused(stepswitch: Caller, tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "workflow.json"
    if text is not None:
        file.write_text(text)
    called = stepswitch("run", file)
    assert (called.exit, called.out) == (2, "")
    assert f"{file} {said}" in called.err


def test_files_are_attached(stepswitch: Caller, tmp_path: Path) -> None:
    attached = tmp_path / "sum.js"
    attached.write_text("return { sum: 42 };")
    step = {
        "type": "JS",
        "inBindings": {"script": {"type": "file", "exportName": "code"}},
        "outBindings": {"sum": {"name": "sum", "type": "number"}},
    }
    document = workflow({"go": step}, "go", inputs={"code": {"type": "file", "required": True}}, outputs={"sum": {"type": "number"}})
    file = written(tmp_path, document)
    assert "output sum = 42" in stepswitch("run", file, "--input", f"code=@{attached}").out
    assert "output sum = 42" in stepswitch("run", file, "--input", "code=mine", "--attach", f"mine={attached}").out


def test_the_context_is_handed_on(stepswitch: Caller, tmp_path: Path) -> None:
    step = script("return { seen: site };", inputs={"site": "string"}, outBindings={"seen": {"name": "seen", "type": "string"}})
    document = workflow({"go": step}, "go", variables={"site": {"type": "string"}}, outputs={"seen": {"type": "string"}})
    called = stepswitch("run", written(tmp_path, document), "--context", "site=paris", "--context-type", "NONE")
    assert "output seen = paris" in called.out


def test_an_interrupt_aborts_and_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    file = written(tmp_path, workflow({"later": {"type": "NOOP", "policy": {"delaySeconds": 3600}}}, "later"))
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "stepswitch", "run", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "waits until" in line:
                process.send_signal(signal.SIGINT)
        code = process.wait(timeout=30)
    story = "".join(told)
    assert code == 4, story
    assert "ABORTED after" in story
    assert not list(temporary.iterdir())


async def test_a_second_interrupt_ends_the_process_at_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    gone = asyncio.Event()

    def end(code: int) -> None:
        ended.append(code)
        gone.set()

    monkeypatch.setattr(os, "_exit", end)
    place = tmp_path / "data"
    place.mkdir()
    with interrupts(place) as interrupted:
        signal.raise_signal(signal.SIGINT)
        await asyncio.wait_for(interrupted.wait(), 10)
        assert (ended, place.exists()) == ([], True)
        signal.raise_signal(signal.SIGINT)
        await asyncio.wait_for(gone.wait(), 10)
    assert (ended, place.exists()) == ([4], False)


def test_a_run_leaves_no_core_dump(stepswitch: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("stepswitch.bootstrap.core_dumps.resource.setrlimit", lambda *limit: asked.append(limit))
    assert stepswitch("run", written(tmp_path, ADDITION), "--input", "count=2").exit == 0
    assert (resource.RLIMIT_CORE, (0, 0)) in asked
