"""A designer's stored password that somebody else has sent to a host of his own."""

from dataclasses import replace
from typing import Any

import pytest

from stepswitch.domain.errors import NotPermittedError
from stepswitch.domain.execution import ContextType, Head
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import grants_of
from stepswitch.engine.redirections import check_assigned, check_files, check_values
from stepswitch.engine.snapshots import Compiled, compile_snapshot
from tests.domain.documents import TYPES

OTHER_DESIGNER = Caller("eve", "default", grants_of(["Workflow Designer"], {}))
EXECUTOR = Caller("erin", "default", grants_of(["Workflow Executor"], {}))
DESIGNER = Caller("dora", "default", grants_of(["Workflow Designer"], {}))


def compiled(host: dict[str, Any], password: dict[str, Any], *, first: dict[str, Any] | None = None, **more: Any) -> Compiled:
    bindings = {"hostNameOrIP": {"type": "string", **host}, "password": {"type": "password", **password}, **more}
    return compile_snapshot(
        "default",
        {
            "name": "core restart",
            "version": "1",
            "schemaVersion": "3.0",
            "creationUser": "dora",
            "startStepId": "a",
            "inputs": {"given": {"type": "password"}, "asked": {"type": "string"}},
            "variables": {
                "host": {"type": "string", "defaultValue": "192.0.2.1"},
                "note": {"type": "string"},
                "token": {"type": "password"},
                "which": {"type": "file"},
                "site": {"type": "string"},
                "kept": {"type": "password", "defaultValue": "stored-secret"},
            },
            "attachments": {"run.sh": {"id": "file-1", "reference": "run.sh"}},
            "steps": {"a": {"type": "TCA_SSH", "inBindings": bindings}, **({} if first is None else {"b": first})},
        },
    )


def head(user: str, assignments: dict[str, Any], **values: Any) -> Head:
    return Head(
        "x", "default", "s", "w", "core restart", user, 0, ContextType.NONE, 0, assignments=assignments, values=assignments | values
    )


FINDING = {
    "type": "JS",
    "inBindings": {"script": {"type": "string", "defaultValue": "return { host: site }"}, "site": {"type": "string", "exportName": "site"}},
    "outBindings": {"host": {"name": "host", "type": "string"}},
}
STORED = {"defaultValue": "stored-secret"}


@pytest.mark.parametrize("host", [{"exportName": "host"}, {"defaultValue": "{{host}}.example"}])
@pytest.mark.parametrize("password", [{"defaultValue": "stored-secret"}, {"exportName": "kept"}])
def test_a_variable_that_leads_a_stored_password_is_the_designers(host: dict[str, Any], password: dict[str, Any]) -> None:
    workflow = compiled(host, password)
    with pytest.raises(NotPermittedError):
        check_values(EXECUTOR, workflow, {"host"}, TYPES)
    check_values(DESIGNER, workflow, {"host"}, TYPES)


def test_other_values_are_for_whoever_executes() -> None:
    check_values(EXECUTOR, compiled({"exportName": "host"}, {"defaultValue": "stored-secret"}), {"note", "asked"}, TYPES)
    check_values(EXECUTOR, compiled({"exportName": "host"}, {"exportName": "given"}), {"host"}, TYPES)
    check_values(EXECUTOR, compiled({"exportName": "asked"}, {"defaultValue": "stored-secret"}), {"asked", "host"}, TYPES)


def test_what_leads_to_what_leads_a_stored_password_is_the_designers() -> None:
    workflow = compiled({"exportName": "host"}, STORED, first=FINDING)
    with pytest.raises(NotPermittedError):
        check_values(EXECUTOR, workflow, {"site"}, TYPES)
    check_values(EXECUTOR, workflow, {"note"}, TYPES)
    check_values(DESIGNER, workflow, {"site"}, TYPES)


def test_a_variable_that_chooses_the_script_is_the_designers_where_a_password_is_stored() -> None:
    script = {"type": "file", "exportName": "which"}
    with pytest.raises(NotPermittedError):
        check_values(EXECUTOR, compiled({"exportName": "asked"}, STORED, script=script), {"which"}, TYPES)
    check_values(EXECUTOR, compiled({"exportName": "asked"}, {"exportName": "given"}, script=script), {"which"}, TYPES)


def test_another_designer_has_to_know_the_password_that_he_sends_elsewhere() -> None:
    workflow = compiled({"exportName": "host"}, {"exportName": "kept"})
    with pytest.raises(NotPermittedError, match="host says where a stored password is used: give the password itself"):
        check_values(OTHER_DESIGNER, workflow, {"host": "mine"}, TYPES)
    for unknown in (None, ""):
        with pytest.raises(NotPermittedError):
            check_values(OTHER_DESIGNER, workflow, {"host": "mine", "kept": unknown, "note": "x"}, TYPES)
    check_values(OTHER_DESIGNER, workflow, {"host": "mine", "kept": "known"}, TYPES)


@pytest.mark.parametrize("led_by", ["host", "asked"])
def test_a_password_that_somebody_gave_an_execution_is_led_by_him_alone(led_by: str) -> None:
    workflow = compiled({"exportName": led_by}, {"exportName": "given"})
    of_tom, own = head("tom", {"given": "toms secret"}), head("erin", {"given": "erins secret"})
    replaced = replace(own, givers={"given": "tom"})
    for caller in (EXECUTOR, OTHER_DESIGNER, DESIGNER):
        with pytest.raises(NotPermittedError, match=f"{led_by} says where a password is used that somebody else gave"):
            check_assigned(caller, workflow, of_tom, {led_by: "mine"}, TYPES)
        with pytest.raises(NotPermittedError):
            check_assigned(caller, workflow, replaced, {led_by: "mine"}, TYPES)
        assert check_assigned(caller, workflow, of_tom, {"note": "x"}, TYPES) == {}
        assert check_assigned(caller, workflow, of_tom, {led_by: "mine", "given": "a secret"}, TYPES) == {"given": caller.user}
        assert check_assigned(caller, workflow, head("tom", {}), {led_by: "mine"}, TYPES) == {}
    assert check_assigned(EXECUTOR, workflow, own, {led_by: "mine"}, TYPES) == {}
    assert check_assigned(EXECUTOR, workflow, replace(of_tom, givers={"given": "erin"}), {led_by: "mine"}, TYPES) == {}


def test_what_was_made_of_a_password_stays_that_of_whoever_gave_it_when_it_is_replaced() -> None:
    making = {
        "type": "JS",
        "inBindings": {"script": {"type": "string", "defaultValue": "return { note: 'x' + given }"}, "given": {"type": "password", "exportName": "given"}},
        "outBindings": {"note": {"name": "note", "type": "string"}},
    }  # fmt: skip
    workflow = compiled({"exportName": "asked"}, {"exportName": "note"}, first=making)
    made = head("tom", {"given": "toms secret"}, note="xtoms secret")
    with pytest.raises(NotPermittedError):
        check_assigned(EXECUTOR, workflow, made, {"asked": "mine", "given": "erins secret"}, TYPES)
    assert check_assigned(EXECUTOR, workflow, made, {"given": "erins secret"}, TYPES) == {"given": "erin", "note": "tom"}
    assert check_assigned(EXECUTOR, workflow, head("tom", {"given": "toms secret"}), {"asked": "mine", "given": "x"}, TYPES) == {
        "given": "erin"
    }


COMMANDS: dict[str, dict[str, Any]] = {
    "with a default": {"variables": {"command": {"type": "string", "defaultValue": "show"}}},
    "written by a step": {"variables": {"command": {"type": "string"}}, "writes": True},
}


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("binding", [{"exportName": "command"}, {"defaultValue": "show {{command}}"}])
def test_a_variable_that_becomes_a_command_is_for_designers(kind: str, binding: dict[str, Any]) -> None:
    workflow = commanding(COMMANDS[kind], binding)
    with pytest.raises(NotPermittedError, match="command becomes a part of what is run"):
        check_values(EXECUTOR, workflow, {"command": "reload"}, TYPES)
    check_values(OTHER_DESIGNER, workflow, {"command": "show version"}, TYPES)


@pytest.mark.parametrize(
    "variable", [{"type": "string"}, {"type": "number", "defaultValue": 1}, {"type": "string", "format": "ip", "defaultValue": "192.0.2.1"}]
)
def test_a_variable_that_only_the_context_fills_or_that_cannot_hold_a_command_is_for_whoever_executes(variable: dict[str, Any]) -> None:
    workflow = commanding({"variables": {"command": variable}}, {"defaultValue": "show {{command}}"})
    check_values(EXECUTOR, workflow, {"command": 1}, TYPES)


def commanding(parts: dict[str, Any], binding: dict[str, Any]) -> Compiled:
    """Return a workflow without passwords whose command is, or is made of, a variable."""
    bindings = {"hostNameOrIP": {"type": "string", "defaultValue": "r1"}, "cmd": {"type": "string", **binding}}
    writing = {"type": "JS", "outBindings": {"command": {"name": "command", "type": "string"}}}
    return compile_snapshot(
        "default",
        {
            "name": "core restart", "version": "1", "schemaVersion": "3.0", "creationUser": "dora", "startStepId": "a",
            "variables": parts["variables"],
            "steps": {"a": {"type": "TCA_SSH", "inBindings": bindings}, **({"b": writing} if parts.get("writes") else {})},
        },
    )  # fmt: skip


def test_a_password_that_a_step_made_is_nobodys_to_assign() -> None:
    making = {
        "type": "JS",
        "inBindings": {"script": {"type": "string", "defaultValue": "return { token: 'made' }"}},
        "outBindings": {"token": {"name": "token", "type": "password"}},
    }
    workflow = compiled({"exportName": "asked"}, {"exportName": "token"}, first=making)
    check_assigned(EXECUTOR, workflow, head("erin", {}, token="made"), {"asked": "r1"}, TYPES)


def test_a_file_that_is_called_as_one_of_the_workflow_takes_its_place_only_for_designers() -> None:
    workflow = compiled({"exportName": "host"}, STORED)
    for key in ("run.sh", "file-1"):
        with pytest.raises(NotPermittedError):
            check_files(EXECUTOR, workflow, {key: "file-2"}, TYPES)
        check_files(OTHER_DESIGNER, workflow, {key: "file-2"}, TYPES)
    check_files(EXECUTOR, workflow, {"run.sh": "file-1", "mine.sh": "file-2"}, TYPES)


def test_a_script_that_is_given_a_stored_password_is_brought_along_by_whoever_made_the_workflow() -> None:
    script = {"script": {"type": "file", "defaultValue": "later.js"}, "kept": {"type": "password", "exportName": "kept"}}
    workflow = compiled({"exportName": "asked"}, {"exportName": "given"}, first={"type": "JS", "inBindings": script})
    for caller in (EXECUTOR, OTHER_DESIGNER):
        with pytest.raises(NotPermittedError):
            check_files(caller, workflow, {"later.js": "file-2"}, TYPES)
        check_files(caller, workflow, {"other.js": "file-2"}, TYPES)
    check_files(DESIGNER, workflow, {"later.js": "file-2"}, TYPES)
