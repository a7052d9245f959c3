"""Documents and step types for the tests of the domain."""

from collections.abc import Iterable
from typing import Any, Final

from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.parsing import parse
from stepswitch.domain.step_types import InputSpec, OutputSpec, StepSignature, collect
from stepswitch.domain.values import ValueType

JsonObject = dict[str, Any]
_TEXT: Final = (ValueType.STRING,)
_SECRET: Final = (ValueType.PASSWORD,)

NOOP: Final = StepSignature("NOOP", "Does nothing.", other_inputs=True, always_safe=True, inline=True, only_computes=True)
JS: Final = StepSignature(
    "JS",
    "Runs a script.",
    inputs=(InputSpec("script", (ValueType.STRING, ValueType.FILE), "The script.", required=True),),
    aliases=("JAVASCRIPT",),
    other_inputs=True,
    other_outputs=True,
    always_safe=True,
    only_computes=True,
)
SSH: Final = StepSignature(
    "TCA_SSH",
    "Runs a command.",
    inputs=(
        InputSpec("hostNameOrIP", _TEXT, "The host.", required=True),
        InputSpec("username", _TEXT, "Who logs in.", required=True),
        InputSpec("password", _SECRET, "With what."),
        InputSpec("enablePassword", _SECRET, "With what it commands."),
        InputSpec("port", (ValueType.NUMBER,), "The port.", default=22),
        InputSpec("cmd", _TEXT, "The command.", one_of="cmd", tells_what=True),
        InputSpec("script", (ValueType.FILE,), "A file of commands.", one_of="cmd", tells_what=True),
        InputSpec("platform", _TEXT, "The router.", choices=("ios", "junos")),
        InputSpec("vimLocation", (ValueType.VIM_LOCATION,), "Where."),
    ),
    outputs=(OutputSpec("outputText", ValueType.STRING, "All of it."), OutputSpec("exitCode", ValueType.NUMBER, "The code.")),
    device_input="hostNameOrIP",
    port_input="port",
)
TYPES: Final = collect((NOOP, JS, SSH))


def example() -> JsonObject:
    """Return the example of `workflow-semantics`, section 1."""
    return {
        "name": "Register gNB",
        "version": "7",
        "schemaVersion": "3.0",
        "startStepId": "pick",
        "inputs": {
            "host": {"type": "string", "required": True},
            "pw": {"type": "password", "required": True},
            "mode": {"type": "string", "defaultValue": "active"},
        },
        "variables": {"answer": {"type": "string"}},
        "outputs": {"registration": {"type": "string"}},
        "steps": {
            "pick": {
                "type": "NOOP",
                "conditions": [{"name": "mode", "comparator": "equals", "value": "active", "nextStepId": "ask"}],
            },
            "ask": {
                "type": "TCA_SSH",
                "nextStepId": "shape",
                "inBindings": {
                    "hostNameOrIP": {"type": "string", "exportName": "host"},
                    "username": {"type": "string", "defaultValue": "admin"},
                    "password": {"type": "password", "exportName": "pw"},
                    "cmd": {"type": "string", "defaultValue": "show registration {{mode}}"},
                },
                "outBindings": {"answer": {"name": "outputText", "type": "string"}},
            },
            "shape": {
                "type": "JS",
                "inBindings": {
                    "script": {"type": "string", "defaultValue": "return { id: 'r-' + text.trim() }"},
                    "text": {"type": "string", "exportName": "answer"},
                },
                "outBindings": {"registration": {"name": "id", "type": "string"}},
            },
        },
    }


def document(**fields: Any) -> JsonObject:
    """Return a small document with `fields` set; None takes a field away."""
    whole = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": "NOOP"}}, **fields}
    return {name: value for name, value in whole.items() if value is not None}


def one_step(step: JsonObject, **fields: Any) -> JsonObject:
    """Return a document whose only step, `a`, is `step`."""
    return document(steps={"a": step}, **fields)


def chain(length: int) -> JsonObject:
    """Return a document of `length` steps, one after the other, each with bindings and a condition."""
    steps = {
        f"s{place}": {
            "type": "JS",
            "nextStepId": f"s{place + 1}" if place + 1 < length else None,
            "conditions": [{"name": "count", "comparator": "greater", "value": 5, "nextStepId": "s0"}],
            "inBindings": {
                "script": {"type": "string", "defaultValue": "return {count: count + 1}"},
                "count": {"type": "number", "exportName": "count"},
            },
            "outBindings": {"count": {"name": "count", "type": "number"}},
        }
        for place in range(length)
    }
    return document(startStepId="s0", steps=steps, variables={"count": {"type": "number", "defaultValue": 0}})


def workflow_of(source: JsonObject) -> Workflow:
    """Return the workflow that `source` describes; it must have no faults."""
    parsed = parse(source)
    assert parsed.workflow is not None, parsed.faults
    return parsed.workflow


def step_of(step: JsonObject, **fields: Any) -> Step:
    """Return the step that `step` describes."""
    return workflow_of(one_step(step, **fields)).steps["a"]


def found(faults: Iterable[Fault]) -> set[tuple[ErrorCode, str]]:
    """Return the code and path of each fault."""
    return {(fault.code, fault.path) for fault in faults}
