"""Risk: somebody who scripts the service cannot get a token, or one that was left lying about cannot be ended."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.calling import Caller, typed
from tests.cli.distant import Distant

PASSWORD = "a pigeon on the roof"


def test_a_token_is_made_used_listed_and_revoked(stepswitch: Caller, desk: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stepswitch("token", "create", "checks", "--privilege", "Workflow Execute")
    assert made.exit == 0, made.err
    token = made.out.strip()
    assert token.startswith("ssw_")
    assert "API token" in made.err
    assert token not in made.err
    (listed,) = json.loads(stepswitch("token", "list", "--json").out)
    assert (listed["name"], sorted(listed["privileges"])) == ("checks", ["Workflow Execute", "Workflow Read"])
    monkeypatch.setenv("STEPSWITCH_TOKEN", token)
    assert stepswitch("workflow", "list").exit == 0
    assert stepswitch("user", "list", "--url", desk.url).exit == 2
    monkeypatch.setenv("STEPSWITCH_TOKEN", desk.token)
    assert stepswitch("token", "revoke", listed["id"]).exit == 0
    monkeypatch.setenv("STEPSWITCH_TOKEN", token)
    assert "Log in" in stepswitch("workflow", "list").err


def test_logins_are_listed_and_ended(stepswitch: Caller, desk: Distant) -> None:
    stepswitch("token", "create", "checks")
    rows = [line.split("\t") for line in stepswitch("session", "list").out.splitlines()]
    assert {row[2] for row in rows} == {"login", "checks"}
    login = next(row[0] for row in rows if row[2] == "login")
    assert stepswitch("session", "end", login).out == f"{login} is ended\n"
    assert stepswitch("session", "list").exit == 2


def test_users_and_roles_are_looked_after_from_afar(stepswitch: Caller, desk: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("--url", desk.url)
    assert stepswitch("role", "add", "Core", "--privilege", "Workflow Execute", "--workflow", "core *", *place).exit == 0
    typed(monkeypatch, PASSWORD)
    assert stepswitch("user", "add", "ann", "--role", "Core", *place).out == "ann can log in\n"
    assert stepswitch("user", "roles", "ann", "--role", "operations", *place).out == "ann is Operations\n"
    assert stepswitch("user", "disable", "ann", *place).exit == 0
    assert "ann\tdefault\tOperations\tdisabled\n" in stepswitch("user", "list", *place).out
    assert stepswitch("user", "enable", "ann", *place).exit == 0
    typed(monkeypatch, "a sparrow in the hand")
    assert stepswitch("user", "password", "ann", *place).exit == 0
    made = stepswitch("token", "create", "for ann", "--user", "ann")
    assert made.exit == 0, made.err
    assert stepswitch("role", "remove", "Core", *place).exit == 0
    assert "Core" not in stepswitch("role", "list", *place).out


def test_a_refusal_from_afar_is_said_with_every_fault(stepswitch: Caller, desk: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "short")
    refused = stepswitch("user", "add", "a/b", "--role", "nonsense", "--url", desk.url)
    assert refused.exit == 2
    assert [place in refused.err for place in ("username", "roles[0]", "password")] == [True] * 3
    assert "not in both" in stepswitch("user", "list", "--url", desk.url, "--data-dir", "somewhere").err
    assert "leave out --tenant" in stepswitch("role", "list", "--url", desk.url, "--tenant", "other").err


def test_the_first_token_is_made_beside_the_service(stepswitch: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    place = ("--data-dir", tmp_path / "data")
    typed(monkeypatch, PASSWORD)
    assert stepswitch("user", "add", "robot", "--role", "operations", *place).exit == 0
    assert "--user" in stepswitch("token", "create", "checks", *place).err
    made = stepswitch("token", "create", "checks", "--user", "robot", "--days", "30", *place)
    assert made.exit == 0, made.err
    (listed,) = json.loads(stepswitch("token", "list", "--user", "robot", "--json", *place).out)
    assert listed["username"] == "robot"
    assert datetime.fromisoformat(listed["expiresAt"]) - datetime.fromisoformat(listed["createdAt"]) <= timedelta(days=30)
    assert stepswitch("session", "end", listed["id"], "--user", "robot", *place).exit == 0
    assert json.loads(stepswitch("session", "list", "--user", "robot", "--json", *place).out) == []
