"""Rehearsals as people write them, played with step types of the tests: no script is run for real here, only functions of the test."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stepswitch.api.wire.rehearsals import rehearsal_order
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import StepSignature
from stepswitch.engine.divergences import Divergence, DivergenceKind
from stepswitch.engine.ports import StepContext
from stepswitch.engine.rehearsals import Rehearsals, Report
from stepswitch.plugin import Outcome, Result, Values
from stepswitch.secrets.masking import Masking
from stepswitch.system import SystemClock
from tests.domain.documents import JS, TYPES, JsonObject, document
from tests.engine.scripted import ANN

Work = Callable[[Values, StepContext], Awaitable[Outcome]]


class Computing:
    """Implements `StepType`: what a script does is said by a function of the test."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.is_closed = False

    @property
    def signature(self) -> StepSignature:
        return JS

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        return await self._work(inputs, context)

    async def release(self, execution_id: str) -> None:
        pass

    async def close(self) -> None:
        self.is_closed = True


async def copy_inputs(inputs: Values, _context: StepContext) -> Outcome:
    """Give every input but the script as an output of the same name."""
    return Outcome(Result.SUCCEEDED, {name: value for name, value in inputs.items() if name != "script"})


def stage(work: Work = copy_inputs, **more: Any) -> Rehearsals:
    """Return what rehearses, without a catalogue unless one is given."""
    return Rehearsals(**{"computing": {"JS": Computing(work)}, "rules": Rules(TYPES), "secrets": Masking(), "clock": SystemClock(), **more})


async def rehearse(workflow: JsonObject, *, on: Rehearsals | None = None, **rehearsal: Any) -> Report:
    """Return what one rehearsal of a workflow came to."""
    order = rehearsal_order({"workflow": workflow, "rehearsals": [{"name": "it", **rehearsal}]})
    (report,) = await (on or stage()).rehearse(ANN, order)
    return report


def told(report: Report) -> list[tuple[DivergenceKind, str, str]]:
    """Return kind, path within the rehearsal and sentence of every divergence."""
    return [(each.kind, _inside(each), each.message) for each in report.divergences]


def sentences(report: Report) -> list[str]:
    return [each.message for each in report.divergences]


def _inside(divergence: Divergence) -> str:
    assert divergence.path.startswith("rehearsals[0]"), divergence
    return divergence.path.removeprefix("rehearsals[0]").removeprefix(".")


def way(report: Report) -> list[str]:
    return [taken.step_id for taken in report.way]


def ssh(**step: Any) -> JsonObject:
    """Return an SSH step that writes its text to `text`; bindings that are given are added to its own."""
    bindings = {
        "hostNameOrIP": {"type": "string", "defaultValue": "192.0.2.1"},
        "username": {"type": "string", "defaultValue": "admin"},
        "cmd": {"type": "string", "defaultValue": "show it"},
        **step.pop("inBindings", {}),
    }
    return {"type": "TCA_SSH", "inBindings": bindings, "outBindings": {"text": {"name": "outputText", "type": "string"}}, **step}


def flow(start: str, steps: Mapping[str, JsonObject], **sections: Any) -> JsonObject:
    """Return a workflow with a variable `text`."""
    variables = {"text": {"type": "string"}, **sections.pop("variables", {})}
    return document(startStepId=start, steps=steps, variables=variables, **sections)
