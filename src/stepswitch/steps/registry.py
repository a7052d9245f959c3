"""The step types that are installed, found by their entry points; the built-in ones take the same road. Called by `bootstrap`."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from stepswitch.plugin import ENTRY_POINT_GROUP, StepType


def installed(options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, StepType]:
    """Return every installed step type by name and alias, made with the options given for its name.

    Raises ValueError where two claim one name, or an entry point is called otherwise than its type.
    """
    chosen = options or {}
    found: dict[str, StepType] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: each.name):
        step_type: StepType = point.load()(**chosen.get(point.name, {}))
        signature = step_type.signature
        if signature.name != point.name:
            raise ValueError(f"the entry point {point.name} gives a step type that calls itself {signature.name}")
        if signature.outlives and not hasattr(step_type, "clean_up"):
            raise ValueError(f"the step type {signature.name} says that what it starts outlives it, and has no clean_up to remove it")
        for name in (signature.name, *signature.aliases):
            if name in found:
                raise ValueError(f"two step types are called {name}")
            found[name] = step_type
    return found
