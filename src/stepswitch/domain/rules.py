"""What every decision of an installation goes by: its step types and its limits. Made in `bootstrap`."""

from dataclasses import dataclass

from stepswitch.domain.execution import DEFAULT_LIMITS, Limits
from stepswitch.domain.step_types import StepTypes


@dataclass(frozen=True, slots=True)
class Rules:
    """The step types that are installed, the limits that are set, and the epoch of the store that executions begin in."""

    types: StepTypes
    limits: Limits = DEFAULT_LIMITS
    epoch: str = ""
