"""The step type WORKFLOW: another workflow as one step. `decide` knows by its signature that it is a wait, so no worker carries it out."""

from typing import Final

from stepswitch.plugin import ErrorCode, InputSpec, Outcome, OutputSpec, StepContext, StepSignature, Values, ValueType, failed

LONGEST_SECONDS: Final = 7 * 24 * 3600.0
_TEXT: Final = (ValueType.STRING,)

SIGNATURE: Final = StepSignature(
    name="WORKFLOW",
    description=(
        "Executes another workflow, and waits for its end without taking a place. It belongs to the same tenant, has the same context, and runs in "
        "the name of whoever created this execution. A pause, a resume and an abort are handed down."
    ),
    inputs=(
        InputSpec(
            "workflowId",
            _TEXT,
            "The workflow to execute, as it is in the catalogue when the step begins. All inputs that are not listed here are its inputs.",
            one_of="workflow",
        ),
        InputSpec("workflowName", _TEXT, "The same by its name, which no other workflow may have.", one_of="workflow"),
    ),
    outputs=(
        OutputSpec("executionId", ValueType.STRING, "The execution that was begun. The outputs of the workflow are outputs, too."),
        OutputSpec("status", ValueType.STRING, "How it has ended: COMPLETED, FAILED or ABORTED."),
    ),
    other_inputs=True,
    other_outputs=True,
    waits=True,
    time_limit_seconds=LONGEST_SECONDS,
)


class SubWorkflowStep:
    """Says what a sub-workflow takes and gives."""

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:  # noqa: ARG002 - the port's
        """Refuse: whoever asks a worker for it has not read the signature."""
        return failed(ErrorCode.INTERNAL, "nothing was begun: a step that waits for an execution is not carried out by a worker")

    async def release(self, execution_id: str) -> None:
        """Do nothing: nothing was kept."""

    async def close(self) -> None:
        """Do nothing: nothing is open."""
