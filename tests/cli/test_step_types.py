"""Risk: what somebody is told of a step type is not what it takes, or another one is told than the one that is installed."""

import json
from dataclasses import replace

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


def test_when_it_is_run_again_and_what_it_leaves_is_said_once() -> None:
    told = signatures.facts(replace(SIGNATURE, safe_when={"mode": frozenset({"off"})}, outlives=True, time_limit_seconds=2_592_000.0))
    assert told[1:4] == (
        "Time limit: 2592000 seconds, unless the policy of the step says otherwise.",
        "Where mode is off, running it twice never harms, unless its policy says safeToRerun with false. Else it is never run twice unasked, unless its policy says safeToRerun.",
        "What it starts does not end with its connection: what is left is removed after the attempt, also by the next start.",
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
        assert (each["deviceInputs"], each["outlives"]) == (list(signature.device_inputs), signature.outlives)
    assert json.loads(json.dumps(signatures.as_object(SIGNATURE)))["inputs"][1]["oneOf"] == "what"


def test_one_is_found_by_its_name_or_an_alias(stepswitch: Caller) -> None:
    assert stepswitch("step-types", "JAVASCRIPT").out.startswith("JS: ")
    told = stepswitch("step-types", "HTTP").out
    assert "\nmethod\tstring\tGET\tThe method. One of GET, HEAD, " in told
    assert "\nstatusCode\tnumber\t" in told
    assert "TCA_SSH" not in told


def test_no_link_leads_to_a_page_that_is_not_here(stepswitch: Caller) -> None:
    told = stepswitch("step-types").out
    assert ".md" not in told
    assert "See 'the platforms'. One of ios, " in told


def test_one_that_is_not_installed_is_said_with_those_that_are(stepswitch: Caller) -> None:
    called = stepswitch("step-types", "VRO_NOTHING", "--json")
    assert (called.exit, called.out) == (2, "")
    assert "no step type is called 'VRO_NOTHING' here: there are HTTP, JAVASCRIPT, JS, " in called.err
