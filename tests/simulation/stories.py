"""An execution as it is told when a schedule is over, which promises are held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepswitch.domain.document import Workflow
from stepswitch.domain.execution import Head, LogEntry, StepExecution
from tests.simulation.targets import TYPES
from tests.simulation.watch import BrokenPromiseError


@dataclass(frozen=True, slots=True)
class Story:
    """An execution as it is on disk: all its step executions, its log, and the workflow of each step."""

    head: Head
    steps: Sequence[StepExecution]
    logs: Sequence[LogEntry]
    workflows: Mapping[str, Workflow]

    def said(self, part: str) -> int:
        """Return in how many lines of its log `part` stands."""
        return sum(part in entry.message for entry in self.logs)

    def said_by(self, number: int, part: str) -> bool:
        """Return whether `part` stands in the log of a step execution."""
        return any(entry.step == number and part in entry.message for entry in self.logs)

    def is_safe(self, step: StepExecution) -> bool:
        """Return whether somebody has said that a step may run twice."""
        definition = self.workflows[step.snapshot_id].steps[step.step_id]
        return bool(definition.policy.safe_to_rerun) or TYPES.by_name[definition.type].always_safe


def hold(promise: bool, otherwise: str) -> None:
    """Raise BrokenPromiseError where a promise does not hold, with what is so otherwise."""
    if not promise:
        raise BrokenPromiseError(otherwise)
