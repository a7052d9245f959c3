"""A step type of `suite` as one that a whole service carries out: what it is given, and what it knows of its target, are the situation's."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from stepswitch.plugin import LogLevel, Outcome, StepContext, StepSignature, Values
from tests.domain.documents import JsonObject, document
from tests.steps.contexts import RecordingContext
from tests.steps.suite import Situation, StepTypeCase

OF_THE_SERVICE: Final = frozenset(
    {"execution_id", "attempt_name", "time_limit_seconds", "output_limit_bytes", "is_log_full", "mark_sent", "leave_behind"}
)
"""What a step type has from the service's context, where the situation says nothing else."""


class AtTarget:
    """A step type of the suite in a service: its inputs, and what it is to know of its target, are the situation's."""

    def __init__(self, case: StepTypeCase, situation: Situation) -> None:
        self._case = case
        self._situation = situation
        self.seen = case.context(**{"time_limit_seconds": 100.0, **situation.context})
        self.over = asyncio.Event()

    @property
    def signature(self) -> StepSignature:
        """The type's own, but that nothing need be given."""
        own = self._case.step.signature
        return replace(own, inputs=tuple(replace(each, required=False, one_of=None) for each in own.inputs))

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Begin with what the situation gives; the files that come of it are the suite's, and stay with it."""
        try:
            outcome = await self._case.step.run(self._situation.inputs, self._both(context))
            return replace(outcome, files={})
        finally:
            self.over.set()

    async def clean_up(self, inputs: Values, context: StepContext) -> None:
        """Clean up as the type does; only the types that outlive their attempts have that."""
        await cast("Any", self._case.step).clean_up(self._situation.inputs, self._both(context))

    async def release(self, execution_id: str) -> None:
        """Hand it on."""
        await self._case.step.release(execution_id)

    async def close(self) -> None:
        """Leave it open: the case closes it."""

    def _both(self, context: StepContext) -> StepContext:
        return cast("StepContext", _Both(context, self.seen, OF_THE_SERVICE - self._situation.context.keys()))


@dataclass
class _Both:
    """The context of the service, in which the target, its credentials and the files are those of the suite."""

    service: StepContext
    suite: RecordingContext
    names: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service if name in self.names else self.suite, name)

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        await self.suite.log(message, level)
        await self.service.log(message, level)


def one_step(name: str, **inputs: str) -> JsonObject:
    """Return a workflow of one step."""
    bindings = {key: {"type": "string", "defaultValue": value} for key, value in inputs.items()}
    return document(name=f"one {name}", startStepId="a", steps={"a": {"type": name, "inBindings": bindings}})
