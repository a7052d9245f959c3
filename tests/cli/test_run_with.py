"""`stepswitch run --with`: a workflow that calls another one, without a server."""

import json
from pathlib import Path

from stepswitch.cli.exits import Exit
from tests.cli.calling import Caller

CHILD = {
    "name": "double", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
    "inputs": {"n": {"type": "number", "required": True}}, "outputs": {"twice": {"type": "number"}},
    "steps": {"a": {
        "type": "JS",
        "inBindings": {"script": {"type": "string", "defaultValue": "return { twice: 2 * n }"}, "n": {"type": "number", "exportName": "n"}},
        "outBindings": {"twice": {"name": "twice", "type": "number"}},
    }},
}  # fmt: skip
PARENT = {
    "name": "quadruple", "version": "1", "schemaVersion": "3.0", "startStepId": "one",
    "variables": {"twice": {"type": "number"}}, "outputs": {"result": {"type": "number"}},
    "steps": {
        "one": {
            "type": "WORKFLOW", "nextStepId": "two",
            "inBindings": {"workflowName": {"type": "string", "defaultValue": "double"}, "n": {"type": "number", "defaultValue": 5}},
            "outBindings": {"twice": {"name": "twice", "type": "number"}},
        },
        "two": {
            "type": "WORKFLOW",
            "inBindings": {"workflowName": {"type": "string", "defaultValue": "double"}, "n": {"type": "number", "exportName": "twice"}},
            "outBindings": {"result": {"name": "twice", "type": "number"}},
        },
    },
}  # fmt: skip


def test_it_follows_only_the_workflow_that_was_asked_for(stepswitch: Caller, tmp_path: Path) -> None:
    for name, source in (("parent.json", PARENT), ("child.json", CHILD)):
        (tmp_path / name).write_text(json.dumps(source))
    told = stepswitch("run", str(tmp_path / "parent.json"), "--with", str(tmp_path / "child.json"), "--json")
    assert told.exit == Exit.COMPLETED, told
    execution = json.loads(told.out)
    assert (execution["status"], execution["outputs"]) == ("COMPLETED", {"result": 20})
    assert [step["child"]["workflowName"] for step in execution["stepExecutions"]] == ["double", "double"]
