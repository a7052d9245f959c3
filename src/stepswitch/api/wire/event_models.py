"""The data of server-sent events as models: what `/openapi.json` shows. Read by `stream_operations`; the tests hold events against them."""

from typing import Final

from stepswitch.api.wire.models import ErrorEntry, Time, WaitingFor
from stepswitch.api.wire.structures import Structure, maybe, must
from stepswitch.domain.execution import ContextType, LogLevel, Result, Status, Verdict
from stepswitch.domain.states import StepState


class NamedWorkflow(Structure):
    """Which workflow is executed."""

    id: str = must("The workflow in the catalogue.")
    name: str = must("Its name when the execution was created.")


class ExecutionEvent(Structure):
    """`execution`: how an execution stands after a commit; with `deleted`, that it is no longer there, and nothing else."""

    execution_id: str = must("The execution.")
    deleted: bool = maybe("True where it was deleted, by somebody or because its time was over.")
    status: Status = maybe("Where it stands, in one word.")
    aborted: bool = maybe("Whether somebody stopped it.")
    workflow: NamedWorkflow = maybe("The workflow.")
    context_type: ContextType = maybe("What it is about.")
    creation_time: Time = maybe("When it was created.")
    creation_user: str = maybe("Who created it.", examples=["admin"])
    retained_til: Time = maybe("Until when it is kept once it has ended.")
    pause_at_failure: bool = maybe("Whether it pauses when a step fails, instead of ending.")
    debug_step_ids: list[str] = maybe("Steps to pause before.")
    accepted_failures: int = maybe("How many failed steps somebody has let pass.")
    start_time: Time = maybe("When its first step was taken.")
    end_time: Time = maybe("When it ended.")
    waiting_for: list[WaitingFor] = maybe("Why nothing happened when the event was made.")


class ProbeStanding(Structure):
    """How the latest look of a step's probe stands."""

    state: StepState = must("Where the look stands.")
    attempt: int = must("Which look it is, from 1.")
    start_time: Time = must("When it was decided to look.")
    claimed_time: Time = maybe("When a worker took it.")
    end_time: Time = maybe("When it ended.")
    result: Result = maybe("What the look itself came to.")
    verdict: Verdict = maybe("What it found. DONE: the way goes on. NOT_DONE: the step runs again. UNKNOWN: it could not tell.")
    error: ErrorEntry = maybe("Why the look did not succeed.")


class StepEvent(Structure):
    """`step`: how a step execution stands after a commit."""

    execution_id: str = must("The execution.")
    number: int = must("Its number: its place in `stepExecutions`.")
    step_id: str = must("The step.")
    state: StepState = must("Where it stands.")
    attempt: int = must("Counts from 1 at each visit.")
    aborted: bool = must("Whether somebody stopped it.")
    site: str = must("Where it is carried out.", examples=["default"])
    start_time: Time = must("When the way came here.")
    claimed_time: Time = maybe("When a worker took it.")
    end_time: Time = maybe("When it ended.")
    result: Result = maybe("What it came to. UNKNOWN: the target may or may not have acted.")
    error: ErrorEntry = maybe("Why it did not succeed.")
    probe: ProbeStanding = maybe("How it was, or is being, found out whether the step was done, where nobody knew.")


class LogEvent(Structure):
    """`log`: a line of log."""

    execution_id: str = must("The execution.")
    number: int = maybe("The number of the step execution; none for the execution itself.")
    msg: str = must("What happened.")
    time: Time = must("When.")
    level: LogLevel = must("How much it matters.")


class ResetEvent(Structure):
    """`reset`: something before this is no longer known; what is of interest has to be read anew."""

    execution_id: str = maybe("The execution, where only one is followed.")


Events = ExecutionEvent | StepEvent | LogEvent | ResetEvent
"""What can stand in the `data` of an event."""
NAMED: Final[dict[str, type[Structure]]] = {"execution": ExecutionEvent, "step": StepEvent, "log": LogEvent, "reset": ResetEvent}
"""The same by what stands in its `event`."""
