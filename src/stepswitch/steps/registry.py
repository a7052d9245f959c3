"""The step types that are installed, found by their entry points; the built-in ones take the same road. Called by `bootstrap`."""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from stepswitch.plugin import ENTRY_POINT_GROUP, StepType

_LONGEST_REASON: Final = 300


class BrokenStepTypesError(Exception):
    """Installed step types that cannot be used: a sentence for each, which names its entry point and its package."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)


def installed(options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, StepType]:
    """Return every installed step type by name and alias, made with the options given for its name.

    Raises BrokenStepTypesError with all that cannot be loaded, are called otherwise than their entry points, or want a name that is taken.
    """
    chosen = options or {}
    found: dict[str, StepType] = {}
    broken: list[str] = []
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: each.name):
        try:
            step_type: StepType = point.load()(**chosen.get(point.name, {}))
            wrong = _wrong(point, step_type, found)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a package does when it is loaded, it is named
            wrong = f"cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:_LONGEST_REASON]}"
        if wrong is None:
            found |= dict.fromkeys((step_type.signature.name, *step_type.signature.aliases), step_type)
        else:
            broken.append(f"the step type {point.name} of {_package(point)} {wrong}")
    if broken:
        raise BrokenStepTypesError(broken)
    return found


def _wrong(point: EntryPoint, step_type: StepType, found: Mapping[str, StepType]) -> str | None:
    """Return what is wrong with a step type, None where nothing is."""
    signature = step_type.signature
    if signature.name != point.name:
        return f"calls itself {signature.name}: its entry point has to be called so"
    if signature.outlives and not hasattr(step_type, "clean_up"):
        return "says that what it starts outlives it, and has no clean_up to remove it"
    taken = [name for name in (signature.name, *signature.aliases) if name in found]
    return f"wants to be called {taken[0]}, as another one is already" if taken else None


def _package(point: EntryPoint) -> str:
    """Return what is to be repaired or removed: the package that brings an entry point, and where that leads."""
    package = "a package without a name" if point.dist is None else f"the package {point.dist.name} {point.dist.version}"
    return f"{package} ({point.value})"
