"""The structures of rehearsals as models, beside those of `models`. Read by `openapi` through the operations."""

from stepswitch.api.wire.models import LogLine, Scalar, ScalarOrCredential, WorkflowBase
from stepswitch.api.wire.structures import Structure, maybe, must
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import ContextType, Result, Status, Verdict
from stepswitch.engine.divergences import DivergenceKind
from stepswitch.engine.rehearsal_orders import ActKind


class ScriptedError(Structure):
    """Why an attempt does not succeed."""

    code: ErrorCode = must("What kind of error.")
    message: str = maybe("What is said about it.")


class ScriptedResult(Structure):
    """What attempts at a step come to."""

    result: Result = maybe("SUCCEEDED unless said; FAILED or UNKNOWN otherwise.")
    outputs: dict[str, Scalar] = maybe("The step's outputs.")
    error: ScriptedError = maybe("Why it does not succeed.")
    seconds: float = maybe("How long the attempt takes. Longer than the step's time limit: it ends as one whose time is over.")
    times: int = maybe("For how many attempts, one after the other; one unless said.")
    lost: bool = maybe("Whether the worker is never heard of again. Then nothing else is given, and the step is none that only computes.")


class Act(Structure):
    """What an operator does when the execution has paused, or has ended FAILED."""

    act: ActKind = must("What is done.")
    at: str = maybe("At which step it is expected to be asked for.")
    start_step_id: str = maybe("With resume: the step to go on at.")
    values: dict[str, ScalarOrCredential | None] = maybe("Values of inputs and variables that are corrected before; null takes one away.")


class ExpectedStep(Structure):
    """One step execution of the way."""

    step_id: str = must("The step.")
    result: Result = maybe("How it has to end.")
    attempt: int = maybe("Which attempt of its visit it has to be.")
    error: ErrorCode = maybe("With which error it has to end.")
    verdict: Verdict = maybe("What its probe has to find.")
    inputs: dict[str, Scalar | None] = maybe("What it has to be given; only what is named is looked at, null means no value.")


class Expected(Structure):
    """What has to come out; what is left out is not looked at."""

    way: list[str | ExpectedStep] = maybe("Every step execution in its order, each attempt counted; the id of a step alone will do.")
    status: Status = maybe("COMPLETED, FAILED, ABORTED or PAUSED.")
    outputs: dict[str, Scalar | None] = maybe("All outputs that have a value at the end.")
    values: dict[str, ScalarOrCredential | None] = maybe(
        "Inputs, variables and outputs at the end; only those that are named are looked at."
    )
    max_step_executions: int = maybe("How many step executions there may be.")


class Rehearsal(Structure):
    """One rehearsal of the workflow."""

    name: str = must("For people.", examples=["an active cell"])
    context_type: ContextType = maybe("Instead of the document's.")
    context: dict[str, Scalar | None] = maybe("Goes over the document's; null takes a key away.")
    assignments: dict[str, ScalarOrCredential | None] = maybe("Inputs. Go over the document's; null takes one away.")
    attachments: dict[str, str] = maybe("Contents of files by key, as texts.")
    pause_at_failure: bool = maybe("Whether to pause where a step fails.")
    debug_step_ids: list[str] = maybe("Steps to pause before.")
    results: dict[str, list[ScriptedResult]] = maybe("What attempts at each step come to, in their order over all visits.")
    probes: dict[str, list[ScriptedResult]] = maybe("What the looks of each step's probe come to, in their order over all visits.")
    operators: list[Act] = maybe("What operators do at pauses, in this order.")
    expected: Expected = maybe("What has to come out.")


class RehearsalDocument(Structure):
    """A workflow and its rehearsals. What stands here counts for each of them."""

    workflow: WorkflowBase = maybe("The workflow itself.")
    workflow_id: str = maybe("Or the id of one in the catalogue; its passwords are `********` then.")
    context_type: ContextType = maybe("What the execution is about; NONE unless said.")
    context: dict[str, Scalar] = maybe("Its context.")
    assignments: dict[str, ScalarOrCredential] = maybe("Inputs.")
    rehearsals: list[Rehearsal] = must("At most 100.", min_length=1)


class Divergence(Structure):
    """One thing that is otherwise than expected."""

    kind: DivergenceKind = must("What kind of thing.")
    path: str = must("Its place in the document; empty for the whole.", examples=["rehearsals[0].expected.way[2]"])
    message: str = must("What was expected, what it is, and why. Steps are counted from 1 here.")


class TakenStep(Structure):
    """A step execution of the way that was taken."""

    step_id: str = must("The step.")
    attempt: int = must("Which attempt of its visit.")
    result: Result = maybe("How it ended; absent where it waits before it has run.")
    error: ErrorCode = maybe("Why it did not succeed.")
    message: str = maybe("What was said about that.")
    verdict: Verdict = maybe("What its probe found, where it has looked.")
    because: str = maybe("Why the way came here; absent at the first step.")
    assumed: bool = maybe("There was no result for it, and a success without outputs was assumed.")


class RehearsalLine(LogLine):
    """A line of log."""

    step_execution: int = must("Of which step execution: its place in the way, counted from 0.")


class RehearsalReport(Structure):
    """What a rehearsal came to."""

    name: str = must("Its name.")
    as_expected: bool = must("Whether there is no divergence.")
    status: Status = must("Where the execution stands at the end; RUNNING or QUEUED where the rehearsal was broken off.")
    divergences: list[Divergence] = must("All that is otherwise than expected.")
    way: list[TakenStep] = must("The way that was taken: its first 1,000 step executions.")
    step_executions: int = must("How many step executions there were.")
    seconds: float = must("How long it would have taken, as far as results and waits say.")
    outputs: dict[str, Scalar] = must("Outputs at the end; long texts are cut.")
    values: dict[str, ScalarOrCredential] = must("Inputs, variables and context at the end; long texts are cut.")
    log: list[RehearsalLine] = must("What scripts said, and warnings.")


class RehearsalReports(Structure):
    """What the rehearsals of a document came to."""

    as_expected: bool = must("Whether all came out as expected.")
    rehearsals: list[RehearsalReport] = must("A report for each, in their order.")
