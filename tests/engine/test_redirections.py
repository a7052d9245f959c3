"""A designer's stored password that somebody else has sent to a host of his own."""

from typing import Any

import pytest

from stepswitch.domain.errors import NotPermittedError
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import grants_of
from stepswitch.engine.redirections import check_values
from stepswitch.engine.snapshots import Compiled, compile_snapshot

EXECUTOR = Caller("erin", "default", grants_of(["Workflow Executor"], {}))
DESIGNER = Caller("dora", "default", grants_of(["Workflow Designer"], {}))


def compiled(host: dict[str, Any], password: dict[str, Any]) -> Compiled:
    bindings = {"hostNameOrIP": {"type": "string", **host}, "password": {"type": "password", **password}}
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
                "kept": {"type": "password", "defaultValue": "stored-secret"},
            },
            "steps": {"a": {"type": "TCA_SSH", "inBindings": bindings}},
        },
    )


@pytest.mark.parametrize("host", [{"exportName": "host"}, {"defaultValue": "{{host}}.example"}])
@pytest.mark.parametrize("password", [{"defaultValue": "stored-secret"}, {"exportName": "kept"}])
def test_a_variable_that_leads_a_stored_password_is_the_designers(host: dict[str, Any], password: dict[str, Any]) -> None:
    workflow = compiled(host, password)
    with pytest.raises(NotPermittedError):
        check_values(EXECUTOR, workflow, {"host"})
    check_values(DESIGNER, workflow, {"host"})


def test_other_values_are_for_whoever_executes() -> None:
    check_values(EXECUTOR, compiled({"exportName": "host"}, {"defaultValue": "stored-secret"}), {"note", "asked"})
    check_values(EXECUTOR, compiled({"exportName": "host"}, {"exportName": "given"}), {"host"})
    check_values(EXECUTOR, compiled({"exportName": "asked"}, {"defaultValue": "stored-secret"}), {"asked", "host"})
