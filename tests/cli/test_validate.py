"""Risk: an author is told of one fault at a time, or a script cannot tell a faulty document from an unreadable one."""

import json
from pathlib import Path
from typing import Any, Final

from tests.cli.calling import Caller
from tests.cli.documents import ADDITION, workflow, written

FAULTY: Final = workflow({"a": {"type": "NOOP", "nextStepId": "nowhere"}, "b": {"type": "NONSENSE"}}, "c")


def test_every_fault_is_printed_with_file_path_and_code(stepswitch: Caller, tmp_path: Path) -> None:
    file = written(tmp_path, FAULTY)
    called = stepswitch("validate", file)
    lines = called.out.splitlines()
    assert called.exit == 1
    assert any(line.startswith(f"{file}: fault: steps.a.nextStepId: ") and line.endswith("[UNKNOWN_STEP]") for line in lines)
    assert any(line.startswith(f"{file}: fault: steps.b.type: ") for line in lines)
    assert any(line.startswith(f"{file}: fault: startStepId: ") for line in lines)
    assert lines[-1].startswith(f"{file}: not valid, 3 faults")


def test_a_valid_document_with_a_warning_ends_well(stepswitch: Caller, tmp_path: Path) -> None:
    file = written(tmp_path, {**ADDITION, "colour": "blue"})
    called = stepswitch("validate", file)
    assert called.exit == 0
    assert called.out.splitlines()[0].startswith(f"{file}: warning: colour: ")
    assert called.out.splitlines()[1] == f"{file}: valid, 1 warning"
    assert stepswitch("validate", file, "--strict").exit == 1


def test_a_draft_is_called_one(stepswitch: Caller, tmp_path: Path) -> None:
    file = written(tmp_path, {"name": "n", "version": "1", "schemaVersion": "3.0"})
    assert "valid as a draft" in stepswitch("validate", file).out


def test_a_syntax_error_has_line_and_column(stepswitch: Caller, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text('{\n  "name": "n"\n  "password": "s3cr3t"\n}')
    called = stepswitch("validate", file)
    assert called.exit == 2
    assert called.out.startswith(f"{file}: is not JSON: line 3, column 3: ")
    assert "s3cr3t" not in called.out


def test_the_worst_of_several_files_decides(stepswitch: Caller, tmp_path: Path) -> None:
    valid, faulty = tmp_path / "valid.json", tmp_path / "faulty.json"
    valid.write_text(json.dumps(ADDITION))
    faulty.write_text(json.dumps(FAULTY))
    assert stepswitch("validate", valid, faulty).exit == 1
    assert stepswitch("validate", tmp_path / "missing.json", faulty, valid).exit == 2


def test_what_the_service_would_not_take_is_a_fault(stepswitch: Caller, tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text('{"a":' * 5000 + "1" + "}" * 5000)
    twice = tmp_path / "twice.json"
    twice.write_text('{"name": "a", "name": "b"}')
    surrogate = tmp_path / "surrogate.json"
    surrogate.write_text('{"name": "\\ud800"}')
    for file, code in ((deep, "TOO_DEEP"), (twice, "MALFORMED_JSON"), (surrogate, "MALFORMED_JSON")):
        called = stepswitch("validate", file)
        assert (called.exit, code in called.out) == (1, True)


def test_for_machines_everything_is_one_array(stepswitch: Caller, tmp_path: Path) -> None:
    faulty = written(tmp_path, FAULTY)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    called = stepswitch("validate", faulty, broken, tmp_path / "missing.json", "--json")
    found: list[dict[str, Any]] = json.loads(called.out)
    assert called.exit == 2
    assert [each["valid"] for each in found] == [False, False, False]
    assert {fault["path"] for fault in found[0]["faults"]} == {"steps.a.nextStepId", "steps.b.type", "startStepId"}
    assert (found[1]["unreadable"]["line"], found[1]["unreadable"]["column"]) == (1, 2)
    assert "No such file" in found[2]["unreadable"]["message"]
