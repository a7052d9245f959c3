"""Risk: a probe that acts, that can never tell, or that is not what its author meant is accepted; or he is told only half of what is wrong."""

from copy import deepcopy
from typing import Any

import pytest

from stepswitch.domain.conversion import convert
from stepswitch.domain.document import Comparator
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.parsing import parse
from stepswitch.domain.readers import Parsed
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.validation import check
from tests.domain.documents import TYPES, JsonObject, found, one_step, step_of

CODE = ErrorCode
AT = "steps.a.policy.probe"
VARIABLES = {"t": {"type": "string"}, "n": {"type": "number"}, "p": {"type": "password"}}


def text(value: str) -> JsonObject:
    return {"type": "string", "defaultValue": value}


def probe(**more: Any) -> JsonObject:
    whole = {
        "inBindings": {"cmd": text("show licence")},
        "done": [{"name": "outputText", "comparator": "contains", "value": "active"}],
        "notDone": [{"name": "outputText", "comparator": "contains", "value": "missing"}],
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def step(each: JsonObject, **more: Any) -> JsonObject:
    given = {"hostNameOrIP": text("h"), "username": text("u"), "cmd": text("request licence activate")}
    return {"type": "TCA_SSH", "inBindings": given, "policy": {"probe": each}, **more}


def condition(**fields: Any) -> JsonObject:
    return probe(done=[{"comparator": "equals", "value": "x", **fields}])


def checked(each: JsonObject, **more: Any) -> Parsed:
    return check(one_step(step(each, **more), variables=VARIABLES), TYPES)


def test_a_probe_that_only_names_its_command_has_no_fault() -> None:
    parsed = checked(probe(timeoutSeconds=5, delaySeconds=1, maxAttempts=2, outBindings={"t": {"name": "outputText", "type": "string"}}))
    assert (parsed.faults, parsed.warnings) == ((), ())
    assert parsed.workflow is not None
    read = parsed.workflow.steps["a"].policy.probe
    assert read is not None
    assert (read.timeout_seconds, read.delay_seconds, read.max_attempts) == (5, 1, 2)
    assert [(each.name, each.comparator, each.value) for each in read.done] == [("outputText", Comparator.CONTAINS, "active")]


def test_what_a_probe_does_not_say_is_what_the_reference_says() -> None:
    read = step_of(step(probe()), variables=VARIABLES).policy.probe
    assert read is not None
    assert (read.timeout_seconds, read.delay_seconds, read.max_attempts, read.out_bindings) == (60, 0, 3, ())


@pytest.mark.parametrize("each", [probe(done=[]), probe(notDone=[])])
def test_that_one_answer_can_never_be_told_may_be_said(each: JsonObject) -> None:
    assert checked(each).faults == ()


@pytest.mark.parametrize(
    ("each", "code", "path"),
    [
        (probe(inBindings=None), CODE.MISSING_FIELD, f"{AT}.inBindings"),
        (probe(inBindings={}), CODE.MISSING_FIELD, f"{AT}.inBindings"),
        (probe(done=None), CODE.MISSING_FIELD, f"{AT}.done"),
        (probe(done=[], notDone=[]), CODE.INVALID_VALUE, AT),
        (probe(notDone=None), CODE.MISSING_FIELD, f"{AT}.notDone"),
        (probe(done={"name": "outputText"}), CODE.WRONG_TYPE, f"{AT}.done"),
        (probe(done=["active"]), CODE.WRONG_TYPE, f"{AT}.done[0]"),
        (condition(), CODE.MISSING_FIELD, f"{AT}.done[0].name"),
        (condition(name="outputTxt"), CODE.UNDECLARED_NAME, f"{AT}.done[0].name"),
        (condition(name="t"), CODE.UNDECLARED_NAME, f"{AT}.done[0].name"),
        (condition(name="outputText", comparator="like"), CODE.INVALID_VALUE, f"{AT}.done[0].comparator"),
        (condition(name="outputText", value=None), CODE.UNFIT_COMPARATOR, f"{AT}.done[0].value"),
        (condition(name="exitCode", value="word"), CODE.UNFIT_COMPARATOR, f"{AT}.done[0].value"),
        (condition(name="exitCode", comparator="isTrue"), CODE.UNFIT_COMPARATOR, f"{AT}.done[0].value"),
        (condition(name="outputText", comparator="match", value="("), CODE.UNFIT_COMPARATOR, f"{AT}.done[0].value"),
        (condition(name="outputText", comparator="contains", value=""), CODE.UNFIT_COMPARATOR, f"{AT}.done[0].value"),
        (condition(name="outputText", value="{{nope}}"), CODE.UNDECLARED_NAME, f"{AT}.done[0].value"),
        (condition(name="outputText", value=["a"]), CODE.WRONG_TYPE, f"{AT}.done[0].value"),
        (probe(notDone=probe()["done"]), CODE.INVALID_VALUE, f"{AT}.notDone"),
        (probe(timeoutSeconds=0), CODE.INVALID_VALUE, f"{AT}.timeoutSeconds"),
        (probe(delaySeconds=-1), CODE.INVALID_VALUE, f"{AT}.delaySeconds"),
        (probe(maxAttempts=0), CODE.INVALID_VALUE, f"{AT}.maxAttempts"),
        (probe(maxAttempts=1.5), CODE.INVALID_VALUE, f"{AT}.maxAttempts"),
        (probe(inBindings={"cmd": {"defaultValue": "show"}}), CODE.MISSING_FIELD, f"{AT}.inBindings.cmd.type"),
        (probe(inBindings={"cmd": {"type": "number", "defaultValue": 1}}), CODE.WRONG_TYPE, f"{AT}.inBindings.cmd.type"),
        (probe(inBindings={"cmd": {"type": "string", "exportName": "x"}}), CODE.UNDECLARED_NAME, f"{AT}.inBindings.cmd.exportName"),
        (probe(inBindings={"cmd": text("show {{x}}")}), CODE.UNDECLARED_NAME, f"{AT}.inBindings.cmd.defaultValue"),
        (probe(inBindings={"cmd": {"type": "string"}}), CODE.MISSING_INPUT, f"{AT}.inBindings"),
        (probe(inBindings={"port": {"type": "number", "defaultValue": 23}}), CODE.MISSING_INPUT, f"{AT}.inBindings"),
        (probe(inBindings={"cmd": text("request licence activate")}), CODE.INVALID_VALUE, f"{AT}.inBindings"),
        (probe(outBindings={"u": {"name": "outputText", "type": "string"}}), CODE.UNDECLARED_NAME, f"{AT}.outBindings.u"),
    ],
)
def test_what_is_wrong_with_a_probe_is_told_with_its_place(each: JsonObject, code: ErrorCode, path: str) -> None:
    assert (code, path) in found(checked(each).faults)


def test_every_fault_is_told_at_once() -> None:
    wrong = probe(inBindings={"cmd": text("show {{x}}")}, done=[{"name": "outputTxt", "comparator": "match", "value": "("}], maxAttempts=0)
    wrong["notDone"] = [{"name": "exitCode", "comparator": "equals", "value": "word"}]
    assert {path for _, path in found(checked(wrong).faults)} == {
        f"{AT}.inBindings.cmd.defaultValue", f"{AT}.done[0].name", f"{AT}.done[0].value", f"{AT}.maxAttempts", f"{AT}.notDone[0].value",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["NOOP", "JS"])
def test_what_acts_on_nothing_needs_no_probe(kind: str) -> None:
    bindings = {"script": text("return {}")} if kind == "JS" else {}
    parsed = check(one_step({"type": kind, "inBindings": bindings, "policy": {"probe": probe(inBindings={"script": text("x")})}}), TYPES)
    assert (CODE.INVALID_VALUE, AT) in found(parsed.faults)


def test_a_step_type_that_does_not_say_what_tells_what_has_no_probe() -> None:
    silent = StepTypes({name: each if name != "TCA_SSH" else unmarked() for name, each in TYPES.by_name.items()})
    parsed = check(one_step(step(probe())), silent)
    assert (CODE.INVALID_VALUE, AT) in found(parsed.faults)


def unmarked() -> Any:
    signature = deepcopy(TYPES.by_name["TCA_SSH"])
    object.__setattr__(signature, "inputs", tuple(each for each in signature.inputs if not each.tells_what))
    return signature


def test_a_step_type_that_is_not_installed_is_looked_at_as_far_as_that_goes() -> None:
    parsed = check(one_step({**step(condition(name="outputText", comparator="match", value="(")), "type": "K8S"}), TYPES)
    assert (CODE.UNFIT_COMPARATOR, f"{AT}.done[0].value") in found(parsed.faults)
    parsed = check(one_step({**step(condition(name="whatever", value="y")), "type": "K8S"}), TYPES)
    assert parsed.faults == ()


def test_unknown_fields_are_kept_and_warned_about() -> None:
    parsed = checked(probe(intervalSeconds=3, done=[{"name": "outputText", "comparator": "isDefined", "nextStepId": "a"}]))
    assert parsed.faults == ()
    assert {(CODE.UNKNOWN_FIELD, f"{AT}.intervalSeconds"), (CODE.UNKNOWN_FIELD, f"{AT}.done[0].nextStepId")} <= found(parsed.warnings)
    assert parsed.workflow is not None
    assert parsed.workflow.source["steps"]["a"]["policy"]["probe"]["intervalSeconds"] == 3


def test_an_input_that_the_type_does_not_know_and_a_short_secret_are_warned_about() -> None:
    parsed = checked(probe(inBindings={"cmd": text("show"), "cdm": text("x"), "password": {"type": "password", "defaultValue": "ab"}}))
    assert found(parsed.warnings) == {
        (CODE.UNKNOWN_INPUT, f"{AT}.inBindings.cdm"),
        (CODE.SHORT_SECRET, f"{AT}.inBindings.password.defaultValue"),
    }


def test_what_only_a_probe_reads_and_writes_is_read_and_written() -> None:
    source = one_step(
        step(
            probe(
                inBindings={"cmd": text("show {{i}}")},
                done=[{"name": "outputText", "comparator": "equals", "value": "{{j}}"}],
                outBindings={"o": {"name": "outputText", "type": "string"}},
            )
        ),
        inputs={"i": {"type": "string", "format": "ip"}, "j": {"type": "string"}},
        outputs={"o": {"type": "string"}},
    )
    assert check(source, TYPES).warnings == ()


def test_a_document_of_an_older_schema_keeps_its_probe() -> None:
    old = {**one_step(step(probe()), variables=VARIABLES), "schemaVersion": "2.0"}
    converted = convert(old, TYPES)
    assert converted.document is not None, converted.faults
    assert converted.document["steps"]["a"]["policy"]["probe"] == probe()
    broken = convert({**one_step(step(probe(done=None)), variables=VARIABLES), "schemaVersion": "2.0"}, TYPES)
    assert (CODE.MISSING_FIELD, f"{AT}.done") in found(broken.faults)


@pytest.mark.parametrize("each", [None, 5, "show", [], {"inBindings": 3, "done": 3, "notDone": True, "outBindings": []}])
def test_whatever_stands_in_its_place_nothing_breaks(each: Any) -> None:
    source = one_step({"type": "TCA_SSH", "policy": {"probe": each}})
    parse(source)
    assert bool(check(source, TYPES).faults)
