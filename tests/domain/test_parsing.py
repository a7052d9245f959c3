"""Risk: a document is read wrongly, a fault is missed or named at the wrong place, or a document brings the reader down."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepswitch.domain.document import NO_POLICY, Comparator, InBinding, OutBinding, Policy, RetryPolicy
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.parsing import depth_exceeds, parse
from stepswitch.domain.readers import MAX_LISTED
from stepswitch.domain.templates import Template, compile_template
from stepswitch.domain.values import ValueType
from tests.domain.documents import JsonObject, chain, document, example, found, one_step, step_of, workflow_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4),
    max_leaves=20,
)
WORDS = [
    "type", "name", "steps", "inputs", "outputs", "variables", "conditions", "inBindings", "outBindings", "policy", "retry", "value",
    "comparator", "defaultValue", "exportName", "nextStepId", "startStepId", "attachments", "owner", "tags", "hierarchy", "format", "id",
    "NOOP", "JS", "TCA_SSH", "string", "number", "password", "match", "equals", "a", "b", "{{a}}", "3.0", "maxAttempts", "backoff",
]  # fmt: skip
NEARLY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=40,
)


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def test_the_documented_example_is_read_whole() -> None:
    source = example()
    workflow = workflow_of(source)
    assert workflow.source is source
    assert (workflow.name, workflow.version, workflow.start_step_id, workflow.is_draft) == ("Register gNB", "7", "pick", False)
    assert set(workflow.declarations) == {"host", "pw", "mode", "answer", "registration"}
    assert workflow.inputs["host"].required
    assert workflow.inputs["mode"].default == "active"
    ask = workflow.steps["ask"]
    assert ask.next_step_id == "shape"
    assert ask.policy is NO_POLICY
    assert ask.in_bindings[0] == InBinding("hostNameOrIP", ValueType.STRING, export_name="host")
    assert ask.in_bindings[3].template == Template(("show registration ", "mode", ""))
    assert ask.out_bindings == (OutBinding("answer", "outputText", ValueType.STRING),)
    condition = workflow.steps["pick"].conditions[0]
    assert (condition.comparator, condition.value, condition.next_step_id) == (Comparator.EQUALS, "active", "ask")


def test_a_policy_is_read() -> None:
    policy = {
        "timeoutSeconds": 5,
        "delaySeconds": 0.5,
        "retry": {"maxAttempts": 3, "delaySeconds": 2, "backoff": 2},
        "onFailureStepId": "a",
        "onUnknownStepId": "b",
        "safeToRerun": True,
    }
    assert step_of({"type": "NOOP", "policy": policy}).policy == Policy(5, 0.5, RetryPolicy(3, 2, 2), "a", "b", safe_to_rerun=True)


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"timeoutSeconds": "5"}, "timeoutSeconds"),
        ({"timeoutSeconds": float("nan")}, "timeoutSeconds"),
        ({"delaySeconds": -1}, "delaySeconds"),
        ({"delaySeconds": 10**400}, "delaySeconds"),
        ({"retry": []}, "retry"),
        ({"retry": {"maxAttempts": 1.5}}, "retry.maxAttempts"),
        ({"retry": {"maxAttempts": 0}}, "retry.maxAttempts"),
        ({"retry": {"backoff": 0.5}}, "retry.backoff"),
        ({"retry": {"maxAttempts": 1000, "delaySeconds": 1, "backoff": 100}}, "retry.backoff"),
        ({"safeToRerun": "yes"}, "safeToRerun"),
    ],
)
def test_a_policy_that_nobody_can_follow_is_refused(policy: JsonObject, path: str) -> None:
    assert [fault.path for fault in parse(one_step({"type": "NOOP", "policy": policy})).faults] == [f"steps.a.policy.{path}"]


def test_all_faults_are_reported_at_once_each_with_its_path() -> None:
    source = {
        "name": "",
        "schemaVersion": "3.0",
        "readOnly": "no",
        "owner": {"id": "x", "type": "CAT"},
        "tags": [{"autoCreated": 1}, "t"],
        "hierarchy": ["a", 1],
        "attachments": {"f": {"reference": "r"}},
        "inputs": {"i": {"required": "yes"}, "n": {"type": "number", "defaultValue": "5"}, "bad\n": {"type": "string"}, "x": 1},
        "steps": {
            "configure": {
                "inBindings": {"port": {}, "cmd": {"type": "text"}},
                "outBindings": {"o": {"type": "string"}},
                "conditions": [1, {"name": "i", "comparator": "like", "value": []}],
            }
        },
    }
    assert found(parse(source).faults) == {
        (ErrorCode.MISSING_FIELD, "version"),
        (ErrorCode.INVALID_VALUE, "name"),
        (ErrorCode.WRONG_TYPE, "readOnly"),
        (ErrorCode.INVALID_VALUE, "owner.type"),
        (ErrorCode.MISSING_FIELD, "tags[0].name"),
        (ErrorCode.WRONG_TYPE, "tags[0].autoCreated"),
        (ErrorCode.WRONG_TYPE, "tags[1]"),
        (ErrorCode.WRONG_TYPE, "hierarchy[1]"),
        (ErrorCode.MISSING_FIELD, "attachments.f.id"),
        (ErrorCode.MISSING_FIELD, "inputs.i.type"),
        (ErrorCode.WRONG_TYPE, "inputs.i.required"),
        (ErrorCode.WRONG_TYPE, "inputs.n.defaultValue"),
        (ErrorCode.INVALID_VALUE, "inputs.'bad\\n'"),
        (ErrorCode.WRONG_TYPE, "inputs.x"),
        (ErrorCode.MISSING_FIELD, "steps.configure.type"),
        (ErrorCode.MISSING_FIELD, "steps.configure.inBindings.port.type"),
        (ErrorCode.INVALID_VALUE, "steps.configure.inBindings.cmd.type"),
        (ErrorCode.MISSING_FIELD, "steps.configure.outBindings.o.name"),
        (ErrorCode.WRONG_TYPE, "steps.configure.conditions[0]"),
        (ErrorCode.INVALID_VALUE, "steps.configure.conditions[1].comparator"),
        (ErrorCode.WRONG_TYPE, "steps.configure.conditions[1].value"),
    }


@pytest.mark.parametrize("version", ["1.0", "2.0", "4", ""])
def test_other_schemas_are_sent_to_the_conversion(version: str) -> None:
    (fault,) = parse({"schemaVersion": version, "steps": []}).faults
    assert (fault.code, fault.path) == (ErrorCode.UNSUPPORTED_SCHEMA, "schemaVersion")
    assert "/convert" in fault.message


def test_unknown_fields_are_kept_and_warned_about() -> None:
    source = one_step({"type": "NOOP", "nextStep": "a"}, colour="red")
    parsed = parse(source)
    assert found(parsed.warnings) == {(ErrorCode.UNKNOWN_FIELD, "colour"), (ErrorCode.UNKNOWN_FIELD, "steps.a.nextStep")}
    assert "did you mean 'nextStepId'?" in parsed.warnings[1].message
    assert parsed.workflow is not None
    assert parsed.workflow.source["colour"] == "red"


def test_what_was_read_can_be_sent_back() -> None:
    answer = {"id": "x", "createdAt": "t", "creationUser": "u", "creationTenantId": "d", "links": {"self": "s"}}
    source = one_step({"type": "NOOP", "id": "a"}, owner={"id": "u", "type": "USER"}, readOnly=False, **answer)
    assert parse(source).warnings == ()
    assert workflow_of(source).steps["a"].id == "a"


def test_null_counts_as_absent() -> None:
    step = step_of({"type": "NOOP", "nextStepId": None, "conditions": None, "inBindings": None, "policy": None})
    assert (step.next_step_id, step.conditions, step.in_bindings) == (None, (), ())
    assert found(parse(document() | {"name": None}).faults) == {(ErrorCode.MISSING_FIELD, "name")}


def test_a_name_is_declared_once_in_all_sections() -> None:
    source = document(inputs={"x": {"type": "string"}}, variables={"x": {"type": "string"}}, outputs={"x": {"type": "number"}})
    assert found(parse(source).faults) == {(ErrorCode.DECLARED_TWICE, "variables.x"), (ErrorCode.DECLARED_TWICE, "outputs.x")}


@pytest.mark.parametrize("name", ["", "  ", "a\x00", "a\x7f", "a\u2028b", "\ud800", "x" * 257])
def test_names_and_ids_that_nobody_could_show_are_refused(name: str) -> None:
    for source in (document(name=name), document(steps={name: {"type": "NOOP"}}), one_step({"type": "NOOP", "nextStepId": name})):
        (fault,) = parse(source).faults
        assert fault.code is ErrorCode.INVALID_VALUE
        fault.path.encode()
        fault.message.encode()


def test_a_name_may_be_long_and_foreign() -> None:
    assert workflow_of(document(name="x" * 256, steps={"Größe 局": {"type": "NOOP"}})).steps


def test_depth_is_counted_without_recursion() -> None:
    assert not depth_exceeds("x", 0)
    assert depth_exceeds([], 0)
    assert not depth_exceeds(deep(64), 64)
    assert depth_exceeds(deep(65), 64)
    assert depth_exceeds(deep(200_000), 64)
    assert not depth_exceeds(deep(1_000), 1_000)


def test_a_document_nested_too_deep_is_one_fault() -> None:
    assert found(parse(document(extra=deep(1_000))).faults) == {(ErrorCode.TOO_DEEP, "")}


def test_a_document_with_too_many_steps_is_refused_quickly() -> None:
    source = chain(10_000)
    begun = time.process_time()
    parsed = parse(source)
    assert found(parsed.faults) == {(ErrorCode.TOO_MANY_STEPS, "steps")}
    assert time.process_time() - begun < 1


def test_so_many_faults_are_listed_and_the_rest_counted() -> None:
    parsed = parse(document(inputs={f"i{number}": {} for number in range(MAX_LISTED + 7)}))
    assert len(parsed.faults) == MAX_LISTED + 1
    assert parsed.faults[-1].message == "and 7 more"


@pytest.mark.parametrize("source", [None, 1, "x", [], True])
def test_what_is_no_object_is_no_document(source: Any) -> None:
    assert found(parse(source).faults) == {(ErrorCode.WRONG_TYPE, "")}


@settings(max_examples=300)
@given(
    JSON
    | NEARLY
    | NEARLY.map(lambda value: {**document(), "steps": value})
    | NEARLY.map(lambda value: one_step({"type": "JS", "inBindings": value}))
)
def test_nothing_brings_the_reader_down(source: Any) -> None:
    parsed = parse(source)
    assert (parsed.workflow is None) == bool(parsed.faults)
    for fault in (*parsed.faults, *parsed.warnings):
        assert isinstance(fault.code, ErrorCode)
        assert fault.message
        str(fault).encode()
        assert fault.path or fault.code in (ErrorCode.WRONG_TYPE, ErrorCode.TOO_DEEP)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{x}}", "<x>"),
        ("a {{ x }}-{{y.z}}", "a <x>-<y.z>"),
        ("{{{x}}}", "{<x>}"),
        ("{{{{x}}", "{{x}}"),
        ("{{ .Values.x }} {{#if}} {{}} {{x", None),
        ("plain", None),
    ],
)
def test_templates(text: str, filled: str | None) -> None:
    template = compile_template(text)
    assert (None if template is None else template.fill(lambda name: f"<{name}>")) == filled


@given(st.lists(st.sampled_from(["{{", "}}", "{", "x", "{{x}}", " ", "{{{{", "é"])).map("".join), st.text())
def test_a_spliced_value_is_never_read_for_references(text: str, value: str) -> None:
    template = compile_template(text)
    if template is not None:
        assert template.fill(lambda _name: value) == value.join(template.parts[0::2])
