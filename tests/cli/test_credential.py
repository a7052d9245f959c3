"""Risk: the command keeps another value than was given, says that a credential is gone which is not, or shows a value."""

import json
from pathlib import Path

import pytest

from tests.cli.calling import Caller, typed

VALUE = "a pigeon\non the roof"
FOR_ALL = ("--role", "*", "--workflow", "*", "--device", "*")


def test_credentials_are_made_listed_shown_checked_changed_and_removed(
    stepswitch: Caller, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("--data-dir", data)
    typed(monkeypatch, VALUE)
    made = stepswitch("credential", "add", "core", "--role", "operations", "--workflow", "core *", "--device", "192.0.2.0/24:22", *place)
    assert (made.exit, made.out) == (0, '{"credential": "core"} can take the place of a password\n')
    assert stepswitch("credential", "list", *place).out == "core\tstored\tOperations\tcore *\t192.0.2.0/24:22\n"
    shown = json.loads(stepswitch("credential", "show", "core", *place).out)
    assert (shown["source"], shown["withoutDevice"]) == ({"kind": "stored"}, False)
    assert stepswitch("credential", "check", "core", *place).out == "core can be opened\n"
    assert stepswitch("credential", "change", "core", "--without-device", "--vault", "secret", "core", "pw", *place).exit == 2
    typed(monkeypatch, "another one")
    assert stepswitch("credential", "change", "core", "--without-device", "--value", *place).exit == 0
    assert json.loads(stepswitch("credential", "list", "--json", *place).out)[0]["withoutDevice"] is True
    assert stepswitch("credential", "remove", "core", *place).out == "core is removed\n"
    assert "no credential core" in stepswitch("credential", "check", "core", *place).err
    for path in data.iterdir():
        assert path.is_dir() or b"pigeon" not in path.read_bytes()


def test_a_value_elsewhere_is_looked_for_with_the_environment_of_the_command(
    stepswitch: Caller, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("--data-dir", data)
    assert stepswitch("credential", "add", "core", *FOR_ALL, "--environment", "STEPSWITCH_CREDENTIAL_CORE", *place).exit == 0
    missing = stepswitch("credential", "check", "core", *place)
    assert missing.exit == 1
    assert "the variable STEPSWITCH_CREDENTIAL_CORE is not set" in missing.err
    monkeypatch.setenv("STEPSWITCH_CREDENTIAL_CORE", VALUE)
    found = stepswitch("credential", "check", "core", *place)
    assert (found.exit, found.out) == (0, "core can be opened\n")
    wrong = stepswitch("credential", "add", "x", *FOR_ALL, "--environment", "PATH", "--file", "y", *place)
    assert "a value is in one place" in wrong.err
    assert "is to begin with STEPSWITCH_CREDENTIAL_" in stepswitch("credential", "add", "x", *FOR_ALL, "--environment", "PATH", *place).err


def test_a_value_that_is_refused_is_not_repeated(stepswitch: Caller, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "abc")
    refused = stepswitch("credential", "add", "a/b", "--role", "nobody", "--workflow", "*", "--device", "192.0.2.*", "--data-dir", data)
    assert refused.exit == 2
    for place in ("name: ", "source.value: ", "roles[0]: ", "devices[0]: "):
        assert place in refused.err
    assert "abc" not in refused.err
