"""Risk: a pipeline takes a workflow that goes astray for a good one, or a person cannot see from the output what is wrong and where."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.calling import Caller
from tests.cli.documents import ADDITION, script, workflow

GOOD: Final[dict[str, Any]] = {
    "name": "three",
    "assignments": {"count": 2},
    "expected": {"way": ["add", "fail"], "status": "FAILED", "outputs": {"sum": 3}},
}
ADDED: Final = {**ADDITION, "steps": {**ADDITION["steps"], "add": {**ADDITION["steps"]["add"], "nextStepId": "fail"}}}


def written(place: Path, rehearsals: list[Any], **more: Any) -> Path:
    (place / "flows").mkdir(exist_ok=True)
    (place / "flows" / "addition.json").write_text(json.dumps(ADDED), encoding="utf-8")
    file = place / "addition.rehearsal.json"
    file.write_text(json.dumps({"workflow": "flows/addition.json", "rehearsals": rehearsals, **more}), encoding="utf-8")
    return file


def test_what_comes_out_as_expected_is_one_line(stepswitch: Caller, tmp_path: Path) -> None:
    file = written(tmp_path, [GOOD])
    called = stepswitch("rehearse", file)
    assert (called.exit, called.err) == (0, "")
    assert called.out.splitlines() == [str(file), "  ✔ three  FAILED after 2 step executions", "1 rehearsal, as expected"]


def test_what_does_not_is_told_in_full_and_fails_a_pipeline(stepswitch: Caller, tmp_path: Path) -> None:
    astray = {**GOOD, "name": "twelve", "assignments": {"count": 11}, "expected": {"way": ["add"], "outputs": {"sum": 13}}}
    called = stepswitch("rehearse", written(tmp_path, [GOOD, astray]))
    assert called.exit == 1
    assert called.out.splitlines()[2:] == [
        "  ✘ twelve  FAILED after 2 step executions",
        "      step 2: expected no further step, it went to `fail` because condition 1 of `add` (`sum` greater 10) held",
        "      output `sum`: expected 13, it is 12",
        "      way taken: add → fail FAILED",
        "2 rehearsals, 1 otherwise than expected",
    ]


def test_the_whole_way_is_shown_when_asked_for_and_no_secret_with_it(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("rehearse", "-v", written(tmp_path, [GOOD]))
    assert called.exit == 0
    assert "adding 2" in called.out
    assert "SCRIPT_FAILED: Error: too much for ********" in called.out
    assert "output sum = 3" in called.out
    assert "s3cret-word" not in called.out


def test_for_machines_everything_is_one_array(stepswitch: Caller, tmp_path: Path) -> None:
    good, broken = written(tmp_path, [GOOD, {**GOOD, "name": "no", "expected": {"status": "PAUSED"}}]), tmp_path / "broken.json"
    broken.write_text("{\n 5", encoding="utf-8")
    faulty = tmp_path / "faulty.json"
    faulty.write_text(json.dumps({"workflow": ADDED, "rehearsals": [{}]}), encoding="utf-8")
    called = stepswitch("rehearse", "--json", good, broken, faulty)
    found: list[dict[str, Any]] = json.loads(called.out)
    assert called.exit == 2
    assert [each["asExpected"] for each in found] == [False, False, False]
    assert [each["asExpected"] for each in found[0]["rehearsals"]] == [True, False]
    assert found[0]["rehearsals"][1]["divergences"][0]["path"] == "rehearsals[1].expected.status"
    assert found[1]["unreadable"]["line"] == 2
    assert [(fault["code"], fault["path"]) for fault in found[2]["faults"]] == [
        ("MISSING_FIELD", "rehearsals[0].name"),
        ("MISSING_INPUT", "rehearsals[0].assignments.count"),
    ]


def test_the_worst_of_several_files_decides(stepswitch: Caller, tmp_path: Path) -> None:
    good = written(tmp_path, [GOOD])
    astray = tmp_path / "astray.json"
    astray.write_text(json.dumps({"workflow": ADDED, "rehearsals": [{**GOOD, "expected": {"way": []}}]}), encoding="utf-8")
    assert stepswitch("rehearse", good, good).exit == 0
    assert stepswitch("rehearse", good, astray).exit == 1
    called = stepswitch("rehearse", good, tmp_path / "missing.json", astray)
    assert called.exit == 2
    assert called.out.splitlines()[-1] == "2 rehearsals, 1 otherwise than expected, 1 file with faults"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("none.json", "cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("list.json", "holds no JSON object"),
        ("broken.json", "is not JSON: line 1"),
        ("twice.json", "name: stands twice"),
    ],
)
def test_a_workflow_that_is_not_there_or_is_none_is_named(stepswitch: Caller, tmp_path: Path, named: str, message: str) -> None:
    for name, text in (("list.json", "[]"), ("broken.json", "{"), ("twice.json", '{"name": 1, "name": 2}')):
        (tmp_path / name).write_text(text, encoding="utf-8")
    file = tmp_path / "rehearsal.json"
    file.write_text(json.dumps({"workflow": named, "rehearsals": [{"nmae": 1}]}), encoding="utf-8")
    called = stepswitch("rehearse", file)
    lines = called.out.splitlines()
    assert called.exit == 2
    assert lines[1].startswith(f"  ✘ workflow: {tmp_path / named}")
    assert message in lines[1]
    assert lines[2].startswith("  ✘ rehearsals[0].nmae: "), "the other faults are said with it"


def test_files_are_read_beside_the_document_and_the_wrong_ones_named(stepswitch: Caller, tmp_path: Path) -> None:
    (tmp_path / "said.js").write_text("return { said: 'from a file' }", encoding="utf-8")
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    step = script("", outBindings={"said": {"name": "said", "type": "string"}})
    step["inBindings"]["script"] = {"type": "file", "exportName": "code"}
    document = workflow({"run": step}, "run", inputs={"code": {"type": "file", "required": True}}, outputs={"said": {"type": "string"}})
    one = {"name": "one", "assignments": {"code": "said.js"}, "attachments": {"said.js": {"file": "said.js"}}}
    file = tmp_path / "rehearsal.json"
    file.write_text(
        json.dumps({"workflow": document, "rehearsals": [{**one, "expected": {"outputs": {"said": "from a file"}}}]}), encoding="utf-8"
    )
    assert stepswitch("rehearse", file).exit == 0
    attachments = {"said.js": "return {}", "a": {"file": "picture"}, "b": {"file": "none"}, "c": {"path": "said.js"}, "d": 5}
    file.write_text(json.dumps({"workflow": document, "rehearsals": [{**one, "attachments": attachments}]}), encoding="utf-8")
    called = stepswitch("rehearse", file)
    paths = [line.split(" ")[3].removeprefix("rehearsals[0].attachments.") for line in called.out.splitlines()[1:-1]]
    assert (called.exit, paths) == (2, ["a.file:", "b.file:", "c.path:", "c.file:", "d:"])


def test_nothing_in_a_document_moves_the_cursor(stepswitch: Caller, tmp_path: Path) -> None:
    step = {
        "type": "JS",
        "inBindings": {"script": {"type": "string", "defaultValue": "console.log('\\u001b[2J'); throw new Error('\\u001b[31mred')"}},
    }
    document = workflow({"\u202eone": step}, "\u202eone")
    good = {"workflow": document, "rehearsals": [{"name": "\u202ename", "expected": {"status": "COMPLETED"}}]}
    bad = {"workflow": document, "rehearsals": [{"name": "n", "results": {"\x1b[2J": [{"\x1b[1m": 1}]}}]}
    for number, body in enumerate((good, bad)):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        text = stepswitch("rehearse", "-v", file).out
        assert not [character for character in "\x1b\u202e" if character in text]


def test_a_loop_that_does_not_end_is_cut_and_its_way_is_not_printed_whole(stepswitch: Caller, tmp_path: Path) -> None:
    file = tmp_path / "loop.json"
    file.write_text(
        json.dumps({"workflow": workflow({"a": {"type": "NOOP", "nextStepId": "a"}}, "a"), "rehearsals": [{"name": "r"}]}), encoding="utf-8"
    )
    called = stepswitch("rehearse", file)
    assert called.exit == 1
    assert "it goes on after 10000 step executions" in called.out
    assert "→ … 9976 more" in called.out
    assert len(called.out) < 1_000
