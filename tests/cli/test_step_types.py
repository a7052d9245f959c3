"""Risk: what somebody is told of a step type is not what it takes, or another one is told than the one that is installed."""

import json

from stepswitch.bootstrap import installed_types
from stepswitch.cli import signatures
from stepswitch.domain.step_types import InputSpec, OutputSpec, StepSignature
from stepswitch.domain.values import ValueType
from tests.cli.calling import Caller

SIGNATURE = StepSignature(
    "X",
    "Does something.",
    (
        InputSpec("host", (ValueType.STRING,), "Where.", required=True),
        InputSpec("a", (ValueType.STRING, ValueType.FILE), "One.", one_of="what", tells_what=True),
        InputSpec("b", (ValueType.STRING,), "Other.", one_of="what", tells_what=True),
        InputSpec("fast", (ValueType.BOOLEAN,), "How.", default=False),
        InputSpec("mode", (ValueType.STRING,), "Which.", default="on", choices=("on", "off")),
        InputSpec("note", (ValueType.STRING,), "Why."),
    ),
    (OutputSpec("said", ValueType.STRING, "What it said."),),
    aliases=("Y",),
    time_limit_seconds=60,
    device_input="host",
)


def test_every_input_is_told_with_what_holds_where_nobody_gives_it() -> None:
    assert signatures.input_rows(SIGNATURE) == [
        ("host", "string", "must be given", "Where."),
        ("a", "string or file", "a or b must be given", "One."),
        ("b", "string", "a or b must be given", "Other."),
        ("fast", "boolean", "false", "How."),
        ("mode", "string", "on", "Which. One of on, off."),
        ("note", "string", "", "Why."),
    ]
    assert signatures.facts(SIGNATURE) == (
        "Also read as Y.",
        "Time limit: 60 seconds, unless the policy of the step says otherwise.",
        "It is never run twice unasked, unless its policy says safeToRerun.",
        "A probe takes over all of its inputs but a, b.",
    )


def test_as_json_nothing_that_is_declared_is_missing(stepswitch: Caller) -> None:
    told = json.loads(stepswitch("step-types", "--json").out)
    types = {each.name: each for each in installed_types().by_name.values()}
    assert [each["name"] for each in told] == sorted(types)
    for each in told:
        signature = types[each["name"]]
        assert [(spec["name"], spec["default"], spec["required"]) for spec in each["inputs"]] == [
            (spec.name, spec.default, spec.required) for spec in signature.inputs
        ]
        assert [spec["name"] for spec in each["outputs"]] == [spec.name for spec in signature.outputs]
        assert each["deviceInputs"] == list(signature.device_inputs)
    assert json.loads(json.dumps(signatures.as_object(SIGNATURE)))["inputs"][1]["oneOf"] == "what"


def test_one_is_found_by_its_name_or_an_alias(stepswitch: Caller) -> None:
    assert stepswitch("step-types", "JAVASCRIPT").out.startswith("JS: ")
    told = stepswitch("step-types", "HTTP").out
    assert "\nmethod\tstring\tGET\tThe method. One of GET, HEAD, " in told
    assert "\nstatusCode\tnumber\t" in told
    assert "TCA_SSH" not in told


def test_one_that_is_not_installed_is_said_with_those_that_are(stepswitch: Caller) -> None:
    called = stepswitch("step-types", "VRO_NOTHING", "--json")
    assert (called.exit, called.out) == (2, "")
    assert "no step type is called 'VRO_NOTHING' here: there are HTTP, JAVASCRIPT, JS, " in called.err
