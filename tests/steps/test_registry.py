"""Risk: a package that was installed beside the service keeps it from what it owes to others, and nobody says which."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from stepswitch.domain.step_types import StepSignature
from stepswitch.steps import registry


@dataclass
class Point:
    """An entry point of a package that is installed."""

    name: str
    signature: StepSignature

    def load(self) -> "Point":
        return self

    def __call__(self) -> "Point":
        return self


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    def entry_points(group: str) -> Sequence[Point]:
        assert group == "stepswitch.step_types"
        return points

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([Point("A", StepSignature("B", ""))], "the entry point A gives a step type that calls itself B"),
        ([Point("A", StepSignature("A", "")), Point("B", StepSignature("B", "", aliases=("A",)))], "two step types are called A"),
        ([Point("A", StepSignature("A", "", outlives=True))], "the step type A says that what it starts outlives it, and has no clean_up"),
    ],
)
def test_a_step_type_that_cannot_be_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, points: list[Point], told: str) -> None:
    install(monkeypatch, *points)
    with pytest.raises(ValueError, match=told):
        registry.installed()
