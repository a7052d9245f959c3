"""Risk: a document of an older schema is half understood, loses something unsaid, or is blamed at a place that nobody wrote."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.conversion import convert, schema_of, upgraded
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.older_parts import WORKFLOWS
from stepswitch.domain.step_types import DOCUMENTED_TYPES
from stepswitch.domain.validation import check
from tests.domain.documents import TYPES, example, found

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["END", "a", "string", "number", "VRO_CUSTOM"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from(["name", "type", "default"]), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(["a", "b", "host", "pw"])
BINDING = st.fixed_dictionaries(
    {"name": NAMES}, optional={"type": st.sampled_from(["string", "number", "SecureString", "Array/string", "x"]), "default": JSON, "exportName": NAMES | JSON}
)  # fmt: skip
STEP = st.fixed_dictionaries(
    {},
    optional={
        "stepId": NAMES | JSON, "workflow": st.sampled_from(["RUN_SSH_COMMAND_IN_GUEST", "VRO_CUSTOM_WORKFLOW", "X", "JS"]), "type": JSON,
        "namespace": JSON, "inBinding": st.lists(BINDING, max_size=3) | JSON, "outBindings": st.lists(BINDING, max_size=3) | JSON,
        "nextStep": NAMES | st.just("END") | JSON, "stepNumber": JSON, "conditions": JSON, "policy": JSON,
    },
)  # fmt: skip
OLD = st.fixed_dictionaries(
    {"schemaVersion": st.sampled_from(["1.0", "2.0", "2"])},
    optional={
        "name": JSON, "version": st.text(min_size=1, max_size=3), "input": st.lists(BINDING, max_size=3) | JSON, "outputs": JSON,
        "variables": st.dictionaries(NAMES, BINDING) | JSON, "steps": st.lists(STEP, max_size=3) | st.dictionaries(NAMES, STEP) | JSON,
        "startStep": JSON, "description": JSON, "readOnly": JSON, "attachments": JSON,
    },
)  # fmt: skip


def first_schema(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Restart", "version": "1", "schemaVersion": "1.0",
        "inputs": [{"name": "host", "type": "string", "required": "true"}, {"name": "pw", "type": "SecureString"}],
        "output": [{"name": "answer", "type": "string"}],
        "steps": [
            {"stepId": "second", "stepNumber": "2", "workflow": "VRO_CUSTOM_WORKFLOW", "type": "VRO", "nextStep": "END",
             "inBinding": [{"name": "vroWorkflowName", "type": "string", "default": "Clean up"}], "outBinding": []},
            {"stepId": "first", "stepNumber": "1", "workflow": "RUN_SSH_COMMAND_IN_GUEST", "type": "VRO", "nextStep": "second",
             "inBinding": [
                 {"name": "hostNameOrIP", "type": "string", "exportName": "host"},
                 {"name": "port", "type": "number", "default": "22"},
                 {"name": "cmd", "type": "string", "default": "uptime"},
                 {"name": "passwordAuthentication", "type": "boolean", "default": "true"},
                 {"name": "password", "type": "SecureString", "exportName": "pw"},
                 {"name": "encoding", "type": "string", "default": ""},
             ],
             "outBinding": [{"name": "result", "type": "string", "exportName": "answer"}, {"name": "errorText", "type": "string"}]},
        ],
        **fields,
    }  # fmt: skip


def test_the_first_schema_becomes_the_third() -> None:
    converted = convert(first_schema(), TYPES)
    assert converted.faults == ()
    document = converted.document
    assert document is not None
    assert (document["schemaVersion"], document["startStepId"]) == ("3.0", "first")
    assert document["inputs"] == {"host": {"type": "string", "required": True}, "pw": {"type": "password"}}
    assert document["outputs"] == {"answer": {"type": "string"}}
    first, second = document["steps"]["first"], document["steps"]["second"]
    assert (first["type"], first["nextStepId"], second["type"]) == ("VRO_SSH", "second", "VRO_CUSTOM")
    assert "nextStepId" not in second
    assert first["inBindings"]["port"] == {"type": "number", "defaultValue": 22}
    assert first["inBindings"]["passwordAuthentication"]["defaultValue"] is True
    assert first["outBindings"] == {"answer": {"name": "result", "type": "string"}}
    assert "errorText" not in str(first)
    assert document["description"].startswith("Converted from schema 1.0. steps[1].outBinding[1] is left out")


@pytest.mark.parametrize("next_step", ["nextStep", "nextStepId"])
@pytest.mark.parametrize("bindings", ["inBinding", "inBindings"])
def test_the_second_schema_is_read_in_either_spelling(next_step: str, bindings: str) -> None:
    steps = {
        "a": {"type": "JS", next_step: "b", bindings: {"script": {"type": "string", "default": "return {}"}},
              "conditions": [{"name": "n", "comparator": "Greater", "value": "5", next_step: "END"}]},
        "b": {"type": "JAVASCRIPT", bindings: [{"name": "script", "type": "string", "defaultValue": "return {}"}]},
    }  # fmt: skip
    source = {
        "name": "n",
        "version": "1",
        "schemaVersion": "2.0",
        "startStep": "a",
        "steps": steps,
        "variables": [{"name": "n", "type": "number", "default": "7"}],
    }
    converted = convert(source, TYPES)
    assert converted.faults == ()
    assert converted.document is not None
    assert converted.document["steps"]["a"]["conditions"] == [{"name": "n", "comparator": "greater", "value": 5}]
    assert converted.document["variables"]["n"]["defaultValue"] == 7
    assert converted.document.get("description") is None


def test_a_document_in_the_words_of_the_third_schema_is_carried_over_whole() -> None:
    converted = convert(example() | {"schemaVersion": "2.0", "unknown": {"kept": [1]}}, TYPES)
    assert converted.document == example() | {"unknown": {"kept": [1]}}


def test_every_fault_is_said_at_once_at_its_place_in_the_original() -> None:
    source = first_schema()
    del source["name"]
    source["inputs"][0]["type"] = "nonsense"
    source["steps"][0]["nextStep"] = "nowhere"
    source["steps"][1]["inBinding"][1]["default"] = "twenty"
    source["steps"][1]["inBinding"][0]["exportName"] = "undeclared"
    source["steps"] += [{"stepId": "first"}, {"workflow": "X"}, 5]
    converted = convert(source, TYPES)
    assert converted.document is None
    assert found(converted.faults) >= {
        (ErrorCode.MISSING_FIELD, "name"),
        (ErrorCode.INVALID_VALUE, "inputs[0].type"),
        (ErrorCode.UNKNOWN_STEP, "steps[0].nextStep"),
        (ErrorCode.WRONG_TYPE, "steps[1].inBinding[1].default"),
        (ErrorCode.UNDECLARED_NAME, "steps[1].inBinding[0].exportName"),
        (ErrorCode.DECLARED_TWICE, "steps[2]"),
        (ErrorCode.MISSING_FIELD, "steps[3].stepId"),
        (ErrorCode.WRONG_TYPE, "steps[4]"),
    }


def test_what_cannot_be_carried_over_is_said() -> None:
    source = first_schema(description="Ours.")
    source["steps"][0] |= {"workflow": "AWAIT_SOMETHING", "namespace": "nfv"}
    source["variables"] = [{"name": "list", "type": "Array/string"}]
    document = convert(source, TYPES).document
    assert document is not None
    assert document["description"].startswith("Ours.\n\nConverted from schema 1.0. ")
    for said in ("'AWAIT_SOMETHING'", "steps[0].namespace is left out", "variables[0] was of type Array/string"):
        assert said in document["description"]
    assert document["steps"]["second"]["type"] == "VRO_CUSTOM"


def test_a_variable_that_nobody_declared_and_a_step_writes_is_declared() -> None:
    source = first_schema()
    source["steps"][1]["outBinding"][1]["exportName"] = "errors"
    source["steps"][0]["inBinding"] += [{"name": "text", "type": "string", "exportName": "errors"}]
    converted = convert(source, TYPES)
    assert converted.document is not None, converted.faults
    assert converted.document["variables"] == {"errors": {"type": "string"}}


def test_a_step_that_is_called_end_is_a_step() -> None:
    source = first_schema()
    source["steps"][0]["stepId"] = "END"
    source["steps"][1]["nextStep"] = "END"
    document = convert(source, TYPES).document
    assert document is not None
    assert document["steps"]["first"]["nextStepId"] == "END"


@pytest.mark.parametrize("version", ["3.0", "4", "", None, 1, True, [], {}])
def test_what_is_of_no_older_schema_is_refused(version: Any) -> None:
    converted = convert({"name": "n", "schemaVersion": version, "steps": {}}, TYPES)
    assert converted.document is None
    assert [fault.path for fault in converted.faults] == ["schemaVersion"]


def _agrees(source: Any) -> None:
    converted = convert(source, TYPES)
    if converted.document is None:
        assert converted.faults
    else:
        assert converted.faults == ()
        assert check(converted.document, TYPES).faults == ()
        assert schema_of(converted.document) is None
        assert upgraded(source) == converted.document


def test_a_type_that_is_no_text_is_a_fault() -> None:
    converted = convert(first_schema(output={"0": {"type": []}}), TYPES)
    assert (ErrorCode.WRONG_TYPE, "output.0.type") in found(converted.faults)


@given(OLD)
def test_conversion_never_raises_and_its_result_is_valid_or_its_faults_are_said(source: dict[str, Any]) -> None:
    _agrees(source)


@given(JSON)
def test_no_json_value_makes_it_raise(source: Any) -> None:
    _agrees(source)


@given(OLD)
def test_a_whole_document_with_random_parts_is_converted_or_refused(parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        _agrees(first_schema(**{name: part}))


def test_no_old_document_becomes_one_with_a_step_type_that_the_vendor_does_not_have() -> None:
    assert set(WORKFLOWS.values()) <= set(DOCUMENTED_TYPES)
    assert {"HTTP", "WORKFLOW"}.isdisjoint(DOCUMENTED_TYPES)
