"""The structures of steering as models, beside those of `models`. Read by `steering_operations`."""

from typing import Annotated

from pydantic import Field

from stepswitch.api.wire.models import ScalarOrCredential, Step
from stepswitch.api.wire.structures import Structure, maybe, must

StepNumber = Annotated[int, Field(ge=0, le=2**31 - 1)]


class WorkflowExecutionChange(Structure):
    """What to change of an execution; what is left out stays as it is."""

    start_step_id: str = maybe("Where the next resume goes on. While PAUSED or FAILED.", examples=["configure"])
    pause_at_failure: bool = maybe("Whether to pause when a step fails. Before the end, or while FAILED.")
    retained_til: str = maybe(
        "Until when the ended execution is kept, RFC 3339 with an offset; a time to come.", examples=["2027-01-31T09:15:00+01:00"]
    )
    debug_step_ids: list[str] = maybe("Steps to pause before; replaces those that were set. Before the end, or while FAILED.")
    steps: dict[str, Step | None] = maybe(
        "Steps to add or to replace, by id; null removes one. Checked together with all others. A password sent back as `********` stays "
        "as it is stored. While PAUSED or FAILED."
    )


class ValueCorrection(Structure):
    """Values to correct."""

    values: dict[str, ScalarOrCredential | None] = must(
        "Values of inputs and variables by name; null takes one away.", examples=[{"host": "192.0.2.7"}]
    )


class CleanupAbandonment(Structure):
    """Which cleanups to abandon."""

    step_numbers: list[StepNumber] = maybe(
        "The numbers of step executions that say `cleanupPending`; all of them where this is left out.", min_length=1, examples=[[0]]
    )


class VroLoginDetails(Structure):
    """The login of the vRO that an execution's steps used."""

    username: str = must("User name.")
    password: str = must("Password, in clear.", json_schema_extra={"format": "password"})
    url: str = must("Address of the vRO.")
    run_uuids: list[str] = maybe("The runs that the steps started there.")
