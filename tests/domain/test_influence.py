"""Risk: somebody says what a step does with a credential, and nobody asks whether it is his to use."""

from typing import Any

import pytest

from stepswitch.domain.document import Workflow
from stepswitch.domain.influence import steps_given, steps_with_file, takes_password
from stepswitch.domain.parsing import parse

EVIDENCE = [{"name": "x", "comparator": "isDefined"}]


def workflow(steps: dict[str, Any]) -> Workflow:
    source = {
        "name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
        "inputs": {"i": {"type": "string"}, "pw": {"type": "password"}, "f": {"type": "file"}},
        "variables": {"v": {"type": "string"}, "w": {"type": "string"}},
        "attachments": {"run.sh": {"id": "file-1", "reference": "run.sh"}},
        "steps": steps,
    }  # fmt: skip
    found = parse(source).workflow
    assert found is not None
    return found


def step(out: str | None = None, **bindings: Any) -> dict[str, Any]:
    outs = {} if out is None else {"outBindings": {out: {"name": "x", "type": "string"}}}
    return {"type": "NOOP", "inBindings": {name: {"type": "string", **binding} for name, binding in bindings.items()}, **outs}


def test_a_value_reaches_every_step_that_takes_it_or_what_is_made_of_it() -> None:
    found = workflow(
        {
            "last": step(x={"exportName": "w"}),
            "a": step("v", x={"exportName": "i"}),
            "b": step("w", x={"defaultValue": "{{v}}"}),
            "other": step(x={"defaultValue": "plain"}),
            "looks": {
                "type": "NOOP",
                "policy": {"probe": {"inBindings": {"x": {"type": "string", "exportName": "i"}}, "done": EVIDENCE, "notDone": EVIDENCE}},
            },
        }
    )
    assert steps_given(found, {"i"}) == ["last", "a", "b", "looks"]
    assert steps_given(found, {"w"}) == ["last"]
    assert steps_given(found, {"pw"}) == []


@pytest.mark.parametrize("named", [{"defaultValue": "run.sh"}, {"defaultValue": "file-1"}, {"exportName": "f"}])
def test_a_file_reaches_every_step_that_is_given_it(named: dict[str, Any]) -> None:
    found = workflow({"a": step("v", x={"type": "file", **named}), "b": step(x={"exportName": "v"}), "c": step(x={"exportName": "i"})})
    assert steps_with_file(found, {"f": "run.sh"}, found.attachments, "run.sh") == ["a", "b"]
    assert steps_with_file(found, {"f": "run.sh"}, found.attachments, "new.sh") == []
    assert steps_with_file(found, {}, {}, "new.sh") == []


def test_a_step_is_given_a_password_by_its_binding_or_by_what_is_declared() -> None:
    found = workflow({"a": step(x={"type": "password"}), "b": step(x={"exportName": "pw"}), "c": step(x={"exportName": "i"})})
    assert [takes_password(found, each) for each in "abc"] == [True, True, False]
