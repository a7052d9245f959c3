"""What steps start at targets and what stays there, the step type that does so, and all step types of a simulation."""

from collections.abc import Sequence
from random import Random
from typing import Final, cast

from stepswitch.domain.step_types import StepSignature, StepTypes, collect
from stepswitch.plugin import Outcome, Result, StepContext, TargetError, Values
from stepswitch.steps.sub_workflow import SubWorkflowStep
from stepswitch.worker.attempt import Attempt
from tests.domain.lives import REMOTE
from tests.simulation.devices import ActingStep, City, IdleStep, LookingStep, Thing
from tests.simulation.loop import here, sleep


class StartingStep(ActingStep):
    """Implements `StepType` and `CleansUp`: starts something at its device that does not end with the connection, and removes it when it is done."""

    signature: StepSignature = REMOTE

    def _send(self, inputs: Values, context: StepContext) -> None:
        super()._send(inputs, context)
        nonce = _nonce(context)
        self._city.things[nonce] = Thing(context.attempt_name, nonce, here())

    async def _act(self, inputs: Values, context: StepContext) -> Outcome:
        outcome = await super()._act(inputs, context)
        nonce, city = _nonce(context), self._city
        is_cut = outcome is not None and outcome.result is Result.UNKNOWN
        if nonce in city.things and (is_cut or city.happens("a step said that something stays", city.weather.lingering / 2)):
            context.leave_behind()
        else:
            city.things.pop(nonce, None)
        return outcome

    async def clean_up(self, inputs: Values, context: StepContext) -> None:
        """Remove what is called so, which may take several tries. Whoever is still at it must not lose it."""
        city, name = self._city, context.attempt_name
        self._see_that_it_is_over(name)
        await sleep(city.random.random() * 3.0)
        if city.happens("a target let nothing be removed", city.weather.lingering / 2):
            raise TargetError(f"it does not answer to {inputs.get('password')}")
        if city.happens("removing something took too long", city.weather.lingering / 10):
            await sleep(10_000.0)
        self._see_that_it_is_over(name)
        for thing in [each for each in city.things.values() if each.name == name]:
            del city.things[thing.nonce]
            was_own = not thing.process.is_dead
            city.met[
                "something was removed by the process that started it" if was_own else "something was removed by the next process"
            ] += 1

    def _see_that_it_is_over(self, name: str) -> None:
        if self._city.in_use(name):
            self._city.breaches.append(f"what {name} has started is removed while it is at it")


def _nonce(context: StepContext) -> str:
    return cast("Attempt", context).grant.nonce or ""


AnyStep = ActingStep | LookingStep | SubWorkflowStep


def step_types(city: City) -> Sequence[AnyStep]:
    """Return the step types of a service in this city."""
    return [ActingStep(city), StartingStep(city), LookingStep(city), IdleStep(city), SubWorkflowStep()]


TYPES: Final[StepTypes] = collect(tuple(each.signature for each in step_types(City(Random()))))
"""What all of them say of themselves."""
