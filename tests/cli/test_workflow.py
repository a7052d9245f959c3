"""Risk: a command for the catalogue of a service changes something else than it says, or hides what the service had to say."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.cli.listing import write_json
from tests.cli.calling import Caller
from tests.cli.distant import Distant
from tests.cli.documents import written
from tests.domain.documents import document
from tests.domain.lives import steps

SOURCE: Final = document(
    name="Restart, gently",
    inputs={
        "host": {"type": "string", "required": True, "description": "Which one"},
        "pw": {"type": "password", "defaultValue": "s3cret-word"},
    },
    steps=steps("a", "b"),
)


def stored(stepswitch: Caller, place: Path, source: dict[str, Any] = SOURCE) -> str:
    called = stepswitch("workflow", "create", written(place, source))
    assert called.exit == 0, called.err
    return called.out.strip()


def shown(stepswitch: Caller, workflow: str, *more: object) -> Any:
    return json.loads(stepswitch("workflow", "show", workflow, "--json", *more).out)


def test_a_workflow_is_stored_shown_and_listed(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = stored(stepswitch, tmp_path)
    for named in (workflow, "Restart, gently"):
        called = stepswitch("workflow", "show", named)
        facts = dict(line.split(None, 1) for line in called.out.partition("\n\n")[0].splitlines())
        assert (facts["id"], facts["steps"]) == (workflow, "2, begins with a")
        assert "\nhost\tstring\trequired\t\tWhich one\n" in called.out
        assert "s3cret-word" not in called.out
    assert stepswitch("workflow", "list").out.split("\t")[:3] == [workflow, "Restart, gently", "1"]
    assert stepswitch("workflow", "list", "--name", "other").out == ""
    assert stepswitch("workflow", "list", "--user", "admin", "--sort", "name", "--desc", "-n", 1).out.startswith(workflow)
    assert json.loads(stepswitch("workflow", "list", "--filter", "(eq,version,1)", "--json").out)[0]["id"] == workflow


def test_what_is_shown_as_a_document_can_be_edited_and_sent_back(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = stored(stepswitch, tmp_path)
    source = json.loads(stepswitch("workflow", "show", workflow, "--document").out)
    assert source["inputs"]["pw"]["defaultValue"] == "********"
    tag = next(line.split()[1] for line in stepswitch("workflow", "show", workflow).out.splitlines() if line.startswith("etag"))
    file = written(tmp_path, {**source, "version": "2"})
    assert stepswitch("workflow", "replace", "Restart, gently", file, "--if-match", tag).exit == 0
    assert shown(stepswitch, workflow)["version"] == "2"
    called = stepswitch("workflow", "replace", workflow, file, "--if-match", tag)
    assert called.exit == 2
    assert "[PRECONDITION_FAILED]" in called.err


def test_every_fault_and_the_number_of_warnings_is_told(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    faulty = document(startStepId="x", steps={"a": {"type": "ACT", "nextStepId": "z"}})
    called = stepswitch("workflow", "create", written(tmp_path, faulty))
    assert (called.exit, called.out) == (2, "")
    assert sorted(line.split(":")[0] for line in called.err.splitlines()) == ["startStepId", "steps.a.nextStepId"]
    warned = stepswitch("workflow", "create", written(tmp_path, {**SOURCE, "colour": "blue"}))
    assert warned.exit == 0
    assert "warnings, which stepswitch workflow validate shows" in warned.err


def test_documents_are_checked_by_the_service(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    good = written(tmp_path, SOURCE)
    bad, none = tmp_path / "bad.json", tmp_path / "none.json"
    bad.write_text(json.dumps({**SOURCE, "startStepId": "nowhere"}))
    called = stepswitch("workflow", "validate", good, bad)
    assert called.exit == 1
    assert f"{bad}: fault: startStepId: " in called.out
    assert stepswitch("workflow", "validate", good).exit == 0
    assert stepswitch("workflow", "validate", none).exit == 2
    (told,) = json.loads(stepswitch("workflow", "validate", bad, "--json").out)
    assert [fault["path"] for fault in told["faults"]] == ["startStepId"]


def test_revisions_are_listed_compared_and_brought_back(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = stored(stepswitch, tmp_path)
    stepswitch("workflow", "replace", workflow, written(tmp_path, {**SOURCE, "version": "2", "description": "new\tone"}))
    assert [line.split("\t")[0] for line in stepswitch("workflow", "revisions", workflow).out.splitlines()] == ["1", "2"]
    assert stepswitch("workflow", "diff", workflow, 2).out.splitlines() == ["replace\t/version\t1\t2", "add\t/description\t\tnew one"]
    assert json.loads(stepswitch("workflow", "diff", workflow, 2, "--against", 1, "--json").out)[0]["after"] == "2"
    assert shown(stepswitch, workflow, "--revision", 1)["version"] == "1"
    assert stepswitch("workflow", "restore", workflow, 1).out == f"{workflow}\n"
    assert shown(stepswitch, workflow)["version"] == "1"
    assert "there is no revision 9 of workflow" in stepswitch("workflow", "diff", workflow, 9).err


def test_nothing_is_removed_without_a_yes(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = stored(stepswitch, tmp_path)
    called = stepswitch("workflow", "delete", workflow)
    assert (called.exit, called.err) == (1, "Nothing was changed; --yes does it without asking.\n")
    assert stepswitch("workflow", "delete", workflow, "--yes").exit == 0
    gone = stepswitch("workflow", "show", workflow)
    assert (gone.exit, gone.out) == (2, "")
    assert "there is no workflow with the id or the name" in gone.err


def test_a_name_that_several_have_is_no_name(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    ids = [stored(stepswitch, tmp_path) for _ in range(2)]
    called = stepswitch("workflow", "delete", "Restart, gently", "--yes")
    assert called.exit == 2
    assert all(each in called.err for each in ids)
    assert len(stepswitch("workflow", "list").out.splitlines()) == 2


def test_files_go_up_come_down_and_away(stepswitch: Caller, desk: Distant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "say.js"
    script.write_bytes(b"return {}\xff")
    called = stepswitch("workflow", "create", written(tmp_path, SOURCE), "--attach", f"first.js={script}")
    workflow = called.out.strip()
    assert stepswitch("workflow", "attach", workflow, script, "--key", "second.js").out == "second.js\n"
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    for key in ("first.js", "second.js"):
        assert stepswitch("workflow", "download", workflow, key).out == f"{key} (10 bytes)\n"
        assert (place / key).read_bytes() == script.read_bytes()
    again = stepswitch("workflow", "download", workflow, "first.js")
    assert (again.exit, again.err) == (2, "first.js exists and is not overwritten; --output names another place\n")
    assert stepswitch("workflow", "download", workflow, "first.js", "-o", place / "no" / "place").exit == 2
    assert stepswitch("workflow", "detach", workflow, "first.js").exit == 0
    assert "first.js" not in shown(stepswitch, workflow)["attachments"]
    assert stepswitch("workflow", "attach", workflow, tmp_path / "nothing").exit == 2


def test_a_workflow_moves_between_services_with_its_id_and_files(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    script = tmp_path / "say.js"
    script.write_text("return {}")
    called = stepswitch("workflow", "create", written(tmp_path, SOURCE), "--id", "promoted", "--attach", f"say.js={script}", "--json")
    assert json.loads(called.out)["id"] == "promoted"
    assert "say.js" in shown(stepswitch, "promoted")["attachments"]


def test_an_older_document_is_converted(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    step = {
        "stepId": "a",
        "stepNumber": 1,
        "type": "ACT",
        "workflow": "",
        "namespace": "",
        "inBinding": [],
        "outBinding": [],
        "nextStep": "END",
    }
    file = written(tmp_path, {"name": "old", "version": "1", "schemaVersion": "1.0", "steps": [step]})
    converted = json.loads(stepswitch("workflow", "convert", file, "--owner", "me").out)
    assert (converted["schemaVersion"], converted["owner"]["id"], list(converted["steps"])) == ("3.0", "me", ["a"])


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1, "a": 2}'])
def test_a_file_that_is_no_document_is_not_sent(stepswitch: Caller, desk: Distant, tmp_path: Path, text: str) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(text)
    called = stepswitch("workflow", "create", file)
    assert (called.exit, called.out) == (2, "")
    assert called.err


def test_what_a_terminal_would_obey_is_left_out(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = stored(stepswitch, tmp_path, {**SOURCE, "description": "\x1b[2Jred\nblue\t"})
    out = stepswitch("workflow", "show", workflow).out
    assert "\x1b" not in out
    assert "[2Jred" in out


def test_what_no_terminal_should_see_is_written_as_json_escapes_it(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "half \ud83d, whole żó😀, \x1b[2J \x9b2J \u202e"}
    write_json(value)
    out = capsys.readouterr().out
    assert '"half \\ud83d, whole żó😀, \\u001b[2J \\u009b2J \\u202e"' in out
    assert json.loads(out) == value


def test_a_workflow_of_the_catalogue_is_rehearsed(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    workflow = stored(stepswitch, tmp_path)
    rehearsal = {"name": "both go well", "results": {"a": [{}], "b": [{}]}, "expected": {"way": ["a", "b"]}}
    source = {"workflowId": workflow, "assignments": {"host": "h", "pw": "s3cret-word"}, "rehearsals": [rehearsal]}
    file = written(tmp_path, source)
    called = stepswitch("workflow", "rehearse", file)
    assert (called.exit, called.out) == (0, "✔ both go well  COMPLETED after a → b\n")
    otherwise = written(tmp_path, {**source, "rehearsals": [{**rehearsal, "expected": {"way": ["b"]}}]})
    called = stepswitch("workflow", "rehearse", otherwise)
    assert called.exit == 1
    assert called.out.startswith("✘ both go well")
    assert json.loads(stepswitch("workflow", "rehearse", otherwise, "--json").out)[0]["asExpected"] is False
    assert stepswitch("workflow", "rehearse", written(tmp_path, {**source, "rehearsals": []})).exit == 2
    assert stepswitch("workflow", "rehearse", written(tmp_path, {"workflow": "nowhere.json", "rehearsals": [rehearsal]})).exit == 2
