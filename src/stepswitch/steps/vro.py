"""The step types of vRO: a workflow of vRO is begun, followed to its end, and cancelled where the step is. Registered in `pyproject.toml`.

The parts: `vro_place` says which vRO, `vro_api` speaks to it, `vro_workflows` finds the workflow and makes its parameters of what a step gives
(`vro_values`), `vro_runs` begins, finds and follows the run and copies its log (`vro_log`), `vro_outcome` reads what came of it. Here they are put
together. VRO_CUSTOM stands here; what the other three ask for, and how it is judged, in `vro_errands`.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from stepswitch.plugin import (
    VRO_RUN_ID,
    AttachmentError,
    CredentialError,
    ErrorCode,
    InputSpec,
    LogLevel,
    Outcome,
    StepContext,
    StepSignature,
    StoredFile,
    TargetError,
    Values,
    ValueType,
    failed,
    unknown,
)
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.login_inputs import text_of
from stepswitch.steps.vro_api import Patience, VroApi, VroError
from stepswitch.steps.vro_outcome import RUN_ID_OUTPUT, Ended, ended_as
from stepswitch.steps.vro_place import VIM_LOCATION, vro_of
from stepswitch.steps.vro_runs import DoubtError, Pauses, Run, Runs
from stepswitch.steps.vro_workflows import Named, VroWorkflow, find_workflow, parameters_for

_LEAVE_SECONDS: Final = 6.0
"""How long an attempt that is stopped may take to have its run cancelled: less than the runner waits for it."""
_CANCEL_SECONDS: Final = 30.0
"""How long one attempt at cleaning up waits until a run has ended."""
_ID: Final = "vroWorkflowId"
_NAME: Final = "vroWorkflowName"

CUSTOM: Final = StepSignature(
    name="VRO_CUSTOM",
    description="Runs a workflow of the vRO of a VIM. Its log appears in the log of the step while it runs. Every other input is one of the vRO "
    "workflow, by its name, and every output of that is one of the step.",
    inputs=(
        InputSpec(_ID, (ValueType.STRING,), "The id of the vRO workflow. Not together with the name.", one_of="workflow", tells_what=True),
        InputSpec(_NAME, (ValueType.STRING,), "Its name, where no other there is called so.", one_of="workflow", tells_what=True),
        VIM_LOCATION,
    ),
    outputs=(RUN_ID_OUTPUT,),
    other_inputs=True,
    other_outputs=True,
    time_limit_seconds=14_400.0,
    outlives=True,
)


@dataclass(frozen=True, slots=True)
class Order:
    """What one attempt has vRO do."""

    named: Named
    given: Values = field(repr=False)
    usual: Values = field(default_factory=dict)
    """What is given, too, where the vRO workflow takes it."""
    file_key: str | None = None
    """What a file that the run gives is called among the attachments of the execution."""
    sent: StoredFile | None = None
    """The file that vRO is to send somewhere."""


class Errand(Protocol):
    """What is the step type's own: what it asks of vRO, and what it makes of what came."""

    async def completed(self, inputs: Values, context: StepContext) -> Values:
        """Return the inputs with the VIM location that follows from them."""
        ...

    async def order(self, inputs: Values, context: StepContext, faults: Faults) -> Order:
        """Return what vRO is to do; raises InputFaultError with every fault, `faults` among them, CredentialError and AttachmentError, where nothing was sent."""
        ...

    def named(self, inputs: Values) -> Named:
        """Return which vRO workflow that is; raises InputFaultError."""
        ...

    def outcome(self, ended: Ended, order: Order, inputs: Values) -> Outcome:
        """Return what the step came to."""
        ...


class VroStep:
    """Has one vRO workflow do what a step type asks for."""

    def __init__(self, signature: StepSignature, errand: Errand, *, patience: Patience | None, pauses: Pauses | None) -> None:
        self._signature = signature
        self._errand = errand
        self._patience = patience or Patience()
        self._pauses = pauses or Pauses()
        self._begun: dict[str, str] = {}
        """The ids of runs by the names of their attempts, as long as this process has to do with them."""

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return self._signature

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Begin the run, follow it to its end, and say what came of it."""
        try:
            inputs = await self._errand.completed(inputs, context)
            faults = Faults()
            place = await faults.attempted(vro_of(inputs, context))
            order = await self._errand.order(inputs, context, faults)
            api = VroApi(faults.settled(place), context, self._patience)
            workflow = await find_workflow(api, order.named)
            parameters = await parameters_for(workflow, order.given, order.usual, context)
            runs = Runs(api, context, self._pauses)
            await context.log(f"{api.name}: {workflow.told} is begun")
            ended = await self._carried_out(runs, workflow, parameters, order, context)
        except (InputFaultError, CredentialError, VroError, AttachmentError) as error:
            return failed(error.code, str(error))
        except DoubtError as error:
            context.leave_behind()  # nobody follows the run any more, so it is cancelled as soon as vRO can be asked
            began = self._begun.get(context.attempt_name)
            return unknown(error.code, str(error), {VRO_RUN_ID: began} if began else None)
        return self._errand.outcome(ended, order, inputs)

    async def _carried_out(
        self, runs: Runs, workflow: VroWorkflow, parameters: list[dict[str, object]], order: Order, context: StepContext
    ) -> Ended:
        try:
            run = await runs.begin(workflow, parameters)
            self._begun[context.attempt_name] = run.id
            await context.log(f"{run.told} has begun")
            content = await runs.follow(run)
        except asyncio.CancelledError:
            await self._leave(runs, workflow, context)
            raise
        self._begun.pop(context.attempt_name, None)
        return await ended_as(run, content, context, file_key=order.file_key)

    async def _leave(self, runs: Runs, workflow: VroWorkflow, context: StepContext) -> None:
        """Have the run of an attempt that is stopped cancelled, as far as that is quick; `clean_up` does what is left to do."""
        told = f"a run of {workflow.told} may go on in vRO; that it is cancelled is seen to"
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                run = await self._found(runs, workflow, context)
                if run is not None:
                    told = f"{run.told} is {await runs.cancel(run)} in vRO"
        except (VroError, CredentialError, TimeoutError):
            pass
        with suppress(TimeoutError, TargetError):
            await asyncio.wait_for(context.log(told, LogLevel.WARN), _LEAVE_SECONDS / 10)

    async def _found(self, runs: Runs, workflow: VroWorkflow, context: StepContext) -> Run | None:
        begun = self._begun.get(context.attempt_name)
        return Run(workflow, begun) if begun is not None else await runs.find(workflow)

    async def clean_up(self, inputs: Values, context: StepContext) -> None:
        """Have the run that this attempt may have begun cancelled; raises TargetError where that cannot be said or done now."""
        try:
            inputs = await self._errand.completed(inputs, context)
            api = VroApi(await vro_of(inputs, context), context, self._patience)
            workflow = await find_workflow(api, self._errand.named(inputs))
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self._cancelled(Runs(api, context, self._pauses), workflow, context)
        except TimeoutError:
            raise TargetError("the run in vRO was told to end, and has not ended yet") from None
        except VroError as error:
            if error.code is not ErrorCode.NO_SUCH_WORKFLOW:
                raise TargetError(str(error)) from None
        except InputFaultError as error:
            raise TargetError(str(error)) from None
        self._begun.pop(context.attempt_name, None)

    async def _cancelled(self, runs: Runs, workflow: VroWorkflow, context: StepContext) -> None:
        run = await self._found(runs, workflow, context)
        if run is not None:
            await context.log(f"{run.told} is {await runs.cancel(run)} in vRO", LogLevel.WARN)
        elif not workflow.takes_marker and (live := await runs.live(workflow)):
            # A vRO that gives runs ids of its own says of none of them whose it is; when the last of them has ended, none is left.
            shown = ", ".join(each.id for each in live[:5])
            raise TargetError(
                f"{workflow.told} has {len(live)} runs that go on, and which of them this attempt has begun is not known: {shown}"
            )

    async def release(self, execution_id: str) -> None:
        """Do nothing: no connection outlives its request."""

    async def close(self) -> None:
        """Do nothing, for the same reason."""


class CustomErrand:
    """VRO_CUSTOM: the workflow that the step names, with all that it is given."""

    async def completed(self, inputs: Values, context: StepContext) -> Values:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        return inputs

    async def order(self, inputs: Values, context: StepContext, faults: Faults) -> Order:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        where = {VIM_LOCATION.name}
        given = {name: value for name, value in inputs.items() if name not in {_ID, _NAME} | where}
        named = faults.attempt(lambda: self.named(inputs))
        return Order(faults.settled(named), given, {name: value for name, value in inputs.items() if name in where})

    def named(self, inputs: Values) -> Named:
        """See `Errand`."""
        workflow_id, name = ((text_of(inputs, each) or "").strip() for each in (_ID, _NAME))
        if workflow_id and name:
            raise InputFaultError(ErrorCode.INVALID_VALUE, f"give {_ID!r} or {_NAME!r}, not both")
        if not workflow_id and not name:
            raise InputFaultError(ErrorCode.MISSING_INPUT, f"there is no vRO workflow: {_ID!r} and {_NAME!r} are without value")
        return Named(workflow_id or None, name or None)

    def outcome(self, ended: Ended, order: Order, inputs: Values) -> Outcome:  # noqa: ARG002 - the protocol's
        """See `Errand`."""
        return ended.outcome(ended.outputs)


class VroCustomStep(VroStep):
    """Runs a workflow of vRO."""

    def __init__(self, *, patience: Patience | None = None, pauses: Pauses | None = None) -> None:
        super().__init__(CUSTOM, CustomErrand(), patience=patience, pauses=pauses)
