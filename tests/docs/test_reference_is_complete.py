"""Risk: somebody meets a name in the service that the reference does not explain, or a page that says what is no longer true."""

import importlib
import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Final

import pytest

from stepswitch.api.wire import rehearsal_models
from stepswitch.api.wire.rehearsals import rehearsal_order
from stepswitch.bootstrap import open_rehearsals
from stepswitch.domain.document import Comparator
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import Result, Status, Verdict
from stepswitch.domain.states import StepState
from stepswitch.domain.values import ValueType
from stepswitch.engine.callers import administrator
from stepswitch.engine.divergences import DivergenceKind
from stepswitch.engine.rehearsal_orders import ActKind
from stepswitch.plugin import ENTRY_POINT_GROUP, StepSignature
from tests.architecture.source_tree import ROOT
from tools import make_reference


def _structures(module: ModuleType) -> list[Any]:
    return [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]


REFERENCE: Final = ROOT / "docs" / "reference"


def test_every_error_code_is_explained_once_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+) \| (.+) \|$", _page("errors"), re.MULTILINE)
    assert sorted(code for code, _, _ in rows) == sorted(ErrorCode)
    assert not [code for code, meaning, remedy in rows if len(meaning) < 20 or len(remedy) < 10]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("states", [*StepState, *Status, *Result, *Verdict]),
        ("workflow-document", [*ValueType, *Comparator]),
        ("rehearsal-document", [*DivergenceKind, *ActKind]),
    ],
    ids=["states", "workflow-document", "rehearsal-document"],
)
def test_every_name_of_the_language_is_explained(page: str, names: Iterable[str]) -> None:
    assert not _unexplained(page, names)


@pytest.mark.parametrize("model", _structures(rehearsal_models), ids=lambda model: str(model.__name__))
def test_every_field_of_a_rehearsal_is_explained(model: Any) -> None:
    assert not _unexplained("rehearsal-document", [field.alias for field in model.model_fields.values()])


async def test_the_rehearsals_of_the_reference_come_out_as_they_say() -> None:
    example = json.loads(_page("rehearsal-document").partition("```json\n")[2].partition("```")[0])
    async with open_rehearsals() as rehearsals:
        reports = await rehearsals.rehearse(administrator("reader"), rehearsal_order(example))
    assert [report.divergences for report in reports] == [[], []]


def test_every_step_type_with_its_inputs_and_outputs_is_explained() -> None:
    text = _page("steps")
    for point in entry_points(group=ENTRY_POINT_GROUP):
        signature: StepSignature = point.load()().signature
        section = text.partition(f"\n## {signature.name}\n")[2].partition("\n## ")[0]
        assert section, f"{signature.name} has no section"
        texts = [(spec.name, spec.description) for spec in signature.inputs] + [(spec.name, spec.description) for spec in signature.outputs]
        assert not [name for name, description in texts if f"| `{name}` |" not in section or description not in section]


def test_every_setting_is_explained() -> None:
    settings = importlib.import_module("stepswitch.config.settings").Settings
    assert not _unexplained("settings", settings.model_fields)
    assert not _unexplained("settings", [f"STEPSWITCH_{name}".upper() for name in settings.model_fields])


def test_every_command_and_option_is_explained() -> None:
    app = importlib.import_module("stepswitch.cli.main").app
    text = _page("command-line")
    for path, command in _commands(importlib.import_module("typer.main").get_command(app), "stepswitch"):
        section = text.partition(f"\n## {path}\n")[2].partition("\n## ")[0]
        assert section, f"{path} has no section"
        options = [name for parameter in command.params if not getattr(parameter, "hidden", False) for name in parameter.opts]
        assert not [name for name in options if name.startswith("-") and f"`{name}`" not in section]


def test_the_pages_made_from_the_source_are_current() -> None:
    stale = [path.name for path, text in make_reference.pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert not stale, f"run `make reference`: {stale}"


def test_a_stale_page_fails_the_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(make_reference, "pages", lambda: {REFERENCE / "errors.md": "no such text"})
    assert make_reference.main(["--check"]) == 1
    assert "docs/reference/errors.md" in capsys.readouterr().err
    assert "no such text" not in _page("errors")


def _page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def _unexplained(page: str, names: Iterable[str]) -> list[str]:
    text = _page(page)
    return [name for name in names if f"`{name}`" not in text]


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children or command.params:
        yield path, command
    for name, child in children.items():
        yield from _commands(child, f"{path} {name}")
