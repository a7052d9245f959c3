"""Requests that mean something, for Hypothesis: what a description alone would hardly ever bring about. Used by `hooks`."""

import os
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from tests.api import inventories

ATTACHMENT: Final = "hello.txt"
STEP_IDS: Final = ("a", "b", "c")
TEXT: Final = {"type": "string"}
CREDENTIAL: Final = {
    "source": {"kind": "stored", "value": "a pigeon"},
    "roles": ["*"],
    "workflows": ["*"],
    "devices": ["*"],
}
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
_SCRIPTS: Final = (
    "if (word === 'fail') throw new Error('no'); return { said: 'yes' }",
    "throw new Error('no')",
    "console.log('hm'); return {}",
    "return { said: 7 }",
)
JsonObject = dict[str, Any]


def _script(script: str) -> JsonObject:
    return {
        "type": "JS",
        "inBindings": {"script": {**TEXT, "defaultValue": script}, "word": {**TEXT, "exportName": "word"}},
        "outBindings": {"said": {"name": "said", **TEXT}},
    }


STEPS: Final = st.one_of(st.just({"type": "NOOP"}), st.sampled_from(_SCRIPTS).map(_script))


@st.composite
def workflows(draw: st.DrawFn) -> JsonObject:
    """Return a workflow that can be executed and comes to an end: steps that follow one another, of which some fail."""
    steps = {step_id: dict(draw(STEPS)) for step_id in STEP_IDS[: draw(st.integers(1, len(STEP_IDS)))]}
    for step_id, following in zip(steps, list(steps)[1:], strict=False):
        steps[step_id]["nextStepId"] = following
        if draw(st.booleans()):
            steps[step_id]["conditions"] = [{"name": "word", "comparator": "equals", "value": "go", "nextStepId": following}]
    document: JsonObject = {
        "name": draw(st.sampled_from(["Say", "Ask", "Prüfe"])), "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": steps,
        "inputs": {"word": TEXT, "pw": {"type": "password"}}, "variables": {"said": TEXT}, "tags": [{"name": "5G"}],
    }  # fmt: skip
    return document


@st.composite
def orders(draw: st.DrawFn) -> JsonObject:
    """Return what asks for an execution of a workflow that is still to be named: some stop at breakpoints, some when a step fails."""
    kind = draw(st.sampled_from(["NONE", "NONE", "VNF", "NS"]))
    context = {"VNF": {"vnfId": "vnf-1"}, "NS": {"nsId": "ns-1", "vimLocation": "north"}}.get(kind, {})
    return {
        "workflowId": "any", "contextType": kind, "context": context, "assignments": draw(st.sampled_from([{}, {"word": "go", "pw": "hunter22"}])),
        "pauseAtFailure": draw(st.booleans()), "debugStepIds": draw(st.sampled_from([[], ["a"], ["a"]])),
    }  # fmt: skip


@st.composite
def changes(draw: st.DrawFn) -> JsonObject:
    """Return a change of an execution."""
    found: JsonObject = {}
    if draw(st.booleans()):
        found["startStepId"] = draw(st.sampled_from(STEP_IDS))
    if draw(st.booleans()):
        found["debugStepIds"] = draw(st.lists(st.sampled_from(STEP_IDS), max_size=2))
    if draw(st.booleans()):
        found["pauseAtFailure"] = draw(st.booleans())
    if draw(st.booleans()):
        found["retainedTil"] = "2090-01-31T08:15:00Z"
    if draw(st.booleans()):
        edits = st.dictionaries(st.sampled_from(STEP_IDS), st.none() | STEPS, max_size=2)
        found["steps"] = draw(edits)
    return found


NAMES: Final = st.text("abcdefghij", min_size=6, max_size=8)


def users() -> st.SearchStrategy[JsonObject]:
    """Return users to make."""
    roles = st.sampled_from([["Workflow Executor"], ["Workflow Designer", "Operations"], ["System Administrator"]])
    return st.builds(lambda name, chosen: {"username": name, "password": "a pigeon on the roof", "roles": chosen}, NAMES, roles)


VALUES: Final = st.fixed_dictionaries({"values": st.dictionaries(st.sampled_from(["word", "said"]), st.none() | st.text(max_size=5))})
_OLD: Final = {
    "name": "Restart", "version": "1", "schemaVersion": "1.0", "inputs": [{"name": "host", **TEXT}],
    "steps": [
        {"stepId": "s", "stepNumber": 1, "workflow": "RUN_SSH_COMMAND_IN_GUEST", "namespace": "", "type": "VRO", "nextStep": "END",
         "inBinding": [{"name": "hostNameOrIP", **TEXT, "exportName": "host"}, {"name": "cmd", **TEXT, "default": "id"}], "outBinding": []},
    ],
}  # fmt: skip
WORKFLOW: Final[JsonObject] = {
    "name": "Say", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
    "inputs": {"word": TEXT, "pw": {"type": "password"}}, "variables": {"said": TEXT},
    "steps": {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {**_script(_SCRIPTS[0]), "nextStepId": "c"}, "c": {"type": "NOOP"}},
}  # fmt: skip
_REHEARSAL: Final = {"name": "r", "results": {"a": [{}]}, "expected": {"way": ["a"]}}


@cache
def bodies() -> dict[str, st.SearchStrategy[Any]]:
    """Return what is sent, by operation; the workflow that an execution is of is added when it is sent."""
    login = st.just({"username": "admin", "password": os.environ["FUZZ_PASSWORD"]})
    return {
        "login": login,
        "loginSingular": login,
        "createWorkflow": workflows(),
        "createWorkflowAs": workflows(),
        "createWorkflowWithFiles": st.fixed_dictionaries({"workflow": workflows()}),
        "replaceWorkflow": workflows(),
        "validateWorkflow": workflows() | st.just(_OLD),
        "convertWorkflow": st.just({"owner": {"id": "admin", "type": "USER"}, "original": _OLD}),
        "createWorkflowExecution": orders(),
        "createWorkflowExecutionWithFiles": st.fixed_dictionaries({"workflowExecution": orders()}),
        "changeWorkflowExecution": changes(),
        "setExecutionValues": VALUES,
        "abandonExecutionCleanup": st.sampled_from([{}, {"stepNumbers": [0]}, {"stepNumbers": [0, 1]}]),
        "rehearseWorkflow": workflows().map(lambda workflow: {"workflow": workflow, "rehearsals": [_REHEARSAL]}),
        "createUser": users(),
        "changeUser": st.sampled_from([{"isDisabled": True}, {"roles": ["Operations"], "isDisabled": False}, {}]),
        "createOwnToken": st.builds(lambda name: {"name": name}, NAMES),
        "createTokenOfUser": st.builds(lambda name: {"name": name, "privileges": ["Workflow Read"]}, NAMES),
        "createRole": st.builds(lambda name: {"name": name, "privileges": ["Workflow Read"], "workflowNames": ["core *"]}, NAMES),
        "createCredential": st.builds(lambda name: {"name": name, **CREDENTIAL}, NAMES),
        "changeCredential": st.sampled_from([{"description": "for people"}, {"devices": ["192.0.2.0/24:22"]}, {}]),
        **{name: st.just(body) for name, body in inventories.BODIES.items()},
        "trustHostKey": st.just({"host": "127.0.0.1", "port": 1, "publicKey": KEY}),
        "scanHostKeys": st.just({"host": "127.0.0.1", "port": 1}),
    }
