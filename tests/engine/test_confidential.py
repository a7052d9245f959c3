"""Risk: a workflow holds a password in a place that nobody looks at, and is taken for one that has nothing to hide: then nothing of it is masked, and nothing encrypted."""

from typing import Any

import pytest

from stepswitch.engine.confidential import secret_inputs
from stepswitch.engine.snapshots import Compiled, compile_snapshot

_SECRET = {"type": "password", "defaultValue": "open sesame"}
_LIKE_A_SECRET = {"type": "string", "defaultValue": "open sesame"}
_PROBE = {
    "inBindings": {"cmd": _LIKE_A_SECRET},
    "done": [{"name": "outputText", "comparator": "contains", "value": "active"}],
    "notDone": [{"name": "outputText", "comparator": "contains", "value": "missing"}],
}


def _compiled(step: dict[str, Any], **sections: Any) -> Compiled:
    whole = {
        "name": "w",
        "version": "1",
        "schemaVersion": "3.0",
        "id": "w",
        "startStepId": "a",
        "steps": {"a": {"type": "TCA_SSH", **step}},
    }
    return compile_snapshot("default", {**whole, **sections})


def _probing(**more: Any) -> dict[str, Any]:
    return {"policy": {"probe": {**_PROBE, **more}}}


PLACES = {
    "an input": ({}, {"inputs": {"p": _SECRET}}),
    "a variable": ({}, {"variables": {"p": _SECRET}}),
    "an output": ({}, {"outputs": {"p": {"type": "password"}}}),
    "what a step is given": ({"inBindings": {"password": _SECRET}}, {}),
    "what a step is given and passes on": ({"inBindings": {"password": {"type": "password", "exportName": "p"}}}, {}),
    "what a step writes": ({"outBindings": {"p": {"name": "outputText", "type": "password"}}}, {"variables": {"p": {"type": "string"}}}),
    "what a probe is given": (_probing(inBindings={"password": _SECRET}), {}),
    "what a probe writes": (
        _probing(outBindings={"p": {"name": "outputText", "type": "password"}}),
        {"variables": {"p": {"type": "string"}}},
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_one_password_anywhere_makes_a_workflow_confidential(place: str) -> None:
    step, sections = PLACES[place]
    assert _compiled(step, **sections).is_confidential


def test_what_is_not_confidential_knows_no_secret_anywhere() -> None:
    step = {
        "inBindings": {"password": {**_LIKE_A_SECRET, "exportName": "q"}},
        "outBindings": {"p": {"name": "outputText", "type": "string"}},
        **_probing(inBindings={"cmd": _LIKE_A_SECRET}, outBindings={"p": {"name": "outputText", "type": "string"}}),
    }
    compiled = _compiled(
        step, inputs={"i": _LIKE_A_SECRET}, variables={"p": _LIKE_A_SECRET, "q": _LIKE_A_SECRET}, outputs={"o": {"type": "string"}}
    )
    assert not compiled.is_confidential
    assert (compiled.secret_names, compiled.secret_defaults, secret_inputs(compiled, "a")) == (frozenset(), (), frozenset())
