"""Risk: a value given on the command line arrives as another one, or a secret is shown while it is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from stepswitch.cli import assignments
from stepswitch.cli.assignments import Given, ask_for_passwords, gather
from stepswitch.domain.document import Declaration
from stepswitch.domain.parsing import parse

DOCUMENT: Final = {
    "name": "n",
    "version": "1",
    "schemaVersion": "3.0",
    "inputs": {
        "text": {"type": "string"},
        "count": {"type": "number"},
        "flag": {"type": "boolean"},
        "secret": {"type": "password", "required": True},
        "other": {"type": "password", "required": True, "defaultValue": "default-1"},
        "script": {"type": "file"},
    },
}


@pytest.fixture
def declared() -> Mapping[str, Declaration]:
    parsed = parse(DOCUMENT).workflow
    assert parsed is not None
    return parsed.inputs


def _said(given: Given) -> list[str]:
    return [str(fault) for fault in given.faults]


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("text=5", "5"),
        ("text=@@home", "@home"),
        ("count=5", 5),
        ("count=-1.5e3", -1500.0),
        ("flag=true", True),
        ("flag=False", False),
        ("unknown=5", "5"),
        ("count=many", "many"),
    ],
)
def test_a_value_gets_the_declared_type(declared: Mapping[str, Declaration], pair: str, value: object) -> None:
    given = gather(declared, [pair], None, [])
    assert list(given.assignments.values()) == [value]
    assert type(next(iter(given.assignments.values()))) is type(value)
    assert not given.faults


def test_the_content_of_a_file_is_taken_and_the_last_newline_of_a_secret_is_not(
    declared: Mapping[str, Declaration], tmp_path: Path
) -> None:
    for name in ("text", "secret", "count"):
        (tmp_path / name).write_text("12\n")
    given = gather(declared, [f"{name}=@{tmp_path / name}" for name in ("text", "secret", "count")], None, [])
    assert given.assignments == {"text": "12\n", "secret": "12", "count": 12}


def test_a_file_for_an_input_of_type_file_is_attached(declared: Mapping[str, Declaration], tmp_path: Path) -> None:
    script = tmp_path / "probe.sh"
    script.write_text("true\n")
    given = gather(declared, [f"script=@{script}"], None, [f"other={script}"])
    assert given.assignments == {"script": "probe.sh"}
    assert given.files == {"probe.sh": script, "other": script}


def test_options_go_over_the_file_of_inputs(declared: Mapping[str, Declaration], tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"count": 1, "text": "of the file"}')
    assert gather(declared, ["count=2"], file, []).assignments == {"count": 2, "text": "of the file"}


def test_everything_wrong_is_told_at_once_and_no_value_is_shown(declared: Mapping[str, Declaration], tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text("[1]")
    given = gather(declared, ["hunter2", "text=@/nowhere"], file, ["key=/nowhere/at/all"])
    assert _said(given) == [
        f"--input-file: {file} is no JSON object of names and values",
        "--input: is written name=value",
        "assignments.text: /nowhere cannot be read: No such file or directory",
        "attachments.key: there is no file /nowhere/at/all",
    ]


def test_only_required_passwords_without_a_value_are_asked_for(
    declared: Mapping[str, Declaration], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "typed"

    monkeypatch.setattr(assignments, "ask_hidden", ask)
    given = Given()
    ask_for_passwords(declared, given)
    assert (asked, given.assignments) == ([], {})  # nobody is there to be asked
    monkeypatch.setattr(assignments, "is_interactive", lambda: True)
    ask_for_passwords(declared, given)
    ask_for_passwords(declared, given)
    assert (asked, given.assignments) == (["secret"], {"secret": "typed"})
