"""Risk: an execution starts with a value that it must not have, or is refused without saying why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.assignments import check_assignments, initial_values
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.execution import ContextType
from tests.domain.documents import document, found, workflow_of

INPUTS = {
    "host": {"type": "string", "required": True},
    "size": {"type": "number", "required": True, "defaultValue": 3},
    "ip": {"type": "string", "format": "ip"},
    "cfg": {"type": "file", "defaultValue": "base.xml"},
}
VARIABLES = {"region": {"type": "string", "defaultValue": "north"}, "count": {"type": "number"}, "secret": {"type": "password"}}
OUTPUTS = {"state": {"type": "string", "defaultValue": "new"}, "answer": {"type": "string"}}
FILES = {"base.xml": {"id": "1", "reference": "r"}}


def workflow(**fields: Any) -> Workflow:
    return workflow_of(document(**{"inputs": INPUTS, "variables": VARIABLES, "outputs": OUTPUTS, "attachments": FILES, **fields}))


def faults(
    assignments: dict[str, Any], context: dict[str, Any] | None = None, kind: ContextType = ContextType.NONE, **fields: Any
) -> set[tuple[ErrorCode, str]]:
    return found(listed(assignments, context, kind, **fields))


def listed(
    assignments: dict[str, Any], context: dict[str, Any] | None = None, kind: ContextType = ContextType.NONE, **fields: Any
) -> tuple[Fault, ...]:
    return check_assignments(workflow(**fields), assignments, context or {}, kind, {"own.xml"})


def test_what_fits_has_no_fault() -> None:
    assert faults({"host": "h", "size": 4, "ip": "::1", "cfg": "own.xml"}, {"region": "south", "free": 5, "vimLocation": "paris"}) == set()
    assert faults({"host": "h", "size": None}) == set()


def test_all_faults_of_assignments_are_listed() -> None:
    assert faults({"size": "4", "ip": "1.2.3", "cfg": "none.xml", "hots": "h", "region": "x", "answer": "y", "\n": 1}) == {
        (ErrorCode.MISSING_INPUT, "assignments.host"),
        (ErrorCode.WRONG_TYPE, "assignments.size"),
        (ErrorCode.INVALID_VALUE, "assignments.ip"),
        (ErrorCode.UNKNOWN_ATTACHMENT, "assignments.cfg"),
        (ErrorCode.UNKNOWN_INPUT, "assignments.hots"),
        (ErrorCode.UNKNOWN_INPUT, "assignments.region"),
        (ErrorCode.UNKNOWN_INPUT, "assignments.answer"),
        (ErrorCode.UNKNOWN_INPUT, "assignments.'\\n'"),
    }


def test_the_nearest_input_is_named() -> None:
    assert "did you mean 'host'?" in listed({"hots": "h"})[0].message


def test_a_default_file_that_is_gone_is_missed_before_anything_runs() -> None:
    assert faults({"host": "h"}, attachments={}) == {(ErrorCode.UNKNOWN_ATTACHMENT, "assignments.cfg")}


@pytest.mark.parametrize(
    ("kind", "key"),
    [(ContextType.VNF, "vnfId"), (ContextType.CNF, "vnfId"), (ContextType.NS, "nsId")],
)
def test_a_context_carries_what_its_type_injects(kind: ContextType, key: str) -> None:
    path = f"context.{key}"
    assert faults({"host": "h"}, {}, kind) == {(ErrorCode.MISSING_FIELD, path)}
    assert faults({"host": "h"}, {key: 5}, kind) == {(ErrorCode.WRONG_TYPE, path)}
    assert faults({"host": "h"}, {key: " "}, kind) == {(ErrorCode.INVALID_VALUE, path)}
    assert faults({"host": "h"}, {key: "x"}, kind) == set()


def test_what_is_injected_cannot_be_overwritten() -> None:
    inputs = {"vnfId": {"type": "string", "required": True}, "vimLocation": {"type": "vimLocation", "required": True}}
    given = {"vnfId": "x", "vimLocation": "paris"}
    assert faults(given, {"vnfId": "x"}, ContextType.VNF, inputs=inputs) == {(ErrorCode.INVALID_VALUE, "assignments.vnfId")}
    assert faults(given, {"vimLocation": "oslo"}, inputs=inputs) == {(ErrorCode.INVALID_VALUE, "assignments.vimLocation")}
    assert faults(given, {"vimLocation": "paris"}, inputs=inputs) == set()
    assert faults({}, given, ContextType.VNF, inputs=inputs) == set()
    assert initial_values(workflow(inputs=inputs), {}, given)["vnfId"] == "x"


def test_a_context_says_what_fits_where_something_does_not() -> None:
    (fault,) = listed({"host": "h"}, {"list": {}})
    assert fault.message == "an object is no string, number or boolean"


def test_a_context_fills_variables_only() -> None:
    context = {"host": "h", "count": "5", "secret": "hunter22", "answer": "a", "list": [1], "\n": "x", "region": None}
    assert faults({"host": "h"}, context) == {
        (ErrorCode.INVALID_VALUE, "context.host"),
        (ErrorCode.WRONG_TYPE, "context.count"),
        (ErrorCode.INVALID_VALUE, "context.secret"),
        (ErrorCode.INVALID_VALUE, "context.answer"),
        (ErrorCode.WRONG_TYPE, "context.list"),
        (ErrorCode.INVALID_VALUE, "context.'\\n'"),
    }


def test_defaults_then_assignments_then_context() -> None:
    values = initial_values(workflow(), {"host": "h", "size": 4, "ip": None}, {"region": "south", "free": True, "nsId": "n", "gone": None})
    assert values == {"host": "h", "size": 4, "cfg": "base.xml", "region": "south", "state": "new", "free": True, "nsId": "n"}


ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.lists(st.integers(), max_size=2)
NAMES = st.sampled_from([*INPUTS, *VARIABLES, *OUTPUTS, "vnfId", "nsId", "vimLocation"]) | st.text(st.characters(), max_size=5)


@given(st.dictionaries(NAMES, ANY), st.dictionaries(NAMES, ANY), st.sampled_from(ContextType))
def test_what_has_no_fault_can_be_started_with(assignments: dict[str, Any], context: dict[str, Any], kind: ContextType) -> None:
    whole = workflow()
    faults = check_assignments(whole, {"host": "h", **assignments}, context, kind)
    for fault in faults:
        str(fault).encode()
        assert fault.path.startswith(("assignments.", "context."))
    if not faults:
        assert initial_values(whole, {"host": "h", **assignments}, context)["host"] is not None
