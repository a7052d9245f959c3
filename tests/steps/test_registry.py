"""Risk: a package that was installed beside the service keeps it from what it owes to others, and nobody says which."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from stepswitch.bootstrap.step_types import installed_types
from stepswitch.domain.errors import SettingsError
from stepswitch.domain.step_types import StepSignature
from stepswitch.steps import registry
from stepswitch.steps.registry import BrokenStepTypesError


@dataclass
class Point:
    """An entry point of a package that is installed."""

    name: str
    signature: StepSignature
    fault: BaseException | None = None
    value: str = "pack.steps:Step"
    dist: Any = field(default_factory=lambda: SimpleNamespace(name="pack", version="1.2"))

    def load(self) -> "Point":
        if isinstance(self.fault, ImportError | SystemExit):
            raise self.fault
        return self

    def __call__(self) -> "Point":
        if self.fault is not None:
            raise self.fault
        return self


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    def entry_points(group: str) -> Sequence[Point]:
        assert group == "stepswitch.step_types"
        return points

    monkeypatch.setattr(registry, "entry_points", entry_points)


def signature(name: str, **more: Any) -> StepSignature:
    return StepSignature(name, "", **more)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([Point("A", signature("B"))], "the step type A of the package pack 1.2 (pack.steps:Step) calls itself B"),
        ([Point("A", signature("A")), Point("B", signature("B", aliases=("A",)))], "the step type B of the package pack 1.2 "),
        ([Point("A", signature("A", outlives=True))], "says that what it starts outlives it, and has no clean_up"),
        (
            [Point("A", signature("A"), ModuleNotFoundError("No module named 'tl1'"))],
            "cannot be loaded: ModuleNotFoundError: No module named",
        ),
        ([Point("A", signature("A"), TypeError("x" * 9_000))], "cannot be loaded: TypeError: xxx"),
        ([Point("A", signature("A"), SystemExit(3))], "cannot be loaded: SystemExit: 3"),
        ([Point("A", signature("B"), dist=None)], "the step type A of a package without a name (pack.steps:Step) calls itself B"),
    ],
)
def test_a_step_type_that_cannot_be_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, points: list[Point], told: str) -> None:
    install(monkeypatch, *points)
    with pytest.raises(BrokenStepTypesError) as refused:
        registry.installed()
    assert told in str(refused.value)
    assert len(str(refused.value)) < 500


def test_all_that_are_broken_are_named_at_once_as_what_keeps_the_service_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Point("C", signature("C", aliases=("D",)))
    install(monkeypatch, Point("B", signature("X")), good, Point("A", signature("A"), ImportError("no\nsuch name")))
    with pytest.raises(SettingsError) as refused:
        installed_types()
    first, second = str(refused.value).splitlines()
    assert first.startswith("the step type A of the package pack 1.2 (pack.steps:Step) cannot be loaded: ImportError: no such name")
    assert second.startswith("the step type B of the package pack 1.2 (pack.steps:Step) calls itself X")
    install(monkeypatch, good)
    assert set(installed_types().by_name) == {"C", "D"}
