"""The three workflows that the demo shows, and what each should come to. Called by `show`; the documents are in `workflows/`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from stepswitch.domain.execution import Status


@dataclass(frozen=True, slots=True)
class Act:
    """One workflow, what there is to see in it, and what is expected of it."""

    file: str
    what: str
    way: tuple[str, ...]
    outputs: Mapping[str, object]
    lesson: str

    def document(self) -> dict[str, Any]:
        """Return the workflow as it is sent."""
        text = files("stepswitch.demo").joinpath("workflows", self.file).read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        return document

    def faults(self, execution: Mapping[str, Any]) -> list[str]:
        """Return in what an execution is not as expected, as sentences."""
        seen = {
            "status": (execution["status"], Status.COMPLETED.value),
            "way": (way_of(execution), list(self.way)),
            "outputs": (execution.get("outputs", {}), dict(self.outputs)),
        }
        return [f"the {name} should be {wanted}, and is {found}" for name, (found, wanted) in seen.items() if found != wanted]


def way_of(execution: Mapping[str, Any]) -> list[str]:
    """Return the ids of the steps in the order in which they were executed."""
    return [step["stepSnapshot"]["id"] for step in execution["stepExecutions"]]


ACTS: Final = (
    Act(
        "check-router.json",
        "asks a router for its version, takes the way that fits it, and counts the interfaces that are up",
        ("ask-version", "read-version", "ask-interfaces", "count"),
        {"software": "17.9.4a", "up": 3, "down": 1, "verdict": "healthy"},
        "A condition on a step's output chose the way: a router with older software would have gone to too-old.",
    ),
    Act(
        "wait-for-cell.json",
        "asks until a cell is active, half a second apart, ten times at most",
        ("ask", "judge", "ask", "judge", "ask", "judge"),
        {"turns": 3, "state": "ACTIVE"},
        "A loop is a condition that leads back. Between its turns the execution holds neither a worker nor the device.",
    ),
    Act(
        "reload-module.json",
        "reloads a line card, which takes the SSH connection down with it",
        ("reload", "look", "read"),
        {"state": "up", "reloads": 1},
        "Nobody could know whether the command was carried out, so it ended UNKNOWN and was not sent again: the way went on by looking.",
    ),
)
