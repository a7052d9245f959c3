"""Risk: the command says that somebody is shut out who is not, or a password is seen."""

import json
from pathlib import Path

import pytest

from tests.cli.calling import Caller, typed

PASSWORD = "a pigeon on the roof"


def test_users_are_made_listed_disabled_enabled_and_given_roles(stepswitch: Caller, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("--data-dir", data)
    typed(monkeypatch, PASSWORD)
    made = stepswitch("user", "add", "ann", "--role", "Workflow Executor", *place)
    assert (made.exit, made.out) == (0, "ann can log in\n")
    assert stepswitch("user", "roles", "ann", "--role", "operations", "--role", "workflow-designer", *place).exit == 0
    assert stepswitch("user", "disable", "ann", *place).exit == 0
    listed = stepswitch("user", "list", "--json", *place)
    assert json.loads(listed.out) == [
        {"username": "ann", "tenantId": "default", "roles": ["Operations", "Workflow Designer"], "isDisabled": True}
    ]
    assert stepswitch("user", "enable", "ann", *place).exit == 0
    typed(monkeypatch, "another pigeon on it")
    assert stepswitch("user", "password", "ann", *place).exit == 0
    assert stepswitch("user", "list", *place).out == "ann\tdefault\tOperations, Workflow Designer\t\n"


def test_a_password_that_is_refused_is_not_repeated(stepswitch: Caller, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "password1234")
    made = stepswitch("user", "add", "ann", "--role", "nobody", "--data-dir", data)
    assert made.exit == 2
    assert "roles[0]: is no role" in made.err
    assert "password: is one of those that are tried first" in made.err
    assert "password1234" not in made.out + made.err
    assert json.loads(stepswitch("user", "list", "--json", "--data-dir", data).out) == []


def test_an_unknown_user_and_a_missing_directory_are_sentences(stepswitch: Caller, data: Path, tmp_path: Path) -> None:
    unknown = stepswitch("user", "disable", "nobody", "--data-dir", data)
    assert unknown.exit == 2
    assert "no user nobody" in unknown.err
    assert "there is no data directory" in stepswitch("user", "list", "--data-dir", tmp_path / "missing").err


def test_a_narrowed_role_is_made_given_listed_and_removed(stepswitch: Caller, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("--data-dir", data)
    made = stepswitch("role", "add", "Core", "--privilege", "Workflow Execute", "--workflow", "core *", *place)
    assert (made.exit, made.out) == (0, "users can be given the role Core\n")
    typed(monkeypatch, PASSWORD)
    assert stepswitch("user", "add", "tom", "--role", "Core", *place).exit == 0
    assert stepswitch("role", "list", *place).out.splitlines()[-1] == "Core\tWorkflow Execute, Workflow Read\tcore *"
    assert "is the role of tom" in stepswitch("role", "remove", "Core", *place).err
    assert stepswitch("user", "roles", "tom", "--role", "operations", *place).exit == 0
    assert stepswitch("role", "remove", "Core", *place).exit == 0
    assert [each["name"] for each in json.loads(stepswitch("role", "list", "--json", *place).out)][-1] == "Operations"
