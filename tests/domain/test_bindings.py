"""Risk: a step gets another value than the author meant, an output is lost or written wrongly, or a secret stands in a message."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain import bindings
from stepswitch.domain.bindings import Written, bind, write
from stepswitch.domain.document import Declaration, Step
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.values import Value, ValueType
from tests.domain.documents import JS, NOOP, SSH, JsonObject, example, found, step_of, workflow_of


def taking(**in_bindings: JsonObject) -> Step:
    return step_of({"type": "TCA_SSH", "inBindings": in_bindings})


def inputs_of(step: Step, **values: Value) -> dict[str, Value]:
    bound = bind(step, values, None)
    assert bound.faults == ()
    return bound.inputs


def test_an_input_takes_the_named_value_else_its_default_else_nothing() -> None:
    step = taking(x={"type": "string", "exportName": "v", "defaultValue": "d"}, y={"type": "string", "exportName": "v"})
    assert inputs_of(step, v="value") == {"x": "value", "y": "value"}
    assert inputs_of(step, v="") == {"x": "", "y": ""}
    assert inputs_of(step) == {"x": "d"}


def test_references_are_replaced_in_defaults_only_and_once() -> None:
    step = taking(
        x={"type": "string", "exportName": "v", "defaultValue": "{{w}}/{{ n }}/{{b}}/{{{{w}}"},
        p={"type": "password", "defaultValue": "{{w}}"},
    )
    assert inputs_of(step, w="{{n}}", n=1.0, b=True) == {"x": "{{n}}/1/true/{{w}}", "p": "{{w}}"}
    assert inputs_of(step, v="{{w}}", w="no")["x"] == "{{w}}"


def test_a_reference_without_value_is_empty_and_said() -> None:
    bound = bind(taking(x={"type": "string", "defaultValue": "[{{w}}{{w}}]"}), {}, None)
    assert bound.inputs == {"x": "[]"}
    assert bound.notes == ("{{w}} in the input 'x' has no value: nothing is put in its place",)


def test_a_value_is_brought_to_the_type_of_the_binding() -> None:
    step = taking(n={"type": "number", "exportName": "v"})
    assert inputs_of(step, v=" 5 ") == {"n": 5}
    bound = bind(step, {"v": "hunter22"}, None)
    assert found(bound.faults) == {(ErrorCode.WRONG_TYPE, "steps.a.inBindings.n")}
    assert "hunter22" not in bound.faults[0].message


def test_a_short_document_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "MAX_FILLED", 100)
    step = taking(x={"type": "string", "defaultValue": "{{v}}" * 10})
    assert inputs_of(step, v="x" * 10) == {"x": "x" * 100}
    assert found(bind(step, {"v": "x" * 11}, None).faults) == {(ErrorCode.TOO_LARGE, "steps.a.inBindings.x")}


def test_required_inputs_that_are_missing_are_all_named() -> None:
    step = taking(hostNameOrIP={"type": "string", "exportName": "host"}, username={"type": "string"})
    bound = bind(step, {}, SSH)
    assert found(bound.faults) == {
        (ErrorCode.MISSING_INPUT, "steps.a.inBindings.hostNameOrIP"),
        (ErrorCode.MISSING_INPUT, "steps.a.inBindings.username"),
        (ErrorCode.MISSING_INPUT, "steps.a.inBindings"),
    }
    messages = " ".join(fault.message for fault in bound.faults)
    assert "'host' has no value" in messages
    assert "one of cmd and script" in messages


def test_an_input_that_was_refused_is_not_called_missing_as_well() -> None:
    signature = StepSignature("T", "", inputs=(next(spec for spec in SSH.inputs if spec.name == "hostNameOrIP"),))
    bound = bind(taking(hostNameOrIP={"type": "number", "exportName": "host"}), {"host": "h"}, signature)
    assert [fault.code for fault in bound.faults] == [ErrorCode.WRONG_TYPE]


def test_choices_hold_for_values_too() -> None:
    step = next(iter(workflow_of(example() | {"steps": {"a": _ask_with_platform()}, "startStepId": "a"}).steps.values()))
    assert found(bind(step, {"host": "h", "mode": "vms"}, SSH).faults) == {(ErrorCode.INVALID_VALUE, "steps.a.inBindings.platform")}
    assert bind(step, {"host": "h", "mode": "ios"}, SSH).faults == ()


def _ask_with_platform() -> JsonObject:
    ask = example()["steps"]["ask"]
    return {**ask, "nextStepId": None, "inBindings": {**ask["inBindings"], "platform": {"type": "string", "exportName": "mode"}}}


def test_defaults_of_the_type_are_left_to_the_type() -> None:
    ask = workflow_of(example()).steps["ask"]
    bound = bind(ask, {"host": "h", "pw": "secret", "mode": "active"}, SSH)
    assert bound.inputs == {"hostNameOrIP": "h", "username": "admin", "password": "secret", "cmd": "show registration active"}
    assert bound.faults == ()
    assert bound.notes == ()


def test_the_vim_location_of_the_context_fills_the_input_of_that_name() -> None:
    ask = workflow_of(example()).steps["ask"]
    values: dict[str, Value] = {"host": "h", "pw": "secret", "mode": "m", "vimLocation": "paris"}
    assert bind(ask, values, SSH).inputs["vimLocation"] == "paris"
    assert "vimLocation" not in bind(ask, values, JS).inputs
    own = taking(vimLocation={"type": "vimLocation", "defaultValue": "oslo"})
    assert bind(own, values, SSH).inputs["vimLocation"] == "oslo"


DECLARED = {
    "t": Declaration("t", ValueType.STRING),
    "n": Declaration("n", ValueType.NUMBER),
    "b": Declaration("b", ValueType.BOOLEAN),
}


def writing(kind: str = "string") -> Step:
    out_bindings = {name: {"name": f"out-{name}", "type": kind} for name in DECLARED}
    variables = {name: {"type": declared.type} for name, declared in DECLARED.items()}
    return step_of({"type": "JS", "outBindings": out_bindings}, variables=variables)


def written_by(step: Step, outputs: Mapping[str, object]) -> Written:
    return write(step.out_bindings, DECLARED, outputs, f"steps.{step.id}")


def test_outputs_are_brought_to_the_type_of_what_they_are_written_to() -> None:
    written = written_by(writing("boolean"), {"out-t": 5, "out-n": "7", "out-b": "TRUE", "more": object()})
    assert written.values == {"t": "5", "n": 7, "b": True}
    assert written.faults == ()


def test_an_output_that_is_absent_leaves_its_target_alone() -> None:
    assert written_by(writing(), {"out-t": None}).values == {}


def test_a_misfit_names_output_target_and_kind_and_never_the_value() -> None:
    written = written_by(writing(), {"out-t": {"k": "hunter22"}, "out-n": "hunter22", "out-b": 1})
    assert written.values == {}
    assert found(written.faults) == {(ErrorCode.OUTPUT_MISFIT, f"steps.a.outBindings.{name}") for name in "tnb"}
    messages = [fault.message for fault in written.faults]
    assert messages[0] == "the output 'out-t' cannot be written to 't': an object is no string; structured data travels as a JSON string"
    assert "hunter22" not in "".join(messages)


@given(
    st.dictionaries(
        st.sampled_from(["out-t", "out-n", "out-b"]), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    )
)
def test_every_output_is_written_or_refused(outputs: dict[str, Any]) -> None:
    written = written_by(writing(), outputs)
    assert len(written.values) + len(written.faults) == sum(value is not None for value in outputs.values())


def test_steps_without_bindings_cost_next_to_nothing() -> None:
    step = step_of({"type": "NOOP"})
    begun = time.process_time()
    for _ in range(100_000):
        bind(step, {}, NOOP)
        written_by(step, {})
    assert time.process_time() - begun < 2
    assert bind(step, {}, NOOP) is bind(step, {}, NOOP)
    assert written_by(step, {}) is written_by(step, {})
