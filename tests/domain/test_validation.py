"""Risk: a document that cannot work is accepted, one that can is refused, or somebody is told only half of what is wrong."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.readers import Parsed
from stepswitch.domain.step_types import InputSpec, StepSignature, StepTypes, collect
from stepswitch.domain.validation import check, faults_to_execute
from stepswitch.domain.values import ValueType
from tests.domain.documents import TYPES, JsonObject, chain, document, example, found, one_step, workflow_of

NOTHING_INSTALLED = StepTypes({})
PIECE = st.sampled_from(["a", "host", "mode", "answer", "pick", "ask", "TCA_SSH", "JS", "equals", "match", "(", "{{nope}}", "ip", "", "pw"])
VALUE = st.recursive(
    PIECE | st.none() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(PIECE, inner, max_size=2),
    max_leaves=4,
)


def checked(step: JsonObject, **fields: Any) -> Parsed:
    return check(one_step(step, **fields), TYPES)


def ssh(**bindings: JsonObject) -> JsonObject:
    given = {
        "hostNameOrIP": {"type": "string", "defaultValue": "h"},
        "username": {"type": "string", "defaultValue": "u"},
        "cmd": {"type": "string", "defaultValue": "show"},
    }
    return {"type": "TCA_SSH", "inBindings": {name: binding for name, binding in {**given, **bindings}.items() if binding}}


def condition(**fields: Any) -> JsonObject:
    return {"type": "NOOP", "conditions": [fields]}


VARIABLES = {"t": {"type": "string"}, "n": {"type": "number"}, "b": {"type": "boolean"}, "p": {"type": "password"}}


def test_the_documented_example_has_no_fault() -> None:
    parsed = check(example(), TYPES)
    assert parsed.faults == ()
    assert found(parsed.warnings) == {(ErrorCode.UNSAFE_TEMPLATE, "steps.ask.inBindings.cmd.defaultValue")}


@pytest.mark.parametrize(
    ("step", "code", "path"),
    [
        ({"type": "NOOP", "nextStepId": "b"}, ErrorCode.UNKNOWN_STEP, "steps.a.nextStepId"),
        ({"type": "NOOP", "policy": {"onFailureStepId": "b"}}, ErrorCode.UNKNOWN_STEP, "steps.a.policy.onFailureStepId"),
        ({"type": "NOOP", "policy": {"onUnknownStepId": "b"}}, ErrorCode.UNKNOWN_STEP, "steps.a.policy.onUnknownStepId"),
        (condition(name="t", comparator="isDefined", nextStepId="b"), ErrorCode.UNKNOWN_STEP, "steps.a.conditions[0].nextStepId"),
        (condition(name="u", comparator="isDefined"), ErrorCode.UNDECLARED_NAME, "steps.a.conditions[0].name"),
        (condition(name="t", comparator="equals"), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="n", comparator="equals", value="x"), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="t", comparator="match", value="("), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="t", comparator="match", value="a(?=b)"), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="t", comparator="match", value="a" * 5000), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="n", comparator="greater", value="word"), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="b", comparator="greater", value=1), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        (condition(name="n", comparator="isTrue"), ErrorCode.UNFIT_COMPARATOR, "steps.a.conditions[0].value"),
        ({"type": "JS"}, ErrorCode.MISSING_INPUT, "steps.a.inBindings.script"),
        ({"type": "JS", "inBindings": {"script": {"type": "string"}}}, ErrorCode.MISSING_INPUT, "steps.a.inBindings.script"),
        (ssh(cmd={}), ErrorCode.MISSING_INPUT, "steps.a.inBindings"),
        (ssh(port={"type": "string", "defaultValue": "22"}), ErrorCode.WRONG_TYPE, "steps.a.inBindings.port.type"),
        (ssh(port={"type": "number", "exportName": "b"}), ErrorCode.WRONG_TYPE, "steps.a.inBindings.port.exportName"),
        (ssh(username={"type": "string", "exportName": "u"}), ErrorCode.UNDECLARED_NAME, "steps.a.inBindings.username.exportName"),
        (ssh(username={"type": "string", "defaultValue": "{{u}}"}), ErrorCode.UNDECLARED_NAME, "steps.a.inBindings.username.defaultValue"),
        (ssh(platform={"type": "string", "defaultValue": "vms"}), ErrorCode.INVALID_VALUE, "steps.a.inBindings.platform.defaultValue"),
        (ssh(cmd={"type": "string", "format": "json", "defaultValue": "{"}), ErrorCode.INVALID_VALUE, "steps.a.inBindings.cmd.defaultValue"),
        ({"type": "NOOP", "outBindings": {"u": {"name": "x", "type": "string"}}}, ErrorCode.UNDECLARED_NAME, "steps.a.outBindings.u"),
        ({"type": "NOOP", "outBindings": {"i": {"name": "x", "type": "string"}}}, ErrorCode.INVALID_VALUE, "steps.a.outBindings.i"),
        ({"type": "NOOP", "outBindings": {"vnfId": {"name": "x", "type": "string"}}}, ErrorCode.INVALID_VALUE, "steps.a.outBindings.vnfId"),
        ({"type": "TCA_SHH"}, ErrorCode.UNKNOWN_STEP_TYPE, "steps.a.type"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_a_fault(step: JsonObject, code: ErrorCode, path: str) -> None:
    assert found(checked(step, variables=VARIABLES, inputs={"i": {"type": "string"}}).faults) == {(code, path)}


@pytest.mark.parametrize(
    ("step", "code", "path"),
    [
        (ssh(hostNameOrIp={"type": "string", "defaultValue": "h"}), ErrorCode.UNKNOWN_INPUT, "steps.a.inBindings.hostNameOrIp"),
        (ssh(cmd={"type": "string", "defaultValue": "x {{i}}"}), ErrorCode.UNSAFE_TEMPLATE, "steps.a.inBindings.cmd.defaultValue"),
        (ssh(password={"type": "password", "defaultValue": "abc"}), ErrorCode.SHORT_SECRET, "steps.a.inBindings.password.defaultValue"),
        ({**ssh(), "outBindings": {"t": {"name": "out", "type": "string"}}}, ErrorCode.UNWRITTEN_OUTPUT, "steps.a.outBindings.t.name"),
        ({"type": "K8S"}, ErrorCode.STEP_TYPE_NOT_INSTALLED, "steps.a.type"),
        ({"type": "NOOP", "colour": 1}, ErrorCode.UNKNOWN_FIELD, "steps.a.colour"),
        ({"type": "NOOP", "policy": {"retries": 1}}, ErrorCode.UNKNOWN_FIELD, "steps.a.policy.retries"),
    ],
)
def test_what_may_be_meant_otherwise_is_a_warning(step: JsonObject, code: ErrorCode, path: str) -> None:
    parsed = checked(step, variables=VARIABLES, inputs={"i": {"type": "string"}})
    assert parsed.faults == ()
    assert found(parsed.warnings) - {(ErrorCode.UNREAD_INPUT, "inputs.i")} == {(code, path)}


@pytest.mark.parametrize(
    ("host", "password", "is_told"),
    [
        ({"exportName": "i"}, {"defaultValue": "stored secret"}, True),
        ({"exportName": "i"}, {"exportName": "stored"}, True),
        ({"defaultValue": "{{i}}.example"}, {"exportName": "stored"}, True),
        ({"exportName": "t"}, {"exportName": "stored"}, False),
        ({"defaultValue": "r1"}, {"defaultValue": "stored secret"}, False),
        ({"exportName": "i"}, {"exportName": "given"}, False),
        ({"exportName": "i"}, {"defaultValue": {"credential": "core"}}, False),
    ],
)
def test_an_input_that_leads_a_stored_password_is_a_warning(host: JsonObject, password: JsonObject, *, is_told: bool) -> None:
    inputs = {"i": {"type": "string"}, "given": {"type": "password"}, "stored": {"type": "password", "defaultValue": "stored secret"}}
    step = ssh(hostNameOrIP={"type": "string", **host}, password={"type": "password", **password})
    parsed = checked(step, variables=VARIABLES, inputs=inputs)
    assert parsed.faults == ()
    told = {(ErrorCode.UNSAFE_TEMPLATE, "steps.a.inBindings.hostNameOrIP")} if is_told else set()
    assert {each for each in found(parsed.warnings) if each[0] is ErrorCode.UNSAFE_TEMPLATE} == told
    assert not any("stored secret" in str(each) for each in parsed.warnings)


@pytest.mark.parametrize(
    ("binding", "variable", "is_told"),
    [
        ({"defaultValue": "show {{c}}"}, {"type": "string"}, "defaultValue"),
        ({"exportName": "c"}, {"type": "string"}, "exportName"),
        ({"defaultValue": "show {{vnfId}}"}, {"type": "string"}, "defaultValue"),
        ({"defaultValue": "show {{c}}"}, {"type": "string", "defaultValue": "all"}, None),
        ({"defaultValue": "show {{c}}"}, {"type": "string", "format": "ip"}, None),
        ({"defaultValue": "show {{c}}"}, {"type": "number"}, None),
        ({"defaultValue": "show {{t}}"}, {"type": "string"}, None),
    ],
)
def test_a_command_that_only_a_context_fills_is_a_warning(binding: JsonObject, variable: JsonObject, is_told: str | None) -> None:
    step = ssh(cmd={"type": "string", **binding}) | {"outBindings": {"t": {"name": "outputText", "type": "string"}}}
    parsed = checked(step, variables={**VARIABLES, "c": variable})
    told = {(ErrorCode.UNSAFE_TEMPLATE, f"steps.a.inBindings.cmd.{is_told}")} if is_told else set()
    assert {each for each in found(parsed.warnings) if each[0] is ErrorCode.UNSAFE_TEMPLATE} == told


def test_an_input_that_leads_a_stored_password_to_the_device_of_a_plug_in_is_a_warning_too() -> None:
    inputs = (InputSpec("url", (ValueType.STRING,), "Where."), InputSpec("pw", (ValueType.PASSWORD,), "With what."))
    types = collect((StepSignature("REST", "Asks.", inputs=inputs, device_input="url"),))
    step = {
        "type": "REST",
        "inBindings": {"url": {"type": "string", "exportName": "i"}, "pw": {"type": "password", "defaultValue": "word"}},
    }
    parsed = check(document(steps={"a": step}, inputs={"i": {"type": "string"}}), types)
    assert found(parsed.warnings) == {(ErrorCode.UNSAFE_TEMPLATE, "steps.a.inBindings.url")}


def test_values_that_cannot_carry_a_command_may_be_spliced() -> None:
    inputs = {"n": {"type": "number"}, "ip": {"type": "string", "format": "ip"}}
    assert checked(ssh(cmd={"type": "string", "defaultValue": "ping {{ip}} {{n}}"}), inputs=inputs).warnings == ()


def test_loose_ends_are_warnings() -> None:
    source = document(
        steps={"a": {"type": "NOOP"}, "b": {"type": "NOOP", "nextStepId": "a"}},
        inputs={"i": {"type": "string"}},
        outputs={"o": {"type": "string"}, "d": {"type": "string", "defaultValue": "x"}},
    )
    parsed = check(source, TYPES)
    assert found(parsed.warnings) == {
        (ErrorCode.UNREACHABLE_STEP, "steps.b"),
        (ErrorCode.UNREAD_INPUT, "inputs.i"),
        (ErrorCode.UNWRITTEN_OUTPUT, "outputs.o"),
    }


def test_every_way_reaches_a_step() -> None:
    steps = {
        "a": {
            "type": "NOOP",
            "nextStepId": "b",
            "conditions": [{"name": "vnfId", "comparator": "isDefined", "nextStepId": "c"}],
            "policy": {"onFailureStepId": "d", "onUnknownStepId": "e"},
        },
        **{step_id: {"type": "NOOP", "nextStepId": "a"} for step_id in "bcde"},
    }
    assert check(document(steps=steps), TYPES).warnings == ()


def test_defaults_are_held_against_their_format() -> None:
    inputs = {
        "ip": {"type": "string", "format": "ip", "defaultValue": "300.1.1.1"},
        "pw": {"type": "password", "defaultValue": "ab"},
        "f": {"type": "file", "defaultValue": "x.sh"},
        "vnfId": {"type": "number"},
    }
    script = {"type": "file", "defaultValue": "y.js"}
    by_id, by_key = {**script, "defaultValue": "f-1"}, {**script, "defaultValue": "there.js"}
    steps = {"a": {"type": "JS", "inBindings": {"script": script, "id": by_id, "key": by_key}}}
    attachments = {"there.js": {"id": "f-1", "reference": "there.js"}}
    parsed = check(document(inputs=inputs, steps=steps, attachments=attachments), TYPES)
    assert found(parsed.faults) == {(ErrorCode.INVALID_VALUE, "inputs.ip.defaultValue"), (ErrorCode.WRONG_TYPE, "inputs.vnfId.type")}
    warnings = found(parsed.warnings)
    assert (ErrorCode.SHORT_SECRET, "inputs.pw.defaultValue") in warnings
    missing = {path for code, path in warnings if code is ErrorCode.UNKNOWN_ATTACHMENT}
    assert missing == {"inputs.f.defaultValue", "steps.a.inBindings.script.defaultValue"}


def test_strictness_makes_faults_of_unknown_fields_only() -> None:
    source = document(colour=1, inputs={"i": {"type": "string"}})
    assert found(check(source, TYPES).warnings) == {(ErrorCode.UNKNOWN_FIELD, "colour"), (ErrorCode.UNREAD_INPUT, "inputs.i")}
    strict = check(source, TYPES, strict=True)
    assert found(strict.faults) == {(ErrorCode.UNKNOWN_FIELD, "colour")}
    assert strict.workflow is None


def test_a_fault_of_shape_hides_no_fault_of_meaning_and_makes_up_none() -> None:
    step = {
        **ssh(username={"type": "strin", "exportName": "x"}, port={"type": "number", "defaultValue": "22"}),
        "conditions": [5, {"name": "x", "comparator": "likes"}, {"name": "y", "comparator": "equals", "value": [1], "nextStepId": "b"}],
    }
    parsed = checked(step, variables={"x": {"type": "strnig"}})
    assert found(parsed.faults) == {
        (ErrorCode.INVALID_VALUE, "variables.x.type"),
        (ErrorCode.INVALID_VALUE, "steps.a.inBindings.username.type"),
        (ErrorCode.WRONG_TYPE, "steps.a.inBindings.port.defaultValue"),
        (ErrorCode.WRONG_TYPE, "steps.a.conditions[0]"),
        (ErrorCode.INVALID_VALUE, "steps.a.conditions[1].comparator"),
        (ErrorCode.WRONG_TYPE, "steps.a.conditions[2].value"),
        (ErrorCode.UNDECLARED_NAME, "steps.a.conditions[2].name"),
        (ErrorCode.UNKNOWN_STEP, "steps.a.conditions[2].nextStepId"),
    }


def test_the_nearest_known_one_is_named() -> None:
    assert "did you mean 'TCA_SSH'?" in checked({"type": "tca_shh"}).faults[0].message
    parsed = checked(condition(name="hots", comparator="isDefined"), inputs={"host": {"type": "string"}})
    assert "did you mean 'host'?" in parsed.faults[0].message


def test_a_draft_can_be_stored_and_not_executed() -> None:
    parsed = check(document(steps=None), TYPES)
    assert parsed.workflow is not None
    assert found(parsed.warnings) == {(ErrorCode.UNKNOWN_STEP, "startStepId")}
    assert found(faults_to_execute(parsed.workflow, TYPES)) == {(ErrorCode.DRAFT, "steps")}
    assert found(faults_to_execute(workflow_of(document(startStepId=None)), TYPES)) == {(ErrorCode.DRAFT, "startStepId")}
    assert found(check(document(startStepId="b"), TYPES).faults) == {(ErrorCode.UNKNOWN_STEP, "startStepId")}


def test_what_is_not_installed_cannot_be_executed() -> None:
    workflow = workflow_of(example())
    assert faults_to_execute(workflow, TYPES) == ()
    assert found(faults_to_execute(workflow, NOTHING_INSTALLED)) == {
        (ErrorCode.STEP_TYPE_NOT_INSTALLED, f"steps.{step_id}.type") for step_id in ("pick", "ask", "shape")
    }
    only_ssh = StepTypes({"TCA_SSH": TYPES.by_name["TCA_SSH"]})
    assert found(faults_to_execute(workflow, only_ssh)) == {
        (ErrorCode.STEP_TYPE_NOT_INSTALLED, f"steps.{step_id}.type") for step_id, step in workflow.steps.items() if step.type != "TCA_SSH"
    }
    assert check(one_step({"type": "JAVASCRIPT"}), NOTHING_INSTALLED).faults == ()


def test_the_largest_workflow_is_checked_well_within_a_second() -> None:
    source = chain(2_000)
    begun = time.process_time()
    parsed = check(source, TYPES)
    assert time.process_time() - begun < 1
    assert parsed.faults == parsed.warnings == ()


def test_thousands_of_mistakes_do_not_take_longer() -> None:
    steps = {f"step-number-{n}": {"type": f"KIND_{n}", "nextStepId": f"stop-number-{n}", "colour": n} for n in range(2_000)}
    inputs = {f"input-number-{n}": {"type": "string"} for n in range(2_000)}
    begun = time.process_time()
    assert check(document(steps=steps, inputs=inputs), TYPES).faults
    assert time.process_time() - begun < 2


@settings(max_examples=300)
@given(st.data())
def test_nothing_brings_validation_down(data: st.DataObject) -> None:
    source = example()
    place: Any = source
    for _ in range(data.draw(st.integers(0, 5))):
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key]:
            break
        place = place[key]
    place[data.draw(st.sampled_from(sorted(place)) | PIECE)] = data.draw(VALUE)
    parsed = check(source, TYPES, strict=data.draw(st.booleans()))
    assert (parsed.workflow is None) == bool(parsed.faults)
    assert all(fault.path and fault.message for fault in parsed.faults)
