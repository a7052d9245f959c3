"""Risk: somebody's work in the editor is lost, something is changed that he did not see, or a password goes where he did not send it."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.cli.edited_steps import changes, checkable, difference
from stepswitch.cli.editor import Draft
from stepswitch.client.executions import Executions
from stepswitch.plugin import Result
from tests.cli.calling import Caller
from tests.cli.distant import Distant
from tests.cli.pseudo_terminal import Terminal
from tests.domain.documents import document
from tests.domain.lives import steps

EDITOR: Final = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[0]).with_suffix(".count")
turn = int(count.read_text()) if count.exists() else 0
count.write_text(str(turn + 1))
file, edits = pathlib.Path(sys.argv[2]), json.loads(sys.argv[1])
edit = edits[min(turn, len(edits) - 1)]
if isinstance(edit, str):
    file.write_text(edit)
elif isinstance(edit, int):
    sys.exit(edit)
else:
    found = json.loads(file.read_text())
    for name, step in edit.items():
        found.pop(name) if step is None else found.update({name: {**found.get(name, {}), **step}})
    file.write_text(json.dumps(found))
"""


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an editor that makes one edit after the other: steps to change, a whole text, or an exit code."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("VISUAL", raising=False)
    script = tmp_path / "editor.py"
    script.write_text(EDITOR)

    def prepare(*edits: Any) -> None:
        monkeypatch.setenv("EDITOR", f"{sys.executable} {script} '{json.dumps(edits)}'")

    return prepare


def drafts(tmp_path: Path) -> list[Path]:
    return [*tmp_path.glob("stepswitch-edit-*/*")]


@pytest.fixture
def paused(desk: Distant) -> str:
    return desk.failed("a", "b", pause_at_failure=True)


def test_steps_are_edited_in_an_editor_and_go_on_where_that_is_wanted(
    stepswitch: Caller, desk: Distant, paused: str, editor: Any, tmp_path: Path
) -> None:
    editor({"b": None, "a": {"nextStepId": "c"}, "c": {"type": "ACT"}})
    called = stepswitch("execution", "edit", paused, "--yes", "--start-at", "c", "--resume", "--reason", "b is of no use")
    assert (called.exit, called.out) == (0, f"{paused} is RUNNING\n")
    assert '-    "nextStepId": "b"' in called.err
    assert '+    "nextStepId": "c"' in called.err
    desk.do(desk.office.does())
    ended = desk.do(desk.office.until(paused, "COMPLETED"))
    assert [step.step_id for step in ended.step_executions] == ["a", "c"]
    assert any("b is of no use" in entry.msg for entry in ended.logs)
    assert drafts(tmp_path) == []


def test_who_edits_and_cannot_go_on_is_told_that_the_edit_was_made(
    stepswitch: Caller, desk: Distant, editor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = desk.failed("a", "b")
    retry = Executions.retry

    async def when_somebody_else_was_quicker(self: Executions, execution_id: str, **rest: Any) -> Any:
        await retry(self, execution_id)
        return await retry(self, execution_id, **rest)

    monkeypatch.setattr(Executions, "retry", when_somebody_else_was_quicker)
    editor({"a": {"nextStepId": "c"}, "b": None, "c": {"type": "ACT"}})
    called = stepswitch("execution", "edit", failed, "--yes", "--resume")
    assert called.exit == 2
    assert f"{failed} was changed, and does not go on:\n" in called.err
    assert desk.read(failed).workflow["steps"].keys() == {"a", "c"}


@pytest.mark.parametrize("pause_at_failure", [True, False], ids=["paused", "failed"])
def test_a_step_that_failed_and_was_mended_is_run_again_and_not_passed_over(
    stepswitch: Caller, desk: Distant, editor: Any, *, pause_at_failure: bool
) -> None:
    execution = desk.failed("a", "b", pause_at_failure=pause_at_failure)
    editor({"a": {"nextStepId": None}, "b": None})
    called = stepswitch("execution", "edit", execution, "--yes", "--resume")
    assert called.exit == 0
    desk.do(desk.office.does())
    ended = desk.do(desk.office.until(execution, "COMPLETED"))
    assert [(step.step_id, step.result) for step in ended.step_executions] == [("a", "FAILED"), ("a", "SUCCEEDED")]
    assert ended.accepted_failures == 0


def test_where_to_go_on_that_was_said_before_counts(stepswitch: Caller, desk: Distant, paused: str, editor: Any) -> None:
    editor({"a": {"nextStepId": "c"}, "c": {"type": "ACT"}, "b": None})
    assert stepswitch("execution", "edit", paused, "--yes", "--start-at", "c").exit == 0
    assert desk.read(paused).start_step_id == "c"
    editor({"a": {"nextStepId": None}})
    assert stepswitch("execution", "edit", paused, "--yes", "--resume").exit == 0
    desk.do(desk.office.does())
    ended = desk.do(desk.office.until(paused, "COMPLETED"))
    assert [step.step_id for step in ended.step_executions] == ["a", "c"]
    assert ended.start_step_id is None


def test_faults_are_told_nothing_is_changed_and_the_text_is_kept(
    stepswitch: Caller, desk: Distant, paused: str, editor: Any, tmp_path: Path
) -> None:
    before = desk.read(paused).workflow
    editor({"a": {"nextStepId": "nowhere"}, "b": {"nextStepId": "nowhere"}})
    called = stepswitch("execution", "edit", paused, "--yes")
    assert (called.exit, called.out) == (1, "")
    assert called.err.count("[UNKNOWN_STEP]") == 2
    assert desk.read(paused).workflow == before
    (draft,) = drafts(tmp_path)
    assert called.err.endswith(f"Your text is in {draft}; --from takes it from there.\n")
    assert draft.parent.stat().st_mode & 0o77 == 0  # passwords of a new step may stand in it
    draft.write_text(json.dumps(before["steps"]))
    assert stepswitch("execution", "edit", paused, "--from", draft, "--yes").err.endswith("The steps are as they were.\n")
    draft.write_text(json.dumps({"a": {"type": "ACT"}}))
    assert stepswitch("execution", "edit", paused, "--from", draft, "--yes").exit == 0
    assert set(desk.read(paused).workflow["steps"]) == {"a"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("{", "is not JSON: line 1, column 2"),
        ("[]", "holds no JSON object"),
        (7, "ended with 7; nothing was changed"),
        ({}, "The steps are as they were."),
    ],
    ids=["no JSON", "no object", "the editor failed", "nothing edited"],
)
def test_what_is_no_edit_changes_nothing(
    stepswitch: Caller, desk: Distant, paused: str, editor: Any, tmp_path: Path, edit: Any, said: str
) -> None:
    editor(edit)
    called = stepswitch("execution", "edit", paused, "--yes", "--resume")
    assert called.exit != 0
    assert said in called.err
    assert desk.read(paused).is_paused
    assert len(drafts(tmp_path)) == (edit in ("{", "[]"))


def test_without_a_yes_nothing_is_changed(stepswitch: Caller, desk: Distant, paused: str, editor: Any) -> None:
    editor({"b": None, "a": {"nextStepId": None}})
    called = stepswitch("execution", "edit", paused)
    assert called.exit == 1
    assert "Nothing was changed; --yes does it without asking.\n" in called.err
    assert set(desk.read(paused).workflow["steps"]) == {"a", "b"}


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    stepswitch: Caller, desk: Distant, paused: str, editor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor({"b": {"description": "mine"}})
    draft = Draft.edit

    def edit_slowly(self: Draft, text: str) -> str:
        others = {"a": {"type": "ACT", "description": "theirs"}}
        desk.do(desk.office.client.executions.change(paused, steps=others))
        return draft(self, text)

    monkeypatch.setattr(Draft, "edit", edit_slowly)
    called = stepswitch("execution", "edit", paused, "--yes", "--resume")
    assert called.exit == 2
    assert "the run has moved on since it was read" in called.err
    found = desk.read(paused)
    assert (found.status, found.workflow["steps"]["b"].get("description")) == ("PAUSED", None)
    (kept,) = drafts(tmp_path)
    assert f"Your text is in {kept}" in called.err


def test_an_execution_that_runs_is_not_edited(stepswitch: Caller, desk: Distant, editor: Any) -> None:
    editor({"a": {"description": "x"}})
    running = desk.queue("a")
    called = stepswitch("execution", "edit", running, "--yes")
    assert called.exit == 2
    assert "its steps can be edited while it is PAUSED or has FAILED" in called.err


def test_an_editor_that_is_not_there_is_told(stepswitch: Caller, paused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "/no/such/editor --wait")
    called = stepswitch("execution", "edit", paused)
    assert (called.exit, called.err) == (
        2,
        "the editor /no/such/editor cannot be started: No such file or directory; EDITOR says which one to take\n",
    )


def test_a_stored_password_is_kept_and_not_asked_about(stepswitch: Caller, desk: Distant, editor: Any) -> None:
    binding = {"pw": {"type": "password", "defaultValue": "s3cret-word"}, "host": {"type": "string", "defaultValue": "h"}}
    source = document(startStepId="a", steps={"a": {"type": "ACT", "inBindings": binding, "nextStepId": "b"}, "b": {"type": "ACT"}})
    workflow = desk.do(desk.office.client.workflows.create(source))
    execution = desk.do(desk.office.client.executions.start(workflow.id, debug_step_ids=["a"])).id
    editor({"a": {"description": "as it was"}})
    called = stepswitch("execution", "edit", execution, "--yes", "--resume")
    assert called.exit == 0, called.err
    assert "s3cret-word" not in called.out + called.err
    call = desk.do(desk.office.house.act.next())
    assert call.inputs["pw"] == "s3cret-word"
    desk.do(_end(call))
    elsewhere = {
        "inBindings": {**binding, "pw": {"type": "password", "defaultValue": "********"}, "host": {"type": "string", "defaultValue": "x"}}
    }
    desk.do(desk.office.does(Result.FAILED))
    desk.do(desk.office.until(execution, "FAILED"))
    editor({"a": elsewhere})
    refused = stepswitch("execution", "edit", execution, "--yes")
    assert refused.exit == 1
    assert "[INVALID_VALUE]" in refused.err


async def _end(call: Any) -> None:
    call.end()


def test_at_a_terminal_faults_can_be_mended_at_once(desk: Distant, paused: str, editor: Any, tmp_path: Path) -> None:
    editor({"b": {"nextStepId": "nowhere"}}, "{", {"b": None, "a": {"nextStepId": "c"}, "c": {"type": "ACT"}})
    with Terminal(["execution", "edit", paused], {}) as terminal:
        assert "[UNKNOWN_STEP]" in terminal.until("Edit it once more? [Y/n]")
        terminal.type("\n")
        assert "is not JSON" in terminal.until("Edit it once more? [Y/n]", times=2)
        terminal.type("n\n")
        assert terminal.end() == 1
    assert set(desk.read(paused).workflow["steps"]) == {"a", "b"}
    (draft,) = drafts(tmp_path)
    draft.write_text(json.dumps({"a": {"type": "ACT"}}))
    with Terminal(["execution", "edit", paused, "--from", draft], {}) as terminal:
        terminal.until("Change the execution? Yes, no, or edit it once more [Y/n/e]")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert f"{paused} is PAUSED" in terminal.said
    assert set(desk.read(paused).workflow["steps"]) == {"a"}


def test_ctrl_c_at_the_question_changes_nothing_and_keeps_the_text(desk: Distant, paused: str, editor: Any, tmp_path: Path) -> None:
    editor({"b": None, "a": {"nextStepId": None}})
    with Terminal(["execution", "edit", paused], {}) as terminal:
        terminal.until("[Y/n/e]")
        assert terminal.interrupt() == 130
        assert "Traceback" not in terminal.said
    assert set(desk.read(paused).workflow["steps"]) == {"a", "b"}
    assert len(drafts(tmp_path)) == 1


def test_changes_are_what_was_added_replaced_and_removed() -> None:
    before = steps("a", "b", "c")
    after = {"a": before["a"], "c": {**before["c"], "description": "x"}, "d": {"type": "NOOP"}}
    assert changes(before, after) == {"c": after["c"], "d": after["d"], "b": None}
    assert changes(before, dict(reversed(before.items()))) == {}
    told = list(difference({"a": {"type": "ACT"}}, {"a": {"type": "NOOP"}}))
    assert told == ["@@ -1,5 +1,5 @@", " {", '   "a": {', '-    "type": "ACT"', '+    "type": "NOOP"', "   }", " }"]


def test_only_a_password_that_was_shown_is_left_unchecked() -> None:
    shown = {"a": {"defaultValue": "********"}, "b": [{"value": "********"}]}
    edited = {"a": {"defaultValue": "********"}, "b": [{"value": "********"}, {"value": "********"}], "c": {"defaultValue": "********"}}
    found = checkable(shown, edited)
    assert found["a"]["defaultValue"] == found["b"][0]["value"] == "a stored password"
    assert found["b"][1]["value"] == found["c"]["defaultValue"] == "********"
